//! What the service can do, on a platform.

use std::sync::Arc;

use portcullis_http::AppState;
use portcullis_identity::{Identity, Keyring, PasswordHasher};
use portcullis_vault::Vault;

use crate::{Platform, Settings};

/// The operations of accounts and of trading accounts; cheap to clone.
#[derive(Debug, Clone)]
pub struct Operations {
    /// Accounts, sessions and tokens.
    pub identity: Arc<Identity>,
    /// Trading accounts and brokers.
    pub vault: Arc<Vault>,
}

impl Operations {
    /// Returns the operations with these keys. Keys do not change within them: whoever rotates keys makes operations
    /// anew, on the same platform and the same hashing threads.
    pub fn new(platform: &Platform, settings: &Settings, hasher: PasswordHasher, keyring: Keyring) -> Self {
        let identity = Arc::new(Identity {
            store: platform.store.clone(),
            clock: Arc::clone(&platform.clock),
            entropy: Arc::clone(&platform.entropy),
            key_wrap: Arc::clone(&platform.key_wrap),
            mailer: Arc::clone(&platform.mailer),
            public_url: settings.http.public_url.as_str().to_owned(),
            frontend_url: settings.http.frontend_url.as_str().to_owned(),
            passkeys: settings.passkeys.clone(),
            keyring,
            hasher,
            settings: settings.identity.clone(),
        });
        let (key_wrap, http) = (Arc::clone(&platform.broker_key_wrap), Arc::clone(&platform.broker_http));
        let vault = Arc::new(Vault::new(Arc::clone(&identity), key_wrap, http, &settings.vault));
        Self { identity, vault }
    }

    /// Returns what handlers share.
    pub fn state(&self, settings: &Settings) -> AppState {
        AppState {
            identity: Arc::clone(&self.identity),
            vault: Arc::clone(&self.vault),
            settings: Arc::clone(&settings.http),
        }
    }
}
