//! The vault from inside: seals that open where they belong and nowhere else, and what is written down about it.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_harness::brokers::{FakeBrokers, KITE};
use portcullis_harness::in_process::{PASSWORD, Person, World, code, password};
use portcullis_harness::service::{service_token, service_tokens};
use portcullis_identity::{ClientContext, StepUp};
use portcullis_platform::{Clock, SystemEntropy};
use portcullis_store::{AuditKind, BrokerSession, Id, StoredTradingAccount};
use portcullis_vault::{
    AccountChange, BrokerUser, Credentials, Error, LoginCode, NewTradingAccount, Purpose, Reencrypted,
    ReleasedCredentials, TradingAccountStatus,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

const SEED: u64 = 20_261_121;
const KEY: &str = "kitekey-hunter2-9f3c";
const SECRET: &str = "kitesecret-hunter2";

/// Two people, and services that may read credentials.
struct Scene {
    world: World,
    asha: Person,
    mallory: Person,
}

impl Scene {
    async fn new() -> Self {
        Self::with(
            &json!({"ticker": {"credentials": {"brokers": ["alpaca", "kite"], "kind": "long_lived"}}}),
            &[],
        )
        .await
    }

    /// With these entries in `SERVICES` and these variables.
    async fn with(services: &Value, variables: &[(&str, &str)]) -> Self {
        let names: Vec<&str> = services.as_object().unwrap().keys().map(String::as_str).collect();
        let (tokens, services) = (service_tokens(&names), services.to_string());
        let mut all = vec![("SERVICE_TOKENS", tokens.as_str()), ("SERVICES", &services)];
        all.extend(variables);
        let world = World::with_variables(SEED, &all).await;
        let (asha, mallory) = (world.person("asha@example.com").await, world.person("m@example.com").await);
        Self { world, asha, mallory }
    }

    async fn link(&self, person: &Person, broker: &str) -> StoredTradingAccount {
        let linked = self
            .world
            .vault
            .link(&person.caller, wanted(broker, None), &ClientContext::default())
            .await
            .unwrap();
        self.world.truth.trading_account(person.account.id, linked.id).await.unwrap().unwrap()
    }

    /// A row as it is now.
    async fn row(&self, of: &StoredTradingAccount) -> StoredTradingAccount {
        self.world.truth.trading_account(of.owner, of.id).await.unwrap().unwrap()
    }

    async fn read(&self, account: &StoredTradingAccount) -> Result<ReleasedCredentials, Error> {
        self.read_as("ticker", account).await
    }

    async fn read_as(
        &self,
        service: &str,
        account: &StoredTradingAccount,
    ) -> Result<ReleasedCredentials, Error> {
        read(&self.world, service, account).await
    }

    /// Events about accounts since the sign-in.
    async fn trail(&self, person: &Person) -> Vec<String> {
        let all = self.world.trail(&person.account).await;
        all.into_iter()
            .filter(|kind| !["account_registered", "login_succeeded"].contains(&kind.as_str()))
            .collect()
    }
}

async fn read(
    world: &World,
    service: &str,
    account: &StoredTradingAccount,
) -> Result<ReleasedCredentials, Error> {
    let purpose = Purpose::parse("market-stream").unwrap();
    let service = world.identity.authenticate_service(&service_token(service).into()).await.unwrap();
    Box::pin(world.vault.read_credentials(&service, account.id, Some(purpose), &ClientContext::default()))
        .await
}

fn login_code(text: &str) -> LoginCode {
    LoginCode::parse(&text.into()).unwrap()
}

fn wanted(broker: &str, idempotency_key: Option<&str>) -> NewTradingAccount {
    NewTradingAccount {
        broker: broker.to_owned(),
        broker_user: BrokerUser::parse("AB1234").unwrap(),
        credentials: Credentials::parse(&KEY.into(), &SECRET.into()).unwrap(),
        label: None,
        idempotency_key: idempotency_key.map(str::to_owned),
    }
}

fn text(secret: &SecretString) -> &str {
    secret.expose_secret()
}

use portcullis_identity::Error::{Forbidden, IdempotencyKeyReused, Invalid, WrongCode};

#[tokio::test]
async fn a_service_gets_what_was_linked_and_its_owner_can_see_that_it_did() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    assert_eq!(account.status, TradingAccountStatus::Pending);
    assert_eq!(account.api_key_hint, "…9f3c");
    scene.world.clock.advance(Duration::from_secs(1));
    let released = scene.read(&account).await.unwrap();
    assert_eq!((text(&released.api_key), text(released.api_secret.as_ref().unwrap())), (KEY, SECRET));
    assert!(released.access_token.is_none());
    assert_eq!(scene.trail(&scene.asha).await, ["trading_account_linked", "credentials_read"]);
    let events = scene.world.rows(&format!("AUDIT#{}", account.owner), "AUD#").await;
    // The last row is the head of the chain.
    let read = &events[events.len() - 2];
    for (name, value) in [
        ("actor", "service:ticker"),
        ("service", "ticker"),
        ("purpose", "market-stream"),
        ("target", account.id.to_string().as_str()),
    ] {
        assert_eq!(read[name]["S"], value);
    }
}

