use proptest::prelude::*;

use super::*;

const ARGON2ID: (Algorithm, Version) = (Algorithm::Argon2id, Version::V0x13);

fn params(memory_kib: u32, iterations: u32, lanes: u32) -> Params {
    Params::new(memory_kib, iterations, lanes, None).unwrap()
}

fn hash(workspace: &mut Workspace, params: &Params, output: &mut [u8]) {
    workspace.hash(ARGON2ID, params, b"copper lantern", b"somesalt", output).unwrap();
}

#[test]
fn the_self_test_lets_the_accelerated_code_hash() {
    assert_eq!(Argon2Backend::Auto.select(), Selected::Accelerated);
    assert_eq!(Argon2Backend::Portable.select(), Selected::Portable);
}

#[test]
fn one_wrong_bit_is_enough_for_the_portable_code() {
    for wrong_call in 0..4 {
        let (mut compute, mut calls) = (known_answers::compute_accelerated(), 0);
        let passed = known_answers::all_correct(|known| {
            let mut output = compute(known)?;
            output[31] ^= u8::from(calls == wrong_call);
            calls += 1;
            Some(output)
        });
        assert_eq!(Selected::after_self_test(passed), Selected::Portable, "call {wrong_call}");
    }
    assert!(!known_answers::all_correct(|_| None));
}

#[test]
fn the_setting_has_two_words() {
    let read = |text: &str| Argon2Backend::read(&[(BACKEND.name, text)].into_iter().collect());
    assert_eq!(Argon2Backend::read(&Environment::default()).unwrap(), Argon2Backend::Auto);
    assert_eq!(read("portable").unwrap(), Argon2Backend::Portable);
    let error = read("avx512").unwrap_err();
    assert_eq!(error.to_string(), "ARGON2_BACKEND: is neither `auto` nor `portable`");
}

#[test]
fn memory_is_kept_and_holds_nothing_after_a_hash() {
    let mut portable = Workspace::new(Selected::Portable);
    let mut accelerated = Workspace::new(Selected::Accelerated);
    for memory_kib in [256, 64, 256] {
        for workspace in [&mut portable, &mut accelerated] {
            hash(workspace, &params(memory_kib, 1, 1), &mut [0; 32]);
        }
        assert_eq!(portable.blocks.len(), 256);
        assert!(portable.blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        let hasher = accelerated.accelerated.as_ref().unwrap();
        assert_eq!((hasher.reserved_blocks(), accelerated.blocks.len()), (256, 0));
    }
}

#[test]
fn other_kinds_of_argon2_stay_with_the_portable_code() {
    let mut workspace = Workspace::new(Selected::Accelerated);
    for algorithm in [Algorithm::Argon2i, Algorithm::Argon2d] {
        let (mut ours, mut theirs) = ([0; 32], [0; 32]);
        let params = params(64, 2, 2);
        workspace.hash((algorithm, Version::V0x13), &params, b"x", b"somesalt", &mut ours).unwrap();
        Argon2::new(algorithm, Version::V0x13, params)
            .hash_password_into(b"x", b"somesalt", &mut theirs)
            .unwrap();
        assert_eq!(ours, theirs);
        assert_eq!(workspace.accelerated.as_ref().unwrap().reserved_blocks(), 0);
    }
}

proptest! {
    #[test]
    fn both_codes_compute_the_same_in_memory_they_used_before(
        costs in prop::collection::vec((8_u32..64, 1_u32..4, 1_u32..5, 16_usize..128), 1..4),
        is_old in any::<bool>(),
        password in prop::collection::vec(any::<u8>(), 0..200),
        salt in prop::collection::vec(any::<u8>(), 8..48),
    ) {
        let mut accelerated = Workspace::new(Selected::Accelerated);
        let mut portable = Workspace::new(Selected::Portable);
        let version = if is_old { Version::V0x10 } else { Version::V0x13 };
        for (memory, iterations, lanes, length) in costs {
            let params = params(memory * lanes, iterations, lanes);
            let (mut ours, mut theirs) = (vec![0; length], vec![0; length]);
            let kind = (Algorithm::Argon2id, version);
            accelerated.hash(kind, &params, &password, &salt, &mut ours).unwrap();
            portable.hash(kind, &params, &password, &salt, &mut theirs).unwrap();
            prop_assert_eq!(ours, theirs);
        }
    }
}
