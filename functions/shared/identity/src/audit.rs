//! The audit trail: a user's own, an administrator's search, and verification that no record was altered.

use jiff::Timestamp;
use portcullis_store::{
    AccountId, AuditCursor, AuditFilter, AuditId, AuditKind, AuditPage, AuditSeal, TimePage, TrailIntegrity,
    Verified,
};

use crate::Identity;
use crate::access::caller::Caller;
use crate::error::Error;

/// Records of each chain that are verified for their owner.
const MOST_VERIFIED: usize = 500;

/// Lists the types of events. A type that is left out does not compile.
macro_rules! event_types {
    ($($kind:ident),+ $(,)?) => {
        /// The types of events that there are, in no order that means anything.
        pub const EVENT_TYPES: &[AuditKind] = &[$(AuditKind::$kind),+];

        const _: fn(AuditKind) = |kind| match kind { $(AuditKind::$kind => {})+ };
    };
}

event_types! {
    AccountRegistered, LoginSucceeded, LoginFailed, NewDevice, AccountUnlocked, PasswordChanged,
    PasswordResetRequested, PasswordReset, PasswordExpired, PasswordRotated, VerificationRequested,
    EmailVerified, MfaRequired, MfaFailed, MfaSetUp, MfaEnabled, MfaDisabled, BackupCodesRenewed, ApiKeyCreated,
    ApiKeyRotated, ApiKeyDeleted, SessionRevoked, SessionsRevoked, RefreshTokenReuse, ProfileChanged,
    AccountDisabled, AccountEnabled, AccountErased, Confirmed, TradingAccountLinked, TradingAccountChanged,
    CredentialsReplaced, TradingAccountUnlinked, TradingAccountVerified, BrokerSessionStarted,
    BrokerSessionEnded, CredentialsUsed, CredentialsRead, CredentialsRefused, CredentialsUnreadable,
    CredentialsReencrypted, CredentialsFrozen, CredentialsUnfrozen, OrdersCancelled, EverybodyFrozen,
    EverybodyUnfrozen, ProviderMarked, ProviderUnmarked, ApprovalRequested, ApprovalGranted, ApprovalDenied,
    ApprovalRedeemed, ApprovalRefused,
    RolesChanged, MfaReset, PasswordOverridden, AccountInvited, AdministrationRefused, EmailChangeRequested,
    EmailChanged, EmailRestored, UsernameChanged, PasskeyAdded, PasskeyRenamed, PasskeyRemoved, PasskeyCounterFell,
    MfaEnrolmentRequired, SteppedUp,
}

impl Identity {
    /// Returns the keys that seal records of the trail; fails if there are none.
    pub fn audit_seal(&self) -> Result<AuditSeal, Error> {
        let mut keys = self.keyring.audit_macs().cloned();
        let current = keys.next().ok_or(Error::Internal("there is no key for the audit trail"))?;
        Ok(AuditSeal::new(current, keys.collect(), self.settings.audit_retention)
            .with_day_shards(self.settings.audit_shards))
    }

    /// Returns the caller's own trail after the records `after` names, newest first; fails when the store does.
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

    /// Verifies the newest records of the caller's own trail and returns since when it is as it was written; fails when the
    /// store does.
    pub async fn own_trail_integrity(&self, caller: &Caller) -> Result<TrailIntegrity, Error> {
        let account = &caller.account;
        let (of, email) = ((account.id, account.created_at), account.email.as_str());
        let (seal, now) = (self.audit_seal()?, self.clock.now());
        Ok(self.store.trail_integrity(of, email, MOST_VERIFIED, &seal, now).await?)
    }

    /// Returns the trail of one account; fails when the store does. The sign-ins of an erased account are found by time
    /// alone, because its address is no longer known.
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

    /// Returns the trail of every account by time, newest first; fails when the store does.
    pub async fn audit_by_time(
        &self,
        filter: &AuditFilter,
        limit: usize,
        after: Option<AuditId>,
    ) -> Result<TimePage, Error> {
        let range = self.audit_range(filter);
        Ok(self.store.audit_by_time(filter, range, limit, after).await?)
    }

    /// Verifies every record of the trail and returns the findings; fails when the store does.
    pub async fn verify_audit(&self) -> Result<Verified, Error> {
        Ok(self.store.verify_audit(&self.audit_seal()?, self.clock.now()).await?)
    }

    /// Returns the period in which matching records may be, with a margin for writers whose clock is ahead.
    fn audit_range(&self, filter: &AuditFilter) -> (Timestamp, Timestamp) {
        let now = self.clock.now();
        let soon = now + std::time::Duration::from_hours(1);
        let oldest = now - self.settings.audit_retention - std::time::Duration::from_hours(72);
        let from = filter.from.map_or(oldest, |from| from.max(oldest));
        (from, filter.to.map_or(soon, |to| to.min(soon)))
    }
}
