//! The dependencies of the operations of this crate.

use std::sync::Arc;

use portcullis_platform::{Clock, Entropy, KeyWrap, Mailer};
use portcullis_store::Store;

use crate::passkeys::RelyingParty;
use crate::passwords::hashing::PasswordHasher;
use crate::settings::IdentitySettings;
use crate::tokens::keyring::Keyring;

/// The operations of accounts, sessions and tokens, with their dependencies; built once at the start and shared by all
/// requests.
#[derive(Debug)]
pub struct Identity {
    /// The store of all records.
    pub store: Store,
    /// The clock that decides what has expired.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The provider of the master key for envelope encryption.
    pub key_wrap: Arc<dyn KeyWrap>,
    /// The mailer of notifications.
    pub mailer: Arc<dyn Mailer>,
    /// Where clients reach the service, from the configuration and never from a request.
    pub public_url: String,
    /// Where the pages are that links in notifications lead to, from the configuration and never from a request.
    pub frontend_url: String,
    /// The relying party of passkeys; `None` where there can be none.
    pub passkeys: Option<RelyingParty>,
    /// The keys of tokens.
    pub keyring: Keyring,
    /// The password hasher.
    pub hasher: PasswordHasher,
    /// The settings: lifetimes, names and rules.
    pub settings: IdentitySettings,
}
