//! Why a token was refused.

use crate::token::MAX_TOKEN_BYTES;

/// The first reason found against a token. It quotes nothing of the token, so it is safe to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLarge,
    /// Not a JWS in compact form with a header this service writes; says what is wrong.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// `typ` does not say access token (RFC 9068 section 4), so it may be another kind of JWT.
    #[error("the token is not an access token")]
    WrongType,
    /// `alg` is unknown, or not one the caller expects.
    #[error("the signature algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// The signature does not match the token.
    #[error("the signature is not valid")]
    Signature,
    /// Issued by another issuer.
    #[error("the token was issued by somebody else")]
    Issuer,
    /// Meant for another audience.
    #[error("the token is meant for somebody else")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come, or it claims to be issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The named claim is absent or has a value it must not have.
    #[error("the claim {0} is missing or not acceptable")]
    Claim(&'static str),
}
