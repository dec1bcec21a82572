//! Where long-lived secrets come from.

use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretSlice;

/// A store of named secrets. Whoever implements it decides about caching; whoever calls it may call it often.
#[async_trait]
pub trait Secrets: Debug + Send + Sync {
    /// The versions of one secret that are valid now. A missing secret is an error, never a made-up default.
    async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError>;
}

/// The secrets the product knows, named alike in the environment, in files and in a cloud's secret store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum SecretName {
    /// At least 32 bytes from which the keys of refresh-token MACs and request fingerprints are derived.
    SessionSecretKey,
    /// At least 32 bytes under which API keys are digested.
    #[strum(serialize = "PORTFOLIO_API_KEY_SECRET")]
    ApiKeySecret,
    /// The tokens of services: a JSON object of names, each with one or two tokens of at least 32 characters.
    ServiceTokens,
    /// An RSA private key that signs access tokens, PKCS#8 in PEM.
    TokenSigningKey,
}

impl SecretName {
    /// Returns the name in capitals, as an environment variable has it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One secret during and between rotations.
#[derive(Debug)]
pub struct SecretVersions {
    /// What new things are made with.
    pub current: SecretSlice<u8>,
    /// What is still accepted, or already published, beside it.
    pub accepted: Vec<SecretSlice<u8>>,
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The store has no such secret.
    #[error("secret {0} does not exist")]
    Missing(SecretName),
    /// The store did not answer, or with nothing usable.
    #[error("fetching secret {name}")]
    Unavailable {
        /// The secret asked for.
        name: SecretName,
        /// What the store said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}
