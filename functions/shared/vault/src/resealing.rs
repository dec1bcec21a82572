//! Sealing credentials anew under another data key, one account at a time. Each account is replaced as a whole or not
//! at all, so there is nothing unreadable in between; and since every row says when it was sealed, whoever goes on after
//! an interruption does only what is left.

use jiff::Timestamp;
use portcullis_identity::{Origin, sealing};
use portcullis_store::{
    AccountId, AuditKind, BrokerSession, Round, Store, StoredTradingAccount, TradingAccountId,
};

use crate::Vault;
use crate::context::{Sealed, context};
use crate::error::Error;
use crate::opening::Asked;
use crate::parts;

/// Accounts looked at in one call of the table.
const PAGE: u16 = 100;

/// What became of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resealed {
    /// It lies under a new data key.
    Done,
    /// It was sealed late enough before.
    Recent,
    /// It is not there any more.
    Gone,
    /// It does not open, and stays as it is for a person to look at.
    Unreadable,
}

/// What became of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealing {
    /// Sealed anew.
    pub done: u64,
    /// Sealed late enough before.
    pub recent: u64,
    /// Not there any more.
    pub gone: u64,
    /// Not opened.
    pub unreadable: u64,
}

impl Resealing {
    fn count(&mut self, resealed: Resealed) {
        let counter = match resealed {
            Resealed::Done => &mut self.done,
            Resealed::Recent => &mut self.recent,
            Resealed::Gone => &mut self.gone,
            Resealed::Unreadable => &mut self.unreadable,
        };
        *counter += 1;
    }
}

impl Vault {
    /// Seals one account anew, unless that was done at `before` or later.
    pub async fn reseal(
        &self,
        owner: AccountId,
        id: TradingAccountId,
        before: Timestamp,
    ) -> Result<Resealed, Error> {
        let origin = Origin::default();
        let asked = Asked { owner, id, origin: &origin, service: None };
        let origin = &origin;
        let decide = |row: Option<StoredTradingAccount>| async move {
            let Some(account) = row else { return Ok(Round::Settled(Resealed::Gone)) };
            if account.sealed_at >= before {
                return Ok(Round::Settled(Resealed::Recent));
            }
            let next = match self.sealed_anew(asked, account).await {
                Err(Error::Unreadable) => return Ok(Round::Settled(Resealed::Unreadable)),
                next => next?,
            };
            let event = self.event(AuditKind::CredentialsResealed, owner, Some(id), origin)?;
            let swapped = self.store().swap_trading_account(&next, &event).await?;
            Ok(if swapped { Round::Settled(Resealed::Done) } else { Round::Raced })
        };
        self.store().change_trading_account((owner, id), None, decide).await
    }

    /// Seals every account anew that has been under one data key for as long as the settings allow.
    pub async fn reseal_old(&self) -> Result<Resealing, Error> {
        self.reseal_all(self.identity.clock.now() - self.credential_max_age).await
    }

    /// Seals every account anew that was sealed before then. An error ends it where it is; called again with the same
    /// time, it does what is left.
    pub async fn reseal_all(&self, before: Timestamp) -> Result<Resealing, Error> {
        let mut all = Resealing::default();
        for shard in (0..Store::TRADING_ACCOUNT_SHARDS).filter_map(|shard| u8::try_from(shard).ok()) {
            let mut after = None;
            loop {
                let page = self.store().trading_account_lookup(shard, PAGE, after).await?;
                for (id, owner) in page.accounts {
                    all.count(self.reseal(owner, id, before).await?);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn sealed_anew(
        &self,
        asked: Asked<'_>,
        account: StoredTradingAccount,
    ) -> Result<StoredTradingAccount, Error> {
        let credentials = self.open_credentials(asked, &account).await?;
        let session = self.open_session(asked, &account).await?;
        let (owner, id) = (asked.owner, asked.id);
        let sealed = self.seal_credentials(owner, id, &account.broker, &credentials).await?;
        let session = match (session, &account.session) {
            (Some(open), Some(old)) => {
                let joined = parts::join([&open.api_key, &open.access_token]);
                let context = context(owner, id, &account.broker, Sealed::Session);
                let entropy = self.identity.entropy.as_ref();
                let sealed = sealing::seal(&joined, &context, self.key_wrap.as_ref(), entropy).await?;
                Some(BrokerSession { sealed, expires_at: old.expires_at })
            }
            // One that has run out is of no use to anybody, but says that the account has expired.
            _ => account.session.clone(),
        };
        Ok(StoredTradingAccount {
            credentials: sealed,
            session,
            sealed_at: self.identity.clock.now(),
            ..account
        })
    }
}
