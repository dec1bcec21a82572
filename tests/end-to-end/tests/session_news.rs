//! Letters about sessions at brokers: one half an hour before the end, one when it came, and none twice, whoever runs the job.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::time::Duration;

use jiff::Timestamp;
use portcullis_functions::{JobEvent, ScheduledJob};
use portcullis_harness::brokers::{FakeBrokers, KITE, UPSTOX};
use portcullis_harness::in_process::{Person, World};
use portcullis_identity::ClientContext;
use portcullis_platform::Clock;
use portcullis_vault::{
    AccountChange, BrokerUser, Credentials, LoginCode, LoginState, NewTradingAccount, TradingAccountId,
};
use serde_json::json;

const SEED: u64 = 20_261_130;
const MINUTE: Duration = Duration::from_mins(1);

/// A person with accounts at brokers, and sessions there.
struct Scene {
    world: World,
    brokers: FakeBrokers,
    asha: Person,
}

impl Scene {
    async fn new() -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let variables = brokers.variables();
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let world = World::with_variables(SEED, &variables).await;
        let asha = world.person("asha@example.com").await;
        Self { world, brokers, asha }
    }

    async fn link(&self, broker: &str, (key, secret, user): (&str, &str, &str)) -> TradingAccountId {
        let wanted = NewTradingAccount {
            broker: broker.to_owned(),
            broker_user: BrokerUser::parse(user).unwrap(),
            credentials: Credentials::parse(&key.into(), &secret.into()).unwrap(),
            label: None,
            idempotency_key: None,
        };
        self.world.vault.link(&self.asha.caller, wanted, &ClientContext::default()).await.unwrap().id
    }

    /// Begins a session, and returns when it ends.
    async fn begin(&self, id: TradingAccountId) -> Timestamp {
        let (vault, caller, origin) = (&self.world.vault, &self.asha.caller, ClientContext::default());
        self.brokers.are(json!({"now": self.world.clock.now().as_second()})).await;
        let page = vault.account(caller, id).await.unwrap().login_url.unwrap().0;
        let back = self.brokers.led_back(&page).await;
        let code = back.get("request_token").or(back.get("code")).unwrap();
        let code = LoginCode::parse(&code.as_str().into()).unwrap();
        let state = back.get("state").map(|state| LoginState::parse(&state.as_str().into()).unwrap());
        vault.begin_session(caller, id, (&code, state.as_ref()), &origin).await.unwrap();
        self.world.notifications.take();
        vault.account(caller, id).await.unwrap().session_expires_at.unwrap()
    }

    /// Has so much time pass that it is this long before then.
    fn is_before(&self, then: Timestamp, left: Duration) {
        let wait = (then - left).duration_since(self.world.clock.now());
        self.world.clock.advance(wait.unsigned_abs());
    }

    /// Runs the job, and returns the letters of it.
    async fn letters(&self) -> Vec<String> {
        ScheduledJob::TellOfSessions.run(&self.world.vault, JobEvent::default()).await.unwrap();
        let sent = self.world.notifications.take();
        assert!(
            sent.iter().all(|one| one.to == "asha@example.com" && one.body.contains("/trading-accounts"))
        );
        sent.into_iter().map(|one| format!("{}: {}", one.subject, one.body)).collect()
    }
}

#[tokio::test]
async fn the_owner_is_told_before_a_session_ends_and_when_it_has() {
    let scene = Scene::new().await;
    for (broker, of, title) in [("kite", KITE, "Kite"), ("upstox", UPSTOX, "Upstox")] {
        let id = scene.link(broker, of).await;
        let ends = scene.begin(id).await;
        assert!(scene.letters().await.is_empty());
        scene.is_before(ends, 30 * MINUTE + Duration::from_secs(1));
        assert!(scene.letters().await.is_empty(), "{broker}: too early");
        scene.world.clock.advance(Duration::from_secs(1));
        let [soon] = &scene.letters().await[..] else { panic!("{broker}: one letter") };
        assert!(
            soon.starts_with("A session at your broker ends within half an hour: The session at"),
            "{soon}"
        );
        assert!(soon.contains(title) && ![of.0, of.1, of.2].iter().any(|known| soon.contains(known)));
        assert!(scene.letters().await.is_empty(), "{broker}: a second run sends nothing");
        scene.is_before(ends, Duration::from_secs(1));
        assert!(scene.letters().await.is_empty());
        scene.world.clock.advance(Duration::from_secs(1));
        let [over] = &scene.letters().await[..] else { panic!("{broker}: one letter") };
        assert!(over.starts_with("A session at your broker has ended: ") && over.contains(title), "{over}");
        scene.world.clock.advance(MINUTE);
        assert!(scene.letters().await.is_empty());
    }
}

