//! The key under which the edge proves that a request came through it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_verifier::origin_proof::{Statement, header_value};
use sha2::Sha256;
use zeroize::Zeroizing;

/// An attacker without the key guesses at 256 bits.
const MIN_KEY_BYTES: usize = 32;

/// The HMAC with its key already taken in, so that a request costs two blocks less.
#[derive(Clone)]
pub(crate) struct ProofKey(Hmac<Sha256>);

impl std::fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProofKey(…)")
    }
}

impl ProofKey {
    /// Reads the key: base64url of at least 32 bytes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?);
        if bytes.len() < MIN_KEY_BYTES {
            return None;
        }
        Hmac::new_from_slice(&bytes).ok().map(Self)
    }

    /// The value of the header for this statement, if it can be made.
    pub(crate) fn sign(&self, statement: &Statement<'_>) -> Option<String> {
        let mac = self.0.clone().chain_update(statement.canonical()?.as_bytes()).finalize().into_bytes();
        Some(header_value(statement.time, &mac.into()))
    }
}
