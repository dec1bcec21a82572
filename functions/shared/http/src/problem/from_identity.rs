//! What clients learn about the errors of `identity`: the one place where the two meet.

use portcullis_identity::{Error, InvalidField, StoreError, WorkChallenge};
use portcullis_platform::{KeyWrapError, with_causes};

use super::{Code, Problem, ProofOfWork};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Invalid(InvalidField { field, detail }) => {
                return Self::invalid(format!("/{field}"), detail);
            }
            Error::WeakPassword(advice) => return Self::weak_password("/password", advice),
            Error::WrongPassword => {
                return Self::new(Code::Forbidden).with_detail("The password is not right.");
            }
            Error::Forbidden(detail) => return Self::new(Code::Forbidden).with_detail(detail),
            Error::InvalidApiKey => Code::InvalidApiKey,
            Error::InvalidServiceToken => Code::InvalidServiceToken,
            Error::TooManyApiKeys => Code::TooManyApiKeys,
            Error::WrongCode => return Self::new(Code::Forbidden).with_detail("The code is not right."),
            Error::TooManyAttempts { retry_after } => {
                return Self::new(Code::TooManyAttempts).with_retry_after(retry_after);
            }
            Error::EmailNotVerified => Code::EmailNotVerified,
            Error::PasswordExpired(token) => {
                return Self::new(Code::PasswordExpired).with_session_token(token.secret().clone());
            }
            Error::WorkRequired(WorkChallenge { challenge, bits }) => {
                return Self::new(Code::ProofOfWorkRequired)
                    .with_proof_of_work(ProofOfWork { challenge, bits });
            }
            Error::InvalidMailToken => Code::InvalidMailToken,
            Error::InvalidSessionToken => Code::InvalidSessionToken,
            Error::InvalidCode => Code::InvalidCode,
            Error::MfaNotSetUp => Code::MfaNotSetUp,
            Error::InvalidCredentials => Code::InvalidCredentials,
            Error::InvalidAccessToken => Code::InvalidToken,
            Error::InvalidRefreshToken => Code::InvalidRefreshToken,
            Error::SessionRevoked => Code::SessionRevoked,
            Error::EmailTaken => Code::EmailTaken,
            Error::UsernameTaken => Code::UsernameTaken,
            Error::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Error::LastAdmin => Code::LastAdmin,
            Error::NotFound => Code::NotFound,
            Error::Overloaded | Error::Contended => Code::Unavailable,
            Error::MailNotSent(_)
            | Error::Store(StoreError::Unavailable { .. })
            | Error::KeyWrap(KeyWrapError::Unavailable(_)) => logged(Code::Unavailable, &error),
            Error::Store(_) | Error::KeyWrap(_) | Error::Entropy(_) | Error::Internal(_) => {
                logged(Code::InternalError, &error)
            }
        };
        Self::new(code)
    }
}

/// Logs the error with its causes for the operator; the client gets the code alone.
fn logged(code: Code, error: &Error) -> Code {
    tracing::error!(error = with_causes(error), "a request failed");
    code
}
