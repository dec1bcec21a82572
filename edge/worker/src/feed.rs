//! What has been revoked, as far as this isolate knows, and how current that is.
//!
//! The newest page is asked for when a request needs it: in the background once it is past three fifths of
//! `REVOCATION_POLL`, and before the decision once it is older than that, so that even the first request after a quiet hour
//! sees a revocation. While the feed cannot be reached no request waits for it; after `REVOCATION_MAX_STALENESS` critical
//! routes close.
//!
//! Pages of the past follow, the latest first. A request waits for them only if something that is lacking could end its own
//! token, and not for long.

use portcullis_verifier::revocation::{Ask, MalformedPage, Page, Timeline};

use crate::Millis;
use crate::caller::Caller;

#[cfg(test)]
mod scale;

/// Between two attempts while the feed cannot be reached.
const RETRY_INTERVAL: Millis = 1000;
/// How long a request waits for pages of the past.
const PATIENCE: Millis = 2000;

/// A revocation is listed with the second it was asked for, and a look at an API key this much later, in seconds, may
/// still have seen what stood before.
const LONGEST_REVOCATION: u64 = 5;

/// The pages and their age.
#[derive(Debug)]
pub(crate) struct Feed {
    poll: Millis,
    max_staleness: Millis,
    pages: Timeline,
    confirmed_at: Option<Millis>,
    failed_at: Option<Millis>,
    /// When a page of the past could not be had.
    past_failed_at: Option<Millis>,
}

/// What to do about the newest page before a decision.
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
        Self {
            poll,
            max_staleness,
            pages: Timeline::default(),
            confirmed_at: None,
            failed_at: None,
            past_failed_at: None,
        }
    }

    fn need(&self, now: Millis) -> Need {
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

    /// What to ask the identity service for now.
    pub(crate) fn wanted(&self, now: Millis) -> Option<Ask> {
        if self.need(now) != Need::Nothing {
            return Some(Ask::Newest);
        }
        let pauses = self.past_failed_at.is_some_and(|at| now.saturating_sub(at) < RETRY_INTERVAL);
        if pauses { None } else { self.pages.lacking() }
    }

    /// Whether a request that came at `asked_at` waits for what is wanted.
    pub(crate) fn must_wait(&self, caller: &Caller, asked_at: Millis, now: Millis) -> bool {
        let is_patient = now.saturating_sub(asked_at) < PATIENCE && self.past_failed_at.is_none();
        self.need(now) == Need::First || is_patient && self.lacks(caller) && self.pages.lacking().is_some()
    }

    /// Whether something may be unknown that ends this caller's token.
    pub(crate) fn lacks(&self, caller: &Caller) -> bool {
        self.pages.lacks(caller.proven_at)
    }

    /// Whether a page does that another isolate was given at `obtained_at`: the newest must be newer than what is here, and
    /// not so old that it would be asked for again at once.
    pub(crate) fn takes(&self, ask: &Ask, obtained_at: Millis, now: Millis) -> bool {
        let is_young = now.saturating_sub(obtained_at) * 5 < self.poll * 2;
        *ask != Ask::Newest || is_young && self.confirmed_at < Some(obtained_at)
    }

    /// Whether too much may have been revoked unnoticed.
    pub(crate) fn is_stale(&self, now: Millis) -> bool {
        self.age(now).is_none_or(|age| age > self.max_staleness)
    }

    /// When the newest page was asked for.
    pub(crate) fn followed_at(&self) -> Option<Millis> {
        self.confirmed_at
    }

    /// Whether the token of this caller is to be refused.
    pub(crate) fn covers(&self, caller: &Caller) -> bool {
        // A token that comes again is looked for on the pages that are new since, or a large feed would cost each request
        // more than a small one.
        let token = (caller.session_id.as_str(), caller.user_id.as_str(), caller.session_epoch);
        let is_covered = self.pages.covers_since(caller.cleared.get(), caller.proven_at, token);
        if !is_covered {
            caller.cleared.set(self.pages.revision());
        }
        is_covered
    }

    /// Whether the broker credentials of this caller, or everybody's, are frozen.
    pub(crate) fn freezes(&self, caller: &Caller) -> bool {
        self.pages.freezes(&caller.user_id)
    }

    /// Whether the signing key of this id was withdrawn.
    pub(crate) fn withdraws(&self, kid: &str) -> bool {
        self.pages.withdraws(kid)
    }

    /// Whether something was revoked for this holder of an API key since the last look at it.
    pub(crate) fn concerns(&self, holder: &Caller) -> bool {
        self.pages.concerns(&holder.user_id, holder.proven_at.saturating_sub(LONGEST_REVOCATION))
    }

    /// A page came that was asked for at `asked_at`. Returns whether it is settled, so that it may be kept for others; fails
    /// if it is no page, and those that are here stay.
    pub(crate) fn arrived(
        &mut self,
        ask: &Ask,
        bytes: Vec<u8>,
        asked_at: Millis,
    ) -> Result<bool, MalformedPage> {
        let page = Page::parse(bytes)?;
        let is_settled = page.is_settled();
        self.pages.add(page, ask);
        if *ask == Ask::Newest {
            self.confirmed_at = self.confirmed_at.max(Some(asked_at));
            self.failed_at = None;
        } else {
            self.past_failed_at = None;
        }
        Ok(is_settled)
    }

    /// It could not be had.
    pub(crate) fn failed(&mut self, ask: &Ask, now: Millis) {
        match ask {
            Ask::Newest => self.failed_at = Some(now),
            Ask::Past(_) => self.past_failed_at = Some(now),
        }
    }

    fn age(&self, now: Millis) -> Option<Millis> {
        self.confirmed_at.map(|at| now.saturating_sub(at))
    }
}

