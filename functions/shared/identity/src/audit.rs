//! The audit trail: what a person sees of their own, what an administrator searches, and whether it is as it was
//! written.

use jiff::Timestamp;
use portcullis_store::{
    AccountId, AuditCursor, AuditFilter, AuditId, AuditPage, AuditSeal, TimePage, Verified,
};

use crate::Identity;
use crate::access::caller::Caller;
use crate::error::Error;

impl Identity {
    /// What seals records of the trail.
    pub fn audit_seal(&self) -> AuditSeal {
        let (current, accepted) = &self.keyring.audit_macs;
        AuditSeal::new(current.clone(), accepted.clone(), self.settings.audit_retention)
    }

    /// The caller's own trail after the records `after` names, newest first.
    pub async fn own_audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        limit: usize,
        after: Option<AuditCursor>,
    ) -> Result<AuditPage, Error> {
        let (account, email) = (caller.account.id, caller.account.email.as_str());
        Ok(self.store.audit_of_account(account, Some(email), filter, limit, after).await?)
    }

    /// The trail of one account. Of one that was erased, the sign-ins are found by time alone: nothing says any more
    /// which address it had.
    pub async fn audit_of(
        &self,
        subject: AccountId,
        filter: &AuditFilter,
        limit: usize,
        after: Option<AuditCursor>,
    ) -> Result<AuditPage, Error> {
        let account = self.store.account(subject).await?;
        let email = account.as_ref().map(|account| account.email.as_str());
        Ok(self.store.audit_of_account(subject, email, filter, limit, after).await?)
    }

    /// The trail of everybody by time, newest first.
    pub async fn audit_by_time(
        &self,
        filter: &AuditFilter,
        limit: usize,
        after: Option<AuditId>,
    ) -> Result<TimePage, Error> {
        let range = self.audit_range(filter);
        Ok(self.store.audit_by_time(filter, range, limit, after).await?)
    }

    /// Looks at every record of everybody's trail.
    pub async fn verify_audit(&self) -> Result<Verified, Error> {
        Ok(self.store.verify_audit(&self.audit_seal(), self.clock.now()).await?)
    }

    /// From when to when there may be records that are wanted. A clock that is ahead writes into the future.
    fn audit_range(&self, filter: &AuditFilter) -> (Timestamp, Timestamp) {
        let now = self.clock.now();
        let soon = now + std::time::Duration::from_hours(1);
        let oldest = now - self.settings.audit_retention - std::time::Duration::from_hours(72);
        let from = filter.from.map_or(oldest, |from| from.max(oldest));
        (from, filter.to.map_or(soon, |to| to.min(soon)))
    }
}
