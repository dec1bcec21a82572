//! Data keys from AWS KMS. The encryption context is part of every call, so a wrapped key moved to another record cannot
//! be unwrapped, and the key id is always sent, so a key of another account is never used.

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, EncryptionAlgorithmSpec};
use portcullis_platform::{DataKey, EncryptionContext, KeyWrap, KeyWrapError};
use secrecy::SecretSlice;

use crate::AwsConnection;

/// KMS error codes for a wrapped key that no retry will unwrap.
const REFUSALS: &[&str] = &["InvalidCiphertextException", "IncorrectKeyException"];

/// A [`KeyWrap`] on one customer managed key of KMS.
#[derive(Debug, Clone)]
pub struct KmsKeyWrap {
    client: Client,
    key_id: String,
}

impl KmsKeyWrap {
    /// Returns the key wrap for the key with this id, ARN or alias; the key is not looked up before the first call.
    pub fn new(connection: &AwsConnection, key_id: impl Into<String>) -> Self {
        Self { client: Client::new(connection.config()), key_id: key_id.into() }
    }
}

#[async_trait]
impl KeyWrap for KmsKeyWrap {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey, KeyWrapError> {
        let made = self
            .client
            .generate_data_key()
            .key_id(&self.key_id)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|error| failed(error.into()))?;
        let plaintext = made.plaintext.map(|blob| SecretSlice::from(blob.into_inner()));
        match (plaintext, made.ciphertext_blob) {
            (Some(plaintext), Some(wrapped)) => Ok(DataKey { plaintext, wrapped: wrapped.into_inner() }),
            _ => Err(incomplete()),
        }
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<SecretSlice<u8>, KeyWrapError> {
        let opened = self
            .client
            .decrypt()
            .key_id(&self.key_id)
            .encryption_algorithm(EncryptionAlgorithmSpec::SymmetricDefault)
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|error| match &error {
                SdkError::ServiceError(service) if service.err().code().is_some_and(is_refusal) => {
                    KeyWrapError::Refused
                }
                _ => failed(error.into()),
            })?;
        opened.plaintext.map(|blob| SecretSlice::from(blob.into_inner())).ok_or_else(incomplete)
    }
}

fn is_refusal(code: &str) -> bool {
    REFUSALS.contains(&code)
}

fn pairs(context: &EncryptionContext) -> std::collections::HashMap<String, String> {
    context.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the error for a call that a retry may fix: a key that is disabled or denied may be enabled or allowed again.
fn failed(cause: Box<dyn std::error::Error + Send + Sync>) -> KeyWrapError {
    KeyWrapError::Unavailable(cause)
}

fn incomplete() -> KeyWrapError {
    failed("the answer of KMS has no key in it".into())
}
