//! An attacker's day: somebody guesses at one account and asks for its reset mails all day long, and the owner, with a
//! new phone each time and from an address never seen before, signs in at random times. The clock is moved, nobody waits.
#![cfg(test)]

use std::time::Duration;

use jiff::Timestamp;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_identity::{ClientContext, Email, Error};
use portcullis_platform::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::SecretString;

const OWNER: &str = "asha@example.com";
const SEED: u64 = 20_261_128;
const WRONG: &str = "not this one, surely";
const TICK: Duration = Duration::from_secs(450);
const TICKS: usize = 192;
const HALF_HOUR: Duration = Duration::from_mins(30);
/// No link is older than this when somebody is refused one of their own.
const OLDEST_LINK: Duration = Duration::from_mins(20);

/// How somebody attacks, and from where the owner comes meanwhile.
#[derive(Debug, Clone, Copy)]
struct Strategy {
    name: &'static str,
    /// The attacker's address, by the number of the request.
    attacker: fn(usize) -> String,
    /// The owner's address, by the number of the visit.
    owner: fn(usize) -> String,
    /// The attacker's turns: every so many ticks.
    every: usize,
    /// In one turn.
    guesses: usize,
    /// In one turn.
    mails: usize,
}

fn one(_: usize) -> String {
    "192.0.2.66".to_owned()
}

fn few(number: usize) -> String {
    format!("192.0.2.{}", number % 5)
}

fn many(number: usize) -> String {
    format!("10.{}.{}.{}", number % 7, number / 7 % 250, number / 1_750)
}

fn one_site(number: usize) -> String {
    format!("2001:db8:66:{:x}::1", number % 65_536)
}

fn fresh(number: usize) -> String {
    format!("198.51.100.{number}")
}

/// No address is known.
fn unknown(_: usize) -> String {
    String::new()
}

const STEADY: Strategy = Strategy {
    name: "one in a quarter of an hour",
    attacker: one,
    owner: fresh,
    every: 2,
    guesses: 1,
    mails: 1,
};
const BURSTS: Strategy =
    Strategy { name: "bursts every hour", attacker: one, owner: fresh, every: 8, guesses: 30, mails: 12 };
const EAGER: Strategy =
    Strategy { name: "as often as it is let", attacker: one, owner: fresh, every: 1, guesses: 4, mails: 2 };
const SITE: Strategy =
    Strategy { name: "an IPv6 site", attacker: one_site, owner: fresh, every: 1, guesses: 4, mails: 2 };
const FEW: Strategy =
    Strategy { name: "five addresses", attacker: few, owner: fresh, every: 1, guesses: 10, mails: 3 };
const MANY: Strategy =
    Strategy { name: "ever new addresses", attacker: many, owner: fresh, every: 1, guesses: 14, mails: 3 };
const NEIGHBOUR: Strategy = Strategy {
    name: "behind the owner's address",
    attacker: one,
    owner: one,
    every: 1,
    guesses: 3,
    mails: 3,
};
const UNKNOWN: Strategy =
    Strategy { name: "no addresses", attacker: unknown, owner: unknown, every: 1, guesses: 3, mails: 3 };

fn client(ip: String) -> ClientContext {
    ClientContext { ip: Some(ip).filter(|ip| !ip.is_empty()), ..ClientContext::default() }
}

/// What came of a day.
#[derive(Debug, Default)]
struct Outcome {
    /// When a guess was judged: whatever else was answered, told the attacker nothing.
    judged: Vec<Timestamp>,
    /// Links that were sent, to attacker or owner.
    links: usize,
    /// Visits of the owner who knew the password, and those among them that took a reset mail.
    visits: usize,
    by_mail: usize,
    /// Visits of the owner who had forgotten the password, and those who found somebody else's link.
    forgotten: usize,
    by_earlier_link: usize,
}

impl Outcome {
    /// Returns the most guesses that were judged in any hour.
    fn in_an_hour(&self) -> usize {
        let hour = Duration::from_hours(1);
        let until =
            |from: &Timestamp| self.judged.iter().filter(|at| **at >= *from && **at < *from + hour).count();
        self.judged.iter().map(until).max().unwrap_or(0)
    }
}

struct Day {
    world: World,
    strategy: Strategy,
    /// Links in the owner's mailbox, with the time they came; the last one came last.
    mailbox: Vec<(Timestamp, SecretString)>,
    requests: usize,
    password: String,
    outcome: Outcome,
}

impl Day {
    async fn of(strategy: Strategy) -> Outcome {
        let world = World::new(SEED).await;
        world.person(OWNER).await;
        let mut day = Self {
            world,
            strategy,
            mailbox: Vec::new(),
            requests: 0,
            password: PASSWORD.to_owned(),
            outcome: Outcome::default(),
        };
        let mut random = StdRng::seed_from_u64(SEED);
        let mut visits = 0;
        for tick in 0..TICKS {
            let (comes, is_first) = (random.random_ratio(1, 7), random.random_bool(0.5));
            if comes && is_first {
                visits += 1;
                day.visit(visits).await;
            }
            if tick % strategy.every == 0 {
                day.attack().await;
            }
            if comes && !is_first {
                visits += 1;
                day.visit(visits).await;
            }
            day.world.clock.advance(TICK);
        }
        day.outcome
    }