#[tokio::test]
async fn the_owner_is_written_to_when_an_account_is_linked_and_when_reading_is_stopped_or_allowed() {
    let scene = Scene::new().await;
    scene.world.notifications.take();
    scene.link(&scene.asha, "kite").await;
    let proof = StepUp::Password(password(PASSWORD));
    // Once, however often it is sent.
    for _ in 0..3 {
        scene.world.vault.freeze(&scene.asha.caller, false, &ClientContext::default()).await.unwrap();
    }
    scene.world.vault.unfreeze(&scene.asha.caller, &proof, &ClientContext::default()).await.unwrap();
    let sent = scene.world.notifications.take();
    assert!(sent.iter().all(|one| one.to == "asha@example.com"));
    let subjects: Vec<&str> = sent.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "A trading account was linked to your account",
            "Your broker credentials are frozen",
            "Your broker credentials can be read again",
        ]
    );
    assert!(sent.iter().all(|one| !one.body.contains("hunter2")));
}

#[tokio::test]
async fn nothing_is_released_without_its_event() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    // Reading takes five calls; the sixth is the end of the trail, then come the record and its head side by side.
    for calls in 0..7 {
        scene.world.faults.go_down_after(calls);
        assert!(scene.read(&account).await.is_err(), "{calls} calls");
    }
    assert!(!scene.trail(&scene.asha).await.contains(&"credentials_read".to_owned()));
    // Three more look whether it was stopped meanwhile. Who cannot tell releases nothing.
    for calls in 8..11 {
        scene.world.faults.go_down_after(calls);
        assert!(scene.read(&account).await.is_err(), "{calls} calls");
    }
    scene.world.faults.come_back();
    assert!(scene.read(&account).await.is_ok());
}

#[tokio::test]
async fn without_the_keeper_of_the_master_key_nothing_is_stored_and_nothing_is_read() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    scene.world.key_wrap.set_down(true);
    let refused =
        scene.world.vault.link(&scene.asha.caller, wanted("kite", None), &ClientContext::default()).await;
    assert!(matches!(refused, Err(Error::Identity(portcullis_identity::Error::KeyWrap(_)))));
    assert!(scene.read(&account).await.is_err());
    assert_eq!(scene.world.vault.list(&scene.asha.caller).await.unwrap().len(), 1);
    scene.world.key_wrap.set_down(false);
    assert!(scene.read(&account).await.is_ok());
}

