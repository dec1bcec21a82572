//! Letters about sessions at brokers: half an hour before one ends, and when it has. Each is taken from its list before it is sent, so
//! that of two runs, or two instances, one sends it; whoever dies in between has sent none, and the next letter comes all the same.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use jiff::Timestamp;
use portcullis_store::{
    AccountId, AccountStatus, DueSessionNews, SessionNews, Store, TradingAccountId, TradingAccountStatus,
};

use crate::Vault;
use crate::error::Error;

/// How long before the end of a session its owner is told.
const SOON: Duration = Duration::from_mins(30);
/// A letter about a session that ended longer ago is news to nobody.
const LATE: Duration = Duration::from_hours(2);
/// How many letters a run takes from one of the shards.
const MOST_OF_A_SHARD: u16 = 128;
/// How many letters are on their way at a time.
const AT_ONCE: usize = 32;
/// How long a run begins with one more letter. Then the next one is due.
const RUN: Duration = Duration::from_secs(40);

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Letters that were sent, or tried to.
    pub sent: usize,
    /// Letters about sessions that are no more, or are another one by now, and those that their owner wants none of.
    pub dropped: usize,
}

/// Returns the first letter about a session that begins now: half an hour before it ends, and for a shorter one when it has.
pub(crate) fn first_news(
    (owner, id): (AccountId, TradingAccountId),
    ends_at: Timestamp,
    now: Timestamp,
) -> DueSessionNews {
    let soon = ends_at - SOON;
    let (news, due_at) =
        if soon > now { (SessionNews::EndsSoon, soon) } else { (SessionNews::Ended, ends_at) };
    DueSessionNews { owner, id, news, due_at, session_ends_at: ends_at }
}

impl Vault {
    /// Sends the letters that are due, some thousand at most, and returns how many; fails when the store does. What was sent until
    /// then is not sent again.
    pub async fn tell_of_sessions(&self) -> Result<Told, Error> {
        let now = self.identity.clock.now();
        let until = now + RUN;
        let shards = 0..Store::SESSION_NEWS_SHARDS;
        let listing = shards.map(|shard| self.store().due_session_news(shard, now, MOST_OF_A_SHARD));
        let listed: Vec<_> = iter(listing).buffer_unordered(AT_ONCE).collect().await;
        let due = listed.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
        let telling = due.map(|news| Box::pin(self.tell(news, until)));
        let told: Vec<Result<Option<bool>, Error>> = iter(telling).buffer_unordered(AT_ONCE).collect().await;
        let mut sum = Told::default();
        for one in told {
            match one? {
                Some(true) => sum.sent += 1,
                Some(false) => sum.dropped += 1,
                None => {}
            }
        }
        Ok(sum)
    }

    /// Sends one letter. Returns whether it was sent; `None` where it is left to others, or to the next run.
    async fn tell(&self, due: DueSessionNews, until: Timestamp) -> Result<Option<bool>, Error> {
        let now = self.identity.clock.now();
        if now >= until {
            return Ok(None);
        }
        let ended = DueSessionNews { news: SessionNews::Ended, due_at: due.session_ends_at, ..due };
        let next = (due.news == SessionNews::EndsSoon).then_some(&ended);
        if !self.store().take_session_news(&due, next).await? {
            return Ok(None);
        }
        let (account, person) = tokio::try_join!(
            self.store().trading_account(due.owner, due.id),
            self.store().account(due.owner),
        )?;
        let person = person.filter(|person| person.status == AccountStatus::Active);
        // Of the session that it was written for, and no later one; a freeze or the owner may have ended it before its time.
        let account = account.filter(|account| {
            let ends = account.session.as_ref().map(|session| session.expires_at.as_millisecond());
            account.status != TradingAccountStatus::Disabled
                && account.session_mails != Some(false)
                && ends == Some(due.session_ends_at.as_millisecond())
        });
        let is_news = match due.news {
            SessionNews::EndsSoon => now < due.session_ends_at,
            SessionNews::Ended => now < due.session_ends_at + LATE,
        };
        let (Some(account), Some(person), true) = (account, person, is_news) else { return Ok(Some(false)) };
        let title = self.brokers().get(&account.broker).map_or("your broker", |broker| broker.title());
        self.identity.notify_of_session(&person, due.news, title).await;
        Ok(Some(true))
    }
}

#[cfg(test)]
mod tests {
    use portcullis_store::Id;

    use super::*;

    #[test]
    fn a_session_of_less_than_half_an_hour_has_one_letter() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = |ends, now| {
            let first = first_news((Id::derived([1; 16]), Id::derived([2; 16])), at(ends), at(now));
            (first.news, first.due_at.as_second())
        };
        assert_eq!(first(10_000, 0), (SessionNews::EndsSoon, 8_200));
        assert_eq!(first(1_801, 0), (SessionNews::EndsSoon, 1));
        assert_eq!(first(1_800, 0), (SessionNews::Ended, 1_800));
    }
}
