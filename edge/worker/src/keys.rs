//! The issuer's keys as this isolate has them, and when it asks for them again.
//!
//! A good set serves for its `max-age` and is refreshed in the background before that is over. After it a request waits for a
//! newer one, so that no key serves that the issuer has withdrawn; only while the issuer cannot be reached an old set goes on
//! serving, for a day. What the feed of revocations says was withdrawn serves no more at all. A key id that is not in the set sends for it once: at most every [`MIN_INTERVAL`], whatever the
//! number of requests, so that a flood of forged ids costs the issuer little and a real rotation waits briefly.

use std::num::NonZeroUsize;

use portcullis_verifier::Algorithm;
use portcullis_verifier::jwks::{Jwk, JwkSet, JwksError};

use crate::Millis;
use crate::remembered::{Cache, Fingerprint, cache};

/// How long a set serves while no newer one can be had.
pub(crate) const MAX_STALENESS: Millis = 24 * 3600 * 1000;
/// Between the beginnings of two fetches.
pub(crate) const MIN_INTERVAL: Millis = 2000;
/// How long a key id that the issuer did not know is not asked for again.
const ABSENCE: Millis = 30_000;
const ABSENT_CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The bounds of an issuer's `max-age`, and what counts without one, in seconds.
const MAX_AGE: (u64, u64) = (30, 3600);
const DEFAULT_MAX_AGE: u64 = 300;

/// Names one key of one set, so that a signature is never checked with another key that came under the same id.
pub type KeyNumber = u32;

/// The set and its history.
#[derive(Debug)]
pub(crate) struct Keys {
    set: JwkSet,
    /// The number of the set's first key.
    first: KeyNumber,
    /// When the set was last known to be the issuer's.
    confirmed_at: Millis,
    due_at: Millis,
    fresh_until: Millis,
    /// The places in the set of keys that were withdrawn, as bits.
    withdrawn: u16,
    /// When the fetch began that brought the set.
    obtained_from: Option<Millis>,
    last_attempt: Option<Millis>,
    last_attempt_failed: bool,
    absent: Cache<Millis>,
}

/// What to do about a key id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// The key of this number.
    Key(KeyNumber),
    /// Fetch the set, this many milliseconds from now, and ask again.
    Fetch(Millis),
    /// The issuer has no such key.
    Absent,
    /// Nobody can tell at the moment.
    Unavailable,
}

impl Keys {
    /// The keys a deployment was shipped with, if any: they serve while the issuer cannot be reached.
    pub(crate) fn new(bundle: Option<JwkSet>, now: Millis) -> Self {
        Self {
            set: bundle.unwrap_or_default(),
            first: 0,
            confirmed_at: now,
            due_at: now,
            fresh_until: now,
            withdrawn: 0,
            obtained_from: None,
            last_attempt: None,
            last_attempt_failed: false,
            absent: cache(ABSENT_CAPACITY),
        }
    }

    /// Looks a key up for a request that arrived at `asked_at`.
    pub(crate) fn select(
        &mut self,
        kid: &str,
        algorithm: Algorithm,
        asked_at: Millis,
        now: Millis,
    ) -> Selection {
        if self.serves(now)
            && let Some((place, key)) = self.find(kid)
        {
            let is_good = key.algorithm() == algorithm && !self.is_withdrawn(place);
            return if is_good { Selection::Key(self.first.wrapping_add(place)) } else { Selection::Absent };
        }
        let name = Fingerprint::of(kid);
        if self.absent.get(&name).is_some_and(|since| now.saturating_sub(*since) < ABSENCE) {
            return Selection::Absent;
        }
        // Only a set that was asked for after the request arrived proves that its key does not exist: an older response
        // may have been on its way when the key was published.
        if self.is_usable(now) && self.obtained_from.is_some_and(|from| from >= asked_at) {
            self.absent.put(name, now);
            return Selection::Absent;
        }
        let wait = self.wait(now);
        if self.last_attempt_failed && wait > 0 { Selection::Unavailable } else { Selection::Fetch(wait) }
    }

    /// Whether a key of this id may still be relied on.
    pub(crate) fn trusts(&self, kid: &str, now: Millis) -> bool {
        self.serves(now) && self.find(kid).is_some_and(|(place, _)| !self.is_withdrawn(place))
    }

