//! Refreshes in every order: no honest client is signed out, a session never has two branches, a stolen token shows.
#![cfg(test)]

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_harness::in_process::World;
use portcullis_identity::{ClientContext, Error, Refreshed};
use portcullis_platform::Clock;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;

const SEED: u64 = 20_261_128;
const ALICE: &str = "alice@example.com";
/// The default of `REFRESH_REUSE_GRACE`, in milliseconds.
const GRACE: i64 = 30_000;
/// How far the clock of an instance is from the true time at most.
const SKEW: i64 = 1_000;

/// One service for all cases of a property; each case begins a session of its own.
struct Service {
    runtime: Runtime,
    world: World,
}

impl Service {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = runtime.block_on(async {
            let world = World::new(SEED).await;
            world.person(ALICE).await;
            world
        });
        Self { runtime, world }
    }

    /// The first token of a new session, and what time it is, in Unix milliseconds.
    fn sign_in(&self) -> (String, i64) {
        self.world.clock.advance(Duration::from_hours(1));
        let session = self.runtime.block_on(self.world.sign_in(ALICE)).unwrap();
        (session.refresh.token.secret().expose_secret().to_owned(), self.world.clock.now().as_millisecond())
    }

    /// What an instance whose clock says this answers to the token.
    fn present(&self, token: &str, at: i64) -> Result<Refreshed, Error> {
        self.world.clock.set(jiff::Timestamp::from_millisecond(at).unwrap());
        let token = SecretString::from(token);
        self.runtime.block_on(self.world.identity.refresh(&token, &ClientContext::default()))
    }

    /// Checks a property over so many cases; the clock goes on from one to the next.
    fn check<S: Strategy>(
        cases: u32,
        strategy: S,
        test: impl Fn(&Self, S::Value) -> Result<(), TestCaseError>,
    ) where
        S::Value: std::fmt::Debug,
    {
        let service = Self::new();
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let latest = std::cell::Cell::new(service.world.clock.now());
        let outcome = runner.run(&strategy, |case| {
            service.world.clock.set(latest.get());
            let checked = test(&service, case);
            latest.set(service.world.clock.now() + Duration::from_hours(1));
            checked
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(why, case)) => panic!("{why}: {case:#?}"),
            Err(aborted) => panic!("{aborted}"),
        }
    }
}

fn generation(token: &str) -> usize {
    token.split('.').nth(2).and_then(|number| number.parse().ok()).unwrap()
}

fn token_of(refreshed: &Refreshed) -> String {
    refreshed.refresh.token.secret().expose_secret().to_owned()
}

/// What becomes of one request of a tab.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    LostOnTheWayThere,
    LostOnTheWayBack,
}

/// A refresh that a tab begins: when, how its network is, and what becomes of the request and of two repetitions.
#[derive(Debug, Clone)]
struct Attempt {
    begins: i64,
    there: i64,
    back: i64,
    skew: i64,
    fates: [Fate; 2],
}

/// A tab sends again after this time without a response.
const TIMEOUT: i64 = 3_000;
/// What one way through the network takes at most.
const SLOWEST: i64 = 2_000;

fn attempt() -> impl Strategy<Value = Attempt> {
    // A wave of attempts, another when the next rotation falls due, and then a quarter of an hour of silence, in which
    // nothing mends what the waves have left behind.
    let begins = (0..4i64, 0..2i64, -1_000..4_000i64)
        .prop_map(|(silences, graces, offset)| silences * 900_000 + graces * GRACE + offset);
    let lost = || prop_oneof![1 => Just(Fate::LostOnTheWayThere), 2 => Just(Fate::LostOnTheWayBack)];
    let fate = || prop_oneof![1 => Just(Fate::Answered), 1 => lost()];
    (begins, 20..SLOWEST, 20..SLOWEST, -SKEW..SKEW, [fate(), fate()]).prop_map(
        |(begins, there, back, skew, fates)| Attempt { begins: begins.max(0), there, back, skew, fates },
    )
}

