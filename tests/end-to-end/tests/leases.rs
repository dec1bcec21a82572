//! Leases of readings: a service that reads again gets the same without the master key, and what ends a lease ends it.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::time::Duration;

use portcullis_harness::in_process::{PASSWORD, Person, World, password};
use portcullis_harness::service::{service_token, service_tokens};
use portcullis_identity::{ClientContext, Service, StepUp};
use portcullis_platform::Clock;
use portcullis_store::{AccountId, AuditKind, BrokerSession, LeaseKind, StoredTradingAccount};
use portcullis_vault::{
    BrokerUser, Credentials, Error, Lease, NewTradingAccount, Purpose, ReleasedCredentials, TradingAccountId,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const SEED: u64 = 20_261_130;
const SECRET: &str = "kitesecret-hunter2";
/// A millisecond less than a lease of five minutes.
const JUST_BEFORE: Duration = Duration::from_millis(299_999);

/// A person with a trading account, and services that read it.
struct Scene {
    world: World,
    asha: Person,
    account: TradingAccountId,
}

impl Scene {
    async fn new() -> Self {
        Self::with("300", "long_lived").await
    }

    /// With leases of so many seconds, and what `execution` may read.
    async fn with(seconds: &str, kind: &str) -> Self {
        let kite = |kind: &str| json!({"credentials": {"brokers": ["kite"], "kind": kind}});
        let services = json!({"ticker": kite("long_lived"), "execution": kite(kind)}).to_string();
        let tokens = service_tokens(&["ticker", "execution"]);
        let variables =
            [("SERVICE_TOKENS", tokens.as_str()), ("SERVICES", &services), ("CREDENTIAL_LEASE_TTL", seconds)];
        let world = World::with_variables(SEED, &variables).await;
        let asha = world.person("asha@example.com").await;
        let wanted = NewTradingAccount {
            broker: "kite".to_owned(),
            broker_user: BrokerUser::parse("AB1234").unwrap(),
            credentials: credentials(SECRET),
            label: None,
            idempotency_key: None,
        };
        let account = world.vault.link(&asha.caller, wanted, &ClientContext::default()).await.unwrap().id;
        Self { world, asha, account }
    }

    fn owner(&self) -> AccountId {
        self.asha.account.id
    }

    async fn service(&self, name: &str) -> Service {
        self.world.identity.authenticate_service(&service_token(name).into()).await.unwrap()
    }

    async fn read_as(&self, service: &str, purpose: &str) -> Result<ReleasedCredentials, Error> {
        let (service, purpose) = (self.service(service).await, Purpose::parse(purpose).unwrap());
        let origin = ClientContext::default();
        Box::pin(self.world.vault.read_credentials(&service, self.account, Some(purpose), &origin)).await
    }

    /// Reads as the ticker, and returns how often the keeper of the master key was asked for it.
    async fn read(&self) -> (ReleasedCredentials, u64) {
        let before = self.world.key_wrap.calls();
        let released = self.read_as("ticker", "market-stream").await.unwrap();
        (released, self.world.key_wrap.calls() - before)
    }

    async fn leases(&self) -> Vec<Lease> {
        self.world.vault.leases(&self.asha.caller, self.account).await.unwrap()
    }

    async fn lease_rows(&self) -> Vec<Value> {
        self.world.rows(&format!("READINGS#{}", self.owner()), "ACC#").await
    }

    async fn row(&self) -> StoredTradingAccount {
        self.world.truth.trading_account(self.owner(), self.account).await.unwrap().unwrap()
    }

    async fn put(&self, row: StoredTradingAccount) {
        let kind = AuditKind::TradingAccountVerified;
        let event = self.world.identity.audit_event(kind, self.owner(), &ClientContext::default()).unwrap();
        assert!(self.world.truth.swap_trading_account(&row, &event).await.unwrap());
    }
}

fn credentials(secret: &str) -> Credentials {
    Credentials::parse(&"kitekey-hunter2-9f3c".into(), &secret.into()).unwrap()
}

fn secret(released: &ReleasedCredentials) -> &str {
    released.api_secret.as_ref().unwrap().expose_secret()
}

fn lease_of(released: &ReleasedCredentials) -> String {
    released.lease.unwrap().0.to_string()
}

#[tokio::test]
async fn a_service_that_reads_again_is_given_the_same_without_the_master_key_and_each_reading_is_told_of() {
    let scene = Scene::new().await;
    let (first, calls) = scene.read().await;
    assert_eq!((secret(&first), calls), (SECRET, 1));
    scene.world.key_wrap.set_down(true);
    for _ in 0..3 {
        scene.world.clock.advance(Duration::from_mins(1));
        let (again, calls) = scene.read().await;
        assert_eq!((secret(&again), calls, lease_of(&again)), (SECRET, 0, lease_of(&first)));
        assert_eq!(again.lease, first.lease, "a reading does not make it longer");
        assert_eq!(
            (again.api_key.expose_secret(), again.broker_user.as_str()),
            ("kitekey-hunter2-9f3c", "AB1234")
        );
    }
    // Another purpose, another service: each has a lease of its own.
    assert!(scene.read_as("ticker", "holdings").await.is_err());
    assert!(scene.read_as("execution", "market-stream").await.is_err());
    scene.world.key_wrap.set_down(false);
    let others =
        [scene.read_as("ticker", "holdings").await, scene.read_as("execution", "market-stream").await]
            .map(|other| lease_of(&other.unwrap()));
    assert!(others.iter().all(|other| *other != lease_of(&first)) && others[0] != others[1]);

    let shown: Vec<_> =
        scene.leases().await.into_iter().map(|lease| (lease.service, lease.purpose)).collect();
    let expected = [("execution", "market-stream"), ("ticker", "holdings"), ("ticker", "market-stream")];
    assert_eq!(shown, expected.map(|(service, purpose)| (service.to_owned(), purpose.to_owned())));
    let records = scene.world.rows(&format!("AUDIT#{}", scene.owner()), "AUD#").await;
    let of_first: Vec<&Value> =
        records.iter().filter(|record| record["lease"]["S"] == lease_of(&first).as_str()).collect();
    assert_eq!(of_first.len(), 4);
    assert!(of_first.iter().all(|record| record["kind"]["S"] == "credentials_read"));
    let (_, until) = first.lease.unwrap();
    assert_eq!(of_first[0]["until"]["S"], until.to_string().as_str());
    assert!(of_first[1..].iter().all(|record| record.get("until").is_none()), "it begins once");
}

#[tokio::test]
async fn it_ends_when_its_time_is_over_and_another_one_begins() {
    let scene = Scene::new().await;
    let (first, _) = scene.read().await;
    scene.world.clock.advance(JUST_BEFORE);
    assert_eq!(scene.read().await.1, 0);
    scene.world.clock.advance(Duration::from_millis(1));
    assert!(scene.leases().await.is_empty());
    let (second, calls) = scene.read().await;
    assert_eq!(calls, 1);
    assert_ne!(lease_of(&first), lease_of(&second));
}

#[tokio::test]
async fn a_freeze_ends_it_for_good_whoever_freezes_and_it_does_not_come_back_when_that_is_lifted() {
    let scene = Scene::new().await;
    let (first, _) = scene.read().await;
    let (vault, caller, origin) = (&scene.world.vault, &scene.asha.caller, ClientContext::default());
    vault.freeze(caller, false, &origin).await.unwrap();
    assert!(matches!(scene.read_as("ticker", "market-stream").await, Err(Error::Frozen)));
    assert!(scene.leases().await.is_empty());
    let proof = StepUp::Password(password(PASSWORD));
    vault.unfreeze(caller, &proof, &origin).await.unwrap();
    assert!(scene.leases().await.is_empty());
    let (second, calls) = scene.read().await;
    assert_eq!(calls, 1);
    assert_ne!(lease_of(&first), lease_of(&second));
}

#[tokio::test]
async fn a_freeze_of_everybody_ends_it_too() {
    let scene = Scene::new().await;
    scene.read().await;
    let store = &scene.world.truth;
    scene.world.clock.advance(Duration::from_secs(1));
    let kind = AuditKind::EverybodyFrozen;
    let told =
        || scene.world.identity.audit_event(kind, AccountId::of_everybody(), &ClientContext::default());
    let (frozen, event) = (portcullis_store::Freeze::of(&told().unwrap()), told().unwrap());
    store.freeze_everybody(&frozen, &event).await.unwrap();
    assert!(matches!(scene.read_as("ticker", "market-stream").await, Err(Error::Frozen)));
    scene.world.clock.advance(Duration::from_secs(1));
    assert!(store.unfreeze_everybody(&frozen, &told().unwrap()).await.unwrap());
    assert!(!store.unfreeze_everybody(&frozen, &told().unwrap()).await.unwrap(), "it is lifted once");
    assert!(scene.leases().await.is_empty());
    assert_eq!(scene.read().await.1, 1);
    assert_eq!(scene.read().await.1, 0, "the one that began behind it goes on");
}

#[tokio::test]
async fn replacing_and_unlinking_end_it_and_leave_nothing_of_it() {
    let scene = Scene::new().await;
    scene.read().await;
    let (vault, caller, origin) = (&scene.world.vault, &scene.asha.caller, ClientContext::default());
    vault.replace_credentials(caller, scene.account, &credentials("another-secret"), &origin).await.unwrap();
    assert!(scene.lease_rows().await.is_empty());
    let (second, calls) = scene.read().await;
    assert_eq!((secret(&second), calls), ("another-secret", 1));
    vault.unlink(caller, scene.account, &origin).await.unwrap();
    assert!(scene.lease_rows().await.is_empty());
    assert!(scene.read_as("ticker", "market-stream").await.is_err());
    assert!(vault.leases(caller, scene.account).await.is_err());
}

#[tokio::test]
async fn what_a_lease_was_made_of_is_what_is_stored_or_it_is_over() {
    let scene = Scene::new().await;
    scene.read().await;
    let lease = scene.lease_rows().await.remove(0);
    let row = scene.row().await;
    // A row put back by somebody who can write the table: the lease of another secret does not open for it.
    let (vault, caller, origin) = (&scene.world.vault, &scene.asha.caller, ClientContext::default());
    vault.replace_credentials(caller, scene.account, &credentials("another-secret"), &origin).await.unwrap();
    scene.world.plant(&lease).await;
    let (read, calls) = scene.read().await;
    assert_eq!((secret(&read), calls), ("another-secret", 1));
    // Another session at the broker ends it, too, and a lease with a session ends with that.
    let now = scene.world.clock.now();
    let session =
        BrokerSession { sealed: row.credentials.clone(), expires_at: now + Duration::from_secs(30) };
    scene.put(StoredTradingAccount { session: Some(session), ..scene.row().await }).await;
    assert!(scene.leases().await.is_empty());
}

#[tokio::test]
async fn it_opens_for_its_service_as_it_was_written_and_nowhere_else() {
    let scene = Scene::new().await;
    let (first, _) = scene.read().await;
    let original = scene.lease_rows().await.remove(0);
    assert!(!original.to_string().contains("hunter2"));
    scene.world.key_wrap.set_down(true);
    let later = scene.world.clock.now() + Duration::from_hours(5);
    let changes: [(&str, &str, Value); 6] = [
        ("a longer life", "expires_at", json!({"N": later.as_millisecond().to_string()})),
        ("an earlier start", "begun_at", json!({"N": "0"})),
        ("another purpose", "purpose", json!({"S": "holdings"})),
        ("another kind", "lease_kind", json!({"S": "session"})),
        ("another id", "lease", json!({"S": format!("lse_{}", "0".repeat(32))})),
        ("more freezes", "freezes_before", json!({"N": "1"})),
    ];
    for (what, name, value) in changes {
        let mut bent = original.clone();
        bent[name] = value;
        scene.world.plant(&bent).await;
        assert!(scene.read_as("ticker", "market-stream").await.is_err(), "{what}");
    }
    // Moved to the place of another service, with its name or without.
    for name in ["ticker", "execution"] {
        let mut moved = original.clone();
        moved["service"] = json!({"S": name});
        moved["sk"] = json!({"S": format!("ACC#{}#execution#market-stream", scene.account)});
        scene.world.plant(&moved).await;
        assert!(scene.read_as("execution", "market-stream").await.is_err(), "{name}");
    }
    scene.world.plant(&original).await;
    assert_eq!(lease_of(&scene.read().await.0), lease_of(&first));
}

#[tokio::test]
async fn readings_that_begin_at_once_are_in_one_lease() {
    let scene = Scene::new().await;
    let reads = (0..16).map(|_| scene.read_as("ticker", "market-stream"));
    let released: Vec<_> = futures_util::future::join_all(reads).await.into_iter().flatten().collect();
    assert!(!released.is_empty());
    let rows = scene.lease_rows().await;
    assert_eq!(rows.len(), 1);
    assert!(released.iter().all(|read| secret(read) == SECRET && lease_of(read) == rows[0]["lease"]["S"]));
}

#[tokio::test]
async fn a_service_that_may_read_sessions_alone_has_leases_of_those() {
    let scene = Scene::with("300", "session").await;
    scene.read().await;
    assert!(matches!(scene.read_as("execution", "market-stream").await, Err(Error::NoBrokerSession)));
    let kinds: Vec<_> = scene.leases().await.into_iter().map(|lease| (lease.service, lease.kind)).collect();
    assert_eq!(kinds, [("ticker".to_owned(), LeaseKind::LongLived)]);
}

#[tokio::test]
async fn without_leases_every_reading_is_decrypted_and_nothing_is_kept() {
    let scene = Scene::with("0", "session").await;
    for _ in 0..2 {
        let (read, calls) = scene.read().await;
        assert_eq!((calls, read.lease), (1, None));
    }
    assert!(scene.lease_rows().await.is_empty() && scene.leases().await.is_empty());
}
