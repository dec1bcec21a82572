//! The wall clock.

use std::fmt::Debug;

use jiff::Timestamp;

/// Tells the time. Operations ask once and hand the answer down to pure rules.
pub trait Clock: Debug + Send + Sync {
    /// The present moment in whole milliseconds, the resolution the store keeps: a time that was written and read back
    /// equals the one that was handed out.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_ticks_in_whole_milliseconds() {
        assert_eq!(SystemClock.now().subsec_nanosecond() % 1_000_000, 0);
    }
}
