//! Every error a client can be told, in one table.

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident: $status:ident, $word:literal, $title:literal, $detail:literal;)+) => {
        /// A stable word that programs switch on. The set is closed: a code that is not here cannot be sent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// All of them, in the order of their status.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word itself.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The HTTP status it is always sent with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// A short summary that is the same at every occurrence (RFC 9457 section 3.1.3).
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What to tell the client when the place of the error has nothing better to say.
            pub(super) const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)+ }
            }
        }
    };
}

codes! {
    /// The request as a whole cannot be understood.
    BadRequest: BAD_REQUEST, "bad_request", "Bad request", "The request cannot be understood.";
    /// The body is not JSON, or ambiguous JSON.
    MalformedJson: BAD_REQUEST, "malformed_json", "Malformed JSON", "The body is not valid JSON.";
    /// No credentials came with a request that needs them.
    AuthenticationRequired: UNAUTHORIZED, "authentication_required", "Authentication required",
        "This request needs an access token.";
    /// Unknown user, wrong password or disabled account; deliberately not told apart.
    InvalidCredentials: UNAUTHORIZED, "invalid_credentials", "Invalid credentials",
        "The credentials are not valid.";
    /// The access token is malformed, expired, or not ours.
    InvalidToken: UNAUTHORIZED, "invalid_token", "Invalid token", "The access token is not valid.";
    /// The refresh token is unknown, expired, or absent.
    InvalidRefreshToken: UNAUTHORIZED, "invalid_refresh_token", "Invalid refresh token",
        "The refresh token is not valid.";
    /// The API key is malformed, unknown, expired, or its owner may not use it.
    InvalidApiKey: UNAUTHORIZED, "invalid_api_key", "Invalid API key", "The API key is not valid.";
    /// The token of a service is not one of ours.
    InvalidServiceToken: UNAUTHORIZED, "invalid_service_token", "Invalid service token",
        "The service token is not valid.";
    /// The sign-in that was begun is unknown, expired, or finished.
    InvalidSessionToken: UNAUTHORIZED, "invalid_session_token", "Invalid session token",
        "The sign-in is unknown, took too long, or is finished; begin it again.";
    /// The code that would finish a sign-in is wrong or was used before.
    InvalidCode: UNAUTHORIZED, "invalid_code", "Invalid code", "The code is not valid.";
    /// The link of a mail is unknown, too old, or was used.
    InvalidMailToken: UNAUTHORIZED, "invalid_mail_token", "Invalid link",
        "The link is unknown, too old, or was used; ask for another one.";
    /// The session has ended; only signing in again helps.
    SessionRevoked: UNAUTHORIZED, "session_revoked", "Session revoked", "The session has ended; sign in again.";
    /// The person is who they say, and has not proved it as surely, or as lately, as this needs (RFC 9470).
    InsufficientUserAuthentication: UNAUTHORIZED, "insufficient_user_authentication",
        "Stronger or newer sign-in required", "Confirm who you are at /v1/auth/step-up, and send the request again.";
    /// The caller is known and may not do this.
    Forbidden: FORBIDDEN, "forbidden", "Forbidden", "The caller may not do this.";
    /// The owner, or an administrator, stopped every reading of the credentials.
    CredentialsFrozen: FORBIDDEN, "credentials_frozen", "Credentials frozen",
        "The owner, or an administrator, has stopped every reading of the credentials.";
    /// The password is right and the address not confirmed yet.
    EmailNotVerified: FORBIDDEN, "email_not_verified", "E-mail address not confirmed",
        "Confirm the e-mail address with the link that was sent to it, or ask for another one.";
    /// The password is right and too old; `session_token` lets its owner choose another one.
    PasswordExpired: FORBIDDEN, "password_expired", "Password expired",
        "The password is too old; choose another one at /v1/auth/password/rotate.";
    /// A request with a cookie came from a page that may not send one.
    OriginNotAllowed: FORBIDDEN, "origin_not_allowed", "Origin not allowed",
        "Requests that carry the refresh cookie must come from an allowed origin.";
    /// The request has to come through the edge and did not.
    EdgeRequired: FORBIDDEN, "edge_required", "Edge required",
        "This address answers requests that come through the edge only; use the public one.";
    /// Nothing is here, or nothing the caller may know of.
    NotFound: NOT_FOUND, "not_found", "Not found", "There is no such resource.";
    /// The path exists and does not answer this method.
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed",
        "This path does not answer that method.";
    /// The body did not arrive in time.
    RequestTimeout: REQUEST_TIMEOUT, "request_timeout", "Request timeout", "The body did not arrive in time.";
    /// The e-mail address belongs to an account.
    EmailTaken: CONFLICT, "email_taken", "E-mail address taken", "The e-mail address is already in use.";
    /// The username belongs to an account.
    UsernameTaken: CONFLICT, "username_taken", "Username taken", "The username is already in use.";
    /// No freeze stands by which the orders of the account were to be cancelled.
    NothingToCancel: CONFLICT, "nothing_to_cancel", "No orders to cancel",
        "No freeze stands by which the orders of this account were to be cancelled.";
    /// The account has as many API keys as an account may have.
    TooManyApiKeys: CONFLICT, "too_many_api_keys", "Too many API keys",
        "The account has as many API keys as it may have; delete one first.";
    /// The account has as many passkeys as an account may have.
    TooManyPasskeys: CONFLICT, "too_many_passkeys", "Too many passkeys",
        "The account has as many passkeys as it may have; remove one first.";
    /// There can be no passkeys at the address of this deployment's pages.
    PasskeysUnavailable: CONFLICT, "passkeys_unavailable", "Passkeys unavailable",
        "The pages of this service have no domain name, which passkeys need.";
    /// A role of the account needs a factor beside the password.
    LastFactor: CONFLICT, "last_factor", "Last factor",
        "A role of the account needs a factor beside the password, and this is the last one; add another one first.";
    /// The person is asked for as many approvals as they may be at a time.
    TooManyApprovals: CONFLICT, "too_many_approvals", "Too many approvals",
        "The person is asked for as many approvals as they may be at a time.";
    /// The person who is asked for an approval has not decided yet.
    ApprovalPending: CONFLICT, "approval_pending", "Approval pending", "The person has not decided yet.";
    /// An approval was decided already, by another request.
    ApprovalDecided: CONFLICT, "approval_decided", "Approval decided", "The approval was decided already.";
    /// An approval was refused, its time is over, or it was ended before its time.
    ApprovalOver: CONFLICT, "approval_over", "Approval over",
        "The approval was refused, its time is over, or it was ended.";
    /// Something else was approved than what is shown.
    DetailsMismatch: CONFLICT, "details_mismatch", "Details mismatch",
        "Something else was approved than what is shown here; nothing was spent.";
    /// An approval was spent already.
    AlreadyRedeemed: CONFLICT, "already_redeemed", "Already redeemed", "The approval was spent already.";
    /// The person has as many trading accounts as one may have.
    TooManyTradingAccounts: CONFLICT, "too_many_trading_accounts", "Too many trading accounts",
        "There are as many trading accounts as there may be; unlink one first.";
    /// The trading account, or its owner's account, is switched off.
    TradingAccountDisabled: CONFLICT, "trading_account_disabled", "Trading account disabled",
        "The trading account is switched off.";
    /// Sealed credentials cannot be opened; trying again does not help.
    CredentialUnavailable: CONFLICT, "credential_unavailable", "Credential unavailable",
        "The credentials cannot be read; they have to be replaced.";
    /// There is no session at the broker.
    NoBrokerSession: CONFLICT, "no_broker_session", "No broker session",
        "There is no session at the broker; its owner has to log in there.";
    /// The broker knows no sessions.
    BrokerWithoutSessions: CONFLICT, "broker_without_sessions", "Broker without sessions",
        "This broker has no sessions to begin.";
    /// The broker refused what it was asked with.
    BrokerRefused: CONFLICT, "broker_refused", "Broker refused", "The broker refused the request.";
    /// There is no second factor, or none that waits for its first code.
    MfaNotSetUp: CONFLICT, "mfa_not_set_up", "No second factor set up",
        "There is no second factor to do this with; set one up first.";
    /// Nobody would be left to administer.
    LastAdmin: CONFLICT, "last_admin", "Last administrator",
        "This is the last administrator; make another one first.";
    /// The body is larger than any request needs.
    PayloadTooLarge: PAYLOAD_TOO_LARGE, "payload_too_large", "Payload too large",
        "The body is larger than 16 KiB.";
    /// The body is not declared as JSON, or is compressed.
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type",
        "The body must be sent as application/json.";
    /// The request is well formed and says something unusable; `errors` names what.
    ValidationFailed: UNPROCESSABLE_ENTITY, "validation_failed", "Validation failed",
        "The request has values that cannot be used.";
    /// The new password is too easy to guess.
    WeakPassword: UNPROCESSABLE_ENTITY, "weak_password", "Weak password", "The password is too easy to guess.";
    /// The idempotency key was used before, with another body.
    IdempotencyKeyReused: UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused",
        "The idempotency key was already used for another request.";
    /// The request needs a proof of work; `proof_of_work` says what to compute.
    ProofOfWorkRequired: PRECONDITION_REQUIRED, "proof_of_work_required", "Proof of work required",
        "Compute a proof of work for `proof_of_work` and send the request again with it.";
    /// Too many failures or requests; `Retry-After` tells when to come back.
    TooManyAttempts: TOO_MANY_REQUESTS, "too_many_attempts", "Too many attempts",
        "Too many attempts; try again later.";
    /// A fault of ours.
    InternalError: INTERNAL_SERVER_ERROR, "internal_error", "Internal error",
        "The request failed through no fault of the caller.";
    /// Something we depend on is missing; nothing was half done.
    Unavailable: SERVICE_UNAVAILABLE, "unavailable", "Unavailable",
        "The service cannot answer at the moment; try again shortly.";
    /// The broker does not answer, or asks for patience.
    BrokerUnavailable: SERVICE_UNAVAILABLE, "broker_unavailable", "Broker unavailable",
        "The broker does not answer at the moment; try again later.";
    /// The answer took longer than a request may.
    DeadlineExceeded: SERVICE_UNAVAILABLE, "deadline_exceeded", "Deadline exceeded",
        "The answer took too long; try again shortly.";
}

