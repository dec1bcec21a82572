//! The sweep: it ends the sessions that a freeze has left, because the time for cancelling is over, a broker did not confirm
//! it, or the process that froze was cut off.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::iter;
use portcullis_identity::ClientContext;
use portcullis_store::{AuditKind, StoredTradingAccount, UnfinishedFreeze};

use crate::Vault;
use crate::error::Error;
use crate::freezing::SessionEnd;
use crate::freezing::stopping::ALL;
use crate::opening::AccessRequest;

/// How many freezes one run looks at; the next run goes on with the rest.
const MOST: usize = 1_000;
/// How many of them at once.
const AT_ONCE: usize = 16;

/// How long a broker that did not confirm an end is left alone: each try is on record.
const RETRIED_AFTER: Duration = Duration::from_mins(10);

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// Freezes of which nothing is left to be done.
    pub done: usize,
    /// Freezes that the next run looks at again.
    pub left: usize,
}

impl Vault {
    /// Ends the sessions of every freeze that is due, and returns how many are done; fails when the list of them cannot be
    /// read. One that fails holds up no other.
    pub async fn finish_freezes(&self) -> Result<Finished, Error> {
        let now = self.identity.clock.now();
        let due = self.store().unfinished_freezes(now, MOST).await?;
        let finishing = due.into_iter().map(|freeze| self.finish(freeze));
        let finished: Vec<bool> = iter(finishing).buffer_unordered(AT_ONCE).collect().await;
        let done = finished.iter().filter(|is_done| **is_done).count();
        Ok(Finished { done, left: finished.len() - done })
    }

    /// Does what is left of one freeze, and returns whether nothing is any more.
    async fn finish(&self, freeze: UnfinishedFreeze) -> bool {
        match Box::pin(self.end_sessions_of(&freeze)).await {
            Ok(is_done) => is_done,
            Err(error) => {
                tracing::warn!(%error, owner = %freeze.owner, "a freeze is left to the next run");
                false
            }
        }
    }

    async fn end_sessions_of(&self, freeze: &UnfinishedFreeze) -> Result<bool, Error> {
        let standing = self.standing_freezes(freeze.owner).await?;
        // One that was lifted or has ended stops nothing any more, and its owner may have begun a session since.
        if standing.told_by(freeze.freezer, freeze.told_by).is_some() {
            let accounts = self.store().trading_accounts(freeze.owner, ALL).await?;
            let ending = accounts.into_iter().map(|account| self.end_left_session(freeze, account));
            let ends: Vec<SessionEnd> = try_join_all(ending).await?;
            if ends.contains(&SessionEnd::Unconfirmed) {
                let next = self.identity.clock.now() + RETRIED_AFTER;
                self.store().postpone_freeze(freeze, next).await?;
                return Ok(false);
            }
        }
        self.store().settle_freeze(freeze).await?;
        Ok(true)
    }

    async fn end_left_session(
        &self,
        freeze: &UnfinishedFreeze,
        account: StoredTradingAccount,
    ) -> Result<SessionEnd, Error> {
        let now = self.identity.clock.now();
        if account.session.as_ref().is_none_or(|session| session.expires_at <= now) {
            return Ok(SessionEnd::None);
        }
        let origin = ClientContext { request_id: "freeze-sweep".to_owned(), ..ClientContext::default() };
        let access = AccessRequest::of_owner(freeze.owner, account.id, &origin);
        self.record_event(AuditKind::CredentialsUsed, access).await?;
        let session = match self.open_session(access, &account).await {
            Ok(Some(session)) => session,
            // What does not open where it lies is given to nobody, and cannot be ended. It is on record.
            Ok(None) | Err(Error::Unreadable) => return Ok(SessionEnd::None),
            Err(error) => return Err(error),
        };
        let broker = self.brokers().of_record(&account.broker)?;
        self.end_and_forget(access, broker, account, &session).await
    }
}
