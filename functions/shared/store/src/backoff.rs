//! How long to wait before something that others were faster at is tried again.

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
}