impl Code {
    /// The code for an error that left the router as a bare status.
    pub(crate) fn for_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::AuthenticationRequired,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Self::ValidationFailed,
            StatusCode::PRECONDITION_REQUIRED => Self::ProofOfWorkRequired,
            StatusCode::TOO_MANY_REQUESTS => Self::TooManyAttempts,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::InternalError,
        }
    }

    /// The challenge that belongs to a 401 (RFC 6750 section 3). It always names an error, as clients of this contract
    /// expect it, although the RFC would rather say nothing to a request without any credentials. What is refused at
    /// sign-in and refresh is a grant, not a bearer token (RFC 6749 section 5.2).
    pub(super) fn challenge(self) -> Option<&'static str> {
        match self {
            Self::InvalidCredentials
            | Self::InvalidRefreshToken
            | Self::InvalidSessionToken
            | Self::InvalidMailToken
            | Self::InvalidCode => Some(r#"Bearer error="invalid_grant""#),
            Self::InsufficientUserAuthentication => {
                Some(r#"Bearer error="insufficient_user_authentication""#)
            }
            code if code.status() == StatusCode::UNAUTHORIZED => Some(r#"Bearer error="invalid_token""#),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_one_snake_case_word_and_the_same_in_json_as_in_the_table() {
        let mut seen = BTreeSet::new();
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code:?}");
            assert!(seen.insert(code.as_str()), "{code:?} is listed twice");
        }
    }

    #[test]
    fn the_table_is_in_the_order_of_the_status() {
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
    }

    #[test]
    fn every_401_and_nothing_else_has_a_challenge() {
        for code in Code::ALL {
            let challenge = code.challenge();
            assert_eq!(challenge.is_some(), code.status() == StatusCode::UNAUTHORIZED, "{code:?}");
            assert!(challenge.is_none_or(|challenge| challenge.starts_with("Bearer error=\"")), "{code:?}");
        }
    }

    #[test]
    fn a_bare_status_finds_a_code_of_its_own_status_or_of_its_class() {
        for number in 400..600 {
            let status = StatusCode::from_u16(number).unwrap();
            let code = Code::for_status(status);
            assert_eq!(code.status().is_client_error(), status.is_client_error(), "{status}");
            let exact =
                Code::ALL.iter().any(|code| code.status() == status && status != StatusCode::CONFLICT);
            assert_eq!(code.status() == status, exact, "{status}");
        }
    }
}