#[cfg(test)]
mod tests {
    use portcullis_verifier::revocation::{Span, newest_from};

    use super::*;

    fn newest(now: Millis, sessions: Vec<u64>) -> Vec<u8> {
        let now = 1_760_000_000_000 + now;
        Page::encode(Span { from: newest_from(now), until: now }, now, 960, sessions, Vec::new())
    }

    fn feed() -> Feed {
        Feed::new(5000, 60_000)
    }

    #[test]
    fn a_fresh_isolate_asks_first_and_then_now_and_again() {
        let mut feed = feed();
        assert_eq!(feed.need(0), Need::First);
        feed.arrived(&Ask::Newest, newest(0, Vec::new()), 0).unwrap();
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
        feed.arrived(&Ask::Newest, newest(0, Vec::new()), 0).unwrap();
        feed.failed(&Ask::Newest, 6000);
        assert_eq!(feed.need(6999), Need::Nothing);
        assert_eq!(feed.need(7000), Need::Background);
        assert!(!feed.is_stale(60_000) && feed.is_stale(60_001));
        feed.arrived(&Ask::Newest, newest(61_000, Vec::new()), 61_000).unwrap();
        assert!(!feed.is_stale(61_001));
        assert_eq!(feed.need(70_000), Need::First, "and it is waited for again");
    }

    #[test]
    fn a_page_of_the_past_that_fails_leaves_the_newest_alone() {
        let mut feed = feed();
        feed.arrived(&Ask::Newest, newest(0, Vec::new()), 0).unwrap();
        let past = feed.wanted(0).unwrap();
        assert!(matches!(past, Ask::Past(_)));
        feed.failed(&past, 0);
        assert_eq!((feed.wanted(999), feed.wanted(1000)), (None, Some(past)));
        assert_eq!((feed.need(5000), feed.is_stale(60_000)), (Need::First, false));
    }

    #[test]
    fn what_another_isolate_left_is_taken_where_it_is_news_and_young() {
        let mut feed = feed();
        feed.arrived(&Ask::Newest, newest(1000, Vec::new()), 1000).unwrap();
        let takes = |obtained_at, now| feed.takes(&Ask::Newest, obtained_at, now);
        assert!(takes(4000, 5999) && !takes(4000, 6000) && !takes(1000, 1001));
        assert!(feed.takes(&feed.wanted(1000).unwrap(), 0, 1000), "what is settled has no age");
    }

    #[test]
    fn garbage_is_no_page_and_what_is_known_stays() {
        let mut feed = feed();
        feed.arrived(&Ask::Newest, newest(0, vec![7]), 0).unwrap();
        assert!(feed.arrived(&Ask::Newest, b"{}".to_vec(), 60_001).is_err());
        assert!(feed.is_stale(60_001) && feed.pages.size() == 48);
    }
}
