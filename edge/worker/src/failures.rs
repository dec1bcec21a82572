//! What goes wrong at this isolate, counted until the identity service has been told.

use std::cell::Cell;
use std::fmt::Write as _;

use crate::Millis;

/// Between two reports.
const INTERVAL: Millis = 60_000;

/// Something that went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The issuer's keys could not be fetched.
    Keys,
    /// A page of revocations could not be fetched.
    Feed,
    /// An API key could not be looked up.
    Lookup,
    /// An upstream could not be reached, was late, or said that its service is not there.
    Upstream,
    /// A request or a WebSocket could not be decided on.
    Undecided,
    /// The worker itself failed.
    Fault,
}

/// What the kinds are called, in their order.
const NAMES: [&str; 6] = ["keys", "feed", "lookups", "upstreams", "undecided", "faults"];

/// The counts of what has not been told.
#[derive(Debug, Default)]
pub struct Failures {
    counts: [Cell<u32>; NAMES.len()],
    told_at: Cell<Millis>,
}

impl Failures {
    /// Adds one to the failures of this kind that the next report tells of.
    pub fn note(&self, failure: Failure) {
        if let Some(count) = self.counts.get(failure as usize) {
            count.set(count.get().saturating_add(1));
        }
    }

    /// Returns the value of the header `X-Edge-Report`; `None` if there is nothing to tell, or it was told a moment ago.
    pub fn report(&self, now: Millis) -> Option<String> {
        if now.saturating_sub(self.told_at.get()) < INTERVAL {
            return None;
        }
        let mut report = String::new();
        for (name, count) in NAMES.iter().zip(&self.counts).filter(|(_, count)| count.get() > 0) {
            if !report.is_empty() {
                report.push(',');
            }
            // A text takes whatever is written.
            let _ = write!(report, "{name}={}", count.get());
        }
        (!report.is_empty()).then_some(report)
    }

    /// The report was taken. What failed while it was on its way is told with it or not at all.
    pub fn told(&self, now: Millis) {
        self.told_at.set(now);
        for count in &self.counts {
            count.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_once_and_once_a_minute() {
        let failures = Failures::default();
        assert_eq!(failures.report(INTERVAL), None, "nothing failed");
        failures.note(Failure::Upstream);
        failures.note(Failure::Upstream);
        failures.note(Failure::Keys);
        for _ in 0..2 {
            assert_eq!(failures.report(INTERVAL).as_deref(), Some("keys=1,upstreams=2"), "until it is taken");
        }
        failures.told(INTERVAL);
        failures.note(Failure::Fault);
        assert_eq!(failures.report(2 * INTERVAL - 1), None);
        assert_eq!(failures.report(2 * INTERVAL).as_deref(), Some("faults=1"));
        failures.note(Failure::Feed);
        failures.note(Failure::Lookup);
        failures.note(Failure::Undecided);
        assert_eq!(failures.report(2 * INTERVAL).as_deref(), Some("feed=1,lookups=1,undecided=1,faults=1"));
    }
}
