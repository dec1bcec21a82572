//! Access tokens: JWTs of the profile of RFC 9068, signed with keys that are parsed once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use portcullis_verifier::{Claims, Expectations, Rejection, UnverifiedToken, has_roca_pattern};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;

use crate::approvals;
use crate::error::Error;
use crate::tokens::token_provider::{self, PrivateKey};

#[cfg(test)]
mod tests;

/// The type of access tokens (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";
/// `client_id` of every token (RFC 9068, section 2.2). There are no registered clients: whoever signs in is a page or a
/// program of the platform itself.
const FIRST_PARTY: &str = "first-party";

/// The claims as they are signed. Nothing of ours reads the client, so it is no part of what verifiers make of a token.
#[derive(Serialize)]
struct SignedClaims<'a> {
    #[serde(flatten)]
    claims: &'a Claims,
    client_id: &'static str,
}

/// A parsed private key that signs access tokens.
pub struct SigningKey {
    encoded: EncodingKey,
    parsed: Arc<PrivateKey>,
    jwk: Jwk,
    kid: String,
    /// The header and its dot are the same for every access token of the key.
    header: String,
    /// The same of its tokens of approvals.
    approval_header: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.parsed.algorithm())
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Returns the key in a PKCS#8 document in PEM: RSA, P-256 or Ed25519. `None` if it is anything else, or an RSA key
    /// whose public half gives the private one away ([`has_roca_pattern`]).
    pub fn from_pem(text: &[u8]) -> Option<Self> {
        token_provider::install();
        let block = pem::parse(text).ok().filter(|block| block.tag() == "PRIVATE KEY")?;
        let der = SecretSlice::from(block.into_contents());
        let key = PrivateKey::from_pkcs8(der.expose_secret())?;
        if key.modulus().is_some_and(|modulus| has_roca_pattern(&modulus)) {
            return None;
        }
        let algorithm = key.algorithm();
        let encoded = match &key {
            PrivateKey::Rsa(_) => EncodingKey::from_rsa_pem(text).ok()?,
            PrivateKey::P256(_) => EncodingKey::from_ec_der(der.expose_secret()),
            // The library looks for the public key in the first version of the format only.
            PrivateKey::Ed25519(key) => EncodingKey::from_ed_der(key.to_pkcs8v1().ok()?.as_ref()),
        };
        let mut jwk = Jwk::from_encoding_key(&encoded, algorithm).ok()?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(kid.clone());
        let header = encoded_header(TYPE, algorithm, &kid)?;
        let approval_header = encoded_header(approvals::TYPE, algorithm, &kid)?;
        let parsed = token_provider::keep_parsed(&encoded, key);
        Some(Self { encoded, parsed, jwk, kid, header, approval_header })
    }

    /// Returns the key id: the RFC 7638 thumbprint of the public key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the algorithm the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.parsed.algorithm()
    }

    /// Returns the public key as a JWK (RFC 7517).
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Returns the key as the library takes it.
    #[cfg(test)]
    pub(crate) fn encoded(&self) -> &EncodingKey {
        &self.encoded
    }

    /// Returns the public half, parsed; `None` if the library refuses it.
    pub(crate) fn public_key(&self) -> Option<ParsedPublicKey> {
        self.parsed.public_key()
    }

    /// Returns a signed token with these claims; fails when they cannot be encoded or signing fails.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let signed = SignedClaims { claims, client_id: FIRST_PARTY };
        let payload =
            serde_json::to_vec(&signed).map_err(|_| Error::Internal("claims could not be encoded"))?;
        self.sign_behind(&self.header, &payload)
    }

    /// Returns a signed token of an approval with this payload. Its type is in the signed header: nothing that takes access
    /// tokens takes it.
    pub(crate) fn sign_approval(&self, payload: &[u8]) -> Result<String, Error> {
        self.sign_behind(&self.approval_header, payload)
    }

    fn sign_behind(&self, header: &str, payload: &[u8]) -> Result<String, Error> {
        let mut token = String::with_capacity(1024);
        token.push_str(header);
        BASE64URL.encode_string(payload, &mut token);
        let signature = jsonwebtoken::crypto::sign(token.as_bytes(), &self.encoded, self.algorithm())
            .map_err(|_| Error::Internal("signing a token failed"))?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }
}