    /// Takes the keys out of service of which this is true, and no others.
    pub(crate) fn withdraw(&mut self, is_withdrawn: impl Fn(&str) -> bool) {
        let places = (0..).zip(self.set.iter());
        self.withdrawn =
            places.fold(0, |bits, (place, key)| bits | u16::from(is_withdrawn(key.kid())) << place);
    }

    /// Whether the set should be refreshed while it still serves.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        now >= self.due_at && self.wait(now) == 0
    }

    /// A fetch begins.
    pub(crate) fn fetching(&mut self, now: Millis) {
        self.last_attempt = Some(now);
    }

    /// The fetch that began last brought this or, where `now` is before it began, another isolate was given it then. A set that
    /// cannot be used leaves the old one in place.
    pub(crate) fn arrived(
        &mut self,
        json: &[u8],
        max_age: Option<u64>,
        now: Millis,
    ) -> Result<(), JwksError> {
        match JwkSet::parse(json) {
            Ok(set) => {
                let (least, most) = MAX_AGE;
                let max_age = max_age.unwrap_or(DEFAULT_MAX_AGE).clamp(least, most);
                self.first = self.numbered().last().map_or(0, |(last, _)| last.wrapping_add(1));
                self.set = set;
                self.withdrawn = 0;
                self.confirmed_at = now;
                self.due_at = now.saturating_add(max_age * 600);
                self.fresh_until = now.saturating_add(max_age * 1000);
                self.obtained_from = self.last_attempt.filter(|began| *began <= now);
                self.last_attempt_failed = self.obtained_from.is_none();
                Ok(())
            }
            Err(error) => {
                self.failed();
                Err(error)
            }
        }
    }

    /// The fetch that began last brought nothing.
    pub(crate) fn failed(&mut self) {
        self.last_attempt_failed = true;
    }

    /// Every key there is, with its number.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (KeyNumber, &Jwk)> {
        (self.first..).zip(self.set.iter())
    }

    fn find(&self, kid: &str) -> Option<(KeyNumber, &Jwk)> {
        (0..).zip(self.set.iter()).find(|(_, key)| key.kid() == kid)
    }

    fn is_withdrawn(&self, place: KeyNumber) -> bool {
        self.withdrawn >> place & 1 == 1
    }

    /// Whether the set may be relied on: it is fresh, or the issuer cannot be reached.
    fn serves(&self, now: Millis) -> bool {
        self.is_usable(now) && (now < self.fresh_until || self.last_attempt_failed)
    }

    fn is_usable(&self, now: Millis) -> bool {
        now.saturating_sub(self.confirmed_at) <= MAX_STALENESS
    }

    fn wait(&self, now: Millis) -> Millis {
        self.last_attempt.map_or(0, |at| at.saturating_add(MIN_INTERVAL).saturating_sub(now))
    }
}