/// What happens next in the world of the tabs. In the order of time, and of coming about where that is the same.
#[derive(Debug)]
enum Event {
    /// A tab reads the cookie jar and sends, for the time of this number.
    Send(usize, Attempt),
    /// A request arrives.
    Arrive(usize, Attempt, String),
    /// A `Set-Cookie` arrives.
    Store(String),
}

/// A browser with any number of tabs, whose attempts share one cookie jar.
struct Browser<'a> {
    service: &'a Service,
    started: i64,
    jar: String,
    events: BTreeMap<(i64, usize), Event>,
    count: usize,
    /// The token of each generation.
    line: Vec<String>,
}

impl<'a> Browser<'a> {
    fn sign_in(service: &'a Service, attempts: Vec<Attempt>) -> Self {
        let (jar, started) = service.sign_in();
        let line = vec![jar.clone()];
        let mut browser = Self { service, started, jar, events: BTreeMap::new(), count: 0, line };
        for attempt in attempts {
            browser.plan(attempt.begins, Event::Send(0, attempt));
        }
        browser
    }

    fn plan(&mut self, at: i64, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// Lets everything happen; fails as soon as a request is refused or a generation has two tokens.
    fn run(&mut self) -> Result<(), TestCaseError> {
        while let Some(((at, _), event)) = self.events.pop_first() {
            match event {
                Event::Send(number, attempt) => self.send(at, number, attempt),
                Event::Arrive(number, attempt, token) => self.arrive(at, number, &attempt, &token)?,
                Event::Store(token) => self.jar = token,
            }
        }
        Ok(())
    }

    fn send(&mut self, at: i64, number: usize, attempt: Attempt) {
        let fate = attempt.fates.get(number).copied().unwrap_or(Fate::Answered);
        if !matches!(fate, Fate::Answered) {
            self.plan(at + TIMEOUT, Event::Send(number + 1, attempt.clone()));
        }
        if !matches!(fate, Fate::LostOnTheWayThere) {
            let token = self.jar.clone();
            self.plan(at + attempt.there, Event::Arrive(number, attempt, token));
        }
    }

    fn arrive(
        &mut self,
        at: i64,
        number: usize,
        attempt: &Attempt,
        token: &str,
    ) -> Result<(), TestCaseError> {
        let refreshed = self.service.present(token, self.started + at + attempt.skew);
        let refreshed = refreshed
            .map_err(|error| TestCaseError::fail(format!("signed out {at} ms after the sign-in: {error}")))?;
        let next = token_of(&refreshed);
        if generation(&next) == self.line.len() {
            self.line.push(next.clone());
        }
        prop_assert_eq!(self.line.get(generation(&next)), Some(&next), "two branches");
        prop_assert_eq!(refreshed.refresh.is_new, next != token);
        let fate = attempt.fates.get(number).copied().unwrap_or(Fate::Answered);
        if refreshed.refresh.is_new && matches!(fate, Fate::Answered) {
            self.plan(at + attempt.back, Event::Store(next));
        }
        Ok(())
    }
}

#[test]
fn no_honest_client_is_signed_out_in_any_order_of_requests_losses_and_clocks() {
    Service::check(128, prop::collection::vec(attempt(), 1..30), |service, attempts| {
        let mut browser = Browser::sign_in(service, attempts);
        browser.run()?;
        // And it goes on: the cookie it is left with is worth a rotation a quarter of an hour later.
        let later = service.world.clock.now().as_millisecond() + 900_000;
        let refreshed = service.present(&browser.jar, later);
        prop_assert!(refreshed.is_ok_and(|refreshed| refreshed.refresh.is_new));
        Ok(())
    });
}

#[test]
fn a_late_response_with_the_same_token_does_not_replace_a_newer_one() {
    let service = Service::new();
    let attempt = |begins, back| Attempt { begins, there: 20, back, skew: 0, fates: [Fate::Answered; 2] };
    // The second leaves the token as it is, a millisecond before it may be rotated; the third rotates it, and its response
    // is the first of the two to arrive. Then the tabs are quiet for longer than the grace.
    let attempts = vec![attempt(0, 20), attempt(GRACE - 1, 1_000), attempt(GRACE, 20)];
    let mut browser = Browser::sign_in(&service, attempts);
    browser.run().unwrap();
    assert_eq!((browser.line.len(), generation(&browser.jar)), (3, 2));
    service.present(&browser.jar, browser.started + 900_000).expect("still signed in");
}

/// What the rules say of a session, kept by hand.
#[derive(Debug, Default)]
struct Rules {
    current: usize,
    rotated_at: Option<i64>,
    has_ended: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Goes on with the token of this generation.
    Goes(usize),
    Stolen,
    Over,
}

impl Rules {
    fn judge(&mut self, presented: usize, now: i64) -> Verdict {
        let in_grace = self.rotated_at.is_some_and(|at| now < at + GRACE);
        if self.has_ended {
            Verdict::Over
        } else if presented == self.current {
            if !in_grace {
                (self.current, self.rotated_at) = (self.current + 1, Some(now));
            }
            Verdict::Goes(self.current)
        } else if presented + 1 == self.current && in_grace {
            Verdict::Goes(self.current)
        } else {
            self.has_ended = true;
            Verdict::Stolen
        }
    }
}

/// Who holds copies of any tokens of a session, owner and thief alike, and shows them whenever they like: how many
/// generations back, after how long, on an instance whose clock is off by so much.
fn presentations() -> impl Strategy<Value = Vec<(usize, i64, i64)>> {
    let pause = prop_oneof![
        3 => 0..2_000i64,
        1 => GRACE - 2_000..GRACE + 2_000,
        1 => 0..2 * GRACE,
        1 => Just(900_000i64),
    ];
    let back = prop_oneof![6 => Just(0usize), 3 => Just(1usize), 1 => 2..4usize];
    prop::collection::vec((back, pause, -SKEW..SKEW), 1..30)
}

#[test]
fn every_token_of_a_session_is_judged_by_the_rules_so_theft_shows() {
    Service::check(192, presentations(), |service, presentations| {
        let (first, mut true_time) = service.sign_in();
        let (mut line, mut rules) = (vec![first], Rules::default());
        for (back, pause, skew) in presentations {
            true_time += pause;
            let presented = (line.len() - 1).saturating_sub(back);
            let expected = rules.judge(presented, true_time + skew);
            let token = line.get(presented).cloned().unwrap_or_default();
            let verdict = match service.present(&token, true_time + skew) {
                Ok(refreshed) => {
                    let next = token_of(&refreshed);
                    let number = generation(&next);
                    if number == line.len() {
                        line.push(next);
                    } else {
                        prop_assert_eq!(line.get(number), Some(&next), "two branches");
                    }
                    Verdict::Goes(number)
                }
                Err(Error::SessionRevoked) => Verdict::Stolen,
                Err(Error::InvalidRefreshToken) => Verdict::Over,
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            };
            prop_assert_eq!(verdict, expected);
        }
        Ok(())
    });
}

#[test]
fn a_thief_is_found_out_by_the_next_refresh_of_the_other_after_the_grace() {
    let service = Service::new();
    let (copied, start) = service.sign_in();
    // Whoever comes first rotates, owner or thief; the other shows the same token once the grace is over.
    let rotated = token_of(&service.present(&copied, start + 900_000).unwrap());
    let answered = service.present(&copied, start + 900_000 + GRACE);
    assert!(matches!(answered, Err(Error::SessionRevoked)), "{answered:?}");
    let after = service.present(&rotated, start + 900_000 + GRACE);
    assert!(matches!(after, Err(Error::InvalidRefreshToken)), "both have lost it: {after:?}");
}
