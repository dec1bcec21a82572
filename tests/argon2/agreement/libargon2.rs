//! Hashes of the reference implementation, as `tests/argon2/libargon2.py` writes them: a sample in the repository, or
//! fresh ones in the file that `LIBARGON2_HASHES` names.

use crate::both::{Input, hasher};

const SAMPLE: &str = include_str!("libargon2.txt");

#[test]
#[expect(clippy::disallowed_methods, reason = "which hashes is no setting of the product")]
fn the_reference_implementation_computes_the_same() {
    let written = std::env::var("LIBARGON2_HASHES")
        .map_or_else(|_| SAMPLE.to_owned(), |path| std::fs::read_to_string(path).unwrap());
    let mut hasher = hasher();
    let mut compared = 0;
    for line in written.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [memory_kib, passes, lanes, version, password, salt, output] = fields[..] else {
            panic!("{line}")
        };
        let output = hex::decode(output).unwrap();
        let input = Input {
            is_old: version == "16",
            memory_kib: memory_kib.parse().unwrap(),
            passes: passes.parse().unwrap(),
            lanes: lanes.parse().unwrap(),
            password: hex::decode(password).unwrap(),
            salt: hex::decode(salt).unwrap(),
            output_length: output.len(),
        };
        assert_eq!(input.accelerated(&mut hasher), output, "{line}");
        compared += 1;
    }
    assert!(compared >= 200, "only {compared} hashes were compared");
    println!("{compared} hashes by {} and by libargon2", argon2_rust::detected_backend());
}
