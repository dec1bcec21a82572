//! Tokens with real signatures: the crate and an independent implementation agree, and no changed byte survives.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail by panicking; clippy only knows so of its `#[test]` functions"
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_verifier::{Algorithm, Assurance, Claims, Expectations, Rejection, UnverifiedToken};

const NOW: u64 = 1_760_000_000;
const KID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

struct Issuer(KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn mint(&self, claims: &Claims) -> String {
        let header = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{KID}"}}"#);
        let payload = serde_json::to_vec(claims).unwrap();
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn accept(&self, token: &str) -> Result<Claims, Rejection> {
        let token = UnverifiedToken::parse(token)?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.public_key());
        let valid = token.algorithm() == Algorithm::Rs256
            && token.kid() == KID
            && key.verify(token.signing_input(), token.signature()).is_ok();
        token.accept(valid, &Expectations::new("user_service", "trading_platform"), NOW)
    }
}

fn alice() -> Claims {
    Claims {
        iss: "user_service".into(),
        aud: "trading_platform".into(),
        sub: "usr_alice".into(),
        iat: NOW,
        exp: NOW + 900,
        nbf: None,
        jti: "tok_1".into(),
        email: Some("alice@example.com".into()),
        roles: vec!["user".into()],
        session_id: "ses_1".into(),
        epoch: 0,
        token_type: "access".into(),
        auth_time: NOW,
        amr: vec!["pwd".into()],
        acr: Assurance::Aal1,
    }
}

#[test]
fn alice_is_believed_and_mallory_is_not() {
    let (issuer, mallory) = (Issuer::new(), Issuer::new());
    assert_eq!(issuer.accept(&issuer.mint(&alice())), Ok(alice()));
    assert_eq!(issuer.accept(&mallory.mint(&alice())), Err(Rejection::Signature));
}

#[test]
fn an_independent_implementation_reads_the_same_claims() {
    let issuer = Issuer::new();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&["trading_platform"]);
    rules.set_issuer(&["user_service"]);
    rules.validate_exp = false;
    let key = jsonwebtoken::DecodingKey::from_rsa_der(issuer.public_key());
    let theirs = jsonwebtoken::decode::<serde_json::Value>(issuer.mint(&alice()), &key, &rules).unwrap();
    assert_eq!(theirs.header.kid.as_deref(), Some(KID));
    assert_eq!(theirs.claims, serde_json::to_value(alice()).unwrap());
}

#[test]
fn no_token_survives_a_changed_character() {
    let issuer = Issuer::new();
    let token = issuer.mint(&alice());
    for at in 0..token.len() {
        for byte in [b'A', b'B', b'_', b'.', b'='] {
            let mut changed = token.clone().into_bytes();
            if std::mem::replace(&mut changed[at], byte) != byte {
                let changed = String::from_utf8(changed).unwrap();
                assert!(issuer.accept(&changed).is_err(), "character {at} became {}", char::from(byte));
            }
        }
    }
}

/// The classic: the public key, which everybody has, taken for an HMAC secret.
#[test]
fn the_public_key_is_not_a_shared_secret() {
    let issuer = Issuer::new();
    let der = issuer.public_key();
    let pem = pem_of(der);
    let spellings = [
        der.to_vec(),
        pem.clone().into_bytes(),
        pem.trim_end().into(),
        format!(" {pem}").into(),
        format!("{pem}\n").into(),
    ];
    for secret in spellings {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.typ = Some("at+jwt".into());
        header.kid = Some(KID.into());
        let key = jsonwebtoken::EncodingKey::from_secret(&secret).unwrap();
        let forged = jsonwebtoken::encode(&header, &alice(), &key).unwrap();
        assert_eq!(issuer.accept(&forged), Err(Rejection::AlgorithmNotAllowed));
    }
}

fn pem_of(der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", lines.join("\n"))
}
