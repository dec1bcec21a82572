//! Where a request came from.

use secrecy::SecretString;

/// The client and the request an operation was called from, for the audit trail, the list of sessions and the rate
/// limit.
#[derive(Debug, Clone, Default)]
pub struct ClientContext {
    /// IP address of the client, if known.
    pub ip: Option<String>,
    /// The `User-Agent` header of the request.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: String,
    /// The device token of an earlier sign-in, unverified.
    pub device: Option<SecretString>,
}
