//! What the operations of this crate work with.

use std::sync::Arc;

use portcullis_platform::{Clock, Entropy, KeyWrap, Mailer};
use portcullis_store::Store;

use crate::passwords::hashing::PasswordHasher;
use crate::settings::IdentitySettings;
use crate::tokens::keyring::Keyring;

/// Everything an operation needs; made once at the start and shared by all requests.
#[derive(Debug)]
pub struct Identity {
    /// Where records are.
    pub store: Store,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// The provider of the master key of what is sealed.
    pub key_wrap: Arc<dyn KeyWrap>,
    /// What delivers mail.
    pub mailer: Arc<dyn Mailer>,
    /// Where clients reach the service, for links in mail; never what a request says it is.
    pub public_url: String,
    /// Keys of tokens.
    pub keyring: Keyring,
    /// The threads that hash.
    pub hasher: PasswordHasher,
    /// Lifetimes, names and rules.
    pub settings: IdentitySettings,
}
