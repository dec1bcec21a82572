//! What stands in paths, as the OpenAPI document describes it. `PathId` reads it.

#![expect(dead_code, reason = "these describe what is read elsewhere")]

use utoipa::IntoParams;

/// The id of an account in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AccountPath {
    /// The id of the account.
    #[param(example = "usr_0199f3c2a6e47d0c8f21b7e5d4a39c10", pattern = "^usr_[0-9a-f]{32}$")]
    id: String,
}

/// The id of an API key in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ApiKeyPath {
    /// The id of the key.
    #[param(example = "key_0199f3c2a6e47d0c8f21b7e5d4a39c10", pattern = "^key_[0-9a-f]{32}$")]
    id: String,
}

/// The id of a passkey in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PasskeyPath {
    /// The id of the passkey.
    #[param(example = "psk_0199f3c2a6e47d0c8f21b7e5d4a39c10", pattern = "^psk_[0-9a-f]{32}$")]
    id: String,
}

/// The id of an approval in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ApprovalPath {
    /// The id of the approval.
    #[param(example = "apr_0199f3c2a6e47d0c8f21b7e5d4a39c10", pattern = "^apr_[0-9a-f]{32}$")]
    id: String,
}

/// The id of a session in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SessionPath {
    /// The id of the session.
    #[param(example = "ses_0199f3c2a6e47d0c8f21b7e5d4a39c10", pattern = "^ses_[0-9a-f]{32}$")]
    id: String,
}

/// The id of a trading account in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TradingAccountPath {
    /// The id of the trading account.
    #[param(example = "acc_0199f3c2a6e47d0c8f21b7e5d4a39c10", pattern = "^acc_[0-9a-f]{32}$")]
    id: String,
}

/// The header by which a client says that this is the same request again.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyHeader {
    /// A key of the client's own for what it wants done once.
    #[param(rename = "Idempotency-Key", value_type = portcullis_http::texts::IdempotencyKeyText, required = false, inline)]
    key: Option<String>,
}
