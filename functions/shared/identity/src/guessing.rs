//! What guessing costs: some failures are free, then each one doubles the wait for the next try.

use std::time::Duration;

/// How patient a kind of secret is with wrong guesses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Failures that cost nothing: people mistype.
    pub(crate) free: u64,
    /// The first wait.
    pub(crate) first: Duration,
    /// No wait is longer.
    pub(crate) longest: Duration,
}

impl Patience {
    /// How long nothing is tried after this many failures in a row.
    pub(crate) fn wait_after(self, failures: u64) -> Option<Duration> {
        let doublings = failures.checked_sub(self.free)?;
        let factor = u32::try_from(doublings).ok().and_then(|doublings| 1_u32.checked_shl(doublings));
        let wait = factor.and_then(|factor| self.first.checked_mul(factor));
        Some(wait.unwrap_or(self.longest).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_the_last_free_failure_on_and_ends_growing() {
        let patience = Patience { free: 5, first: Duration::from_secs(1), longest: Duration::from_mins(15) };
        let seconds = |failures| patience.wait_after(failures).map(|wait| wait.as_secs());
        assert_eq!(
            [0, 4, 5, 6, 7, 14, 15].map(seconds),
            [None, None, Some(1), Some(2), Some(4), Some(512), Some(900)]
        );
        assert_eq!([36, 37, 69, u64::MAX].map(seconds), [Some(900); 4]);
    }
}
