//! What has been revoked, as far as this isolate knows, and how current that is.
//!
//! The list is asked for when a request needs it: in the background once it is past three fifths of `REVOCATION_POLL`,
//! and before the decision once it is older than that, so that even the first request after a quiet hour sees a revocation.
//! While the feed cannot be reached no request waits for it; after `REVOCATION_MAX_STALENESS` critical routes close.

use portcullis_verifier::revocation::{Revocations, RevocationsError};

use crate::Millis;
use crate::caller::Caller;

/// Between two attempts while the feed cannot be reached.
const RETRY_INTERVAL: Millis = 1000;

/// A revocation is listed with the second it was asked for, and a look at an API key this much later, in seconds, may
/// still have seen what stood before.
const LONGEST_REVOCATION: u64 = 5;

/// The list and its age.
#[derive(Debug)]
pub(crate) struct Feed {
    poll: Millis,
    max_staleness: Millis,
    list: Revocations,
    confirmed_at: Option<Millis>,
    failed_at: Option<Millis>,
}

/// What to do about the list before a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Ask for it, and decide meanwhile.
    Background,
    /// Ask for it first.
    First,
}

impl Feed {
    pub(crate) fn new(poll: Millis, max_staleness: Millis) -> Self {
        Self { poll, max_staleness, list: Revocations::default(), confirmed_at: None, failed_at: None }
    }

    pub(crate) fn need(&self, now: Millis) -> Need {
        let age = self.age(now);
        if age.is_some_and(|age| age * 5 < self.poll * 3) {
            return Need::Nothing;
        }
        match self.failed_at {
            Some(at) if now.saturating_sub(at) < RETRY_INTERVAL => Need::Nothing,
            Some(_) => Need::Background,
            None if age.is_some_and(|age| age < self.poll) => Need::Background,
            None => Need::First,
        }
    }

    /// Whether too much may have been revoked unnoticed.
    pub(crate) fn is_stale(&self, now: Millis) -> bool {
        self.age(now).is_none_or(|age| age > self.max_staleness)
    }

    /// Whether the token of this caller is to be refused.
    pub(crate) fn covers(&self, caller: &Caller) -> bool {
        self.list.covers(&caller.session_id, &caller.user_id, caller.session_epoch)
    }

    /// Whether something was revoked for this holder of an API key since the last look at it.
    pub(crate) fn concerns(&self, holder: &Caller) -> bool {
        self.list.concerns(&holder.user_id, holder.proven_at.saturating_sub(LONGEST_REVOCATION))
    }

    /// A list came that was asked for at `asked_at`. One that cannot be read is no list: the old one stays.
    pub(crate) fn arrived(&mut self, json: &[u8], asked_at: Millis) -> Result<(), RevocationsError> {
        match Revocations::parse(json) {
            Ok(list) => {
                self.list = list;
                self.unchanged(asked_at);
                Ok(())
            }
            Err(error) => {
                self.failed(asked_at);
                Err(error)
            }
        }
    }

    /// The list is still the one we have, as of `asked_at`.
    pub(crate) fn unchanged(&mut self, asked_at: Millis) {
        self.confirmed_at = Some(asked_at);
        self.failed_at = None;
    }

    /// It could not be had.
    pub(crate) fn failed(&mut self, now: Millis) {
        self.failed_at = Some(now);
    }

    fn age(&self, now: Millis) -> Option<Millis> {
        self.confirmed_at.map(|at| now.saturating_sub(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = br#"{"sessions":[],"users":[]}"#;

    fn feed() -> Feed {
        Feed::new(5000, 60_000)
    }

    #[test]
    fn a_fresh_isolate_asks_first_and_then_now_and_again() {
        let mut feed = feed();
        assert_eq!(feed.need(0), Need::First);
        feed.arrived(EMPTY, 0).unwrap();
        for (now, need) in [
            (2999, Need::Nothing),
            (3000, Need::Background),
            (4999, Need::Background),
            (5000, Need::First),
            (3_600_000, Need::First),
        ] {
            assert_eq!(feed.need(now), need, "{now}");
        }
    }

    #[test]
    fn while_the_feed_is_down_nobody_waits_and_staleness_is_noticed() {
        let mut feed = feed();
        assert!(feed.is_stale(0), "never heard of");
        feed.arrived(EMPTY, 0).unwrap();
        feed.failed(6000);
        assert_eq!(feed.need(6999), Need::Nothing);
        assert_eq!(feed.need(7000), Need::Background);
        assert!(!feed.is_stale(60_000) && feed.is_stale(60_001));
        feed.unchanged(61_000);
        assert!(!feed.is_stale(61_001));
        assert_eq!(feed.need(70_000), Need::First, "and it is waited for again");
    }

    #[test]
    fn garbage_is_a_failure_and_not_an_empty_list() {
        let mut feed = feed();
        let list = br#"{"sessions":[{"session_id":"ses_1","revoked_at":1}],"users":[]}"#;
        feed.arrived(list, 0).unwrap();
        assert!(feed.arrived(b"{}", 60_001).is_err());
        assert!(feed.is_stale(60_001));
        assert!(feed.list.covers("ses_1", "", 0));
    }
}
