use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const KIDS: [&str; 2] =
    ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"];

fn modulus(bytes: usize) -> String {
    let mut n = vec![0x5b; bytes];
    n[0] = 0xc1;
    URL_SAFE_NO_PAD.encode(n)
}

fn rsa(kid: &str) -> Value {
    json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": modulus(256), "e": "AQAB"})
}

fn set(keys: &[Value]) -> Result<JwkSet, JwksError> {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn with(member: &str, value: Value) -> Value {
    let mut key = rsa(KIDS[0]);
    key[member] = value;
    key
}

fn without(member: &str) -> Value {
    let mut key = rsa(KIDS[0]);
    key.as_object_mut().unwrap().remove(member);
    key
}

#[test]
fn a_key_is_found_by_its_id_for_its_own_algorithm_only() {
    let point = URL_SAFE_NO_PAD.encode([9; 32]);
    let curve = json!({"kty": "EC", "crv": "P-256", "kid": KIDS[1], "alg": "ES256", "x": point, "y": point});
    let set = set(&[rsa(KIDS[0]), curve]).unwrap();
    assert_eq!(set.position(KIDS[0], Algorithm::Rs256), Some(0));
    assert_eq!(set.position(KIDS[1], Algorithm::Es256), Some(1));
    assert_eq!(set.position(KIDS[0], Algorithm::Es256), None);
    assert_eq!(set.position(KIDS[1], Algorithm::Rs256), None);
    assert_eq!(set.position("", Algorithm::Rs256), None);
    assert_eq!(set.iter().count(), 2);
}

/// An odd number of the length of a modulus with the pattern of CVE-2017-15361.
fn patterned() -> Vec<u8> {
    let made = (256..10_000).map(crate::roca::tests::patterned).find(|n| n.len() > 256 || n[0] >= 0x80);
    made.unwrap()
}

#[test]
fn private_and_symmetric_keys_spoil_the_set() {
    for part in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for value in [json!("AQAB"), json!(1), json!([])] {
            assert_eq!(set(&[rsa(KIDS[1]), with(part, value)]), Err(JwksError::PrivateKey), "{part}");
        }
    }
    let secret = json!({"kty": "oct", "kid": KIDS[0], "alg": "HS256"});
    assert_eq!(set(&[rsa(KIDS[1]), secret]), Err(JwksError::PrivateKey));
    let escaped = json!({"keys": [rsa(KIDS[0])]}).to_string().replace("\"use\"", "\"\\u0064\"");
    assert_eq!(JwkSet::parse(escaped.as_bytes()), Err(JwksError::PrivateKey));
}

#[test]
fn two_keys_of_one_name_spoil_the_set() {
    assert_eq!(set(&[rsa(KIDS[0]), rsa(KIDS[0])]), Err(JwksError::DuplicateKid));
    let twice = json!({"keys": [rsa(KIDS[0])]}).to_string().replace("\"use\":\"sig\"", "\"kid\":\"x\"");
    assert_eq!(JwkSet::parse(twice.as_bytes()), Err(JwksError::Malformed), "one key with two names");
}

#[test]
fn keys_of_no_use_are_passed_over() {
    let even = URL_SAFE_NO_PAD.encode([0xc0; 256]);
    let broken = URL_SAFE_NO_PAD.encode(patterned());
    let padded = URL_SAFE_NO_PAD.encode([&[0][..], &[0xc1; 256][..]].concat());
    let useless = [
        with("use", json!("enc")),
        with("key_ops", json!(["encrypt"])),
        with("alg", json!("RS1")),
        with("alg", json!("HS256")),
        with("alg", json!("none")),
        with("alg", json!("ES256")),
        with("kty", json!("EC")),
        with("kid", json!("../key")),
        with("e", json!("Aw")),
        with("e", json!("AQAC")),
        with("n", json!(modulus(255))),
        with("n", json!(modulus(1025))),
        with("n", json!(even)),
        with("n", json!(padded)),
        with("n", json!(broken)),
        with("n", json!(format!("{}=", modulus(256)))),
        without("kid"),
        without("alg"),
        without("n"),
        without("e"),
    ];
    for key in useless {
        assert_eq!(set(std::slice::from_ref(&key)), Err(JwksError::NoUsableKey), "{key}");
        assert_eq!(set(&[key, rsa(KIDS[1])]).unwrap().iter().count(), 1);
    }
    assert!(set(&[with("key_ops", json!(["verify"]))]).is_ok());
    assert!(set(&[with("x5t", json!("whatever"))]).is_ok());
    assert!(set(&[with("n", json!(modulus(1024)))]).is_ok());
}

#[test]
fn what_is_no_set_at_all() {
    let sound = json!({"keys": [rsa(KIDS[0])]}).to_string();
    for json in [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":[[]]}"#,
        r#"{"keys":[null]}"#,
        r#"{"keys":[{"kid":"x"}]}"#,
        &format!("[{sound}]"),
        &format!("{sound}{sound}"),
        &sound.replace("\"AQAB\"", "65537"),
        &sound.replace("\"keys\":", "\"keys\":[],\"keys\":"),
        &sound[..sound.len() - 1],
    ] {
        assert_eq!(JwkSet::parse(json.as_bytes()), Err(JwksError::Malformed), "{json}");
    }
    assert_eq!(set(&[]), Err(JwksError::NoUsableKey));
    assert_eq!(JwkSet::parse(&vec![b' '; MAX_SET_BYTES + 1]), Err(JwksError::TooLarge));
    let many: Vec<_> = (0..=MAX_KEYS).map(|at| rsa(&format!("{at:043}"))).collect();
    assert_eq!(set(&many), Err(JwksError::TooManyKeys));
    assert!(set(&many[1..]).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[\\[\\]{}:,\"a-z\\\\]{0,80}") {
        let _ = JwkSet::parse(&bytes);
        let _ = JwkSet::parse(format!("{{\"keys\":[{{{text}}}]}}").as_bytes());
    }
}
