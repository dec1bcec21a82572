//! What clients learn about the errors of `identity`: the one place where the two meet.

use portcullis_identity::{Error, InvalidField, Rejection, StoreError, WorkChallenge};
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
            Error::TooManyPasskeys => Code::TooManyPasskeys,
            Error::PasskeysUnavailable => Code::PasskeysUnavailable,
            Error::LastFactor => Code::LastFactor,
            Error::TooManyApprovals => Code::TooManyApprovals,
            Error::Frozen => Code::CredentialsFrozen,
            Error::TradingAccountDisabled => Code::TradingAccountDisabled,
            Error::ApprovalPending => Code::ApprovalPending,
            Error::ApprovalDecided => Code::ApprovalDecided,
            Error::ApprovalOver => Code::ApprovalOver,
            Error::DetailsMismatch => Code::DetailsMismatch,
            Error::AlreadyRedeemed => Code::AlreadyRedeemed,
            Error::WrongPasskey => {
                return Self::new(Code::Forbidden).with_detail("The passkey is not right.");
            }
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
            Error::UnverifiedAccessToken(rejection) => {
                return Self::new(Code::InvalidToken).with_detail(told(rejection));
            }
            Error::InvalidAccessToken => {
                let detail = "The session of the access token has ended, or its account may not be used.";
                return Self::new(Code::InvalidToken).with_detail(detail);
            }
            Error::InsufficientAuthentication(needed) => {
                return Self::new(Code::InsufficientUserAuthentication).with_needed(needed);
            }
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

/// Returns what the holder of a token can do something about: get another one, or send it as it is. What exactly is wrong
/// with a token of somebody else is told nobody.
fn told(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Expired => "The access token has expired.",
        Rejection::NotYetValid => "The access token is not valid yet.",
        Rejection::TooLarge | Rejection::Malformed(_) => "The access token is malformed.",
        Rejection::WrongType
        | Rejection::AlgorithmNotAllowed
        | Rejection::Signature
        | Rejection::Issuer
        | Rejection::Audience
        | Rejection::Claim(_) => "The access token was not issued by this service, or not for it.",
    }
}

/// Logs the error with its causes for the operator; the client gets the code alone.
fn logged(code: Code, error: &Error) -> Code {
    tracing::error!(error = with_causes(error), "a request failed");
    code
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::response::IntoResponse;
    use http::header::WWW_AUTHENTICATE;
    use portcullis_identity::{Assurance, Needed};

    use super::*;

    #[test]
    fn a_sign_in_that_is_not_enough_is_told_what_is() {
        for (needed, parameters) in [
            (Needed { acr: Some(Assurance::Aal2), max_age: None }, r#", acr_values="aal2""#),
            (Needed { acr: None, max_age: Some(600) }, r#", max_age="600""#),
            (Needed { acr: Some(Assurance::Phr), max_age: Some(1) }, r#", acr_values="phr", max_age="1""#),
        ] {
            let response = Problem::from(Error::InsufficientAuthentication(needed)).into_response();
            let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
            assert_eq!(response.status(), 401);
            assert_eq!(
                challenge.strip_prefix(r#"Bearer error="insufficient_user_authentication""#),
                Some(parameters)
            );
        }
    }

    #[test]
    fn tokens_that_are_refused_for_different_reasons_are_told_apart() {
        let refused = [
            Error::UnverifiedAccessToken(Rejection::Expired),
            Error::UnverifiedAccessToken(Rejection::NotYetValid),
            Error::UnverifiedAccessToken(Rejection::Malformed("a token has three non-empty parts")),
            Error::UnverifiedAccessToken(Rejection::Signature),
            Error::InvalidAccessToken,
        ];
        let number = refused.len();
        let told: BTreeSet<String> = refused
            .into_iter()
            .map(|error| {
                let response = Problem::from(error).into_response();
                assert_eq!(response.status(), 401);
                response.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned()
            })
            .collect();
        let begins = r#"Bearer error="invalid_token", error_description="The "#;
        assert!(
            told.iter().all(|challenge| challenge.starts_with(begins) && challenge.ends_with(".\"")),
            "{told:?}"
        );
        assert_eq!(told.len(), number, "{told:?}");
    }
}