#[tokio::test]
async fn a_ciphertext_opens_only_where_it_was_sealed() {
    let scene = Scene::new().await;
    let asha = scene.link(&scene.asha, "kite").await;
    let other = scene.link(&scene.asha, "kite").await;
    let mallory = scene.link(&scene.mallory, "kite").await;
    let sealed = asha.credentials.clone();

    // In a trail of its own: what is counted below is told of the readings alone.
    let nobody = Id::generate(scene.world.clock.now(), &SystemEntropy).unwrap();
    let put = async |row: StoredTradingAccount| {
        let version = scene.row(&row).await.version;
        let kind = AuditKind::TradingAccountVerified;
        let event = scene.world.identity.audit_event(kind, nobody, &ClientContext::default()).unwrap();
        let row = StoredTradingAccount { version, ..row };
        assert!(scene.world.truth.swap_trading_account(&row, &event).await.unwrap());
    };
    let mut cases: Vec<(&str, StoredTradingAccount)> = Vec::new();
    let mut with = |what, row: &StoredTradingAccount, change: &dyn Fn(&mut StoredTradingAccount)| {
        let mut changed = row.clone();
        change(&mut changed);
        cases.push((what, changed));
    };
    with("moved to another person", &mallory, &|row| row.credentials = sealed.clone());
    with("moved to another account", &other, &|row| row.credentials = sealed.clone());
    with("another broker", &asha, &|row| row.broker = "alpaca".to_owned());
    with("the data key of another account", &asha, &|row| {
        row.credentials.wrapped_key.clone_from(&other.credentials.wrapped_key);
    });
    with("another ciphertext", &asha, &|row| {
        row.credentials.ciphertext.clone_from(&other.credentials.ciphertext);
    });
    for length in [0, 11, 12, sealed.ciphertext.len() - 1] {
        with("truncated", &asha, &|row| row.credentials.ciphertext.truncate(length));
    }
    with("longer", &asha, &|row| row.credentials.ciphertext.push(0));
    with("a truncated data key", &asha, &|row| row.credentials.wrapped_key.truncate(20));
    for bit in (0..sealed.ciphertext.len() * 8).step_by(61) {
        with("a flipped bit", &asha, &|row| row.credentials.ciphertext[bit / 8] ^= 1 << (bit % 8));
    }
    for bit in (0..sealed.wrapped_key.len() * 8).step_by(61) {
        with("a flipped bit of the data key", &asha, &|row| {
            row.credentials.wrapped_key[bit / 8] ^= 1 << (bit % 8);
        });
    }
    let far = scene.world.clock.now() + Duration::from_hours(10);
    let session = BrokerSession { sealed: sealed.clone(), expires_at: far };
    with("credentials in place of a session", &asha, &|row| row.session = Some(session.clone()));

    for (what, row) in cases {
        let owner = if row.owner == scene.mallory.account.id { &scene.mallory } else { &scene.asha };
        let original = [&asha, &other, &mallory].into_iter().find(|one| one.id == row.id).unwrap().clone();
        put(row.clone()).await;
        let before = scene.trail(owner).await.len();
        let refused = scene.read(&row).await;
        assert!(matches!(refused, Err(Error::Unreadable)), "{what}: {refused:?}");
        let trail = scene.trail(owner).await;
        assert_eq!(trail.len(), before + 1, "{what}: {:?}", &trail[before..]);
        assert!(trail.contains(&"credentials_unreadable".to_owned()), "{what}");
        put(original).await;
    }
    assert!(scene.read(&asha).await.is_ok());
}

#[tokio::test]
async fn nobody_elses_account_is_there_at_all() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    let (vault, mallory, origin) = (&scene.world.vault, &scene.mallory.caller, ClientContext::default());
    let credentials = Credentials::parse(&"another-key-1234".into(), &"another".into()).unwrap();
    let refusals = [
        vault.account(mallory, account.id).await.err(),
        vault.change(mallory, account.id, &AccountChange::default(), &origin).await.err(),
        vault.replace_credentials(mallory, account.id, &credentials, &origin).await.err(),
        vault.verify(mallory, account.id, &origin).await.err(),
        vault.begin_session(mallory, account.id, (&login_code("token"), None), &origin).await.err(),
        vault.unlink(mallory, account.id, &origin).await.err(),
    ];
    for refusal in refusals {
        assert!(
            matches!(refusal, Some(Error::Identity(portcullis_identity::Error::NotFound))),
            "{refusal:?}"
        );
    }
    assert!(vault.list(mallory).await.unwrap().is_empty());
    assert_eq!(scene.row(&account).await, account);
}

