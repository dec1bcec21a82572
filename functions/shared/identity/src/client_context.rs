//! From where a request came.

use secrecy::SecretString;

/// From where and in which request something was asked, for the audit trail and the list of sessions.
#[derive(Debug, Clone, Default)]
pub struct ClientContext {
    /// Address of the client.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: String,
    /// The device's token of an earlier sign-in, unverified.
    pub device: Option<SecretString>,
}
