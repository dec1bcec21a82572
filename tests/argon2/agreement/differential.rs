//! Random inputs over all parameters the service accepts. The seed is fixed, so a failure can be repeated, and
//! `ARGON2_HASHES` says how many.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::both::{Input, hasher};

/// So many are compared unless `ARGON2_HASHES` says otherwise.
const HASHES: u32 = 20_000;
/// What the service accepts.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST: u32 = 16;

/// Mostly small memory, because what differs between implementations (the first blocks, the ends of segments, the
/// passes, the lanes) is in it, and now and then as much as is accepted.
fn memory_kib(random: &mut StdRng, lanes: u32) -> u32 {
    let least = 8 * lanes;
    let most = match random.random_range(0..20_000_u32) {
        0 => MOST_MEMORY_KIB,
        1..100 => 4 * 1024,
        100..2_000 => 256,
        _ => 32,
    };
    random.random_range(least..=least.max(most))
}

fn bytes(random: &mut StdRng, lengths: std::ops::RangeInclusive<usize>) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(lengths)];
    random.fill(bytes.as_mut_slice());
    bytes
}

fn input(random: &mut StdRng) -> Input {
    // One lane most of the time, as in nearly every stored hash.
    let lanes = if random.random_ratio(1, 2) { 1 } else { random.random_range(1..=MOST) };
    let memory_kib = memory_kib(random, lanes);
    let most_passes = if memory_kib > 1024 { 3 } else { MOST };
    let passes = if random.random_ratio(2, 3) { random.random_range(1..=3) } else { most_passes };
    Input {
        is_old: random.random_ratio(1, 8),
        memory_kib,
        passes: random.random_range(1..=passes),
        lanes,
        password: bytes(random, 0..=200),
        salt: bytes(random, 8..=64),
        output_length: if random.random_ratio(1, 2) { 32 } else { random.random_range(16..=128) },
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how many hashes is no setting of the product")]
fn both_crates_compute_the_same() {
    let count = std::env::var("ARGON2_HASHES").map_or(HASHES, |text| text.parse().unwrap());
    let mut random = StdRng::seed_from_u64(9_106);
    // One for the whole run: what a hash leaves behind in its memory would show in the next.
    let mut hasher = hasher();
    for number in 0..count {
        let input = input(&mut random);
        assert_eq!(input.accelerated(&mut hasher), input.portable(), "hash {number}: {input:?}");
    }
    println!("{count} hashes by {} and by the portable code", argon2_rust::detected_backend());
}

#[test]
fn the_default_and_the_largest_parameters_are_among_them() {
    let mut hasher = hasher();
    for (memory_kib, passes, lanes) in [(19_456, 2, 1), (65_536, 3, 4), (MOST_MEMORY_KIB, 1, MOST)] {
        let (password, salt) = (b"copper lantern".to_vec(), b"somesalt".to_vec());
        let input = Input { is_old: false, memory_kib, passes, lanes, password, salt, output_length: 32 };
        assert_eq!(input.accelerated(&mut hasher), input.portable(), "{input:?}");
    }
}
