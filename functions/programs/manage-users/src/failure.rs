//! Why a command did not do what it was asked, and how scripts learn of it.

use portcullis_identity::{Error, StoreError};
use portcullis_platform::{KeyWrapError, Misconfigured, with_causes};

const REFUSED: u8 = 1;
const UNUSABLE: u8 = 2;
const UNAVAILABLE: u8 = 3;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// The surroundings cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Something did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// It may not be done, or something is wrong with what was looked at.
    #[error("{0}")]
    Refused(String),
    /// An operation said no.
    #[error(transparent)]
    Identity(#[from] Error),
    /// An operation on credentials said no.
    #[error(transparent)]
    Vault(#[from] portcullis_vault::Error),
    /// What is read or written is out of reach.
    #[error("reading or writing")]
    Io(#[from] std::io::Error),
}

impl Failure {
    /// Something that stopped the start.
    pub(crate) fn unusable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unusable(with_causes(error))
    }

    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Misconfigured(_) | Self::Unusable(_) => UNUSABLE,
            // What an interrupted rotation of credentials did stays done; the rest is for another run.
            Self::Vault(_)
            | Self::Unavailable(_)
            | Self::Identity(
                Error::Store(StoreError::Unavailable { .. })
                | Error::KeyWrap(KeyWrapError::Unavailable(_))
                | Error::Overloaded
                | Error::Contended,
            ) => UNAVAILABLE,
            Self::Refused(_) | Self::Identity(_) | Self::Io(_) => REFUSED,
        }
    }

    /// One line for the person.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Identity(error) => explain(error),
            other => with_causes(other),
        }
    }
}

/// What an operation's refusal means to whoever typed the command.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::Invalid(field) => format!("{}: {}", field.field, field.detail),
        Error::WeakPassword(advice) => format!("the password is too weak: {advice}"),
        Error::NotFound => "there is no such account or key".to_owned(),
        Error::EmailTaken => "another account has the address".to_owned(),
        Error::UsernameTaken => "another account has the username".to_owned(),
        Error::LastAdmin => "this is the last administrator; make another one first".to_owned(),
        other => with_causes(other),
    }
}
