//! Wrong passwords in a row under one name, by who typed them.
//!
//! Strangers are counted by their network, so that one of them holds up nobody elsewhere, and all of them together run
//! into a cap: whoever has many addresses guesses no more than the cap lets through. Known devices are counted by
//! themselves and have no part in that cap: what strangers do never holds up a device of the owner.
//!
//! The counts lie in every record of the trail and so are bounded. Nobody gains by pushing one out:
//! - Of networks the one with the fewest attempts goes. As many are kept as reach the cap with nothing but the longest
//!   wait between two attempts of each; who has more networks than that is held by the cap, counted or not.
//! - Of devices none goes. Those that come when all places are taken share one count, and those of an earlier password
//!   make room for those of the present one.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::attributes::ItemReader;
use crate::cap::Cap;
use crate::error::StoreError;
use crate::item::{number, time};
use crate::sign_ins::{Throttled, Wait};

/// Wrong passwords of all strangers under one name: no more than a hundred in any hour.
const STRANGERS: Cap = Cap { at_once: 40, every: Duration::from_mins(1) };
/// Networks that are counted by themselves at one time. With a wait of a quarter of an hour each, they come to 64
/// attempts an hour; the cap lets 60 through.
const MOST_NETWORKS: usize = 16;
/// Devices that are counted by themselves at one time.
const MOST_DEVICES: usize = 4;
/// How long a count is kept after the last attempt; longer than any wait.
const KEPT: Duration = Duration::from_hours(24);

const COUNT: &str = "guesses_";
const LAST: &str = "guessed_at_";
const STRANGERS_UNTIL: &str = "strangers_until";

/// The source of attempts that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttemptSource {
    /// Every client that is not a known device and whose address is not known.
    Stranger,
    /// Every client of this network that is not a known device.
    Network(String),
    /// A device the person has signed in with before.
    Device(KnownDevice),
}

impl fmt::Display for AttemptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger => f.write_str("stranger"),
            Self::Network(network) => write!(f, "net:{network}"),
            Self::Device(KnownDevice { password_since, id }) => {
                write!(f, "{}.{id}", password_since.as_millisecond())
            }
        }
    }
}

/// A device that showed the token of an earlier sign-in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownDevice {
    /// When the password was chosen under which it became known.
    pub password_since: Timestamp,
    /// Its hexadecimal id.
    pub id: String,
}

impl KnownDevice {
    /// Stands for the devices of this password that come when all places are taken.
    fn other(password_since: Timestamp) -> Self {
        Self { password_since, id: "others".to_owned() }
    }
}

impl AttemptSource {
    /// Returns whether it is anything but a known device.
    pub fn is_stranger(&self) -> bool {
        !matches!(self, Self::Device(_))
    }

    fn is_network(&self) -> bool {
        matches!(self, Self::Network(_))
    }

    fn of_word(word: &str) -> Option<Self> {
        if word == "stranger" {
            return Some(Self::Stranger);
        }
        if let Some(network) = word.strip_prefix("net:") {
            return Some(Self::Network(network.to_owned()));
        }
        let (since, id) = word.split_once('.')?;
        let password_since = Timestamp::from_millisecond(since.parse().ok()?).ok()?;
        Some(Self::Device(KnownDevice { password_since, id: id.to_owned() }))
    }

    /// Returns whether it is a device of an earlier password than this one.
    fn is_before(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Device(this), Self::Device(other)) => this.password_since < other.password_since,
            _ => false,
        }
    }
}

/// Attempts in a row, and when the last of them came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) attempts: u64,
    pub(crate) last: Timestamp,
}

impl Count {
    /// Returns `Throttled` while the backoff is not over; `waits` in ascending order.
    pub(crate) fn check(self, waits: &[Wait], now: Timestamp) -> Result<(), Throttled> {
        let wait = waits.iter().rev().find(|wait| wait.after <= self.attempts);
        let until = wait.map_or(self.last, |wait| self.last + wait.wait);
        if wait.is_some() && until > now { Err(Throttled { until }) } else { Ok(()) }
    }
}

/// The counts under one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GuessCounts {
    by_source: BTreeMap<AttemptSource, Count>,
    /// Until when the cap on strangers is used up.
    strangers_until: Option<Timestamp>,
}

