//! The outside world in one value.

use std::sync::Arc;

use portcullis_identity::{Error, Keyring, PasswordHasher, UnusableSecret};
use portcullis_platform::{
    BrokerHttp, Clock, Entropy, KeyWrap, Mailer, SecretName, SecretPurpose, Secrets, SecretsError,
};
use portcullis_store::Store;

use crate::Settings;

/// Everything the operations need of the world; cheap to clone.
#[derive(Debug, Clone)]
pub struct Platform {
    /// Where records are.
    pub store: Store,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// The keys of tokens and of keyed digests.
    pub secrets: Arc<dyn Secrets>,
    /// Wraps the data keys of what people entrust to the service.
    pub key_wrap: Arc<dyn KeyWrap>,
    /// Wraps the data keys of broker credentials, under a master key of their own where there is one.
    pub broker_key_wrap: Arc<dyn KeyWrap>,
    /// Delivers mail to people, or keeps it in a folder.
    pub mailer: Arc<dyn Mailer>,
    /// Sends requests to brokers over HTTPS.
    pub broker_http: Arc<dyn BrokerHttp>,
}

impl Platform {
    /// Returns the keys for these purposes as the secrets hold them now; fails when one is missing or no key. That of the edge may be
    /// missing unless these settings let nobody in but through the edge.
    pub async fn keyring(
        &self,
        settings: &Settings,
        purposes: &[SecretPurpose],
    ) -> Result<Keyring, UnusableSecret> {
        let keyring = Keyring::load(self.secrets.as_ref(), purposes).await?;
        if settings.http.requires_edge && keyring.edge_proofs().is_empty() {
            return Err(SecretsError::Missing(SecretName::EdgeProofKey).into());
        }
        Ok(keyring)
    }

    /// Returns the threads that hash passwords, started; fails when they cannot be.
    pub fn hasher(&self, settings: &Settings) -> Result<PasswordHasher, Error> {
        let identity = &settings.identity;
        PasswordHasher::start(identity.argon2, identity.argon2_backend, self.entropy.as_ref())
    }
}
