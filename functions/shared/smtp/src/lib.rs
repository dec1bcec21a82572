//! Mail through a server of SMTP, over TLS.
#![doc = include_str!("../README.md")]

mod mailer;
mod settings;

pub use mailer::{SmtpMailer, SmtpUnusable};
pub use settings::{SmtpSettings, SmtpTls, VARIABLES};
