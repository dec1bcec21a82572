//! Why an operation returns an error instead of its result.

use std::time::Duration;

use portcullis_platform::{EntropyUnavailable, KeyWrapError};
use portcullis_store::{Contended, StoreError};
use portcullis_verifier::Rejection;
use portcullis_verifier::route::Needed;

use crate::invalid::InvalidField;
use crate::proof_of_work::WorkChallenge;
use crate::tokens::session_token::SessionToken;

/// Why an operation was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the request cannot be accepted.
    #[error("invalid {}", .0.field)]
    Invalid(InvalidField),
    /// The password is too easy to guess, too short or too long; the text is advice for the person.
    #[error("weak password")]
    WeakPassword(String),
    /// Wrong address, wrong password or an account that may not be used: clients do not learn which.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// The password that confirms an operation is wrong.
    #[error("wrong password")]
    WrongPassword,
    /// The access token is malformed, not one of ours, or has expired.
    #[error("unverified access token: {0}")]
    UnverifiedAccessToken(Rejection),
    /// The access token is one of ours, and its session is over or its account may not be used.
    #[error("invalid access token")]
    InvalidAccessToken,
    /// The refresh token is not one of ours, or its session is unknown, over or expired.
    #[error("invalid refresh token")]
    InvalidRefreshToken,
    /// The person is who they say, and has not proved it as surely, or as lately, as this needs.
    #[error("insufficient user authentication")]
    InsufficientAuthentication(Needed),
    /// The refresh token had already been rotated, so the session was ended.
    #[error("replayed refresh token")]
    SessionRevoked,
    /// The API key is not one of ours, has expired, was removed, or its owner may not use it.
    #[error("invalid API key")]
    InvalidApiKey,
    /// The service token is not one of ours.
    #[error("invalid service token")]
    InvalidServiceToken,
    /// The caller is known and may not do this; the text says what is missing.
    #[error("forbidden")]
    Forbidden(&'static str),
    /// The account has as many API keys as an account may have.
    #[error("too many API keys")]
    TooManyApiKeys,
    /// The account has as many passkeys as an account may have.
    #[error("too many passkeys")]
    TooManyPasskeys,
    /// The person is asked for as many approvals as they may be at a time.
    #[error("too many approvals")]
    TooManyApprovals,
    /// The person's credentials are frozen, so that nothing may be ordered.
    #[error("credentials are frozen")]
    Frozen,
    /// The trading account is switched off.
    #[error("the trading account is disabled")]
    TradingAccountDisabled,
    /// The person who is asked for an approval has not decided yet.
    #[error("the approval is pending")]
    ApprovalPending,
    /// An approval was decided already, by another request.
    #[error("the approval is decided")]
    ApprovalDecided,
    /// An approval was refused, its time is over, or it was ended before its time.
    #[error("the approval is over")]
    ApprovalOver,
    /// Something else was approved.
    #[error("something else was approved")]
    DetailsMismatch,
    /// An approval was spent already.
    #[error("the approval is redeemed")]
    AlreadyRedeemed,
    /// The passkey that confirms an operation is not the caller's, or what it signed does not verify.
    #[error("wrong passkey")]
    WrongPasskey,
    /// The pages of this deployment have no name that passkeys could be bound to.
    #[error("passkeys are not available")]
    PasskeysUnavailable,
    /// It would leave no factor where a role of the account needs one.
    #[error("the last factor")]
    LastFactor,
    /// The token of a sign-in that was begun is not one of ours, has expired, or is finished.
    #[error("invalid session token")]
    InvalidSessionToken,
    /// The code that would finish a sign-in is wrong, or was used before.
    #[error("invalid code")]
    InvalidCode,
    /// The code that confirms an operation is wrong, or was used before.
    #[error("wrong code")]
    WrongCode,
    /// The password is right, and the address not confirmed yet.
    #[error("email not verified")]
    EmailNotVerified,
    /// The password is right and too old: here is what lets its owner choose another one.
    #[error("password expired")]
    PasswordExpired(SessionToken),
    /// The link of a mail is unknown, too old, or was used.
    #[error("invalid mail token")]
    InvalidMailToken,
    /// There is no second factor, or none that waits to be proven.
    #[error("no second factor is set up")]
    MfaNotSetUp,
    /// Throttled: there were too many failed attempts, and for a while none is checked, not even a right one.
    #[error("too many attempts")]
    TooManyAttempts {
        /// How long until the next attempt is checked.
        retry_after: Duration,
    },
    /// A proof of work is needed first: here is what to compute.
    #[error("proof of work required")]
    WorkRequired(WorkChallenge),
    /// Another account has the address.
    #[error("email taken")]
    EmailTaken,
    /// Another account has the username.
    #[error("username taken")]
    UsernameTaken,
    /// The idempotency key was used for another request.
    #[error("idempotency key reused")]
    IdempotencyKeyReused,
    /// It would leave no administrator.
    #[error("the last administrator")]
    LastAdmin,
    /// What was asked for does not exist, or not for this caller.
    #[error("not found")]
    NotFound,
    /// More passwords are waiting to be hashed than may wait.
    #[error("the queue of passwords to be hashed is full")]
    Overloaded,
    /// Others changed the same record again and again.
    #[error("a record changed too often while it was decided on")]
    Contended,
    /// What was to be mailed could not be: the operator reads why.
    #[error("a mail was not sent: {0}")]
    MailNotSent(String),
    /// The provider of the master key failed.
    #[error(transparent)]
    KeyWrap(#[from] KeyWrapError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyUnavailable),
    /// Something that cannot happen did; an operator must look.
    #[error("{0}")]
    Internal(&'static str),
}

impl From<Contended> for Error {
    fn from(Contended: Contended) -> Self {
        Self::Contended
    }
}
