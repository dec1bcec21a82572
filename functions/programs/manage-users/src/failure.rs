//! The errors of commands, their texts and their exit statuses.

use portcullis_identity::{Error, StoreError};
use portcullis_platform::{KeyWrapError, Misconfigured, with_causes};

const REFUSED: u8 = 1;
const UNUSABLE: u8 = 2;
const UNAVAILABLE: u8 = 3;

/// The error of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// The data folder, the secrets or the connection cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// A service did not respond; a retry may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// The command was refused, or a check failed.
    #[error("{0}")]
    Refused(String),
    /// An operation on accounts failed.
    #[error(transparent)]
    Identity(#[from] Error),
    /// An operation on broker credentials failed.
    #[error(transparent)]
    Vault(#[from] portcullis_vault::Error),
    /// Reading the input or writing the output failed.
    #[error("reading or writing")]
    Io(#[from] std::io::Error),
}

impl Failure {
    /// Returns the failure for an error that stopped the start.
    pub(crate) fn unusable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unusable(with_causes(error))
    }

    /// Whether nobody reads the output any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Returns the exit status: 1 refused, 2 unusable configuration, 3 unavailable.
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
                | Error::MailNotSent(_)
                | Error::Contended,
            ) => UNAVAILABLE,
            Self::Refused(_) | Self::Identity(_) | Self::Io(_) => REFUSED,
        }
    }

    /// Returns the error as one line for the terminal.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Identity(error) => explain(error),
            other => with_causes(other),
        }
    }
}

/// Returns the error of an operation in words for the operator of the command line.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::Invalid(field) => format!("{}: {}", field.field, field.detail),
        Error::WeakPassword(advice) => format!("the password is too weak: {advice}"),
        Error::MailNotSent(why) => {
            format!(
                "the account is there, and the mail was not sent ({why}); the same command sends it again"
            )
        }
        Error::NotFound => "there is no such account or key".to_owned(),
        Error::EmailTaken => "another account has the address".to_owned(),
        Error::UsernameTaken => "another account has the username".to_owned(),
        Error::LastAdmin => "this is the last administrator; make another one first".to_owned(),
        other => with_causes(other),
    }
}