#[tokio::test]
async fn a_frozen_person_is_read_by_nobody() {
    let scene = Scene::new().await;
    let (account, proof) = (scene.link(&scene.asha, "kite").await, StepUp::Password(password(PASSWORD)));
    let of_mallory = scene.link(&scene.mallory, "kite").await;
    let wrong = StepUp::Password(password("not the password at all"));
    assert!(scene.read(&account).await.is_ok());

    let frozen =
        scene.world.vault.freeze(&scene.asha.caller, false, &ClientContext::default()).await.unwrap();
    assert_eq!(frozen.accounts.len(), 1);
    assert!(matches!(scene.read(&account).await, Err(Error::Frozen)));
    assert!(scene.read(&of_mallory).await.is_ok());
    assert!(scene.world.vault.unfreeze(&scene.asha.caller, &wrong, &ClientContext::default()).await.is_err());
    assert!(matches!(scene.read(&account).await, Err(Error::Frozen)));
    scene.world.vault.unfreeze(&scene.asha.caller, &proof, &ClientContext::default()).await.unwrap();
    assert!(scene.read(&account).await.is_ok());
    let trail = scene.trail(&scene.asha).await;
    for kind in ["credentials_frozen", "credentials_refused", "credentials_unfrozen"] {
        assert!(trail.contains(&kind.to_owned()), "{kind}");
    }
}

/// As many readings at once as are under way when their owner has had enough.
#[tokio::test]
async fn of_readings_that_race_a_freeze_none_is_released_behind_it() {
    let scene = Arc::new(Scene::new().await);
    let account = scene.link(&scene.asha, "kite").await;
    let (mut released_in_all, mut refused_in_all) = (0, 0);
    for _ in 0..8 {
        let before = scene.trail(&scene.asha).await.len();
        let readings: Vec<_> = (0..24)
            .map(|_| {
                let (scene, account) = (Arc::clone(&scene), account.clone());
                tokio::spawn(async move { scene.read(&account).await.is_ok() })
            })
            .collect();
        let proof = StepUp::Password(password(PASSWORD));
        scene.world.vault.freeze(&scene.asha.caller, false, &ClientContext::default()).await.unwrap();
        assert!(matches!(scene.read(&account).await, Err(Error::Frozen)));
        let mut released = 0;
        for reading in readings {
            released += usize::from(reading.await.unwrap());
        }
        // The chain has an order, and the freeze stands from where its record does.
        let trail = scene.trail(&scene.asha).await.split_off(before);
        let at = trail.iter().position(|kind| kind == "credentials_frozen").unwrap();
        let reads = |events: &[String]| events.iter().filter(|kind| *kind == "credentials_read").count();
        let in_front = reads(&trail[..at]);
        assert!(
            released <= in_front,
            "{released} were released, {in_front} in front of the freeze: {trail:?}"
        );
        released_in_all += released;
        refused_in_all += 24 - released;
        scene.world.vault.unfreeze(&scene.asha.caller, &proof, &ClientContext::default()).await.unwrap();
    }
    println!("{released_in_all} readings were released, {refused_in_all} were not");
    assert!(refused_in_all > 0);
}

#[tokio::test]
async fn while_credentials_are_frozen_nobody_opens_them_to_ask_the_broker() {
    let scene = Scene::new().await;
    let (account, proof) = (scene.link(&scene.asha, "kite").await, StepUp::Password(password(PASSWORD)));
    let origin = ClientContext::default();
    scene.world.vault.freeze(&scene.asha.caller, false, &origin).await.unwrap();
    let before = scene.trail(&scene.asha).await;
    let verified = scene.world.vault.verify(&scene.asha.caller, account.id, &origin).await;
    assert!(matches!(verified, Err(Error::Frozen)), "{verified:?}");
    let begun = scene
        .world
        .vault
        .begin_session(&scene.asha.caller, account.id, (&login_code("token"), None), &origin)
        .await;
    assert!(matches!(begun, Err(Error::Frozen)), "{begun:?}");
    assert_eq!(scene.trail(&scene.asha).await, before, "nothing was opened");
    // Unlike a request to lift it that is sent twice.
    for _ in 0..2 {
        scene.world.vault.unfreeze(&scene.asha.caller, &proof, &origin).await.unwrap();
    }
    let trail = scene.trail(&scene.asha).await;
    assert_eq!(trail.iter().filter(|kind| *kind == "credentials_unfrozen").count(), 1, "{trail:?}");
    assert!(
        scene.world.vault.verify(&scene.asha.caller, account.id, &origin).await.unwrap().login_url.is_some()
    );
}

