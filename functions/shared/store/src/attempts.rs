//! Attempts that are counted before they are checked, and throttled: passwords that confirm something within a session,
//! emails asked for.
//!
//! The count is raised by one write, on the condition that the backoff is over. So attempts sent in parallel are
//! counted one by one, and no more of them are checked than of attempts sent one after the other. Sign-ins are counted
//! by their trail instead, see `sign_ins`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::Deserialize;
use serde_with::{Bytes, serde_as};

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::guess_counts::Count;
use crate::item::{bytes, number, read, time, ttl};
use crate::keys;
use crate::row::InTheWay;
use crate::sign_ins::{Throttled, Wait};
use crate::transaction::Transaction;

/// How long a count is kept after the last attempt.
const KEPT: Duration = Duration::from_hours(24);

/// The row of attempts, while it counts any.
#[serde_as]
#[derive(Debug, Deserialize)]
struct Attempts {
    guesses: u64,
    #[serde(with = "millisecond::required")]
    guessed_at: Timestamp,
    #[serde_as(as = "Option<Bytes>")]
    attempt: Option<[u8; 16]>,
}

impl Store {
    /// Counts an attempt. Returns `Throttled` if the backoff is not over; `waits` in ascending order. `attempt` is a
    /// number of this attempt alone, so that one sent twice because the first response was lost is counted once.
    pub async fn reserve_attempt(
        &self,
        name: &str,
        waits: &[Wait],
        attempt: [u8; 16],
        now: Timestamp,
    ) -> Result<Result<(), Throttled>, StoreError> {
        let update = Update::new()
            .set("guessed_at", time(now))
            .set("attempt", bytes(attempt))
            .set("expires_ttl", ttl(now + KEPT))
            .add("guesses", number(1));
        let is_another =
            Condition::Missing("attempt").or(Condition::Compare("attempt", "<>", bytes(attempt)));
        let condition = is_another.and(may_come(waits, now));
        let counted = self.update_if(&keys::attempts(name), update, condition, "counting a guess").await?;
        let Err(InTheWay(found)) = counted else { return Ok(Ok(())) };
        let found: Attempts = read("guesses", found.unwrap_or_default())?;
        // Our own number: an earlier try of this very call was counted and its response lost.
        if found.attempt == Some(attempt) {
            return Ok(Ok(()));
        }
        Ok(Count { attempts: found.guesses, last: found.guessed_at }.check(waits, now))
    }

    /// Withdraws an attempt that was counted and could not be checked; fails when DynamoDB does.
    pub async fn withdraw_attempt(&self, name: &str) -> Result<(), StoreError> {
        let update = Update::new().add("guesses", number(-1));
        let is_counted = Condition::at_least("guesses", number(1));
        self.update_if(&keys::attempts(name), update, is_counted, "withdrawing a guess").await.map(drop)
    }

    /// Resets the count after a right attempt; fails when DynamoDB does.
    pub async fn forgive_attempts(&self, name: &str) -> Result<(), StoreError> {
        self.update(&keys::attempts(name), forgiven(), "forgiving guesses").await
    }
}

/// Returns the update that resets a count; the row expires by its TTL.
fn forgiven() -> Update {
    Update::new().remove("guesses").remove("guessed_at")
}

/// The same as part of a transaction, where there may be no row yet.
pub(crate) fn forgiving<'a, R>(
    transaction: Transaction<'a, R>,
    name: &str,
    now: Timestamp,
) -> Transaction<'a, R> {
    transaction.update(&keys::attempts(name), forgiven().set("expires_ttl", ttl(now + KEPT)))
}

/// Returns the condition that the next attempt is not throttled. Each range of counts has its wait: up to the next
/// entry, and without end for the last. Because the write that counts carries this, attempts side by side are let
/// through no faster than one by one.
fn may_come(waits: &[Wait], now: Timestamp) -> Condition {
    let below = |wait: &Wait| Condition::below("guesses", number(wait.after));
    let mut ways = vec![Condition::Missing("guesses")];
    ways.extend(waits.first().map(below));
    for (place, step) in waits.iter().enumerate() {
        let mut range = vec![
            Condition::at_least("guesses", number(step.after)),
            Condition::at_most("guessed_at", time(now - step.wait)),
        ];
        range.extend(waits.get(place + 1).map(below));
        ways.push(Condition::All(range));
    }
    Condition::Any(ways)
}
