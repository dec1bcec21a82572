//! The one loop that reads, decides and writes on condition until no other writer was faster, and its backoff.
//!
//! Nothing is locked between the reading and the writing. The condition inside the write finds out whether the row is
//! still the one that was read; if not, the decision is made anew on the row as it is now. Full jitter keeps the writers
//! that lost one round from meeting again in the next.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Before the second round.
const FIRST: Duration = Duration::from_millis(4);
/// Before any round.
const LONGEST: Duration = Duration::from_millis(64);
/// Rounds of one operation, the first included. Full jitter spreads the losers of a round over the whole pause, so that a
/// crowd settles within a few; who loses this many times meets more than a crowd.
const ROUNDS: usize = 32;

/// The rounds of one operation that is decided anew whenever another writer was faster: exponential backoff with full
/// jitter, and an end.
#[derive(Debug)]
pub(crate) struct Rounds {
    plain: ExponentialBackoff,
    jittered: ExponentialBackoff,
}

impl Rounds {
    /// Returns the rounds of an operation whose first round begins at once.
    pub(crate) fn begin() -> Self {
        let plain = ExponentialBuilder::new()
            .with_min_delay(FIRST)
            .with_max_delay(LONGEST)
            .with_max_times(ROUNDS - 1);
        Self { plain: plain.build(), jittered: plain.with_jitter().build() }
    }

    /// Waits for the next round. Returns whether there is one.
    pub(crate) async fn again(&mut self) -> bool {
        let Some(pause) = self.pause() else { return false };
        tokio::time::sleep(pause).await;
        true
    }

    /// `backon` adds between nothing and the whole pause to the pause; what it added is a pause with full jitter.
    fn pause(&mut self) -> Option<Duration> {
        Some(self.jittered.next()?.saturating_sub(self.plain.next()?))
    }
}

/// How one round of reading, deciding and writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round<T> {
    /// The operation is over, with this result.
    Settled(T),
    /// Another writer was faster: what was decided was decided on an old copy, and nothing was written.
    Raced,
}

/// Other writers were faster in every round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("other writers were faster in every round")]
pub struct Contended;

/// Repeats a round until it settles, with a pause after each that another writer won. Returns what it settled on; fails
/// with the first error of a round, or with [`Contended`] after a bounded number of rounds.
pub async fn until_settled<T, E, F>(mut round: impl FnMut() -> F) -> Result<T, E>
where
    E: From<Contended>,
    F: Future<Output = Result<Round<T>, E>>,
{
    let mut rounds = Rounds::begin();
    loop {
        if let Round::Settled(result) = round().await? {
            return Ok(result);
        }
        if !rounds.again().await {
            return Err(Contended.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_bounded_spread_and_come_to_an_end() {
        let mut rounds = Rounds::begin();
        let pauses: Vec<Duration> = std::iter::from_fn(|| rounds.pause()).collect();
        assert_eq!(pauses.len(), ROUNDS - 1);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses.first().is_some_and(|pause| *pause <= FIRST));
        let late: Vec<_> = pauses.iter().skip(8).collect();
        assert!(late.iter().any(|pause| **pause < LONGEST / 2), "{late:?}");
        assert!(late.iter().any(|pause| **pause > LONGEST / 2), "{late:?}");
    }

    #[test]
    fn no_two_operations_pause_alike() {
        let pauses = || {
            let mut rounds = Rounds::begin();
            std::iter::from_fn(|| rounds.pause()).collect::<Vec<_>>()
        };
        assert_ne!(pauses(), pauses());
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_is_repeated_until_it_settles_and_not_without_end() {
        let mut calls = 0;
        let settled = until_settled(|| {
            calls += 1;
            let ended = if calls < 3 { Round::Raced } else { Round::Settled(calls) };
            async move { Ok::<_, Contended>(ended) }
        });
        assert_eq!(settled.await, Ok(3));
        let mut calls = 0;
        let contended = until_settled(|| {
            calls += 1;
            async { Ok::<Round<()>, Contended>(Round::Raced) }
        });
        assert_eq!(contended.await, Err(Contended));
        assert_eq!(calls, ROUNDS);
    }
}