#[tokio::test]
async fn two_that_run_at_once_send_one_letter() {
    let scene = Scene::new().await;
    let id = scene.link("kite", KITE).await;
    let ends = scene.begin(id).await;
    scene.is_before(ends, 10 * MINUTE);
    // Past the lease, as two would be of which one is taken for dead.
    let vault = &scene.world.vault;
    let runs = std::iter::repeat_with(|| vault.tell_of_sessions()).take(8);
    let told = futures_util::future::join_all(runs).await;
    let sent: usize = told.into_iter().map(|told| told.unwrap().sent).sum();
    assert_eq!((sent, scene.world.notifications.take().len()), (1, 1));
}

#[tokio::test]
async fn no_letter_is_about_a_session_that_is_no_more() {
    let scene = Scene::new().await;
    let (vault, caller, origin) = (&scene.world.vault, &scene.asha.caller, ClientContext::default());
    let (unlinked, disabled, renewed) =
        (scene.link("kite", KITE).await, scene.link("kite", KITE).await, scene.link("upstox", UPSTOX).await);
    let ends = scene.begin(unlinked).await;
    assert_eq!(scene.begin(disabled).await, ends);
    let first = scene.begin(renewed).await;
    vault.unlink(caller, unlinked, &origin).await.unwrap();
    let off = AccountChange { enabled: Some(false), ..AccountChange::default() };
    vault.change(caller, disabled, &off, &origin).await.unwrap();
    scene.world.notifications.take();
    // A session of the day after takes the place of the one of today.
    scene.is_before(first, 5 * MINUTE);
    assert_eq!(scene.letters().await.len(), 1);
    scene.world.clock.advance(6 * MINUTE);
    let second = scene.begin(renewed).await;
    assert!(second > first);
    assert!(scene.letters().await.is_empty(), "the one that has ended is another one");
    scene.is_before(ends.max(scene.world.clock.now()), Duration::ZERO);
    scene.world.clock.advance(MINUTE);
    assert!(scene.letters().await.is_empty(), "unlinked and disabled accounts have no letters");
    // Nobody ran the job for a day: what is old is no news.
    scene.is_before(second, Duration::ZERO);
    scene.world.clock.advance(Duration::from_hours(3));
    assert!(scene.letters().await.is_empty());
}

#[tokio::test]
async fn who_wants_no_letters_gets_none_until_they_do() {
    let scene = Scene::new().await;
    let (vault, caller, origin) = (&scene.world.vault, &scene.asha.caller, ClientContext::default());
    let (id, other) = (scene.link("kite", KITE).await, scene.link("kite", KITE).await);
    let ends = scene.begin(id).await;
    assert_eq!(scene.begin(other).await, ends);
    let wanted = async |session_mails| {
        let change = AccountChange { session_mails: Some(session_mails), ..AccountChange::default() };
        vault.change(caller, id, &change, &origin).await.unwrap().session_mails
    };
    assert!(!wanted(false).await);
    let change = AccountChange { label: Some(None), ..AccountChange::default() };
    assert!(!vault.change(caller, id, &change, &origin).await.unwrap().session_mails, "it stays as it is");
    scene.is_before(ends, 10 * MINUTE);
    assert_eq!(scene.letters().await.len(), 1, "of the other account");
    assert!(wanted(true).await);
    scene.is_before(ends, Duration::ZERO);
    assert_eq!(scene.letters().await.len(), 2);
}

#[tokio::test]
async fn a_freeze_that_ends_a_session_is_told_by_itself() {
    let scene = Scene::new().await;
    let id = scene.link("kite", KITE).await;
    let ends = scene.begin(id).await;
    let frozen = scene.world.vault.freeze(&scene.asha.caller, false, &ClientContext::default()).await;
    frozen.unwrap();
    scene.world.notifications.take();
    scene.is_before(ends, 5 * MINUTE);
    assert!(scene.letters().await.is_empty());
}

#[tokio::test]
async fn a_store_that_fails_loses_no_letter_of_the_list() {
    let scene = Scene::new().await;
    let id = scene.link("kite", KITE).await;
    let ends = scene.begin(id).await;
    scene.is_before(ends, 5 * MINUTE);
    scene.world.faults.go_down_after(0);
    let failed = ScheduledJob::TellOfSessions.run(&scene.world.vault, JobEvent::default()).await;
    assert!(failed.is_err());
    scene.world.faults.come_back();
    assert_eq!(scene.letters().await.len(), 1);
}
