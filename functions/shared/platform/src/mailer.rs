//! Mail to people.

use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretString;

/// Delivers mail, or hands it to whoever does.
#[async_trait]
pub trait Mailer: Debug + Send + Sync {
    /// Sends one message. It is on its way once this returns.
    async fn send(&self, mail: &Mail) -> Result<(), MailerError>;
}

/// A message to one person. Its text may hold a link that opens an account, so it does not print and leaves no copy
/// behind in memory.
#[derive(Debug)]
pub struct Mail {
    /// The address, in its canonical form.
    pub to: String,
    /// One line.
    pub subject: &'static str,
    /// Plain text.
    pub body: SecretString,
}

/// Why a message is not on its way.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// Whoever delivers did not answer, or wants to be asked later.
    #[error("mail cannot be sent at the moment")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The message, its sender or its recipient is refused; sending it again will not help.
    #[error("the message was refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}
