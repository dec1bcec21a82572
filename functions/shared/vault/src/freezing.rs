//! The kill switch: a freeze stops every reading of a person's credentials at once, and ends their sessions at brokers.
//! Freezing needs no proof beside the access token, so that it is one click: whoever stole the token can stop trading with
//! it and nothing else. Lifting a freeze needs one.

use futures_util::future::join_all;
use jiff::Timestamp;
use portcullis_identity::{Caller, ClientContext, CredentialChange, StepUp};
use portcullis_store::{
    AuditKind, Freeze, Round, StoredTradingAccount, TradingAccountId, TradingAccountStatus,
};

use crate::Vault;
use crate::error::Error;
use crate::opening::AccessRequest;

/// More trading accounts than a person can have.
const ALL: usize = 100;

/// The outcome of a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Since when no credentials are released.
    pub since: Timestamp,
    /// The end of each account's session.
    pub accounts: Vec<FrozenAccount>,
}

/// The end of one account's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenAccount {
    /// The id of the trading account, `acc_…`.
    pub id: TradingAccountId,
    /// The broker's name.
    pub broker: String,
    /// How the session ended.
    pub session: SessionEnd,
    /// Advice for the owner, where the broker did not confirm the end.
    pub advice: Option<String>,
}

/// How a session at a broker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum SessionEnd {
    /// There was no session.
    None,
    /// The broker ended it.
    Ended,
    /// The broker did not confirm it; the session may live until the broker's own end of it.
    Unconfirmed,
}

impl SessionEnd {
    /// Returns the word in responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Vault {
    /// Returns the freeze of the caller's credentials; `None` while services may read them.
    pub async fn standing_freeze(&self, caller: &Caller) -> Result<Option<Freeze>, Error> {
        self.may(caller, "read")?;
        Ok(self.store().freeze(caller.account.id).await?)
    }

    /// Stops every reading of the caller's credentials, then ends their sessions at brokers, and returns how each ended.
    /// Once the freeze is stored, no later failure undoes it.
    pub async fn freeze(&self, caller: &Caller, origin: &ClientContext) -> Result<Frozen, Error> {
        self.may(caller, "freeze")?;
        let owner = caller.account.id;
        // Only the first freeze is mailed: whoever holds a token could fill the owner's mailbox otherwise. A read that fails
        // must not hold up the freeze.
        let is_known = self.store().freeze(owner).await.is_ok_and(|freeze| freeze.is_some());
        let event = self.event(AuditKind::CredentialsFrozen, owner, None, origin)?;
        let since = event.at;
        // The freeze is stored before anything else: every reading checks for it before it decrypts and once more before
        // it releases, and a session that is being exchanged meanwhile is not stored beside it.
        if !self.store().put_freeze(&event).await? {
            return Err(Error::Identity(portcullis_identity::Error::InvalidAccessToken));
        }
        if !is_known {
            self.identity.notify_of_credentials(&caller.account, CredentialChange::Frozen, origin).await;
        }
        let accounts = self.store().trading_accounts(owner, ALL).await?;
        let ending = accounts.into_iter().map(async |account| {
            let (id, broker) = (account.id, account.broker.clone());
            let lives_until = account.session.as_ref().map(|session| session.expires_at);
            let session = self.end_session_of(caller, account, origin).await.unwrap_or_else(|error| {
                tracing::warn!(%error, account = %id, "a session at a broker was not ended");
                SessionEnd::Unconfirmed
            });
            let advice = lives_until.filter(|_| session == SessionEnd::Unconfirmed);
            let advice = advice.map(|end| self.advice(&broker, end));
            FrozenAccount { id, broker, session, advice }
        });
        Ok(Frozen { since, accounts: join_all(ending).await })
    }

    /// Allows reading again; fails when the proof is not accepted. An account with a second factor needs a code of it: a
    /// stolen password must not be enough.
    pub async fn unfreeze(
        &self,
        caller: &Caller,
        proof: &StepUp,
        origin: &ClientContext,
    ) -> Result<(), Error> {
        self.may(caller, "freeze")?;
        self.identity.confirm_strongly(caller, proof, origin).await?;
        let owner = caller.account.id;
        // There is no freeze: an earlier request lifted it, and its response was lost.
        let Some(freeze) = self.store().freeze(owner).await? else { return Ok(()) };
        let event = self.event(AuditKind::CredentialsUnfrozen, owner, None, origin)?;
        // Only the freeze that was read above is lifted. One that another request stored since then stays: its owner was
        // told that it holds.
        if !self.store().lift_freeze(freeze, &event).await? {
            return Err(Error::contended());
        }
        self.identity.notify_of_credentials(&caller.account, CredentialChange::Unfrozen, origin).await;
        Ok(())
    }

    /// Returns the advice about a session that may still be alive.
    fn advice(&self, broker: &str, lives_until: Timestamp) -> String {
        let title = self.brokers().get(broker).map_or(broker, |broker| broker.title());
        format!(
            "{title} could not be reached or did not confirm the end of the session, which may live until \
             {lives_until}. No service is given it any more. Freeze again to try once more, or end it at {title}."
        )
    }

    /// Ends the account's session at its broker and returns how it ended; fails when the session does not decrypt, or the
    /// store does.
    async fn end_session_of(
        &self,
        caller: &Caller,
        account: StoredTradingAccount,
        origin: &ClientContext,
    ) -> Result<SessionEnd, Error> {
        let access = AccessRequest { owner: caller.account.id, id: account.id, origin, service: None };
        let Some(session) = self.open_session(access, &account).await? else { return Ok(SessionEnd::None) };
        self.record_event(AuditKind::CredentialsUsed, access).await?;
        let broker = self.brokers().of_record(&account.broker)?;
        if self.end_session(broker, &session).await.is_err() {
            return Ok(SessionEnd::Unconfirmed);
        }
        self.forget_session(access, account).await?;
        Ok(SessionEnd::Ended)
    }

    /// Removes an ended session from its row, unless another session is there by now.
    async fn forget_session(
        &self,
        access: AccessRequest<'_>,
        seen: StoredTradingAccount,
    ) -> Result<(), Error> {
        let event =
            self.event(AuditKind::BrokerSessionEnded, access.owner, Some(access.id), access.origin)?;
        let over = seen.session.clone();
        let (over, event) = (&over, &event);
        let decide = |row: Option<StoredTradingAccount>| async move {
            let Some(row) = row.filter(|row| row.session == *over) else { return Ok(Round::Settled(())) };
            let status = match row.status {
                TradingAccountStatus::Active => TradingAccountStatus::Expired,
                status => status,
            };
            let next = StoredTradingAccount { session: None, status, ..row };
            let swapped = self.store().swap_trading_account(&next, event).await?;
            Ok(if swapped { Round::Settled(()) } else { Round::Raced })
        };
        self.store().change_trading_account((access.owner, access.id), Some(seen), decide).await
    }
}
