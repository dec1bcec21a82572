//! The state of the sign-ins under a name, and how the audit trail throttles attempts at a password.
//!
//! Each record of the chain of sign-ins carries what was known once it was written: wrong attempts in a row by who made
//! them, the last failure, the last sign-in. The client learns the outcome of an attempt only once its record is
//! stored, and the record takes the number after the one that was read. So of attempts sent in parallel each is decided
//! on what the one before it left, and one that comes out throttled learns nothing from its response. A name without an
//! account has such a chain as well.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::attributes::ItemReader;
use crate::error::StoreError;
use crate::guess_counts::{AttemptSource, Count, GuessCounts};
use crate::id::AccountId;
use crate::item::{Attributes, bytes, number, text, time};

/// A step of the backoff: after this many attempts the next is throttled for this long. Of several the longest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The number of failed attempts in a row.
    pub after: u64,
    /// The wait since the last of them.
    pub wait: Duration,
}

/// An attempt that was refused because the backoff is not over. It is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    /// When the next attempt is checked.
    pub until: Timestamp,
}

/// The effect of an event on the state of sign-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInStep {
    /// The state stays as it is.
    None,
    /// An attempt was wrong.
    Wrong(AttemptSource),
    /// A password that was to confirm an operation within a session was wrong.
    WrongConfirmation,
    /// An attempt was right, and no session begins yet: a code or a confirmation is required first.
    Right(AttemptSource),
    /// A session begins.
    SignedIn {
        /// The source of the attempt.
        source: AttemptSource,
        /// Digest of the client's address and user agent.
        seen_as: Vec<u8>,
    },
    /// An administrator ended the lockout: all counts start again.
    Unlocked,
    /// The account was erased, and what was known of its sign-ins with it. What is on its way for it comes too late.
    Erased(AccountId),
}

impl SignInStep {
    fn source(&self) -> Option<&AttemptSource> {
        match self {
            Self::Wrong(source) | Self::Right(source) | Self::SignedIn { source, .. } => Some(source),
            Self::None | Self::WrongConfirmation | Self::Unlocked | Self::Erased(_) => None,
        }
    }
}

/// The state of the sign-ins under a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignIns {
    /// Failed attempts since the last sign-in.
    pub failed_login_attempts: u64,
    /// When the last attempt failed.
    pub last_failed_login_at: Option<Timestamp>,
    /// When the last sign-in succeeded.
    pub last_login_at: Option<Timestamp>,
    /// Digest of the address and user agent of the last sign-in.
    pub last_seen_as: Option<Vec<u8>>,
    /// Right attempts in a window, and when it began.
    right: Option<Count>,
    /// The account that had the name and was erased, until another one signs in.
    erased: Option<AccountId>,
    guesses: GuessCounts,
}

impl SignIns {
    /// How long right attempts are counted together, from the first of them on.
    pub const RIGHT_WINDOW: Duration = Duration::from_mins(15);

    /// Returns how many attempts were right in the window that is not over now, and when it ends.
    pub fn right_attempts(&self, now: Timestamp) -> (u64, Timestamp) {
        self.right_attempts_since(Timestamp::MIN, now)
    }

    /// Returns the same of a window that did not begin before `password_since`: what somebody did with the password before
    /// is not held against whoever has the new one.
    pub fn right_attempts_since(&self, password_since: Timestamp, now: Timestamp) -> (u64, Timestamp) {
        let ends = |count: &Count| count.last + Self::RIGHT_WINDOW;
        let current = self.right.as_ref().filter(|count| ends(count) > now && count.last >= password_since);
        current.map_or((0, now + Self::RIGHT_WINDOW), |count| (count.attempts, ends(count)))
    }

    fn count_right(&mut self, at: Timestamp) {
        let (before, ends) = self.right_attempts(at);
        self.right = Some(Count { attempts: before.saturating_add(1), last: ends - Self::RIGHT_WINDOW });
    }

    /// Returns `Throttled` while attempts of this source may not be checked; `waits` in ascending order.
    pub fn check(&self, source: &AttemptSource, waits: &[Wait], now: Timestamp) -> Result<(), Throttled> {
        self.guesses.check(source, waits, now)
    }

    /// Returns `Throttled` if the outcome of this step may not be returned to the client.
    pub(crate) fn check_step(
        &self,
        step: &SignInStep,
        waits: &[Wait],
        now: Timestamp,
    ) -> Result<(), Throttled> {
        step.source().map_or(Ok(()), |source| self.check(source, waits, now))
    }

    /// Returns `Throttled` if the account was erased: what is written beside an event of it is for nobody.
    pub(crate) fn check_alive(&self, account: AccountId, now: Timestamp) -> Result<(), Throttled> {
        if self.erased == Some(account) { Err(Throttled { until: now }) } else { Ok(()) }
    }

    /// Returns the state without the sign-ins of an earlier account that had the name.
    #[must_use]
    pub fn since(self, made: Timestamp) -> Self {
        match self.last_login_at {
            Some(last) if last < made => Self { last_login_at: None, last_seen_as: None, ..self },
            _ => self,
        }
    }