#[tokio::test]
async fn who_has_a_second_factor_unfreezes_with_it_alone() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    let origin = ClientContext::default();
    let Scene { world, asha, .. } = scene;
    let asha = asha.enrol().await;
    let mut caller = asha.caller.clone();
    caller.account.mfa_enabled = true;
    let (world, vault) = (&world, &world.vault);

    let shown = asha.code();
    vault.freeze(&caller, false, &origin).await.unwrap();
    let by_password = StepUp::Password(password(PASSWORD));
    let refused = vault.unfreeze(&caller, &by_password, &origin).await;
    assert!(matches!(refused, Err(Error::Identity(Invalid(_)))), "{refused:?}");
    let wrong = StepUp::Code(code(&asha.wrong_code()));
    let refused = vault.unfreeze(&caller, &wrong, &origin).await;
    assert!(matches!(refused, Err(Error::Identity(WrongCode))), "{refused:?}");
    assert!(matches!(read(world, "ticker", &account).await, Err(Error::Frozen)));
    vault.unfreeze(&caller, &StepUp::Code(code(&shown)), &origin).await.unwrap();
    assert!(read(world, "ticker", &account).await.is_ok());
    // The code that lifted one freeze is spent.
    vault.freeze(&caller, false, &origin).await.unwrap();
    let spent = vault.unfreeze(&caller, &StepUp::Code(code(&shown)), &origin).await;
    assert!(matches!(spent, Err(Error::Identity(WrongCode))), "{spent:?}");
    world.clock.advance(Duration::from_secs(30));
    vault.unfreeze(&caller, &StepUp::Code(code(&asha.code())), &origin).await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_off_and_one_whose_owner_is_are_not_read() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    let switch = async |enabled| {
        let change = AccountChange { enabled: Some(enabled), ..AccountChange::default() };
        scene
            .world
            .vault
            .change(&scene.asha.caller, account.id, &change, &ClientContext::default())
            .await
            .unwrap()
            .status
    };
    assert_eq!(switch(false).await, TradingAccountStatus::Disabled);
    assert!(matches!(scene.read(&account).await, Err(Error::Disabled)));
    assert_eq!(switch(true).await, TradingAccountStatus::Pending);
    assert!(scene.read(&account).await.is_ok());
    scene.world.disable(&scene.asha.account).await;
    assert!(matches!(scene.read(&account).await, Err(Error::Disabled)));
}

#[tokio::test]
async fn a_service_reads_what_its_entry_says_and_no_more_often() {
    let scene = Scene::with(
        &json!({
            "one": {"credentials": {"brokers": ["alpaca"], "kind": "long_lived"}},
            "day": {"credentials": {"brokers": ["kite"], "kind": "session"}},
            "none": ["api-key:verify"],
            "few": {"credentials": {"brokers": ["kite"], "kind": "long_lived", "per_minute": 2}},
        }),
        &[],
    )
    .await;
    let account = scene.link(&scene.asha, "kite").await;

    for name in ["one", "none"] {
        let refused = scene.read_as(name, &account).await;
        assert!(matches!(refused, Err(Error::Identity(Forbidden(_)))), "{name}: {refused:?}");
    }
    assert!(matches!(scene.read_as("day", &account).await, Err(Error::NoBrokerSession)));
    for _ in 0..2 {
        scene.read_as("few", &account).await.unwrap();
    }
    let Err(Error::TooManyReads { retry_after }) = scene.read_as("few", &account).await else {
        panic!("a third reading in a minute");
    };
    scene.world.clock.advance(retry_after);
    scene.read_as("few", &account).await.unwrap();
}

