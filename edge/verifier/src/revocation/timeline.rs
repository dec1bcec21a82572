//! The pages a verifier has, what they cover without a gap, and which one is lacking.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{BLOCK, Page, SLACK, SLOT, Span};

/// Bytes of pages that are kept at most: far more than a million entries, whatever they are. Beyond them the oldest go, and
/// only tokens that are older are undecided.
const MAX_BYTES: usize = 40 << 20;

/// What to ask the identity service for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The page that ends now.
    Newest,
    /// A page of the past.
    Past(Span),
}

impl Ask {
    /// Returns the query of the address.
    pub fn query(&self) -> String {
        match self {
            Self::Newest => String::new(),
            Self::Past(Span { from, until }) => format!("?after={from}&until={until}"),
        }
    }
}

/// Pages by the time they begin.
#[derive(Debug, Default)]
pub struct Timeline {
    pages: Vec<Page>,
    /// Until when the newest page tells.
    now: u64,
    /// Pages before this were dropped because there were too many.
    dropped: u64,
    /// From here to `now` everything is known.
    complete_since: Option<u64>,
    /// Before this nothing concerns a token that is still good.
    oldest: u64,
    revision: u64,
    lacking: Option<Ask>,
}

impl Timeline {
    /// Takes a page in. One that is not what was asked for, or older than what is here, changes nothing.
    pub fn add(&mut self, mut page: Page, ask: &Ask) {
        match ask {
            Ask::Newest if page.as_of >= self.now => self.now = page.span.until,
            Ask::Past(span) if page.span.from == span.from && page.span.until <= span.until => {}
            _ => return,
        }
        self.revision += 1;
        page.revision = self.revision;
        let place = (page.span.from, page.is_settled());
        match self.pages.binary_search_by_key(&place, |page| (page.span.from, page.is_settled())) {
            Ok(at) => {
                if let Some(old) = self.pages.get_mut(at).filter(|old| old.as_of <= page.as_of) {
                    *old = page;
                }
            }
            Err(at) => self.pages.insert(at, page),
        }
        self.clear();
    }

    /// Drops what concerns nobody any more, what settled pages tell better, and the oldest where there is too much.
    fn clear(&mut self) {
        let kept_for = self.pages.iter().map(|page| u64::from(page.kept_for)).max().unwrap_or_default();
        self.oldest = self.now.saturating_sub(kept_for * 1000);
        let floor = self.dropped.max(self.oldest);
        let is_kept = |page: &Page| {
            page.span.until > floor && (page.is_settled() || self.gap(page.span, true).is_some())
        };
        let mut kept = self.pages.iter().map(is_kept).collect::<Vec<_>>().into_iter();
        self.pages.retain(|_| kept.next().unwrap_or_default());
        let mut size: usize = self.pages.iter().map(Page::size).sum();
        while size > MAX_BYTES && self.pages.len() > 1 {
            let oldest = self.pages.remove(0);
            size -= oldest.size();
            self.dropped = oldest.span.until;
        }
        self.complete_since = self.reach();
        self.lacking = self.first_lacking();
    }

    /// How far back everything is known.
    fn reach(&self) -> Option<u64> {
        let newest = self.newest()?;
        let mut reach = newest.span.from;
        for page in self.pages.iter().rev().filter(|page| page.span.from < newest.span.from) {
            if page.span.until >= reach {
                reach = page.span.from;
            }
        }
        Some(reach)
    }

    /// The first moment of a span that no page, or no settled page, tells of.
    fn gap(&self, span: Span, settled: bool) -> Option<u64> {
        let mut at = span.from;
        for page in self.pages.iter().filter(|page| !settled || page.is_settled()) {
            if page.span.from <= at {
                at = at.max(page.span.until);
            }
        }
        (at < span.until).then_some(at)
    }

    /// Returns the page of the past to ask for next, the newest first; `None` if none is lacking.
    pub fn lacking(&self) -> Option<Ask> {
        self.lacking
    }

