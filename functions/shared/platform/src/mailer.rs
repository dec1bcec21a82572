//! The mail seam: a message, how it is sent, and which errors can be retried.

use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretString;

/// A mail provider: delivers mail, or hands it to the service that does.
#[async_trait]
pub trait Mailer: Debug + Send + Sync {
    /// Sends one message and returns once it was accepted for delivery; fails when it was refused, or the provider is
    /// unavailable.
    async fn send(&self, mail: &Mail) -> Result<(), MailerError>;
}

/// A message to one person. Its text may hold a link that grants access to an account, so it is never printed and is
/// wiped from memory.
#[derive(Debug)]
pub struct Mail {
    /// The address of the recipient, in canonical form.
    pub to: String,
    /// The subject, one line.
    pub subject: &'static str,
    /// The message body in plain text.
    pub body: SecretString,
}

/// The error when a message was not accepted for delivery.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The mail provider did not respond, or throttles requests; a retry may succeed.
    #[error("mail cannot be sent at the moment")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The message, its sender or its recipient was refused; a retry fails again.
    #[error("the message was refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}