    async fn attack(&mut self) {
        for _ in 0..self.strategy.guesses {
            self.requests += 1;
            let from = client((self.strategy.attacker)(self.requests));
            match self.world.identity.sign_in(self.world.attempt(OWNER, WRONG), &from).await {
                Err(Error::InvalidCredentials) => self.outcome.judged.push(self.world.clock.now()),
                Err(Error::TooManyAttempts { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        for _ in 0..self.strategy.mails {
            self.requests += 1;
            self.ask_for_link(client((self.strategy.attacker)(self.requests))).await;
        }
    }

    /// Returns whether a link was sent now.
    async fn ask_for_link(&mut self, from: ClientContext) -> bool {
        self.world.notifications.take();
        let email = Email::parse(OWNER).unwrap();
        self.world.identity.forgot_password(&email, &from).await.unwrap();
        let now = self.world.clock.now();
        let links = self.world.notifications.take();
        let links = links.iter().filter_map(|sent| Some((now, sent.token()?.into())));
        let before = self.mailbox.len();
        self.mailbox.extend(links);
        self.outcome.links += self.mailbox.len() - before;
        self.mailbox.len() > before
    }

    /// The owner comes with a new phone: two in three times they know the password.
    async fn visit(&mut self, number: usize) {
        let from = client((self.strategy.owner)(number));
        if number.is_multiple_of(3) {
            self.outcome.forgotten += 1;
            let sent = self.reset(number, &from).await;
            self.outcome.by_earlier_link += usize::from(!sent);
            return;
        }
        self.outcome.visits += 1;
        match self.world.identity.sign_in(self.world.attempt(OWNER, &self.password), &from).await {
            Ok(_) => {}
            Err(Error::TooManyAttempts { .. }) => {
                self.outcome.by_mail += 1;
                self.reset(number, &from).await;
            }
            other => panic!("{}: {other:?}", self.strategy.name),
        }
    }

    /// One request for a link, one look into the mailbox, and the owner is signed in. Returns whether the request sent
    /// the link.
    async fn reset(&mut self, number: usize, from: &ClientContext) -> bool {
        let name = self.strategy.name;
        let sent = self.ask_for_link(from.clone()).await;
        let now = self.world.clock.now();
        let (came, token) = self.mailbox.last().unwrap_or_else(|| panic!("{name}: no link"));
        assert!(now.duration_since(*came).unsigned_abs() <= OLDEST_LINK, "{name}: {came} at {now}");
        // Every link that is younger than half an hour works, whichever the owner opens.
        let alive: Vec<_> = self.mailbox.iter().filter(|(came, _)| *came + HALF_HOUR > now).collect();
        let (_, any) = alive.get(number % alive.len()).unwrap_or_else(|| panic!("{name}: {token:?}"));
        let another = format!("marble orchard whispers northward {number}");
        let device = self.world.identity.reset_password(any, &password(&another), from).await;
        let device = device.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let known = ClientContext { device: Some(device), ..from.clone() };
        let signed_in = self.world.identity.sign_in(self.world.attempt(OWNER, &another), &known).await;
        signed_in.unwrap_or_else(|error| panic!("{name}: behind the reset: {error:?}"));
        // The one that was used ended the others.
        self.mailbox.retain(|(came, _)| *came + HALF_HOUR > now);
        for (_, other) in std::mem::take(&mut self.mailbox) {
            let again = self.world.identity.reset_password(&other, &password(PASSWORD), from).await;
            assert!(matches!(again, Err(Error::InvalidMailToken)), "{name}: {again:?}");
        }
        self.password = another;
        sent
    }
}

/// Whoever attacks from one network, at whatever pace, keeps nobody elsewhere waiting, and gets the backoff of one.
#[tokio::test(start_paused = true)]
async fn an_attacker_with_one_network_does_not_even_make_the_owner_use_a_mail() {
    for strategy in [STEADY, BURSTS, EAGER, SITE] {
        let day = Day::of(strategy).await;
        let name = strategy.name;
        println!("{name}: {} judged, {day:?}", day.judged.len(), day = Shown(&day));
        assert!(day.visits > 10 && day.forgotten > 5, "{name}");
        assert_eq!((day.by_mail, day.by_earlier_link), (0, 0), "{name}");
        // Fifteen until the wait is a quarter of an hour, and then four an hour.
        assert!(day.judged.len() <= 15 + 96, "{name}: {}", day.judged.len());
    }
}

/// Whoever has many of them, or the owner's own: at most one mail, which is the attacker's where it is not the owner's.
#[tokio::test(start_paused = true)]
async fn an_attacker_with_many_addresses_makes_the_owner_use_a_mail_at_most() {
    for strategy in [FEW, MANY, NEIGHBOUR, UNKNOWN] {
        let day = Day::of(strategy).await;
        let name = strategy.name;
        println!("{name}: {} judged, {day:?}", day.judged.len(), day = Shown(&day));
        assert!(day.visits > 10 && day.forgotten > 5, "{name}");
        // Forty at once and one a minute, from however many addresses.
        assert!(day.judged.len() <= 40 + 24 * 60, "{name}: {}", day.judged.len());
        assert!(day.in_an_hour() <= 100, "{name}: {}", day.in_an_hour());
        // Eight at once and four an hour; a reset ends the links, and the counts begin anew.
        let resets = day.by_mail + day.forgotten;
        assert!(day.links <= 8 * (1 + resets) + 24 * 4, "{name}: {}", day.links);
    }
}

/// A day in one line.
struct Shown<'a>(&'a Outcome);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome { links, visits, by_mail, forgotten, by_earlier_link, .. } = self.0;
        let hour = self.0.in_an_hour();
        write!(
            f,
            "at most {hour} in an hour; {links} links; {visits} visits, {by_mail} of them by mail; {forgotten} forgot, \
             {by_earlier_link} used an earlier link"
        )
    }
}
