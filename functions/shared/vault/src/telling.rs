//! What the owner is told beside the answer. The one place from which a linked account or a freeze would send a mail.

use portcullis_store::AuditEvent;

use crate::Vault;

impl Vault {
    /// Tells the owner of an event: in the log as long as there is no other way.
    #[expect(clippy::unused_self, reason = "whoever sends the mail is found through it")]
    pub(crate) fn tell_owner(&self, event: &AuditEvent) {
        tracing::info!(kind = event.kind.as_str(), account = %event.subject, "the owner should know of this");
    }
}