    fn first_lacking(&self) -> Option<Ask> {
        let newest = self.newest()?;
        let settled = self.now.saturating_sub(SLACK);
        let mut block = settled - settled % BLOCK;
        let floor = self.dropped.max(self.oldest);
        let open = Span { from: block.max(floor), until: newest.span.from };
        if let Some(at) = self.gap(open, false) {
            return Some(Ask::Past(Span { from: at - at % SLOT, ..open }));
        }
        while block > floor {
            let span = Span { from: block - BLOCK, until: block };
            if let Some(from) = self.gap(span, true) {
                return Some(Ask::Past(Span { from, ..span }));
            }
            block = span.from;
        }
        None
    }

    /// Returns whether something may be unknown that ends a token which was issued at this time, in Unix seconds.
    pub fn lacks(&self, issued_at: u64) -> bool {
        let needed = (issued_at * 1000).saturating_sub(SLACK).max(self.oldest);
        self.complete_since.is_none_or(|since| since > needed)
    }

    /// Returns whether a token of this session, account and session epoch is to be refused.
    pub fn covers(&self, session_id: &str, account_id: &str, epoch: u64) -> bool {
        let (session, account) = keys(session_id, account_id);
        self.pages.iter().any(|page| page.covers(session, account, epoch))
    }

    /// Returns whether what came after this revision refuses a token of this session, account and session epoch that was
    /// issued at this time, in Unix seconds. What ended earlier than its issue is not looked at.
    pub fn covers_since(&self, revision: u64, issued_at: u64, token: (&str, &str, u64)) -> bool {
        if revision == self.revision {
            return false;
        }
        let (session_id, account_id, epoch) = token;
        let (session, account) = keys(session_id, account_id);
        let needed = (issued_at * 1000).saturating_sub(SLACK);
        let mut news = self.pages.iter().filter(|page| page.revision > revision && page.span.until > needed);
        news.any(|page| page.covers(session, account, epoch))
    }

    /// Returns whether the signing key of this id was withdrawn.
    pub fn withdraws(&self, kid: &str) -> bool {
        super::key_of_kid(kid).is_some_and(|key| self.pages.iter().any(|page| page.covers(key, 0, u64::MAX)))
    }

    /// Returns whether the broker credentials of this account are frozen, or everybody's, as the page says that ends now.
    pub fn freezes(&self, account_id: &str) -> bool {
        let account = super::key(account_id).unwrap_or_default();
        self.newest().is_some_and(|page| page.freezes(account))
    }

    /// The page that ends now.
    fn newest(&self) -> Option<&Page> {
        self.pages.iter().rev().find(|page| page.span.until == self.now)
    }

    /// Returns how many pages have been taken in.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns whether something of this account was revoked at or after `time`, in Unix seconds, so that what was learnt of
    /// it before has to be learnt again.
    pub fn concerns(&self, account_id: &str, time: u64) -> bool {
        super::key(account_id)
            .is_some_and(|account| self.pages.iter().any(|page| page.concerns(account, time)))
    }

    /// Returns how many bytes the pages take.
    pub fn size(&self) -> usize {
        self.pages.iter().map(Page::size).sum()
    }
}

/// No id has the key 0 by more than chance.
fn keys(session_id: &str, account_id: &str) -> (u64, u64) {
    let key = |id| super::key(id).unwrap_or_default();
    (key(session_id), key(account_id))
}

#[cfg(test)]
mod tests {
    use super::super::newest_from;
    use super::*;

    /// A block boundary.
    const T: u64 = 26_855_468 * BLOCK;
    const KEPT: u32 = 960;

    fn page(from: u64, until: u64, as_of: u64, sessions: &[u64]) -> Page {
        Page::parse(Page::encode(Span { from, until }, as_of, KEPT, sessions.to_vec(), Vec::new())).unwrap()
    }

    fn poll(timeline: &mut Timeline, now: u64) {
        timeline.add(page(newest_from(now), now, now, &[now]), &Ask::Newest);
    }

    /// Answers every question, and returns how many there were.
    fn load(timeline: &mut Timeline, now: u64) -> usize {
        let mut asked = 0;
        while let Some(ask @ Ask::Past(span)) = timeline.lacking() {
            timeline.add(page(span.from, span.until, now, &[span.from]), &ask);
            asked += 1;
            assert!(asked < 50, "{span:?} again");
        }
        asked
    }

