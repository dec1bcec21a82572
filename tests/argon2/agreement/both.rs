//! One input for both crates.

use argon2_rust::Hasher;
use argon2_rust::params::{Memory, TagLen};

/// Everything Argon2 hashes, and what the result depends on.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) is_old: bool,
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
    pub(crate) password: Vec<u8>,
    pub(crate) salt: Vec<u8>,
    pub(crate) output_length: usize,
}

/// Returns a hasher that takes the parameters of each input and keeps its memory, as the service's does.
pub(crate) fn hasher() -> Hasher {
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    argon2_rust::Argon2::new(algorithm, version, argon2_rust::Params::default()).hasher()
}

impl Input {
    pub(crate) fn accelerated(&self, hasher: &mut Hasher) -> Vec<u8> {
        let params = argon2_rust::Params::builder()
            .memory(Memory::kib(self.memory_kib.into()))
            .passes(self.passes)
            .lanes(self.lanes)
            .threads(1)
            .tag_len(TagLen::bytes(self.output_length as u64))
            .build()
            .unwrap();
        let version = if self.is_old { argon2_rust::Version::V0x10 } else { argon2_rust::Version::V0x13 };
        hasher.set_argon2(argon2_rust::Argon2::new(argon2_rust::Algorithm::Argon2id, version, params));
        let mut output = vec![0; self.output_length];
        hasher.hash_into(&self.password, &self.salt, &mut output).unwrap();
        output
    }

    pub(crate) fn portable(&self) -> Vec<u8> {
        let params =
            argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(self.output_length)).unwrap();
        let version = if self.is_old { argon2::Version::V0x10 } else { argon2::Version::V0x13 };
        let mut output = vec![0; self.output_length];
        argon2::Argon2::new(argon2::Algorithm::Argon2id, version, params)
            .hash_password_into(&self.password, &self.salt, &mut output)
            .unwrap();
        output
    }
}
