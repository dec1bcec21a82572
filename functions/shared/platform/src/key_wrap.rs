//! Envelope encryption: data keys made and opened under a master key that never leaves its keeper.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretSlice;

/// Makes and opens data keys, as AWS KMS does with `GenerateDataKey` and `Decrypt`.
#[async_trait]
pub trait KeyWrap: Debug + Send + Sync {
    /// A fresh 256-bit data key, in the clear and wrapped under the master key for exactly this context.
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey, KeyWrapError>;

    /// Opens a wrapped data key; any other context than the one it was made with is refused.
    async fn unwrap_data_key(
        &self,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<SecretSlice<u8>, KeyWrapError>;
}

/// What a ciphertext belongs to. Not secret, but authenticated: a ciphertext moved elsewhere does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// A context of name and value pairs; their order does not matter.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The pairs, ordered by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// One unambiguous byte string for the whole context: each part is preceded by its length, so that no two
    /// contexts share an encoding.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// A data key in both its forms.
#[derive(Debug)]
pub struct DataKey {
    /// 32 bytes to encrypt with, then to forget.
    pub plaintext: SecretSlice<u8>,
    /// The same key under the master key, to be kept beside the ciphertext.
    pub wrapped: Vec<u8>,
}

/// Why a data key could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyWrapError {
    /// The keeper of the master key did not answer; the same call may work later.
    #[error("the master key is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The wrapped key is damaged, made under another master key, or belongs to another context.
    #[error("the wrapped data key does not open under this context")]
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifting_a_byte_from_name_to_value_is_another_context() {
        let one = EncryptionContext::new([("user", "alice")]);
        let other = EncryptionContext::new([("usera", "lice")]);
        assert_ne!(one.canonical_bytes(), other.canonical_bytes());
    }
}
