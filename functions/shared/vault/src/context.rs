//! The encryption context of a ciphertext. Copied to another person, account or broker, or used for another purpose, it
//! does not decrypt.

use portcullis_platform::EncryptionContext;
use portcullis_store::{AccountId, TradingAccountId};

/// The kind of secret that is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// The long-lived key and secret.
    Credentials,
    /// The session at the broker.
    Session,
}

impl Sealed {
    /// Returns the value of `purpose` in the context, which key policies refer to.
    fn purpose(self) -> &'static str {
        match self {
            Self::Credentials => "broker-credentials",
            Self::Session => "broker-session",
        }
    }
}

/// Returns the context that is authenticated with the ciphertext.
pub(crate) fn context(
    owner: AccountId,
    account: TradingAccountId,
    broker: &str,
    sealed: Sealed,
) -> EncryptionContext {
    EncryptionContext::new([
        ("user_id", owner.to_string()),
        ("account_id", account.to_string()),
        ("broker", broker.to_owned()),
        ("purpose", sealed.purpose().to_owned()),
    ])
}
