//! The configuration that every program of the service shares.

use std::sync::Arc;

use portcullis_http::{HttpSettings, Origin};
use portcullis_identity::{IdentitySettings, RelyingParty};
use portcullis_platform::{Environment, Misconfigured, Variable};
use portcullis_vault::VaultSettings;

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the service is reached and by which pages.
    pub http: Arc<HttpSettings>,
    /// Accounts, sessions and tokens.
    pub identity: IdentitySettings,
    /// The relying party of passkeys; `None` where the pages have no name.
    pub passkeys: Option<RelyingParty>,
    /// Trading accounts and brokers.
    pub vault: VaultSettings,
}

impl Settings {
    /// Returns the configuration that these variables hold; fails with the first variable that cannot be used.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let http = Arc::new(HttpSettings::read(environment)?);
        let identity = IdentitySettings::read(environment)?;
        let (page, origins) = (http.frontend_url.as_str(), http.origins.iter().map(Origin::as_str));
        let passkeys = RelyingParty::read(environment, &identity.totp_issuer, page, origins)?;
        Ok(Self { identity, passkeys, vault: VaultSettings::read(environment)?, http })
    }

    /// Returns every variable that is read, for `--help`.
    pub fn variables() -> impl Iterator<Item = &'static Variable> {
        let shared = [portcullis_http::VARIABLES, portcullis_identity::VARIABLES];
        shared.into_iter().flatten().chain(portcullis_vault::variables())
    }
}
