//! The wall clock.

use std::fmt::Debug;

use jiff::Timestamp;

/// A source of the current time. Operations read it once and pass the value down to pure rules.
pub trait Clock: Debug + Send + Sync {
    /// Returns the current time in whole milliseconds, the resolution the store keeps: a timestamp that was written and
    /// read back equals the one returned here.
    fn now(&self) -> Timestamp;
}

/// The system clock of this machine.
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
