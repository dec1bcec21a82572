//! The vectors of RFC 9106, section 5.

use argon2_rust::params::{Memory, TagLen};
use argon2_rust::{Algorithm, Argon2, Params, Version};

#[test]
fn the_vectors_of_the_rfc_are_met() {
    let params = Params::builder().memory(Memory::kib(32)).passes(3).lanes(4).threads(1);
    let params = params.tag_len(TagLen::bytes(32)).build().unwrap();
    let vectors = [
        (Algorithm::Argon2d, "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb"),
        (Algorithm::Argon2i, "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8"),
        (Algorithm::Argon2id, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"),
    ];
    for (algorithm, expected) in vectors {
        let mut hasher = Argon2::new(algorithm, Version::V0x13, params).hasher();
        for _ in 0..2 {
            let mut output = [0; 32];
            hasher.hash_into_with_ad(&[1; 32], &[2; 16], &[3; 8], &[4; 12], &mut output).unwrap();
            assert_eq!(hex::encode(output), expected, "{algorithm:?}");
        }
    }
}
