//! Who is behind a request, once that is proven.

use portcullis_verifier::Claims;

/// A proven caller: what the policy decides on and what the service behind is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user_id: String,
    /// Empty for an API key, like the session.
    pub(crate) email: String,
    pub(crate) roles: Vec<String>,
    /// What an API key is narrowed to; empty for a token and for a key that is not narrowed.
    pub(crate) scopes: Vec<String>,
    pub(crate) session_id: String,
    /// The epoch of the account the token is of; 0 for an API key.
    pub(crate) epoch: u64,
    pub(crate) method: AuthMethod,
    /// When the proof was made, in Unix seconds: for a token its `iat`, for an API key the last look at it.
    pub(crate) proven_at: u64,
}

/// How the caller was proven, as `X-Auth-Method` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthMethod {
    Token,
    ApiKey,
}

impl AuthMethod {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "jwt",
            Self::ApiKey => "api_key",
        }
    }
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        Self {
            user_id: claims.sub,
            email: claims.email,
            roles: claims.roles,
            scopes: Vec::new(),
            session_id: claims.session_id,
            epoch: claims.epoch,
            method: AuthMethod::Token,
            proven_at: claims.iat,
        }
    }
}