#[tokio::test]
async fn a_request_to_link_that_is_sent_again_links_once() {
    let scene = Scene::new().await;
    let link =
        async |request| scene.world.vault.link(&scene.asha.caller, request, &ClientContext::default()).await;
    let first = link(wanted("kite", Some("one"))).await.unwrap();
    scene.world.clock.advance(Duration::from_hours(23));
    assert_eq!(link(wanted("kite", Some("one"))).await.unwrap(), first);
    let other = NewTradingAccount {
        credentials: Credentials::parse(&KEY.into(), &"other".into()).unwrap(),
        ..wanted("kite", Some("one"))
    };
    assert!(matches!(link(other).await, Err(Error::Identity(IdempotencyKeyReused))));
    assert_eq!(scene.world.vault.list(&scene.asha.caller).await.unwrap().len(), 1);
    assert!(matches!(link(wanted("robinhood", None)).await, Err(Error::Identity(_))));
}

#[tokio::test]
async fn unlinking_leaves_no_ciphertext_and_no_owner() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    scene.world.vault.unlink(&scene.asha.caller, account.id, &ClientContext::default()).await.unwrap();
    assert!(scene.world.rows(&format!("VAULT#{}", account.owner), "ACC#").await.is_empty());
    assert!(scene.world.truth.trading_account_owner(account.id).await.unwrap().is_none());
    assert!(scene.read(&account).await.is_err());

    let again = scene.link(&scene.asha, "kite").await;
    scene
        .world
        .identity
        .erase_account(&scene.asha.caller, &password(PASSWORD).into(), &ClientContext::default())
        .await
        .unwrap();
    assert!(scene.world.rows(&format!("VAULT#{}", again.owner), "ACC#").await.is_empty());
    assert!(scene.world.truth.trading_account_owner(again.id).await.unwrap().is_none());
}

#[tokio::test]
async fn sealing_anew_changes_every_byte_and_nothing_else_and_goes_on_where_it_ended() {
    let scene = Scene::new().await;
    let mut accounts = Vec::new();
    for _ in 0..8 {
        accounts.push(scene.link(&scene.asha, "kite").await);
    }
    scene.world.clock.advance(Duration::from_secs(1));
    let before = scene.world.clock.now();
    assert_eq!(
        scene.world.vault.reencrypt(accounts[0].owner, accounts[0].id, before).await.unwrap(),
        Reencrypted::Done
    );
    // The table goes away on the way; whoever comes back does what is left.
    scene.world.faults.go_down_after(40);
    assert!(scene.world.vault.reencrypt_all(before).await.is_err());
    scene.world.faults.come_back();
    let rest = scene.world.vault.reencrypt_all(before).await.unwrap();
    assert_eq!((rest.gone, rest.unreadable, rest.is_over), (0, 0, true), "{rest:?}");
    assert_eq!(scene.world.vault.reencrypt_all(before).await.unwrap().recent, 8);
    for account in &accounts {
        let row = scene.row(account).await;
        assert_ne!(row.credentials.wrapped_key, account.credentials.wrapped_key);
        assert_ne!(row.credentials.ciphertext, account.credentials.ciphertext);
        assert_eq!(text(&scene.read(account).await.unwrap().api_key), KEY);
    }
    assert_eq!(
        scene.trail(&scene.asha).await.iter().filter(|kind| *kind == "credentials_resealed").count(),
        8
    );
}

