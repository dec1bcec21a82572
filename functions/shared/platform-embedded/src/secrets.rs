//! The product's secrets as they were at start.

use async_trait::async_trait;
use portcullis_platform::{SecretName, SecretVersions, Secrets, SecretsError};
use secrecy::{ExposeSecret, SecretSlice};

/// Secrets read once from the data folder or the environment. There is one version of each: to rotate one, replace it
/// and start again.
#[derive(Debug)]
pub struct FileSecrets {
    session_secret: SecretSlice<u8>,
    token_signing_key: SecretSlice<u8>,
}

impl FileSecrets {
    pub(crate) fn new(session_secret: SecretSlice<u8>, token_signing_key: SecretSlice<u8>) -> Self {
        Self { session_secret, token_signing_key }
    }
}

#[async_trait]
impl Secrets for FileSecrets {
    async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError> {
        let secret = match name {
            SecretName::SessionSecretKey => &self.session_secret,
            SecretName::TokenSigningKey => &self.token_signing_key,
        };
        let current = SecretSlice::from(secret.expose_secret().to_vec());
        Ok(SecretVersions { current, accepted: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_name_has_its_own_secret_and_none_is_printed() {
        let secrets = FileSecrets::new(b"session".to_vec().into(), b"signing".to_vec().into());
        for (name, expected) in
            [(SecretName::SessionSecretKey, b"session"), (SecretName::TokenSigningKey, b"signing")]
        {
            let versions = secrets.fetch(name).await.unwrap();
            assert_eq!(versions.current.expose_secret(), expected);
            assert!(versions.accepted.is_empty());
        }
        assert!(format!("{secrets:?}").contains("REDACTED"));
    }
}