    #[test]
    fn a_fresh_verifier_decides_on_young_tokens_first() {
        let mut timeline = Timeline::default();
        assert!(timeline.lacks(T / 1000) && timeline.lacking().is_none());
        poll(&mut timeline, T);
        assert!(timeline.lacks(T / 1000), "a minute before it was issued is not known");
        let Some(ask @ Ask::Past(span)) = timeline.lacking() else { panic!("nothing lacks") };
        timeline.add(page(span.from, span.until, T, &[]), &ask);
        assert!(!timeline.lacks(T / 1000) && timeline.lacks(T / 1000 - 200));
        assert_eq!(load(&mut timeline, T), 14);
        assert!(!timeline.lacks(T / 1000 - 900) && !timeline.lacks(0));
    }

    #[test]
    fn who_polls_asks_once_for_each_block_and_never_lacks_anything() {
        let mut timeline = Timeline::default();
        poll(&mut timeline, T);
        load(&mut timeline, T);
        let mut asked = 0;
        for round in 1..1000 {
            let now = T + round * 3_000;
            poll(&mut timeline, now);
            assert!(!timeline.lacks(now / 1000 - 900), "{round}");
            asked += load(&mut timeline, now);
        }
        assert_eq!(asked, 999 * 3_000 / 65_536);
        assert!(timeline.pages.len() <= 15 + 17, "{}", timeline.pages.len());
    }

    #[test]
    fn what_a_block_tells_beside_the_polls_counts_and_a_pause_leaves_a_gap_to_ask_for() {
        let mut timeline = Timeline::default();
        poll(&mut timeline, T);
        load(&mut timeline, T);
        let late = T + 1;
        let now = T + BLOCK + SLACK;
        poll(&mut timeline, now);
        assert!(timeline.lacks(now / 1000));
        let ask = Ask::Past(Span { from: T, until: T + BLOCK });
        timeline.add(page(T, T + BLOCK, now, &[late]), &ask);
        load(&mut timeline, now);
        assert!(timeline.pages.iter().any(|page| page.covers(late, 0, 0)) && !timeline.lacks(now / 1000));
    }

    #[test]
    fn an_older_page_and_one_that_was_not_asked_for_change_nothing() {
        let mut timeline = Timeline::default();
        poll(&mut timeline, T + 10_000);
        timeline.add(page(newest_from(T + 9_000), T + 9_000, T + 9_000, &[1]), &Ask::Newest);
        assert!(timeline.pages.iter().all(|page| !page.covers(1, 0, 0)));
        let other = Ask::Past(Span { from: T - BLOCK, until: T });
        timeline.add(page(T - 2 * BLOCK, T, T + BLOCK, &[1]), &other);
        assert_eq!(timeline.pages.len(), 1);
    }

    #[test]
    fn a_key_is_withdrawn_as_long_as_the_newest_page_lists_it() {
        let kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        let mut timeline = Timeline::default();
        assert!(!timeline.withdraws(kid));
        let listed = [super::super::key_of_kid(kid).unwrap(), 7];
        timeline.add(page(newest_from(T), T, T, &listed), &Ask::Newest);
        assert!(
            timeline.withdraws(kid) && !timeline.withdraws(&kid.to_lowercase()) && !timeline.withdraws("")
        );
        poll(&mut timeline, T + 3_000_000);
        assert!(!timeline.withdraws(kid));
    }

    #[test]
    fn entries_leave_with_the_last_token_and_the_oldest_where_there_is_too_much() {
        let mut timeline = Timeline::default();
        poll(&mut timeline, T);
        load(&mut timeline, T);
        poll(&mut timeline, T + 3_000_000);
        assert_eq!(timeline.pages.len(), 1, "all of them are of long ago");
        let many: Vec<u64> = (0..super::super::MAX_ENTRIES as u64).collect();
        let now = T + 3_000_000;
        let mut timeline = Timeline::default();
        poll(&mut timeline, now);
        for back in 0..50 {
            let from = now - now % BLOCK - BLOCK * (back + 1);
            let bytes =
                Page::encode(Span { from, until: from + BLOCK }, now, 24 * 3600, many.clone(), Vec::new());
            let ask = Ask::Past(Span { from, until: from + BLOCK });
            timeline.add(Page::parse(bytes).unwrap(), &ask);
        }
        assert!(timeline.size() <= MAX_BYTES && timeline.size() > MAX_BYTES - (2 << 20));
        assert!(timeline.lacks(now / 1000 - 3600) && timeline.dropped > now - 50 * BLOCK);
    }
}
