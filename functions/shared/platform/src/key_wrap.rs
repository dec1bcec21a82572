//! Envelope encryption: data keys generated and unwrapped under a master key that never leaves its provider.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretSlice;

/// A provider of envelope encryption: generates and unwraps data keys, as AWS KMS does with `GenerateDataKey` and
/// `Decrypt`.
#[async_trait]
pub trait KeyWrap: Debug + Send + Sync {
    /// Returns a fresh 256-bit data key, in plaintext and wrapped under the master key for exactly this context; fails
    /// when the provider is unavailable.
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey, KeyWrapError>;

    /// Returns the plaintext of a wrapped data key; fails when the context is not the one it was generated with, when
    /// the wrapped key is damaged, and when the provider is unavailable.
    async fn unwrap_data_key(
        &self,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<SecretSlice<u8>, KeyWrapError>;
}

/// The record a ciphertext belongs to, as additional authenticated data. It is not secret: it makes decryption fail for
/// a ciphertext that was moved to another record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// Returns a context of name and value pairs; their order does not matter.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Returns the pairs, ordered by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns one unambiguous byte string for the whole context: each part is preceded by its length, so that no two
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

/// A data key, in plaintext and wrapped.
#[derive(Debug)]
pub struct DataKey {
    /// The 32 bytes to encrypt with; wiped when dropped.
    pub plaintext: SecretSlice<u8>,
    /// The same key encrypted under the master key, to be stored beside the ciphertext.
    pub wrapped: Vec<u8>,
}

/// The error when a data key cannot be generated or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum KeyWrapError {
    /// The provider of the master key did not respond; a retry may succeed.
    #[error("the master key is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The wrapped key is damaged, was wrapped under another master key, or belongs to another context; a retry fails
    /// again.
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
