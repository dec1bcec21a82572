//! Mail on a machine that sends none: one file for each message (RFC 5322), to be opened with any mail program.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use mail_builder::MessageBuilder;
use portcullis_platform::{Clock, Entropy, Mail, Mailer, MailerError};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::private_files;

/// A sender address that belongs to no one: the messages never leave the machine (RFC 6761, section 6.3).
const FROM: (&str, &str) = ("Portcullis", "portcullis@localhost");

/// The folder messages are put into. Names begin with the time, so that they sort by it.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Outbox {
    /// Returns the outbox in this folder, which must exist.
    pub fn new(folder: PathBuf, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { folder, clock, entropy }
    }
}

#[async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: &Mail) -> Result<(), MailerError> {
        let now = self.clock.now();
        let mut random = [0; 8];
        self.entropy.fill(&mut random).map_err(unavailable)?;
        let name = format!("{:015}-{:016x}", now.as_millisecond(), u64::from_be_bytes(random));
        let message = MessageBuilder::new()
            .from(FROM)
            .to(mail.to.as_str())
            .subject(mail.subject)
            .date(now.as_second())
            .message_id(format!("{name}@localhost"))
            .text_body(mail.body.expose_secret())
            .write_to_vec()
            .map(Zeroizing::new)
            .map_err(unavailable)?;
        let path = self.folder.join(format!("{name}.eml"));
        let written = tokio::task::spawn_blocking(move || private_files::create_with(&path, &message));
        written.await.map_err(unavailable)?.map(drop).map_err(unavailable)
    }
}

fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> MailerError {
    MailerError::Unavailable(Box::new(cause))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use portcullis_platform::{SystemClock, SystemEntropy};

    use super::*;

    #[tokio::test]
    async fn a_message_is_one_private_file_that_no_text_can_add_headers_to() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().to_owned(), Arc::new(SystemClock), Arc::new(SystemEntropy));
        let mail = Mail {
            to: "asha@example.com".to_owned(),
            subject: "Grüße",
            body: "Hello,\n\nBcc: eve@example.com\n\u{1f99e}\n".into(),
        };
        outbox.send(&mail).await.unwrap();
        let [file] = std::fs::read_dir(folder.path()).unwrap().collect::<Vec<_>>().try_into().unwrap();
        let path = file.unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").expect("headers end");
        for line in ["To: <asha@example.com>", "Subject: ", "Date: ", "Message-ID: <"] {
            assert!(head.contains(line), "{head}");
        }
        assert!(!head.contains("Bcc") && head.is_ascii(), "{head}");
        assert!(!format!("{mail:?}").contains("Hello"));
    }
}
