//! Spending an approval: one condition on its status, its details and its time, and on nothing having ended it.

use super::deciding::outcome;
use super::{Approval, ApprovalOutcome, ApprovalStatus, Redemption, STATUS, Way, nested};
use crate::audit::{AuditEvent, ChainEnd};
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::item::{bytes, text, time};
use crate::keys;
use crate::transaction::Transaction;

impl Approval {
    /// Where the trail of its owner ended when it was decided. Where nothing was recorded since, this saves a round of reading
    /// that end: the record behind it is refused if something was.
    pub fn trail_then(&self) -> Option<ChainEnd> {
        let trail = self.decision.as_ref()?.trail.as_ref()?;
        Some(ChainEnd::from(trail.clone()))
    }
}

impl Store {
    /// Spends an approval that was approved, with the event that tells of it. Of many that do one is told that it did.
    pub async fn redeem_approval(
        &self,
        approval: &Approval,
        redemption: &Redemption,
        event: &AuditEvent,
    ) -> Result<ApprovalOutcome, StoreError> {
        let update = Update::new()
            .set(STATUS, text(ApprovalStatus::Redeemed.as_str()))
            .set("redemption", nested(redemption)?);
        let is_good = Condition::All(vec![
            Condition::equals(STATUS, text(ApprovalStatus::Approved.as_str())),
            Condition::equals("details_digest", bytes(approval.digest)),
            Condition::Compare("expires_at", ">", time(redemption.at)),
        ]);
        let transaction = Transaction::on(self)
            .unless_ended(approval)
            .update_if(&keys::approval_by_id(approval.id), update.clone(), is_good, Way::Status)
            .update(&keys::approval(approval.owner, approval.id), update)
            .record_with_head(event);
        outcome(transaction.commit("redeeming an approval").await?)
    }

    /// Whether something has ended an approval before its time, for whoever asks again about one that was spent.
    pub async fn check_approval(&self, approval: &Approval) -> Result<ApprovalOutcome, StoreError> {
        outcome(Transaction::on(self).unless_ended(approval).commit("looking at an approval again").await?)
    }
}
