//! The issuer's public keys as it publishes them (RFC 7517), and the choice of the one a token names.
//!
//! A set is taken whole or not at all: one that holds a private key, two keys of one name or more than any issuer of
//! ours publishes has been made by mistake or by someone else. A key this crate has no use for (another purpose, another
//! algorithm) is passed over, as RFC 7517 section 5 advises, so that an issuer may publish new kinds.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Algorithm;
use crate::strict_object::StrictObject;

mod document;
#[cfg(test)]
mod tests;

use document::WrittenSet;

/// The longest set that is looked at.
pub const MAX_SET_BYTES: usize = 64 * 1024;

/// The most keys a set may hold: a few generations of a few algorithms.
pub const MAX_KEYS: usize = 16;

/// Keys by their id, each id once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

/// One public key, for exactly one algorithm (RFC 8725 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    kid: String,
    material: Material,
}

/// The numbers of a key, in canonical base64url as a JWK has them and WebCrypto imports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// For RS256: a modulus of 2048 to 8192 bits; the exponent is 65537.
    Rsa {
        /// The modulus in base64url (RFC 7518, section 6.3.1).
        n: String,
    },
    /// For ES256: a point of P-256.
    P256 {
        /// Its first coordinate.
        x: String,
        /// Its second coordinate.
        y: String,
    },
    /// For `EdDSA`: a point of Ed25519.
    Ed25519 {
        /// The encoded point.
        x: String,
    },
}

/// Why a set is refused. Quotes nothing of it, so it is safe to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Longer than [`MAX_SET_BYTES`].
    #[error("the key set is longer than {MAX_SET_BYTES} bytes")]
    TooLarge,
    /// Not an object with an array of keys whose members have the right types, each once.
    #[error("the key set is not a JWK set")]
    Malformed,
    /// More than [`MAX_KEYS`].
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// A key has private or symmetric parts: its publisher has to replace it.
    #[error("the key set contains a private key")]
    PrivateKey,
    /// Two keys have the same id, so that a token could mean either.
    #[error("two keys of the set have the same id")]
    DuplicateKid,
    /// Nothing in it can verify a token.
    #[error("the key set has no key that verifies tokens")]
    NoUsableKey,
}

impl JwkSet {
    /// Reads a set.
    pub fn parse(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > MAX_SET_BYTES {
            return Err(JwksError::TooLarge);
        }
        let StrictObject(WrittenSet { keys }) =
            serde_json::from_slice(json).map_err(|_| JwksError::Malformed)?;
        if keys.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys);
        }
        let mut set = Self::default();
        for StrictObject(written) in &keys {
            if written.is_private() {
                return Err(JwksError::PrivateKey);
            }
            if let Some(key) = written.usable() {
                if set.keys.iter().any(|known| known.kid == key.kid) {
                    return Err(JwksError::DuplicateKid);
                }
                set.keys.push(key);
            }
        }
        if set.keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(set) }
    }

    /// The place among [`Self::iter`] of the key of this id, if it is one for this algorithm.
    pub fn position(&self, kid: &str, algorithm: Algorithm) -> Option<usize> {
        self.keys.iter().position(|key| key.kid == kid && key.algorithm() == algorithm)
    }

    /// Whether there is a key of this id.
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }

    /// Returns every key of the set, in its order.
    pub fn iter(&self) -> impl Iterator<Item = &Jwk> {
        self.keys.iter()
    }
}

impl Jwk {
    /// Its id: 43 characters of base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm it is for.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256 { .. } => Algorithm::Es256,
            Material::Ed25519 { .. } => Algorithm::EdDSA,
        }
    }

    /// Returns the numbers that the key is made of.
    pub fn material(&self) -> &Material {
        &self.material
    }
}
