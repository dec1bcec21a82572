//! What clients learn of the errors of `identity`: the one place where the two meet.

use portcullis_identity::Error;
use portcullis_identity::StoreError;

use super::{Code, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Invalid(field) => return Self::invalid(field.pointer, field.detail),
            Error::WeakPassword(advice) => return weak_password(advice),
            Error::WrongPassword => {
                return Self::new(Code::Forbidden).with_detail("The password is not right.");
            }
            Error::InvalidCredentials => Code::InvalidCredentials,
            Error::InvalidAccessToken => Code::InvalidToken,
            Error::InvalidRefreshToken => Code::InvalidRefreshToken,
            Error::SessionRevoked => Code::SessionRevoked,
            Error::EmailTaken => Code::EmailTaken,
            Error::UsernameTaken => Code::UsernameTaken,
            Error::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Error::NotFound => Code::NotFound,
            Error::Overloaded => Code::Unavailable,
            Error::Store(StoreError::Unavailable { .. }) => logged(Code::Unavailable, &error),
            Error::Store(_) | Error::Entropy(_) | Error::Internal(_) => logged(Code::InternalError, &error),
        };
        Self::new(code)
    }
}

fn weak_password(advice: String) -> Problem {
    let error = super::FieldError::new("/password", advice.clone());
    Problem::new(Code::WeakPassword).with_detail(advice).with_error(error)
}

/// The causes are for whoever is paged; the client gets the code alone.
fn logged(code: Code, error: &Error) -> Code {
    let mut causes = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    tracing::error!(error = causes.join(": "), "a request failed");
    code
}
