//! The provider of long-lived secrets, their names and their versions.

use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretSlice;

/// A provider of named secrets. Caching is the implementation's decision; callers may call it often.
#[async_trait]
pub trait Secrets: Debug + Send + Sync {
    /// Returns the versions of one secret that are valid now; fails when the secret is missing (there is no default) and
    /// when the provider is unavailable.
    async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError>;
}

/// The secrets the product knows, named alike in the environment, in files and in a cloud's secret store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum SecretName {
    /// At least 32 bytes from which the keys of refresh-token MACs are derived.
    SessionSecretKey,
    /// At least 32 bytes under which API keys are digested, and from which the keys are derived that seal the audit trail,
    /// recognise devices and fingerprint repeated requests: what outlives a rotation.
    #[strum(serialize = "PORTFOLIO_API_KEY_SECRET")]
    ApiKeySecret,
    /// The tokens of services: a JSON object of names, each with one to three tokens of at least 32 characters, the newest first.
    ServiceTokens,
    /// An RSA private key that signs access tokens, PKCS#8 in PEM.
    TokenSigningKey,
    /// The public halves of the signing keys, for who signs nothing: a JSON list that a rotation writes. Missing where
    /// everything has the signing keys.
    TokenVerificationKeys,
    /// The root key from which the edge derives the keys it proves with what came through it, one for each service, as the edge
    /// has it: base64url of at least 32 bytes. The only one that may be missing, where there is no edge.
    EdgeProofKey,
}

impl SecretName {
    /// Returns the name in capitals, as an environment variable has it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The valid versions of one secret, during and between rotations.
#[derive(Debug)]
pub struct SecretVersions {
    /// The version that signs, digests and encrypts.
    pub current: SecretSlice<u8>,
    /// The versions that are still accepted, or already published, beside the current one.
    pub accepted: Vec<SecretSlice<u8>>,
}

/// The error when a secret cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The provider has no such secret.
    #[error("secret {0} does not exist")]
    Missing(SecretName),
    /// The provider did not respond, or its response is unusable.
    #[error("fetching secret {name}")]
    Unavailable {
        /// The name of the requested secret.
        name: SecretName,
        /// The error of the provider.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}