#[tokio::test]
async fn while_credentials_are_sealed_anew_every_reading_gets_them() {
    let scene = Arc::new(Scene::new().await);
    let mut accounts = Vec::new();
    for _ in 0..6 {
        accounts.push(scene.link(&scene.asha, "kite").await);
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut readings = Vec::new();
    for some in accounts.chunks(3) {
        let (scene, some, is_over) = (Arc::clone(&scene), some.to_vec(), Arc::clone(&is_over));
        readings.push(tokio::spawn(async move {
            let mut times = 0;
            for account in some.iter().cycle() {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let read = scene.read(account).await.unwrap();
                assert_eq!(text(read.api_secret.as_ref().unwrap()), SECRET);
                times += 1;
            }
            times
        }));
    }
    for _ in 0..3 {
        // Turns are counted by the minute.
        scene.world.clock.advance(Duration::from_mins(1));
        let reencrypted = scene.world.vault.reencrypt_all(scene.world.clock.now()).await.unwrap();
        assert_eq!((reencrypted.done, reencrypted.unreadable), (6, 0));
    }
    is_over.store(true, Ordering::SeqCst);
    let mut times = 0;
    for reading in readings {
        times += reading.await.unwrap();
    }
    println!("{times} readings while six accounts were sealed anew three times");
    assert!(times > 6);
}

#[tokio::test]
async fn a_session_is_over_at_six_in_the_morning_whoever_asks() {
    let brokers = FakeBrokers::start().unwrap();
    let variables = brokers.variables();
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let services = json!({"ticker": {"credentials": {"brokers": ["kite"], "kind": "long_lived"}}});
    let scene = Scene::with(&services, &variables).await;
    let now = || scene.world.clock.now().as_second();
    brokers.are(json!({"now": now()})).await;

    let (key, secret, user) = KITE;
    let request = NewTradingAccount {
        credentials: Credentials::parse(&key.into(), &secret.into()).unwrap(),
        broker_user: BrokerUser::parse(user).unwrap(),
        ..wanted("kite", None)
    };
    let origin = ClientContext::default();
    let account = scene.world.vault.link(&scene.asha.caller, request, &origin).await.unwrap();
    let login =
        scene.world.vault.verify(&scene.asha.caller, account.id, &origin).await.unwrap().login_url.unwrap();
    let request_token = brokers.log_in(&login).await;
    let begun = scene
        .world
        .vault
        .begin_session(&scene.asha.caller, account.id, (&login_code(&request_token), None), &origin)
        .await
        .unwrap();
    assert_eq!(begun.status, TradingAccountStatus::Active);

    let stored = scene.world.truth.trading_account(scene.asha.account.id, account.id).await.unwrap().unwrap();
    let ends = stored.session.as_ref().unwrap().expires_at;
    assert!(ends.to_string().ends_with("T00:30:00Z"), "{ends}");
    let left = ends.duration_since(scene.world.clock.now()).unsigned_abs();
    scene.world.clock.advance(left.saturating_sub(Duration::from_secs(1)));
    brokers.are(json!({"now": now()})).await;
    assert_eq!(
        scene.world.vault.verify(&scene.asha.caller, account.id, &origin).await.unwrap().status,
        TradingAccountStatus::Active
    );
    assert!(scene.read(&stored).await.unwrap().access_token.is_some());
    // Sealed anew it is the same session.
    assert_eq!(
        scene.world.vault.reencrypt(stored.owner, stored.id, scene.world.clock.now()).await.unwrap(),
        Reencrypted::Done
    );
    assert!(scene.read(&stored).await.unwrap().access_token.is_some());

    scene.world.clock.advance(Duration::from_secs(1));
    brokers.are(json!({"now": now()})).await;
    assert!(scene.read(&stored).await.unwrap().access_token.is_none());
    assert_eq!(
        scene.world.vault.account(&scene.asha.caller, account.id).await.unwrap().status,
        TradingAccountStatus::Expired
    );
    let asked = scene.world.vault.verify(&scene.asha.caller, account.id, &origin).await.unwrap();
    assert!(asked.status == TradingAccountStatus::Expired && asked.login_url.is_some(), "{asked:?}");
}

#[tokio::test]
async fn nothing_of_the_credentials_prints() {
    let scene = Scene::new().await;
    let account = scene.link(&scene.asha, "kite").await;
    let released = scene.read(&account).await.unwrap();
    let shown = format!("{released:?} {account:?} {:?}", wanted("kite", None));
    assert!(!shown.contains("hunter2"), "{shown}");
}
