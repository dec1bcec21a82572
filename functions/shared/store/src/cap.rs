//! Caps: how much is let through in a while, refilled steadily (the generic cell rate algorithm).
//!
//! One time is all there is to keep: until when the cap is used up. Each pass moves it ahead by the time that one pass
//! takes to come back. It never runs more than the whole cap ahead of the clock, so that a cap which was used up lets
//! one through again after one such time, and whoever is refused knows that somebody passed within it.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::Deserialize;

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::item::{Attributes, number, read, time, ttl};
use crate::keys;
use crate::row::InTheWay;
use crate::sign_ins::Throttled;

/// The attribute with the time until which a cap is used up.
const USED_UNTIL: &str = "used_until";
/// Rounds of one pass. The two ways of counting give way to each other only where the cap was unused for a while.
const ROUNDS: usize = 4;

/// How much is let through at once, and how soon one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// What is let through at once by a cap that was not used for a while.
    pub at_once: u32,
    /// The time after which one more is let through.
    pub every: Duration,
}

impl Cap {
    /// Returns `Throttled` where the cap is used up.
    pub(crate) fn check(self, used_until: Option<Timestamp>, now: Timestamp) -> Result<(), Throttled> {
        match used_until.map(|used_until| used_until - self.slack()) {
            Some(until) if until > now => Err(Throttled { until }),
            _ => Ok(()),
        }
    }

    /// Returns until when the cap is used up after one more pass.
    pub(crate) fn after(self, used_until: Option<Timestamp>, now: Timestamp) -> Timestamp {
        used_until.map_or(now, |used_until| used_until.max(now)) + self.every
    }

    /// Returns how far the cap may be used ahead of the clock for one more pass.
    fn slack(self) -> Duration {
        self.every.saturating_mul(self.at_once.saturating_sub(1))
    }

    /// Returns when nothing is left to know of a pass at this time.
    fn forgotten(self, now: Timestamp) -> Timestamp {
        now + self.every.saturating_mul(self.at_once.saturating_add(1))
    }
}

impl Store {
    /// Returns `Throttled` where the cap of this name is used up; counts nothing.
    pub async fn check_cap(
        &self,
        name: &str,
        cap: Cap,
        now: Timestamp,
    ) -> Result<Result<(), Throttled>, StoreError> {
        let found = self.get(&keys::attempts(name), "reading a cap").await?;
        let used_until = found.map(used_until).transpose()?.flatten();
        Ok(cap.check(used_until, now))
    }

    /// Counts one pass. Returns `Throttled`, and counts nothing, where the cap is used up: of passes side by side no more
    /// are let through than there is room for.
    pub async fn pass_cap(
        &self,
        name: &str,
        cap: Cap,
        now: Timestamp,
    ) -> Result<Result<(), Throttled>, StoreError> {
        const OPERATION: &str = "counting against a cap";
        let key = keys::attempts(name);
        let expires = || Update::new().set("expires_ttl", ttl(cap.forgotten(now)));
        let in_use = || Condition::Compare(USED_UNTIL, ">", time(now));
        for _ in 0..ROUNDS {
            // A sum, and not a value that was computed from a row that was read: passes side by side need not give way
            // to each other.
            let more = i128::try_from(cap.every.as_millis()).unwrap_or(i128::MAX);
            let add = expires().add(USED_UNTIL, number(more));
            let has_room = in_use().and(Condition::at_most(USED_UNTIL, time(now + cap.slack())));
            let Err(InTheWay(found)) = self.update_if(&key, add, has_room, OPERATION).await? else {
                return Ok(Ok(()));
            };
            let used_until = found.map(used_until).transpose()?.flatten();
            if let Err(throttled) = cap.check(used_until, now) {
                return Ok(Err(throttled));
            }
            let begin = expires().set(USED_UNTIL, time(cap.after(None, now)));
            let is_unused = Condition::Missing(USED_UNTIL).or(Condition::at_most(USED_UNTIL, time(now)));
            if self.update_if(&key, begin, is_unused, OPERATION).await?.is_ok() {
                return Ok(Ok(()));
            }
        }
        Err(StoreError::contended(OPERATION))
    }
}

/// The row of a cap.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default, with = "millisecond::optional")]
    used_until: Option<Timestamp>,
}

fn used_until(row: Attributes) -> Result<Option<Timestamp>, StoreError> {
    Ok(read::<Row>("cap", row)?.used_until)
}

#[cfg(test)]
mod tests {
    use portcullis_platform::CallTimeouts;
    use portcullis_platform_embedded::EmbeddedDynamoDb;

    use super::*;

    const CAP: Cap = Cap { at_once: 3, every: Duration::from_secs(10) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// When of these times something passed, by the pure function.
    fn passed(times: &[i64]) -> Vec<i64> {
        let mut used_until = None;
        let passes = |now: &&i64| {
            let now = at(**now);
            let passes = CAP.check(used_until, now).is_ok();
            used_until = if passes { Some(CAP.after(used_until, now)) } else { used_until };
            passes
        };
        times.iter().filter(passes).copied().collect()
    }

    const TIMES: [i64; 12] = [100, 100, 100, 100, 109, 110, 111, 119, 120, 200, 200, 201];

    #[test]
    fn some_pass_at_once_and_then_one_in_a_while() {
        assert_eq!(passed(&TIMES), [100, 100, 100, 110, 120, 200, 200, 201]);
        let used_up = CAP.after(Some(CAP.after(Some(CAP.after(None, at(100))), at(100))), at(100));
        assert_eq!(CAP.check(Some(used_up), at(100)), Err(Throttled { until: at(110) }));
    }

    #[test]
    fn whoever_is_refused_knows_that_somebody_passed_within_the_time_of_one() {
        let mut times: Vec<i64> = (0..2_000).map(|number| number * 7 % 1_300).collect();
        times.sort_unstable();
        let passed = passed(&times);
        for time in times.iter().filter(|time| !passed.contains(time)) {
            assert!(passed.iter().any(|pass| (0..10).contains(&(time - pass))), "{time}");
        }
    }

    async fn store() -> Store {
        let store = Store::in_process(
            EmbeddedDynamoDb::in_memory().unwrap().http_client(),
            "test",
            CallTimeouts::default(),
        );
        store.create_table_if_missing().await.unwrap();
        store
    }

    #[tokio::test]
    async fn the_row_decides_as_the_function_does() {
        let store = store().await;
        let mut let_through = Vec::new();
        for now in TIMES {
            let free = store.check_cap("a", CAP, at(now)).await.unwrap();
            let passed = store.pass_cap("a", CAP, at(now)).await.unwrap();
            assert_eq!(free, passed, "{now}");
            let_through.extend(passed.is_ok().then_some(now));
        }
        assert_eq!(let_through, passed(&TIMES));
        assert_eq!(store.check_cap("b", CAP, at(100)).await.unwrap(), Ok(()), "another name");
    }

    #[tokio::test]
    async fn side_by_side_no_more_pass() {
        let store = store().await;
        let all = futures_util::future::join_all((0..50).map(|_| store.pass_cap("a", CAP, at(100)))).await;
        assert_eq!(all.into_iter().filter(|one| one.as_ref().unwrap().is_ok()).count(), 3);
    }
}
