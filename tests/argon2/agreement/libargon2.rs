//! Hashes of the reference implementation, as `tests/argon2/libargon2.py` writes them: a sample in the repository, or
//! fresh ones in the file that `LIBARGON2_HASHES` names.

use crate::both::{Input, hasher};

const SAMPLE: &str = include_str!("libargon2.txt");

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| 16 * digit(pair[0]) + digit(pair[1])).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "which hashes is no setting of the product")]
fn the_reference_implementation_computes_the_same() {
    let lines = std::env::var("LIBARGON2_HASHES")
        .map_or_else(|_| SAMPLE.to_owned(), |path| std::fs::read_to_string(path).unwrap());
    let mut hasher = hasher();
    let mut compared = 0;
    for line in lines.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [memory_kib, passes, lanes, version, password, salt, output] = fields[..] else {
            panic!("{line}")
        };
        let output = from_hex(output);
        let input = Input {
            is_old: version == "16",
            memory_kib: memory_kib.parse().unwrap(),
            passes: passes.parse().unwrap(),
            lanes: lanes.parse().unwrap(),
            password: from_hex(password),
            salt: from_hex(salt),
            output_length: output.len(),
        };
        assert_eq!(input.accelerated(&mut hasher), output, "{line}");
        compared += 1;
    }
    assert!(compared >= 200, "only {compared} hashes were compared");
    println!("{compared} hashes by {} and by libargon2", argon2_rust::detected_backend());
}
