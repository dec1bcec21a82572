//! What handlers share.

use std::sync::Arc;

use portcullis_identity::Identity;
use portcullis_vault::Vault;

use crate::{HttpSettings, RefreshCookie};

/// The operations and the settings; cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The operations on accounts, sessions and keys.
    pub identity: Arc<Identity>,
    /// What decides about trading accounts and brokers.
    pub vault: Arc<Vault>,
    /// Where the service is reached and by which pages.
    pub settings: Arc<HttpSettings>,
}

impl AppState {
    /// How this deployment's browsers carry the refresh token.
    pub fn refresh_cookie(&self) -> RefreshCookie {
        RefreshCookie::of(&self.settings.public_url)
    }
}