/// Returns the `max-age` of a `Cache-Control` header, in seconds (RFC 9111, section 5.2.2.1). By hand, because it is the only
/// header of this kind, and the library for all of them is a fiftieth of the worker.
pub fn max_age(value: &str) -> Option<u64> {
    let directives = value.split(',').filter_map(|directive| directive.split_once('='));
    let mut ages = directives.filter(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"));
    ages.next()?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const OLD: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    const NEW: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    const START: Millis = 1_760_000_000_000;

    fn published(kids: &[&str]) -> Vec<u8> {
        let n = format!("w{}Q", "A".repeat(340));
        let keys: Vec<_> = kids
            .iter()
            .map(|kid| json!({"kty": "RSA", "alg": "RS256", "kid": kid, "n": n, "e": "AQAB"}))
            .collect();
        json!({ "keys": keys }).to_string().into_bytes()
    }

    fn found(keys: &mut Keys, kid: &str, now: Millis) -> bool {
        matches!(keys.select(kid, Algorithm::Rs256, now, now), Selection::Key(_))
    }

    fn fetched(kids: &[&str], now: Millis) -> Keys {
        let mut keys = Keys::new(None, now);
        keys.fetching(now);
        keys.arrived(&published(kids), None, now).unwrap();
        keys
    }

    #[test]
    fn an_age_is_read_among_other_directives_and_what_is_none_is_left_out() {
        for (value, age) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age=60, must-revalidate", Some(60)),
            ("no-store", None),
            ("s-maxage=60", None),
            ("max-age=", None),
            ("max-age=-1", None),
            ("max-age=soon, max-age=5", None),
            ("", None),
        ] {
            assert_eq!(max_age(value), age, "{value}");
        }
    }

    #[test]
    fn the_first_request_sends_for_the_keys() {
        let mut keys = Keys::new(None, START);
        assert_eq!(keys.select(OLD, Algorithm::Rs256, START, START), Selection::Fetch(0));
        keys.fetching(START);
        keys.arrived(&published(&[OLD]), None, START + 50).unwrap();
        assert!(found(&mut keys, OLD, START + 50));
        assert_eq!(keys.select(OLD, Algorithm::Es256, START, START), Selection::Absent, "another algorithm");
    }

    #[test]
    fn keys_that_were_shipped_serve_where_the_issuer_cannot_be_reached() {
        let mut keys = Keys::new(Some(JwkSet::parse(&published(&[OLD])).unwrap()), START);
        assert_eq!(keys.select(OLD, Algorithm::Rs256, START, START), Selection::Fetch(0));
        keys.fetching(START);
        keys.failed();
        assert!(found(&mut keys, OLD, START));
        keys.fetching(START + 2000);
        keys.arrived(&published(&[NEW]), None, START + 2000).unwrap();
        assert!(!found(&mut keys, OLD, START + 2000));
    }

    #[test]
    fn an_old_set_serves_only_while_the_issuer_cannot_be_reached() {
        let mut keys = fetched(&[OLD], START);
        let over = START + 300_000;
        assert!(keys.trusts(OLD, over - 1) && !keys.trusts(OLD, over));
        assert_eq!(keys.select(OLD, Algorithm::Rs256, over, over), Selection::Fetch(0));
        keys.fetching(over);
        assert_eq!(keys.select(OLD, Algorithm::Rs256, over, over + 1), Selection::Fetch(1999), "under way");
        keys.failed();
        assert!(found(&mut keys, OLD, over + 1) && keys.is_due(over + 2000));
        keys.fetching(over + 2000);
        keys.arrived(&published(&[NEW]), None, over + 2100).unwrap();
        assert_eq!(keys.select(OLD, Algorithm::Rs256, over + 2000, over + 2100), Selection::Absent);
    }

    #[test]
    fn what_another_isolate_left_serves_while_the_issuer_cannot_be_reached_and_proves_nothing_absent() {
        let mut keys = Keys::new(None, START);
        keys.fetching(START);
        keys.failed();
        keys.arrived(&published(&[OLD]), None, START - 3_600_000).unwrap();
        assert!(found(&mut keys, OLD, START) && keys.is_due(START + 2000));
        assert_eq!(keys.select(NEW, Algorithm::Rs256, START, START), Selection::Unavailable);
        assert!(
            !found(&mut keys, OLD, START - 3_600_000 + MAX_STALENESS + 1),
            "it ages from when it was given"
        );
    }

    #[test]
    fn a_key_that_was_withdrawn_serves_no_more_whatever_the_issuer_publishes() {
        let mut keys = fetched(&[NEW, OLD], START);
        keys.withdraw(|kid| kid == OLD);
        assert!(!keys.trusts(OLD, START) && keys.trusts(NEW, START));
        assert_eq!(keys.select(OLD, Algorithm::Rs256, START, START), Selection::Absent);
        assert!(found(&mut keys, NEW, START));
        keys.withdraw(|_| false);
        assert!(found(&mut keys, OLD, START), "whoever withdraws says so each time");
    }

    #[test]
    fn a_set_lives_as_long_as_the_issuer_says_within_bounds() {
        for (max_age, seconds) in [(None, 300), (Some(60), 60), (Some(0), 30), (Some(u64::MAX), 3600)] {
            let mut keys = Keys::new(None, START);
            keys.fetching(START);
            keys.arrived(&published(&[OLD]), max_age, START).unwrap();
            assert!(!keys.is_due(START + seconds * 600 - 1), "{max_age:?}");
            assert!(keys.is_due(START + seconds * 600), "{max_age:?}: in the background");
            let over = START + seconds * 1000;
            assert!(keys.trusts(OLD, over - 1) && !keys.trusts(OLD, over), "{max_age:?}");
        }
    }

    #[test]
    fn a_day_without_the_issuer_is_survived_and_no_more() {
        let mut keys = fetched(&[OLD], START);
        for hour in 1..=24 {
            let now = START + hour * 3_600_000;
            keys.fetching(now);
            keys.failed();
            assert!(found(&mut keys, OLD, now), "{hour}");
            assert!(keys.trusts(OLD, now));
        }
        let later = START + MAX_STALENESS + 1;
        assert!(!keys.trusts(OLD, later));
        assert_eq!(keys.select(OLD, Algorithm::Rs256, later, later), Selection::Unavailable);
        assert_eq!(keys.select(OLD, Algorithm::Rs256, later, later + 5000), Selection::Fetch(0));
    }

    #[test]
    fn a_bad_answer_does_not_replace_a_good_set() {
        let mut keys = fetched(&[OLD], START);
        keys.fetching(START + 5000);
        for bad in [&b"<html>"[..], b"{}", br#"{"keys":[]}"#, &published(&[NEW, NEW])] {
            assert!(keys.arrived(bad, None, START + 5000).is_err());
            assert!(found(&mut keys, OLD, START + 5000));
        }
    }

    #[test]
    fn a_new_key_is_found_by_one_fetch_and_never_called_absent_too_early() {
        let mut keys = fetched(&[OLD], START);
        let asked = START + 500;
        assert_eq!(keys.select(NEW, Algorithm::Rs256, asked, asked), Selection::Fetch(1500));
        keys.fetching(START + 2000);
        // A token of a key published while that fetch is on its way must wait for the next.
        let late = START + 2010;
        keys.arrived(&published(&[OLD]), None, START + 2050).unwrap();
        assert_eq!(keys.select(NEW, Algorithm::Rs256, asked, START + 2050), Selection::Absent);
        assert!(matches!(
            keys.select(&NEW.replace('k', "K"), Algorithm::Rs256, late, START + 2050),
            Selection::Fetch(_)
        ));
    }

    #[test]
    fn an_absent_key_is_not_asked_for_twice() {
        let mut keys = fetched(&[OLD], START);
        keys.fetching(START + 10_000);
        keys.arrived(&published(&[OLD]), None, START + 10_000).unwrap();
        assert_eq!(keys.select(NEW, Algorithm::Rs256, START + 9_000, START + 10_000), Selection::Absent);
        let later = START + 20_000;
        assert_eq!(keys.select(NEW, Algorithm::Rs256, later, later), Selection::Absent);
        let much_later = START + 41_000;
        assert_eq!(keys.select(NEW, Algorithm::Rs256, much_later, much_later), Selection::Fetch(0));
    }

    #[test]
    fn a_number_never_means_another_key() {
        let mut keys = fetched(&[OLD, NEW], START);
        let number = |keys: &mut Keys, kid| keys.select(kid, Algorithm::Rs256, START, START);
        let before = [number(&mut keys, OLD), number(&mut keys, NEW)];
        assert_ne!(before[0], before[1]);
        keys.arrived(&published(&[NEW]), None, START).unwrap();
        let after = number(&mut keys, NEW);
        assert!(matches!(after, Selection::Key(_)) && !before.contains(&after));
    }

    #[test]
    fn a_withdrawn_key_is_not_trusted_any_more() {
        let mut keys = fetched(&[OLD], START);
        keys.fetching(START + 5000);
        keys.arrived(&published(&[NEW]), None, START + 5000).unwrap();
        assert!(!keys.trusts(OLD, START + 5000) && keys.trusts(NEW, START + 5000));
    }

    proptest! {
        /// Whatever arrives and whatever the issuer answers, it is asked at most every two seconds.
        #[test]
        fn a_flood_reaches_the_issuer_every_two_seconds(steps in prop::collection::vec((0_u64..800, any::<bool>(), "[a-z]{43}"), 1..40)) {
            let mut keys = fetched(&[OLD], START);
            let (mut now, mut fetches) = (START, 1);
            for (pause, issuer_answers, kid) in steps {
                now += pause;
                if keys.select(&kid, Algorithm::Rs256, now, now) == Selection::Fetch(0) {
                    fetches += 1;
                    keys.fetching(now);
                    if issuer_answers { keys.arrived(&published(&[OLD]), None, now).unwrap(); } else { keys.failed(); }
                }
                prop_assert!(found(&mut keys, OLD, now), "a good token passes all along");
            }
            prop_assert!(fetches <= 1 + (now - START) / MIN_INTERVAL);
        }
    }
}
