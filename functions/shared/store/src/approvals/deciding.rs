//! Deciding an approval: one write that spends the proof, changes both rows and tells of it.

use super::asking::place;
use super::{
    Approval, ApprovalDecision, ApprovalEnd, ApprovalOutcome, ApprovalStatus, STATUS, Way, nested, read,
};
use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::factors::{Factor, replacing};
use crate::item::{number, text, time};
use crate::keys;
use crate::passkeys::PasskeyUse;
use crate::transaction::{Refused, Transaction};

/// What the owner of an approval proved themselves with, and what the decision spends of it.
#[derive(Debug)]
pub enum ApprovalProof<'a> {
    /// A code: `next` takes the place of the factor in which it is spent.
    Code(&'a Factor),
    /// A passkey, with the ceremony it was shown in.
    Passkey(&'a PasskeyUse),
    /// Nothing, which is enough to refuse.
    Nothing,
}

impl Store {
    /// Decides an approval as it was read, with the event that tells of it: the proof is spent and the approval decided, both or
    /// neither. `expires` is what becomes of its end.
    pub async fn decide_approval(
        &self,
        approval: &Approval,
        status: ApprovalStatus,
        decision: &ApprovalDecision,
        proof: ApprovalProof<'_>,
        event: &AuditEvent,
    ) -> Result<ApprovalOutcome, StoreError> {
        let Approval { id, owner, .. } = *approval;
        let mut decision = decision.clone();
        decision.trail = event.end.as_ref().and_then(|end| end.after_record_of(event));
        let update = Update::new()
            .set(STATUS, text(status.as_str()))
            .set("decision", nested(&decision)?)
            .set("expires_at", time(approval.expires_at_once(status, decision.at)));
        let is_pending = Condition::equals(STATUS, text(ApprovalStatus::Pending.as_str()))
            .and(Condition::Compare("expires_at", ">", time(decision.at)));
        // Beside the look at the session before: it may have ended since.
        let session = keys::session(owner, decision.session);
        let is_live = Condition::row_exists().and(Condition::Missing("revoked_at"));
        let mut transaction = Transaction::on(self);
        if status == ApprovalStatus::Approved {
            transaction = transaction.unless_ended(approval);
        }
        // What was decided meanwhile is told before what is wrong with the proof: the same request again finds its own proof
        // spent, and is to be told so by the approval.
        transaction = transaction
            .check(&session, is_live, Way::End(ApprovalEnd::Session))
            .update_if(&keys::approval_by_id(id), update.clone(), is_pending, Way::Status)
            .update(&keys::approval(owner, id), update)
            .update(&keys::open_approvals(owner), Update::new().set(place(approval.place), number(0)));
        transaction = match proof {
            ApprovalProof::Code(next) => replacing(transaction, owner, next, Way::Proof)?,
            ApprovalProof::Passkey(used) => transaction.use_passkey(used, |_| Way::Proof)?,
            ApprovalProof::Nothing => transaction,
        };
        outcome(transaction.record_with_head(event).commit("deciding an approval").await?)
    }
}

/// What a write about an approval came to.
pub(super) fn outcome(committed: Result<(), Refused<Way>>) -> Result<ApprovalOutcome, StoreError> {
    Ok(match committed {
        Ok(()) => ApprovalOutcome::Done,
        Err(Refused { by: Way::End(end), .. }) => ApprovalOutcome::Ended(end),
        Err(Refused { by: Way::Status, row }) if row.is_empty() => ApprovalOutcome::Unknown,
        Err(Refused { by: Way::Status, row }) => ApprovalOutcome::Changed(Box::new(read(row)?)),
        Err(Refused { by: Way::Proof, .. }) => ApprovalOutcome::ProofOutdated,
    })
}
