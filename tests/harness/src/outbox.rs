//! The messages that the local service leaves in its folder in place of sending them.

use std::path::Path;

/// A message as it would be sent.
#[derive(Debug, Clone)]
pub struct Message(pub String);

impl Message {
    /// Returns the token of the link in the message, read as quoted-printable (RFC 2045) as far as a link has it.
    ///
    /// # Panics
    /// When there is no link.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub fn token(&self) -> String {
        let text = self.0.replace("=\r\n", "").replace("=3D", "=");
        let (_, rest) = text.split_once("#token=").expect("a link");
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    }
}

/// Returns the messages in the outbox of this data folder, oldest first; none before the first was written.
pub(crate) fn messages(data: &Path) -> Vec<Message> {
    let entries = std::fs::read_dir(data.join("outbox")).into_iter().flatten();
    let mut files: Vec<_> = entries.flatten().map(|file| file.path()).collect();
    files.sort();
    files.iter().map(|file| Message(std::fs::read_to_string(file).unwrap_or_default())).collect()
}