    /// Returns the state after one more event.
    pub(crate) fn after(&self, step: &SignInStep, at: Timestamp) -> Self {
        let mut next = self.clone();
        match step {
            SignInStep::None => {}
            SignInStep::Wrong(source) => {
                next.guesses.add(source, at);
                next.failed_login_attempts += 1;
                next.last_failed_login_at = Some(at);
            }
            SignInStep::WrongConfirmation => {
                next.failed_login_attempts += 1;
                next.last_failed_login_at = Some(at);
            }
            SignInStep::Right(source) => {
                next.guesses.reset(source);
                next.count_right(at);
            }
            SignInStep::SignedIn { source, seen_as } => {
                next.guesses.reset(source);
                next.count_right(at);
                next.failed_login_attempts = 0;
                next.last_login_at = Some(at);
                next.last_seen_as = Some(seen_as.clone());
                next.erased = None;
            }
            SignInStep::Unlocked => {
                next.guesses = GuessCounts::default();
                next.right = None;
                next.failed_login_attempts = 0;
            }
            // The counts stay: who guessed at the name goes on guessing at it.
            SignInStep::Erased(account) => {
                next = Self { erased: Some(*account), guesses: next.guesses, ..Self::default() };
            }
        }
        next
    }

    /// Returns the attributes of a record; empty fields have none.
    pub(crate) fn attributes(&self) -> Attributes {
        let mut written = Attributes::new();
        let mut set = |name: String, value: AttributeValue| written.insert(name, value);
        if self.failed_login_attempts > 0 {
            set("failed_attempts".to_owned(), number(self.failed_login_attempts));
        }
        for (name, at) in
            [("last_failed_at", self.last_failed_login_at), ("last_login_at", self.last_login_at)]
        {
            at.map(|at| set(name.to_owned(), time(at)));
        }
        if let Some(look) = &self.last_seen_as {
            set("last_seen_as".to_owned(), bytes(look.clone()));
        }
        if let Some(right) = self.right {
            set("right_attempts".to_owned(), number(right.attempts));
            set("right_since".to_owned(), time(right.last));
        }
        if let Some(account) = self.erased {
            set("erased".to_owned(), text(account.to_string()));
        }
        written.extend(self.guesses.attributes());
        written
    }

    /// Returns the state in a record of any chain; fails if it is malformed. Records of other chains have none.
    pub(crate) fn read(reader: &mut ItemReader) -> Result<Self, StoreError> {
        let right = match reader.number_if_any("right_attempts")? {
            Some(attempts) => Some(Count { attempts, last: reader.time("right_since")? }),
            None => None,
        };
        Ok(Self {
            right,
            failed_login_attempts: reader.number_if_any("failed_attempts")?.unwrap_or(0),
            last_failed_login_at: reader.time_if_any("last_failed_at")?,
            last_login_at: reader.time_if_any("last_login_at")?,
            last_seen_as: reader.bytes_if_any("last_seen_as")?,
            erased: reader.parsed_if_any("erased")?,
            guesses: GuessCounts::read(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guess_counts::KnownDevice;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn device(id: &str) -> AttemptSource {
        AttemptSource::Device(KnownDevice { password_since: at(0), id: id.to_owned() })
    }

    fn after(steps: &[(SignInStep, i64)]) -> SignIns {
        steps.iter().fold(SignIns::default(), |known, (step, seconds)| known.after(step, at(*seconds)))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let known = after(&[
            (SignInStep::Wrong(AttemptSource::Stranger), 1),
            (SignInStep::SignedIn { source: device("a"), seen_as: vec![1, 2] }, 2),
            (SignInStep::Wrong(device("a")), 3),
            (SignInStep::Wrong(device("b")), 4),
            (SignInStep::WrongConfirmation, 5),
        ]);
        let read = SignIns::read(&mut ItemReader::new("audit", known.attributes())).unwrap();
        assert_eq!(read, known);
        assert_eq!((read.failed_login_attempts, read.last_failed_login_at), (3, Some(at(5))));
        assert_eq!(SignIns::default().attributes(), Attributes::new());
    }

    #[test]
    fn a_right_attempt_resets_the_count_of_its_source_and_no_other() {
        let wrong = [(SignInStep::Wrong(AttemptSource::Stranger), 1), (SignInStep::Wrong(device("a")), 2)];
        let known = after(&wrong).after(&SignInStep::Right(device("a")), at(3));
        assert_eq!(known.guesses, after(&wrong[..1]).guesses);
        assert_eq!(known.failed_login_attempts, 2);
        let unlocked = after(&wrong).after(&SignInStep::Unlocked, at(3));
        assert_eq!((unlocked.guesses, unlocked.failed_login_attempts), (GuessCounts::default(), 0));
    }

    #[test]
    fn right_attempts_are_counted_from_the_first_of_a_window_on() {
        let right = |seconds| (SignInStep::Right(AttemptSource::Stranger), seconds);
        let known = after(&[right(1), right(2), (SignInStep::Wrong(device("a")), 3), right(900)]);
        assert_eq!(known.right_attempts(at(900)), (3, at(901)));
        assert_eq!(known.right_attempts(at(901)), (0, at(1_801)));
        let later = known.after(&SignInStep::Right(device("a")), at(901));
        assert_eq!(later.right_attempts(at(902)), (1, at(1_801)));
    }

    #[test]
    fn an_account_does_not_inherit_the_last_sign_in_of_its_address() {
        let known = after(&[(SignInStep::SignedIn { source: AttemptSource::Stranger, seen_as: vec![1] }, 5)]);
        assert_eq!(known.clone().since(at(5)), known);
        assert_eq!(known.since(at(6)).last_login_at, None);
    }
}
