//! The wire form of tokens and keys, byte by byte. `expected.txt` was computed with Python's `cryptography` from the keys
//! beside it: for RSA, P-256 and Ed25519 a JWK and a token, that of P-256 without its signature, which is never the same.

use portcullis_verifier::Rejection;
use portcullis_verifier::jwks::JwkSet;
use serde_json::Value;

use super::*;
use crate::tokens::token_provider::is_kept;

const RSA: &[u8] = include_bytes!("rsa.pem");
const P256: &[u8] = include_bytes!("p256.pem");
const ED25519: &[u8] = include_bytes!("ed25519.pem");
const NOW: u64 = 1_795_000_000;

fn keys() -> [SigningKey; 3] {
    [RSA, P256, ED25519].map(|pem| SigningKey::from_pem(pem).unwrap())
}

fn claims() -> Claims {
    Claims {
        iss: "user_service".to_owned(),
        aud: "trading_platform".to_owned(),
        sub: "usr_1".to_owned(),
        iat: NOW,
        exp: NOW + 900,
        nbf: None,
        jti: "jti_1".to_owned(),
        email: Some("asha@example.com".to_owned()),
        roles: vec!["trader".to_owned()],
        session_id: "ses_1".to_owned(),
        epoch: 0,
        token_type: "access".to_owned(),
        auth_time: NOW,
        amr: vec!["pwd".to_owned()],
        acr: portcullis_verifier::Assurance::Aal1,
    }
}

fn expectations(keys: &VerificationKeys) -> Expectations {
    let algorithms = keys.algorithms().to_vec();
    Expectations { algorithms, ..Expectations::new("user_service", "trading_platform") }
}

#[test]
fn keys_and_tokens_have_the_bytes_they_always_had() {
    let expected: Vec<&str> = include_str!("expected.txt").lines().collect();
    for (key, expected) in keys().iter().zip(expected.chunks(2)) {
        assert_eq!(serde_json::to_value(key.jwk()).unwrap().to_string(), expected[0]);
        let token = key.sign(&claims()).unwrap();
        let end = if key.algorithm() == Algorithm::ES256 { expected[1].len() } else { token.len() };
        assert_eq!(token[..end], *expected[1]);
    }
}

#[test]
fn the_edge_and_this_side_verify_a_token_of_each_algorithm() {
    let keys = keys();
    let verification = VerificationKeys::of(&keys);
    let expected = expectations(&verification);
    let published = crate::tokens::keyring::encoded_jwks(keys.iter().map(SigningKey::jwk)).unwrap();
    let edge = JwkSet::parse(published.as_bytes()).unwrap();
    for key in &keys {
        let token = key.sign(&claims()).unwrap();
        assert_eq!(verification.verify(&token, &expected, NOW), Ok(claims()), "{key:?}");
        assert_eq!(verification.verify(&token, &expected, NOW + 906), Err(Rejection::Expired));
        let unverified = UnverifiedToken::parse(&token).unwrap();
        assert!(edge.position(key.kid(), unverified.algorithm()).is_some(), "{key:?}");

        // The library's own verification, which reads the published key.
        let jwk: Jwk = serde_json::from_value(serde_json::to_value(key.jwk()).unwrap()).unwrap();
        let public = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let verified = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &public, key.algorithm());
        assert!(verified.unwrap());
    }
}

#[test]
fn no_byte_of_a_token_can_be_changed() {
    let keys = keys();
    let verification = VerificationKeys::of(&keys);
    let expected = expectations(&verification);
    for key in &keys {
        let token = key.sign(&claims()).unwrap();
        for place in (0..token.len()).step_by(7) {
            let mut forged = token.clone();
            let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
            forged.replace_range(place..=place, other);
            assert!(verification.verify(&forged, &expected, NOW).is_err(), "{key:?}, byte {place}");
        }
    }
}

#[test]
fn a_key_verifies_tokens_of_its_own_algorithm_only() {
    let [rsa, p256, ed25519] = keys();
    let verification = VerificationKeys::of([&rsa, &p256, &ed25519]);
    let expected = expectations(&verification);
    let token = p256.sign(&claims()).unwrap();
    assert!(verification.verify(&token, &expected, NOW).is_ok());
    // Signed by the very key under a header that names another algorithm: nothing but that can refuse it.
    let payload = token.split('.').nth(1).unwrap();
    let message = encoded_header("at+jwt", Algorithm::EdDSA, p256.kid()).unwrap() + payload;
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &p256.encoded, Algorithm::ES256).unwrap();
    assert_eq!(
        verification.verify(&format!("{message}.{signature}"), &expected, NOW),
        Err(Rejection::Signature)
    );
    let only_rsa = VerificationKeys::of([&rsa]);
    let unknown_key = only_rsa.verify(&token, &expectations(&only_rsa), NOW);
    assert_eq!(unknown_key, Err(Rejection::Signature));
    let only_rsa = Expectations::new("user_service", "trading_platform");
    assert_eq!(verification.verify(&token, &only_rsa, NOW), Err(Rejection::AlgorithmNotAllowed));
}

#[test]
fn parsed_keys_are_found_while_they_are_in_use() {
    let pem = another_rsa_key();
    let first = SigningKey::from_pem(&pem).unwrap();
    let second = SigningKey::from_pem(&pem).unwrap();
    let encoded = first.encoded.clone();
    assert!(Arc::ptr_eq(&first.parsed, &second.parsed), "one key is parsed once");
    drop(first);
    assert!(is_kept(&encoded), "the second still needs it");
    drop(second);
    assert!(!is_kept(&encoded), "nobody needs it");
    // Without the parsed key the library's own provider signs, with the same result.
    let key = SigningKey::from_pem(&pem).unwrap();
    let ours = jsonwebtoken::crypto::sign(b"message", &encoded, Algorithm::RS256).unwrap();
    drop(key);
    assert_eq!(jsonwebtoken::crypto::sign(b"message", &encoded, Algorithm::RS256).unwrap(), ours);
}

/// A key no other test uses, because they run at once in one process.
fn another_rsa_key() -> Vec<u8> {
    use portcullis_platform::{SecretName, SigningAlgorithm, SystemEntropy, new_secret};
    let made = new_secret(SecretName::TokenSigningKey, SigningAlgorithm::Rs256, &SystemEntropy).unwrap();
    made.expose_secret().as_bytes().to_vec()
}

#[test]
fn what_is_no_signing_key_is_refused_and_no_key_prints_its_secret() {
    let text = str::from_utf8(RSA).unwrap();
    let other_kinds =
        [text.replace("PRIVATE", "PUBLIC"), text.replace("PRIVATE", "RSA PRIVATE"), text[..900].to_owned()];
    for bad in other_kinds.iter().map(String::as_str).chain(["", "garbage"]) {
        assert!(SigningKey::from_pem(bad.as_bytes()).is_none(), "{bad}");
    }
    for key in keys() {
        let printed = format!("{key:?}{:?}", key.parsed);
        let jwk: Value = serde_json::to_value(key.jwk()).unwrap();
        assert!(printed.len() < 200 && !jwk.as_object().unwrap().contains_key("d"), "{printed}");
    }
}
