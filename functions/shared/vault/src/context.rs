//! What a ciphertext belongs to. Moved to another person, account or broker, or taken for something else, it does not
//! open.

use portcullis_platform::EncryptionContext;
use portcullis_store::{AccountId, TradingAccountId};

/// What is under seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// The long-lived key and secret.
    Credentials,
    /// The session of the day.
    Session,
}

impl Sealed {
    /// The word that key policies are written with.
    fn purpose(self) -> &'static str {
        match self {
            Self::Credentials => "broker-credentials",
            Self::Session => "broker-session",
        }
    }
}

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
