//! Access tokens: signed JWTs of the profile of RFC 9068, made with a key that is parsed once.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_verifier::{Claims, Expectations, UnverifiedToken};
use serde_json::json;

use crate::error::Error;

/// A key that signs, ready for use.
pub struct SigningKey {
    key: RsaKeyPair,
    kid: String,
    /// The header and its dot are the same for every token of the key.
    header: String,
    random: SystemRandom,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads an RSA private key, PKCS#8 in PEM. `None` if it is anything else.
    pub fn from_pem(text: &[u8]) -> Option<Self> {
        let parsed = pem::parse(text).ok().filter(|block| block.tag() == "PRIVATE KEY")?;
        let key = RsaKeyPair::from_pkcs8(parsed.contents()).ok()?;
        let kid = thumbprint(&key);
        let header = BASE64URL.encode(json!({"alg": "RS256", "typ": "at+jwt", "kid": kid}).to_string()) + ".";
        Some(Self { key, kid, header, random: SystemRandom::new() })
    }

    /// RFC 7638 thumbprint of the public key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as a JWK (RFC 7517).
    pub fn jwk(&self) -> serde_json::Value {
        let (n, e) = components(&self.key);
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e})
    }

    /// A signed token of these claims. The library checks each signature against the public key before it lets it go,
    /// so a fault while signing cannot give the key away.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let payload =
            serde_json::to_vec(claims).map_err(|_| Error::Internal("claims could not be encoded"))?;
        let mut token = String::with_capacity(1024);
        token.push_str(&self.header);
        BASE64URL.encode_string(payload, &mut token);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &self.random, token.as_bytes(), &mut signature)
            .map_err(|_| Error::Internal("signing an access token failed"))?;
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Ok(token)
    }
}

fn components(key: &RsaKeyPair) -> (String, String) {
    let public = key.public_key();
    let encode = |number: &[u8]| BASE64URL.encode(number);
    (
        encode(public.modulus().big_endian_without_leading_zero()),
        encode(public.exponent().big_endian_without_leading_zero()),
    )
}

fn thumbprint(key: &RsaKeyPair) -> String {
    let (n, e) = components(key);
    // RFC 7638, section 3.2: the required members in lexicographic order, no white space.
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    BASE64URL.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes()))
}

/// Every public key under which tokens are accepted, by key id.
pub struct VerificationKeys(HashMap<String, ParsedPublicKey>);

impl fmt::Debug for VerificationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl VerificationKeys {
    /// The public halves of these keys.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let parsed = keys.into_iter().filter_map(|signing| {
            let public = signing.key.public_key().as_ref();
            Some((signing.kid.clone(), ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).ok()?))
        });
        Self(parsed.collect())
    }

    /// The claims of a token that one of the keys signed and that is what `expected` says at `now`, Unix seconds.
    pub fn verify(&self, token: &str, expected: &Expectations, now: u64) -> Option<Claims> {
        let token = UnverifiedToken::parse(token).ok()?;
        let key = self.0.get(token.kid())?;
        let valid = key.verify_sig(token.signing_input(), token.signature()).is_ok();
        token.accept(valid, expected, now).ok()
    }
}
