//! Hashes whose output is published: what an implementation of Argon2id must compute before it hashes a password.

use argon2::{Params, Version};

use super::{accelerated, hasher};

/// One input and the output that is known for it.
pub(super) struct KnownAnswer {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    password: &'static [u8],
    salt: &'static [u8],
    secret: &'static [u8],
    associated_data: &'static [u8],
    output: [u8; 32],
}

/// Together they run every loop of a fill: the first pass and later ones, addresses that depend on the password and
/// addresses that do not, references into the own lane and into others.
const ALL: [KnownAnswer; 2] = [
    // RFC 9106, section 5.3.
    KnownAnswer {
        memory_kib: 32,
        passes: 3,
        lanes: 4,
        password: &[1; 32],
        salt: &[2; 16],
        secret: &[3; 8],
        associated_data: &[4; 12],
        output: [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9,
            0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
        ],
    },
    // `echo -n password | argon2 somesalt -id -t 2 -k 256 -p 1 -l 32` of the reference command line tool.
    KnownAnswer {
        memory_kib: 256,
        passes: 2,
        lanes: 1,
        password: b"password",
        salt: b"somesalt",
        secret: b"",
        associated_data: b"",
        output: [
            0x9d, 0xfe, 0xb9, 0x10, 0xe8, 0x0b, 0xad, 0x03, 0x11, 0xfe, 0xe2, 0x0f, 0x9c, 0x0e, 0x2b, 0x12,
            0xc1, 0x79, 0x87, 0xb4, 0xca, 0xc9, 0x0c, 0x2e, 0xf5, 0x4d, 0x5b, 0x30, 0x21, 0xc6, 0x8b, 0xfe,
        ],
    },
];

/// Returns whether an implementation computes every known output. The second round finds memory that was not left
/// clean by the first.
pub(super) fn all_correct(mut computed: impl FnMut(&KnownAnswer) -> Option<[u8; 32]>) -> bool {
    (0..2).all(|_| ALL.iter().all(|known| computed(known) == Some(known.output)))
}

/// Computes the input with the accelerated code.
pub(super) fn compute_accelerated() -> impl FnMut(&KnownAnswer) -> Option<[u8; 32]> {
    let mut hasher = hasher();
    move |known| {
        let mut output = [0; 32];
        let params = Params::new(known.memory_kib, known.passes, known.lanes, None).ok()?;
        hasher.set_argon2(accelerated(Version::V0x13, &params, output.len())?);
        hasher
            .hash_into_with_ad(known.password, known.salt, known.secret, known.associated_data, &mut output)
            .ok()?;
        Some(output)
    }
}
