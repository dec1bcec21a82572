//! The provider of the product's secrets on one machine: their values as they were at the start.

use async_trait::async_trait;
use portcullis_platform::{SecretName, SecretVersions, Secrets, SecretsError};
use secrecy::{ExposeSecret, SecretSlice};

/// Secrets read once from the data folder or the environment. There is one version of each: to rotate one, replace it
/// and start again.
#[derive(Debug)]
pub struct FileSecrets {
    pub(crate) session_secret: SecretSlice<u8>,
    pub(crate) api_key_secret: SecretSlice<u8>,
    pub(crate) service_tokens: SecretSlice<u8>,
    pub(crate) token_signing: SecretSlice<u8>,
    pub(crate) edge_proof: SecretSlice<u8>,
}

#[async_trait]
impl Secrets for FileSecrets {
    async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError> {
        let secret = match name {
            SecretName::SessionSecretKey => &self.session_secret,
            SecretName::ApiKeySecret => &self.api_key_secret,
            SecretName::ServiceTokens => &self.service_tokens,
            SecretName::TokenSigningKey => &self.token_signing,
            SecretName::EdgeProofKey => &self.edge_proof,
            SecretName::TokenVerificationKeys => return Err(SecretsError::Missing(name)),
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
        let secret = |text: &str| text.as_bytes().to_vec().into();
        let secrets = FileSecrets {
            session_secret: secret("session"),
            api_key_secret: secret("api keys"),
            service_tokens: secret("services"),
            token_signing: secret("signing"),
            edge_proof: secret("edge"),
        };
        for (name, expected) in [
            (SecretName::SessionSecretKey, "session"),
            (SecretName::ApiKeySecret, "api keys"),
            (SecretName::ServiceTokens, "services"),
            (SecretName::TokenSigningKey, "signing"),
            (SecretName::EdgeProofKey, "edge"),
        ] {
            let versions = secrets.fetch(name).await.unwrap();
            assert_eq!(versions.current.expose_secret(), expected.as_bytes());
            assert!(versions.accepted.is_empty());
        }
        assert!(format!("{secrets:?}").contains("REDACTED"));
    }
}
