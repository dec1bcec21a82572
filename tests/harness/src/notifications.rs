//! A mailer that keeps what it is given, and can be made to fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use portcullis_platform::{Mail, Mailer, MailerError};
use secrecy::ExposeSecret;

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub body: String,
}

impl Sent {
    /// The token of the link in it.
    pub fn token(&self) -> Option<&str> {
        self.body.split("#token=").nth(1)?.split_whitespace().next()
    }
}

/// The notifications so far.
#[derive(Debug, Default)]
pub struct Notifications {
    sent: Mutex<Vec<Sent>>,
    failing: AtomicBool,
}

impl Notifications {
    /// Takes what was sent since this was last asked.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Refuses notifications, or takes them again.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }
}

#[async_trait]
impl Mailer for Notifications {
    async fn send(&self, mail: &Mail) -> Result<(), MailerError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(MailerError::Unavailable("the post is on strike".into()));
        }
        let (to, subject) = (mail.to.clone(), mail.subject.to_owned());
        let sent = Sent { to, subject, body: mail.body.expose_secret().to_owned() };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        Ok(())
    }
}