/// Returns the encoded header of every token of this type of a key, with its dot. By way of a [`serde_json::Value`] because that
/// orders the members by name, as they have been in every token so far.
fn encoded_header(token_type: &str, algorithm: Algorithm, kid: &str) -> Option<String> {
    let header =
        Header { typ: Some(token_type.to_owned()), kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    let header = serde_json::to_value(header).ok()?;
    Some(BASE64URL.encode(header.to_string()) + ".")
}

/// The public keys that verify access tokens, by key id.
pub struct VerificationKeys {
    keys: HashMap<String, VerificationKey>,
    algorithms: Vec<portcullis_verifier::Algorithm>,
}

struct VerificationKey {
    algorithm: portcullis_verifier::Algorithm,
    key: ParsedPublicKey,
}

impl fmt::Debug for VerificationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

impl VerificationKeys {
    /// Returns the public keys of these signing keys.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let parsed = keys.into_iter().filter_map(|signing| {
            let algorithm = match signing.algorithm() {
                Algorithm::RS256 => portcullis_verifier::Algorithm::Rs256,
                Algorithm::ES256 => portcullis_verifier::Algorithm::Es256,
                Algorithm::EdDSA => portcullis_verifier::Algorithm::EdDSA,
                _ => return None,
            };
            let key = signing.public_key()?;
            Some((signing.kid.clone(), VerificationKey { algorithm, key }))
        });
        Self::with(parsed.collect())
    }

    fn with(keys: HashMap<String, VerificationKey>) -> Self {
        let is_used = |algorithm: &_| keys.values().any(|key| key.algorithm == *algorithm);
        let algorithms = portcullis_verifier::Algorithm::ALL.into_iter().filter(is_used).collect();
        Self { keys, algorithms }
    }

    /// Returns these public keys, each in the form [`SigningKey::public_key`] has; `None` if one is none, or has no id.
    pub(crate) fn from_written(keys: Vec<(&Jwk, Vec<u8>)>) -> Option<Self> {
        let parsed = keys.into_iter().map(|(jwk, bytes)| {
            let algorithm = match jwk.common.key_algorithm? {
                KeyAlgorithm::RS256 => portcullis_verifier::Algorithm::Rs256,
                KeyAlgorithm::ES256 => portcullis_verifier::Algorithm::Es256,
                KeyAlgorithm::EdDSA => portcullis_verifier::Algorithm::EdDSA,
                _ => return None,
            };
            let key = token_provider::parse_public_key(algorithm, &bytes)?;
            Some((jwk.common.key_id.clone()?, VerificationKey { algorithm, key }))
        });
        Some(Self::with(parsed.collect::<Option<_>>()?))
    }

    /// Returns whether this is a signature of the key of this id.
    #[cfg(test)]
    pub(crate) fn is_signed_by(&self, kid: &str, message: &[u8], signature: &[u8]) -> bool {
        self.keys.get(kid).is_some_and(|key| key.key.verify_sig(message, signature).is_ok())
    }

    /// Returns the algorithms of the keys.
    pub fn algorithms(&self) -> &[portcullis_verifier::Algorithm] {
        &self.algorithms
    }

    /// Returns the claims of a token; fails unless one of the keys signed it and it meets `expected` at `now`, Unix
    /// seconds. A key verifies tokens of its own algorithm only, whatever the header of a token says (RFC 8725, section
    /// 3.1).
    pub fn verify(&self, token: &str, expected: &Expectations, now: u64) -> Result<Claims, Rejection> {
        let token = UnverifiedToken::parse(token)?;
        let key = self.keys.get(token.kid()).filter(|key| key.algorithm == token.algorithm());
        let is_valid =
            |key: &VerificationKey| key.key.verify_sig(token.signing_input(), token.signature()).is_ok();
        let valid = key.is_some_and(is_valid);
        token.accept(valid, expected, now)
    }
}