impl GuessCounts {
    /// Returns `Throttled` while attempts of this source may not be checked; `waits` in ascending order.
    pub(crate) fn check(
        &self,
        source: &AttemptSource,
        waits: &[Wait],
        now: Timestamp,
    ) -> Result<(), Throttled> {
        let count = self.by_source.get(&self.counted_as(source));
        let own = count.map_or(Ok(()), |count| count.check(waits, now));
        let all = if source.is_stranger() { STRANGERS.check(self.strangers_until, now) } else { Ok(()) };
        match (own, all) {
            (Err(own), Err(all)) => Err(Throttled { until: own.until.max(all.until) }),
            (own, all) => own.and(all),
        }
    }

    /// Counts a wrong attempt.
    pub(crate) fn add(&mut self, source: &AttemptSource, at: Timestamp) {
        self.by_source.retain(|kept, count| count.last + KEPT > at && !kept.is_before(source));
        let source = self.counted_as(source);
        let before = self.by_source.get(&source).map_or(0, |count| count.attempts);
        if source.is_stranger() {
            self.strangers_until = Some(STRANGERS.after(self.strangers_until, at));
        }
        self.by_source.insert(source.clone(), Count { attempts: before.saturating_add(1), last: at });
        self.forget_a_network(&source);
    }

    /// Begins the count of a source anew. What it used of the cap on strangers stays used: who guesses elsewhere does
    /// not gain by a sign-in of the owner.
    pub(crate) fn reset(&mut self, source: &AttemptSource) {
        let source = self.counted_as(source);
        self.by_source.remove(&source);
    }

    /// Returns the source under which attempts of this one are counted.
    fn counted_as(&self, source: &AttemptSource) -> AttemptSource {
        let AttemptSource::Device(KnownDevice { password_since, .. }) = source else { return source.clone() };
        let is_beside = |kept: &&AttemptSource| match kept {
            AttemptSource::Device(kept) => kept.password_since == *password_since,
            _ => false,
        };
        let is_full = self.by_source.keys().filter(is_beside).count() >= MOST_DEVICES;
        if is_full && !self.by_source.contains_key(source) {
            return AttemptSource::Device(KnownDevice::other(*password_since));
        }
        source.clone()
    }

    fn forget_a_network(&mut self, but: &AttemptSource) {
        let networks = || self.by_source.iter().filter(|(source, _)| source.is_network());
        if networks().count() <= MOST_NETWORKS {
            return;
        }
        let others = networks().filter(|(source, _)| *source != but);
        if let Some((least, _)) = others.min_by_key(|(_, count)| (count.attempts, count.last)) {
            let least = least.clone();
            self.by_source.remove(&least);
        }
    }

    /// Returns the attributes of a record.
    pub(crate) fn attributes(&self) -> Vec<(String, AttributeValue)> {
        let counts = self.by_source.iter().flat_map(|(source, count)| {
            [
                (format!("{COUNT}{source}"), number(count.attempts)),
                (format!("{LAST}{source}"), time(count.last)),
            ]
        });
        let until = self.strangers_until.map(|until| (STRANGERS_UNTIL.to_owned(), time(until)));
        counts.chain(until).collect()
    }

    /// Returns the counts in a record; fails if it is malformed.
    pub(crate) fn read(reader: &mut ItemReader) -> Result<Self, StoreError> {
        let mut by_source = BTreeMap::new();
        for word in reader.names_after(COUNT) {
            let attempts = reader.number(&format!("{COUNT}{word}"))?;
            let last = reader.time(&format!("{LAST}{word}"))?;
            let source = AttemptSource::of_word(&word).ok_or_else(|| StoreError::Corrupt {
                record: "audit",
                attribute: format!("{COUNT}{word}"),
            })?;
            by_source.insert(source, Count { attempts, last });
        }
        Ok(Self { by_source, strangers_until: reader.time_if_any(STRANGERS_UNTIL)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: [Wait; 2] =
        [Wait { after: 2, wait: Duration::from_secs(10) }, Wait { after: 3, wait: Duration::from_mins(1) }];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn device(id: &str) -> AttemptSource {
        AttemptSource::Device(KnownDevice { password_since: at(0), id: id.to_owned() })
    }

    fn network(number: usize) -> AttemptSource {
        AttemptSource::Network(format!("192.0.2.{number}"))
    }

    fn counts(guesses: &[(AttemptSource, i64)]) -> GuessCounts {
        let mut counts = GuessCounts::default();
        for (source, seconds) in guesses {
            counts.add(source, at(*seconds));
        }
        counts
    }

    fn words(counts: &GuessCounts) -> Vec<String> {
        counts.by_source.iter().map(|(source, count)| format!("{source} {}", count.attempts)).collect()
    }

    #[test]
    fn the_longest_wait_that_was_reached_counts_from_the_last_attempt() {
        let wrong = |seconds| (AttemptSource::Stranger, seconds);
        let check = |known: &GuessCounts, now| known.check(&AttemptSource::Stranger, &WAITS, at(now));
        let one = counts(&[wrong(1)]);
        assert_eq!(check(&one, 1), Ok(()));
        let two = counts(&[wrong(1), wrong(2)]);
        assert_eq!((check(&two, 11), check(&two, 12)), (Err(Throttled { until: at(12) }), Ok(())));
        let many = counts(&[wrong(1), wrong(2), wrong(3), wrong(4)]);
        assert_eq!((check(&many, 63), check(&many, 64)), (Err(Throttled { until: at(64) }), Ok(())));
        for other in [device("d"), network(1)] {
            assert_eq!(many.check(&other, &WAITS, at(4)), Ok(()), "somebody else's count");
        }
        assert_eq!(many.check(&AttemptSource::Stranger, &[], at(4)), Ok(()), "who does not wait");
    }

    #[test]
    fn strangers_of_all_networks_run_into_one_cap_and_devices_do_not() {
        let guesses: Vec<_> = (0..40).map(|number| (network(number), 100)).collect();
        let almost = counts(&guesses[..39]);
        assert_eq!(almost.check(&network(99), &WAITS, at(100)), Ok(()));
        let used_up = counts(&guesses);
        for stranger in [network(99), AttemptSource::Stranger] {
            let check = |now| used_up.check(&stranger, &WAITS, at(now));
            assert_eq!((check(159), check(160)), (Err(Throttled { until: at(160) }), Ok(())));
        }
        assert_eq!(used_up.check(&device("d"), &WAITS, at(100)), Ok(()));
        let mut after = used_up.clone();
        after.reset(&network(39));
        assert!(
            after.check(&network(39), &WAITS, at(100)).is_err(),
            "a sign-in gives nothing back to others"
        );
    }

    #[test]
    fn the_network_that_guessed_least_makes_room_and_one_that_guessed_much_stays() {
        let mut guesses = vec![(network(0), 1); 9];
        guesses.extend((1..40).map(|number| (network(number), 10)));
        let kept = words(&counts(&guesses));
        assert_eq!(kept.len(), MOST_NETWORKS);
        assert!(kept.contains(&"net:192.0.2.0 9".to_owned()), "{kept:?}");
        assert!(kept.contains(&"net:192.0.2.39 1".to_owned()), "the last one counts: {kept:?}");
    }

    #[test]
    fn devices_push_nobody_out_and_share_a_count_when_all_places_are_taken() {
        let mut guesses = vec![(device("a"), 1); 9];
        guesses.extend(["b", "c", "d", "e", "f", "a"].map(|id| (device(id), 2)));
        guesses.push((network(1), 3));
        let known = counts(&guesses);
        assert_eq!(words(&known), ["net:192.0.2.1 1", "0.a 10", "0.b 1", "0.c 1", "0.d 1", "0.others 2"]);
        assert!(known.check(&device("a"), &WAITS, at(3)).is_err());
        for other in ["e", "f", "g"] {
            assert_eq!(
                known.check(&device(other), &WAITS, at(2)),
                Err(Throttled { until: at(12) }),
                "{other}"
            );
        }
        // Another password was chosen, and the tokens of the earlier one are over.
        let next = AttemptSource::Device(KnownDevice { password_since: at(4), id: "g".to_owned() });
        assert_eq!(known.check(&next, &WAITS, at(5)), Ok(()));
        let mut known = known;
        known.add(&next, at(5));
        assert_eq!(words(&known), ["net:192.0.2.1 1", "4000.g 1"]);
    }

    #[test]
    fn a_count_is_forgotten_a_day_after_the_last_attempt() {
        let day = i64::try_from(KEPT.as_secs()).unwrap();
        let known = counts(&[(network(1), 0), (network(2), 1), (device("a"), 0), (network(3), day)]);
        assert_eq!(words(&known), ["net:192.0.2.2 1", "net:192.0.2.3 1"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let known = counts(&[
            (AttemptSource::Stranger, 1),
            (network(1), 2),
            (AttemptSource::Network("2001:db8:1".to_owned()), 3),
            (device("a"), 4),
        ]);
        let attributes = known.attributes().into_iter().collect();
        assert_eq!(GuessCounts::read(&mut ItemReader::new("audit", attributes)).unwrap(), known);
        let odd = [("guesses_odd".to_owned(), number(1)), ("guessed_at_odd".to_owned(), time(at(1)))];
        let read = GuessCounts::read(&mut ItemReader::new("audit", odd.into_iter().collect()));
        assert!(matches!(read, Err(StoreError::Corrupt { .. })));
    }
}
