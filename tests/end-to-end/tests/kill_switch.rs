//! The kill switch while brokers misbehave, services read and processes are cut off: nothing is released behind a freeze but
//! the session inside the time for cancelling, and nothing is said to be cancelled that rests.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use portcullis_functions::{JobEvent, ScheduledJob};
use portcullis_harness::brokers::{ALPACA, FakeBrokers, KITE};
use portcullis_harness::fault::{Faulty, Step};
use portcullis_harness::in_process::{PASSWORD, Person, World, password};
use portcullis_harness::service::{service_token, service_tokens};
use portcullis_identity::{ClientContext, Operator, Service, StepUp};
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse, BrokerUnreachable, Clock};
use portcullis_store::BrokerSession;
use portcullis_vault::{
    BrokerUser, Cancelled, Credentials, Error, FreezeReason, Frozen, FrozenAccount, LoginCode,
    NewTradingAccount, OperatorFreeze, Orders, Purpose, ReleasedCredentials, SessionEnd, TradingAccountId,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const SEED: u64 = 20_261_130;
/// As many services as read at once while somebody freezes.
const READERS: usize = 50;
const RESTING: usize = 100;
/// A request may take five seconds whatever a broker does.
const DEADLINE: Duration = Duration::from_secs(5);
/// The time for cancelling, as it is without a setting.
const GRACE: Duration = Duration::from_secs(20);

fn reader(number: usize) -> String {
    format!("reader-{number}")
}

/// Services that read everything, one that cancels with what lasts, one with sessions alone, and one that only asks.
fn services() -> (String, String) {
    let both = json!({"brokers": ["alpaca", "kite"], "kind": "long_lived", "per_minute": 1_000_000});
    let session = json!({"brokers": ["kite"], "kind": "session", "per_minute": 1_000_000});
    let mut all = json!({
        "execution": {"rights": ["trading:cancel"], "credentials": both},
        "gateway": {"rights": ["trading:cancel"], "credentials": session},
        "watcher": ["freeze:read"],
        "keyless": ["trading:cancel"],
    });
    for number in 0..READERS {
        all[reader(number)] = json!({"credentials": both});
    }
    let names: Vec<&str> = all.as_object().unwrap().keys().map(String::as_str).collect();
    (service_tokens(&names), all.to_string())
}

/// Asha with an account at each broker, where orders rest.
struct Stage {
    world: World,
    brokers: FakeBrokers,
    asha: Person,
    kite: TradingAccountId,
    alpaca: TradingAccountId,
}

impl Stage {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let of_brokers = brokers.variables();
        let (tokens, services) = services();
        let mut variables = vec![("SERVICE_TOKENS", tokens.as_str()), ("SERVICES", services.as_str())];
        variables.extend(of_brokers.iter().map(|(name, value)| (*name, value.as_str())));
        variables.extend(more);
        let world = World::with_variables(SEED, &variables).await;
        let asha = world.person("asha@example.com").await;
        brokers.are(json!({"now": world.unix_now(), "orders": RESTING})).await;
        let kite = link(&world, &asha, "kite", KITE).await;
        let alpaca = link(&world, &asha, "alpaca", ALPACA).await;
        let stage = Self { world, brokers, asha, kite, alpaca };
        stage.log_in().await;
        stage
    }

    /// Begins the session of the day at Kite.
    async fn log_in(&self) {
        let (vault, caller, origin) = (&self.world.vault, &self.asha.caller, ClientContext::default());
        let asked = vault.verify(caller, self.kite, &origin).await.unwrap();
        let token = self.brokers.log_in(&asked.login_url.unwrap()).await;
        let token = LoginCode::parse(&token.as_str().into()).unwrap();
        vault.begin_session(caller, self.kite, (&token, None), &origin).await.unwrap();
    }

    async fn freeze(&self, cancel_orders: bool) -> Result<Frozen, Error> {
        self.world.vault.freeze(&self.asha.caller, cancel_orders, &ClientContext::default()).await
    }

    async fn unfreeze(&self) {
        let proof = StepUp::Password(password(PASSWORD));
        let origin = ClientContext::default();
        self.world.vault.unfreeze(&self.asha.caller, &proof, &origin).await.unwrap();
    }

    async fn read(&self, service: &str, purpose: &str) -> Result<ReleasedCredentials, Error> {
        read(&self.world, service, self.kite, purpose, "read").await
    }

    async fn acknowledge(&self, service: &str, cancelled: u32, failed: u32) -> Result<SessionEnd, Error> {
        let service = service_of(&self.world, service).await;
        let outcome = Cancelled { cancelled, failed };
        self.world.vault.acknowledge(&service, self.kite, outcome, &ClientContext::default()).await
    }

    async fn sweep(&self) {
        ScheduledJob::FinishFreezes.run(&self.world.vault, JobEvent::default()).await.unwrap();
    }

    async fn session(&self) -> Option<BrokerSession> {
        let owner = self.asha.caller.account.id;
        self.world.truth.trading_account(owner, self.kite).await.unwrap().unwrap().session
    }

    /// How many sessions the fake ended.
    async fn logouts(&self) -> usize {
        let log = self.brokers.log().await;
        log.as_array()
            .unwrap()
            .iter()
            .filter(|asked| asked["path"] == "/session/token" && asked["method"] == "DELETE")
            .count()
    }

    /// How many orders rest, as the brokers know.
    async fn resting(&self, broker: &str) -> usize {
        let orders = self.brokers.orders().await;
        let open = ["new", "pending_cancel", "OPEN", "TRIGGER PENDING"];
        let rests = |status: &&Value| open.contains(&status.as_str().unwrap());
        orders[broker].as_object().unwrap().values().filter(rests).count()
    }

    fn of(frozen: &Frozen, id: TradingAccountId) -> FrozenAccount {
        frozen.accounts.iter().find(|account| account.id == id).unwrap().clone()
    }

    /// Particulars of the events of this kind, oldest first.
    async fn events(&self, kind: &str) -> Vec<Value> {
        let rows = self.world.rows(&format!("AUDIT#{}", self.asha.caller.account.id), "AUD#").await;
        rows.into_iter().filter(|row| row["kind"]["S"] == kind).collect()
    }
}

async fn link(
    world: &World,
    person: &Person,
    broker: &str,
    (key, secret, user): (&str, &str, &str),
) -> TradingAccountId {
    let wanted = NewTradingAccount {
        broker: broker.to_owned(),
        broker_user: BrokerUser::parse(user).unwrap(),
        credentials: Credentials::parse(&key.into(), &secret.into()).unwrap(),
        label: None,
        idempotency_key: None,
    };
    world.vault.link(&person.caller, wanted, &ClientContext::default()).await.unwrap().id
}

async fn service_of(world: &World, name: &str) -> Service {
    world.identity.authenticate_service(&service_token(name).into()).await.unwrap()
}

async fn read(
    world: &World,
    service: &str,
    account: TradingAccountId,
    purpose: &str,
    request_id: &str,
) -> Result<ReleasedCredentials, Error> {
    let service = service_of(world, service).await;
    let origin = ClientContext { request_id: request_id.to_owned(), ..ClientContext::default() };
    let purpose = Purpose::parse(purpose).unwrap();
    Box::pin(world.vault.read_credentials(&service, account, Some(purpose), &origin)).await
}

fn reason() -> FreezeReason {
    FreezeReason::parse("orders that nobody placed").unwrap()
}

fn operator() -> Operator {
    Operator::CommandLine("root".to_owned())
}

fn wanted(lasts: Option<Duration>) -> OperatorFreeze {
    OperatorFreeze { reason: reason(), lasts, cancel_orders: false }
}

/// Cancels every order at Kite with this session, as the service does that is at the registered address.
async fn cancel_at_kite(brokers: &FakeBrokers, session: &ReleasedCredentials) -> u32 {
    let token = session.access_token.as_ref().unwrap().expose_secret();
    let authorization = format!("token {}:{token}", session.api_key.expose_secret());
    let orders = brokers.orders().await;
    let mut cancelled = 0;
    for (number, status) in orders["kite"].as_object().unwrap() {
        if status == "COMPLETE" || status == "CANCELLED" {
            continue;
        }
        let answer = reqwest::Client::new()
            .delete(format!("{}/orders/regular/{number}", brokers.url))
            .header("authorization", &authorization)
            .header("x-kite-version", "3")
            .header("x-test-address", "203.0.113.7")
            .send()
            .await
            .unwrap();
        cancelled += u32::from(answer.status().is_success());
    }
    cancelled
}

#[tokio::test]
async fn a_freeze_while_a_hundred_orders_rest_and_fifty_services_read() {
    let stage = Arc::new(Stage::new().await);
    let before = stage.world.trail(&stage.asha.caller.account).await.len();
    let mut readings = (0..READERS).map(|number| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.read(&reader(number), "market-stream").await.is_ok() })
    });
    let first = readings.next().unwrap();
    let others: Vec<_> = readings.collect();
    let mut released = usize::from(first.await.unwrap());
    let raced = stage.freeze(true).await.unwrap();
    for reading in others {
        released += usize::from(reading.await.unwrap());
    }
    // What was released has its record in front of the freeze's.
    let trail = stage.world.trail(&stage.asha.caller.account).await.split_off(before);
    let at = trail.iter().position(|kind| kind == "credentials_frozen").unwrap();
    let in_front = trail[..at].iter().filter(|kind| *kind == "credentials_read").count();
    println!("{released} of {READERS} readings were released in front of the freeze");
    assert!(released <= in_front, "{released} were released, {in_front} in front of the freeze");

    let alpaca = Stage::of(&raced, stage.alpaca);
    assert!(alpaca.orders != Orders::Cancelled || stage.resting("alpaca").await == 0, "{alpaca:?}");
    assert_eq!(Stage::of(&raced, stage.kite).orders, Orders::Delegated);
    // Once more, now that a broker is not answered late by a machine that is busy with fifty readers.
    stage.brokers.are(json!({"orders": RESTING})).await;
    let frozen = stage.freeze(true).await.unwrap();
    let alpaca = Stage::of(&frozen, stage.alpaca);
    assert_eq!((alpaca.orders, alpaca.open_orders), (Orders::Cancelled, Some(0)), "{alpaca:?}");
    assert_eq!((alpaca.session, alpaca.advice), (SessionEnd::None, None));
    assert_eq!(stage.resting("alpaca").await, 0);
    let kite = Stage::of(&frozen, stage.kite);
    assert_eq!((kite.orders, kite.open_orders), (Orders::Delegated, Some(100)), "{kite:?}");
    assert_eq!((kite.session, stage.logouts().await), (SessionEnd::Kept, 0));
    assert_eq!(frozen.cancel_until, Some(frozen.since + GRACE));

    // Nobody reads but who may cancel and says so, and they get the session and not the secret.
    for (service, purpose) in
        [("reader-0", "cancel-orders"), ("execution", "market-stream"), ("gateway", "market-stream")]
    {
        assert!(matches!(stage.read(service, purpose).await, Err(Error::Frozen)), "{service} {purpose}");
    }
    let session = stage.read("execution", "cancel-orders").await.unwrap();
    assert!(session.api_secret.is_none() && session.access_token.is_some());
    assert!(stage.read("gateway", "cancel-orders").await.unwrap().api_secret.is_none());
    let reads = stage.events("credentials_read").await;
    let during = reads.iter().filter(|row| row.get("during_freeze").is_some()).collect::<Vec<_>>();
    assert_eq!(during.len(), 2, "each is on record as one during a freeze");
    assert!(during.iter().all(|row| row["purpose"]["S"] == "cancel-orders"));

    let cancelled = cancel_at_kite(&stage.brokers, &session).await;
    assert_eq!((cancelled, stage.resting("kite").await), (100, 0));
    assert_eq!(stage.acknowledge("execution", cancelled, 0).await.unwrap(), SessionEnd::Ended);
    assert_eq!((stage.logouts().await, stage.session().await), (1, None));
    assert!(matches!(stage.read("execution", "cancel-orders").await, Err(Error::NoBrokerSession)));
    // A second word of it changes nothing.
    assert_eq!(stage.acknowledge("execution", cancelled, 0).await.unwrap(), SessionEnd::None);
    let told = stage.events("orders_cancelled").await;
    let counts: Vec<_> =
        told.iter().map(|row| (row["cancelled"]["N"].as_str(), row["failed"]["N"].as_str())).collect();
    assert_eq!(
        counts[1..],
        [(Some("100"), Some("0")); 3],
        "Alpaca's by the vault, Kite's by the service, twice"
    );
    stage.sweep().await;
    assert_eq!(stage.logouts().await, 1, "nothing was left to the sweep");
    let verified = stage.world.identity.verify_audit().await.unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
}

#[tokio::test]
async fn the_time_for_cancelling_ends_whoever_reads_and_the_sweep_ends_the_session() {
    let stage = Stage::new().await;
    stage.freeze(true).await.unwrap();
    stage.world.clock.advance(GRACE.saturating_sub(Duration::from_millis(1)));
    stage.sweep().await;
    assert_eq!(stage.logouts().await, 0, "there is time left");
    assert!(stage.read("execution", "cancel-orders").await.is_ok());
    // Some could not be cancelled: whoever tries again has the rest of the time.
    assert_eq!(stage.acknowledge("execution", 97, 3).await.unwrap(), SessionEnd::Kept);
    assert!(stage.read("gateway", "cancel-orders").await.is_ok());
    stage.world.clock.advance(Duration::from_millis(1));
    for service in ["execution", "gateway"] {
        assert!(matches!(stage.read(service, "cancel-orders").await, Err(Error::Frozen)), "{service}");
    }
    assert!(stage.session().await.is_some());
    stage.sweep().await;
    assert_eq!((stage.session().await, stage.logouts().await), (None, 1));
    // A late word is on record all the same.
    assert_eq!(stage.acknowledge("execution", 100, 0).await.unwrap(), SessionEnd::None);
    stage.sweep().await;
    assert_eq!(stage.logouts().await, 1);
}

#[tokio::test]
async fn without_time_or_anybody_who_may_cancel_nothing_is_left_to_others() {
    let stage = Stage::with(&[("FREEZE_CANCEL_GRACE", "0")]).await;
    let frozen = stage.freeze(true).await.unwrap();
    let kite = Stage::of(&frozen, stage.kite);
    assert_eq!(
        (kite.orders, kite.open_orders, kite.session),
        (Orders::Unconfirmed, Some(100), SessionEnd::Ended)
    );
    assert!(kite.advice.unwrap().starts_with("Orders rest at Kite"));
    assert!(frozen.cancel_until.is_none());
    assert!(matches!(stage.read("execution", "cancel-orders").await, Err(Error::Frozen)));
    assert!(matches!(stage.acknowledge("execution", 1, 0).await, Err(Error::NothingToCancel)));
    // The same where no service may.
    let nobody = r#"{"execution": {"credentials": {"brokers": ["kite"], "kind": "session"}}, "keyless": ["trading:cancel"]}"#;
    let stage = Stage::with(&[("SERVICES", nobody)]).await;
    let frozen = stage.freeze(true).await.unwrap();
    assert_eq!(Stage::of(&frozen, stage.kite).orders, Orders::Unconfirmed);
    assert_eq!((stage.session().await, stage.logouts().await), (None, 1));
}

#[tokio::test]
async fn a_freeze_that_cancels_nothing_leaves_every_order_and_nobody_reads() {
    let stage = Stage::new().await;
    let frozen = stage.freeze(false).await.unwrap();
    for account in &frozen.accounts {
        assert_eq!((account.orders, account.open_orders), (Orders::None, None));
    }
    assert_eq!((stage.resting("alpaca").await, stage.resting("kite").await), (100, 100));
    assert!(matches!(stage.read("execution", "cancel-orders").await, Err(Error::Frozen)));
    assert!(matches!(stage.acknowledge("execution", 1, 0).await, Err(Error::NothingToCancel)));
    assert_eq!(Stage::of(&frozen, stage.kite).session, SessionEnd::Ended);
    // Where no order rests, nothing is delegated, and the session is not kept.
    stage.unfreeze().await;
    stage.log_in().await;
    stage.brokers.are(json!({"orders": 0})).await;
    let frozen = stage.freeze(true).await.unwrap();
    for account in &frozen.accounts {
        assert_eq!((account.orders, account.open_orders), (Orders::None, Some(0)), "{account:?}");
    }
    assert_eq!(stage.session().await, None);
}

#[tokio::test]
async fn whatever_the_broker_does_no_order_is_said_to_be_cancelled_that_rests() {
    let stage = Stage::new().await;
    for (state, orders, open) in [
        (json!({"cancels": "ok"}), Orders::Cancelled, Some(0)),
        // Late, but in time.
        (json!({"cancels": "slow"}), Orders::Cancelled, Some(0)),
        (json!({"cancels": "some"}), Orders::Partly, Some(25)),
        (json!({"cancels": "refuses"}), Orders::Unconfirmed, Some(100)),
        (json!({"cancels": "hangs"}), Orders::Unconfirmed, Some(100)),
        // It was done, and the answer was lost: the book says so.
        (json!({"cancels": "lost"}), Orders::Cancelled, Some(0)),
        (json!({"mode": "hang"}), Orders::Unconfirmed, None),
        (json!({"mode": "down"}), Orders::Unconfirmed, None),
        (json!({"mode": "html"}), Orders::Unconfirmed, None),
        (json!({"mode": "rate"}), Orders::Unconfirmed, None),
        (json!({"mode": "redirect"}), Orders::Unconfirmed, None),
        (json!({"orders": 600, "cancels": "refuses"}), Orders::Unconfirmed, Some(500)),
    ] {
        stage.brokers.are(json!({"mode": "ok", "cancels": "ok", "orders": RESTING})).await;
        stage.brokers.are(state.clone()).await;
        let frozen = tokio::time::timeout(DEADLINE, stage.freeze(true)).await.expect("in time").unwrap();
        stage.brokers.are(json!({"mode": "ok"})).await;
        let alpaca = Stage::of(&frozen, stage.alpaca);
        assert_eq!((alpaca.orders, alpaca.open_orders), (orders, open), "{state}: {alpaca:?}");
        let is_certain = matches!(alpaca.orders, Orders::Cancelled | Orders::None);
        assert!(!is_certain || stage.resting("alpaca").await == 0, "{state}");
        assert_eq!(alpaca.advice.is_none(), is_certain, "{state}: {:?}", alpaca.advice);
        // Freezing once more does what is left.
        stage.brokers.are(json!({"cancels": "ok"})).await;
        let again = stage.freeze(true).await.unwrap();
        let alpaca = Stage::of(&again, stage.alpaca);
        assert!(matches!(alpaca.orders, Orders::Cancelled | Orders::None), "{state}: {alpaca:?}");
        assert_eq!(stage.resting("alpaca").await, 0, "{state}");
        stage.unfreeze().await;
    }
}

#[tokio::test]
async fn a_process_that_is_cut_off_has_frozen_and_the_sweep_does_the_rest_or_has_done_nothing() {
    let mut stood = BTreeSet::new();
    for gap in 0.. {
        let stage = Stage::new().await;
        stage.world.clock.advance(Duration::from_secs(1));
        stage.world.faults.go_down_after(gap);
        let cut_off = stage.freeze(true).await;
        stage.world.faults.come_back();
        let what = format!("after {gap} requests");
        let owner = stage.asha.caller.account.id;
        let stands = stage.world.truth.freeze(owner).await.unwrap().is_some();
        let recorded = stage.events("credentials_frozen").await.iter().any(|row| row.get("seq").is_some());
        assert_eq!(stands, recorded, "{what}: a freeze and its record are one write");
        assert!(stands || cut_off.is_err(), "{what}: nobody is told of a freeze that does not stand");
        // What was answered is so.
        for account in cut_off.iter().flat_map(|frozen| &frozen.accounts) {
            let broker = if account.id == stage.kite { "kite" } else { "alpaca" };
            if matches!(account.orders, Orders::Cancelled | Orders::None) {
                assert_eq!(stage.resting(broker).await, 0, "{what}: {account:?}");
            }
        }
        let read = stage.read("reader-0", "market-stream").await;
        let session = stage.read("execution", "cancel-orders").await;
        if stands {
            assert!(matches!(read, Err(Error::Frozen)), "{what}: {read:?}");
            assert!(
                session.as_ref().is_ok_and(|session| session.api_secret.is_none()),
                "{what}: {session:?}"
            );
        } else {
            assert!(read.is_ok() && session.is_ok(), "{what}");
        }
        stage.world.clock.advance(GRACE);
        assert_eq!(stage.read("execution", "cancel-orders").await.is_ok(), !stands, "{what}");
        stage.sweep().await;
        assert_eq!(stage.session().await.is_none(), stands, "{what}: the sweep ends what is left");
        stood.insert(stands);
        let verified = stage.world.identity.verify_audit().await.unwrap();
        assert!(verified.findings.is_empty(), "{what}: {:?}", verified.findings);
        let is_told = stage.events("orders_cancelled").await.len() == 1;
        let is_sure =
            |frozen: Frozen| frozen.accounts.iter().all(|account| account.session != SessionEnd::Unconfirmed);
        if is_told && cut_off.is_ok_and(is_sure) {
            assert!(gap >= 6 && stood.len() == 2, "{what}");
            return;
        }
    }
}

/// A broker that says, at the first request, what the store was asked for until then.
#[derive(Debug, Default)]
struct Witness {
    faults: OnceLock<Faulty>,
    writes: OnceLock<Vec<String>>,
}

const WRITES: [&str; 5] = ["TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"];

#[async_trait]
impl BrokerHttp for Witness {
    async fn send(&self, request: BrokerRequest) -> Result<BrokerResponse, BrokerUnreachable> {
        self.writes.get_or_init(|| {
            let heard = self.faults.get().unwrap().heard();
            let asked = heard.into_iter().map(|(operation, _)| operation);
            asked.filter(|operation| WRITES.contains(&operation.as_str())).collect()
        });
        let (status, body) = if request.method == "DELETE" { (207, "[]") } else { (200, "[]") };
        Ok(BrokerResponse { status, body: body.as_bytes().to_vec().into() })
    }
}

/// Every other write is held up until the broker was asked: whatever waited for one of them would never ask it.
#[tokio::test]
async fn one_write_comes_before_the_first_request_to_a_broker() {
    let witness = Arc::new(Witness::default());
    let (tokens, services) = services();
    let variables = [("SERVICE_TOKENS", tokens.as_str()), ("SERVICES", services.as_str())];
    let world = World::with_broker(SEED, &variables, Arc::clone(&witness) as Arc<dyn BrokerHttp>).await;
    witness.faults.set(world.faults.clone()).unwrap();
    let asha = world.person("asha@example.com").await;
    for _ in 0..5 {
        link(&world, &asha, "alpaca", ALPACA).await;
    }
    world.faults.listen();
    let held = world.faults.hold(|request| {
        WRITES[1..].iter().any(|write| request.contains(&format!(".{write} "))) && !request.contains("GUESS")
    });
    let (there, caller) = (world.clone(), asha.caller.clone());
    let freezing =
        tokio::spawn(async move { there.vault.freeze(&caller, true, &ClientContext::default()).await });
    let mut turns = 0..100_000;
    while witness.writes.get().is_none() {
        let waits = turns.next().is_some() && !freezing.is_finished();
        assert!(waits, "no broker was asked before another write");
        tokio::task::yield_now().await;
    }
    held.release();
    let frozen = freezing.await.unwrap().unwrap();
    assert_eq!(frozen.accounts.len(), 5);
    let writes = witness.writes.get().unwrap();
    let waited_for: Vec<_> = writes.iter().filter(|write| *write == "TransactWriteItems").collect();
    println!("before the first request to a broker: {writes:?}, all but the first held up");
    assert_eq!(waited_for.len(), 1, "{writes:?}");
}

#[tokio::test]
async fn who_may_cancel_gets_no_secret_however_a_freeze_comes_between() {
    let stage = Stage::new().await;
    // It was admitted freely, and is about to write its record of a reading of everything.
    let held = stage
        .world
        .faults
        .hold(|request| request.contains("PutItem") && request.contains("credentials_read"));
    let (there, kite) = (stage.world.clone(), stage.kite);
    let reading = tokio::spawn(async move { read(&there, "execution", kite, "cancel-orders", "r").await });
    held.reached().await;
    let truth = &stage.world.truth;
    let owner = stage.asha.caller.account.id;
    let event = stage.world.identity.audit_event(
        portcullis_store::AuditKind::CredentialsFrozen,
        owner,
        &ClientContext::default(),
    );
    let event = event.unwrap();
    let freeze = portcullis_store::Freeze {
        cancel_until: Some(event.at + GRACE),
        ..portcullis_store::Freeze::of(&event)
    };
    let kind = (owner, portcullis_store::Freezer::Owner);
    assert!(truth.put_freeze(kind, &freeze, None, &[event]).await.unwrap().is_some());
    held.release();
    assert!(matches!(reading.await.unwrap(), Err(Error::Frozen)));
    // What it reads now is the session.
    assert!(stage.read("execution", "cancel-orders").await.unwrap().api_secret.is_none());
}

#[tokio::test]
async fn the_strictest_freeze_counts_and_each_is_lifted_by_its_own_kind() {
    let stage = Stage::new().await;
    let (vault, origin) = (&stage.world.vault, ClientContext::default());
    let asha = &stage.asha.caller;
    stage.freeze(true).await.unwrap();
    assert!(stage.read("execution", "cancel-orders").await.is_ok());
    // An administrator who leaves no time closes it for the owner's freeze, too.
    let by_admin = vault.freeze_person(&operator(), asha.account.id, wanted(None), &origin).await.unwrap();
    assert_eq!(Stage::of(&by_admin, stage.kite).session, SessionEnd::Ended);
    assert!(matches!(stage.read("execution", "cancel-orders").await, Err(Error::Frozen)));
    let proof = StepUp::Password(password(PASSWORD));
    let left = vault.unfreeze(asha, &proof, &origin).await.unwrap();
    let admins = left.by_admin.as_ref().unwrap();
    assert_eq!(
        (admins.frozen_by.as_deref(), admins.reason.as_deref()),
        (Some("cli:root"), Some("orders that nobody placed"))
    );
    assert!(left.own.is_none() && matches!(stage.read("reader-0", "m").await, Err(Error::Frozen)));
    assert!(matches!(vault.verify(asha, stage.kite, &origin).await, Err(Error::Frozen)));
    let left = vault.unfreeze_person(&operator(), asha.account.id, &origin).await.unwrap();
    assert!(!left.any() && stage.read("reader-0", "m").await.is_ok());
    // The owner's own is not the administrator's to lift.
    stage.freeze(false).await.unwrap();
    let left = vault.unfreeze_person(&operator(), asha.account.id, &origin).await.unwrap();
    assert!(left.own.is_some());
    assert!(matches!(stage.read("reader-0", "m").await, Err(Error::Frozen)));
    let sent = stage.world.notifications.take();
    let told = |subject: &str| sent.iter().filter(|mail| mail.subject == subject).count();
    assert_eq!(told("An administrator froze your broker credentials"), 1);
    assert_eq!(told("An administrator lifted the freeze of your broker credentials"), 1);
}

#[tokio::test]
async fn a_freeze_with_an_end_ends_by_itself_and_no_other_does() {
    let stage = Stage::new().await;
    let (vault, origin) = (&stage.world.vault, ClientContext::default());
    let person = stage.asha.caller.account.id;
    for lasts in [Duration::ZERO, Duration::from_secs(2_678_401), Duration::from_secs(1_000_000_000)] {
        let refused = vault.freeze_person(&operator(), person, wanted(Some(lasts)), &origin).await;
        assert!(matches!(refused, Err(Error::Identity(portcullis_identity::Error::Invalid(_)))), "{lasts:?}");
        assert!(vault.freeze_everybody(&operator(), wanted(Some(lasts)), &origin).await.is_err());
    }
    let hour = Duration::from_hours(1);
    vault.freeze_person(&operator(), person, wanted(Some(hour)), &origin).await.unwrap();
    vault.freeze_everybody(&operator(), wanted(Some(hour)), &origin).await.unwrap();
    stage.world.clock.advance(hour.saturating_sub(Duration::from_millis(1)));
    assert!(matches!(stage.read("reader-0", "m").await, Err(Error::Frozen)));
    stage.world.clock.advance(Duration::from_millis(1));
    assert!(stage.read("reader-0", "m").await.is_ok());
    assert!(vault.freeze_of_everybody().await.unwrap().is_none());
    // Sessions can be begun again beside the row that has ended, and the sweep leaves them alone.
    stage.log_in().await;
    stage.sweep().await;
    assert!(stage.session().await.is_some());
    stage.freeze(false).await.unwrap();
    stage.world.clock.advance(Duration::from_hours(24 * 365));
    assert!(matches!(stage.read("reader-0", "m").await, Err(Error::Frozen)));
}

#[tokio::test]
async fn a_freeze_of_everybody_is_lifted_by_who_read_it_and_is_on_record() {
    let stage = Stage::new().await;
    let (vault, origin) = (&stage.world.vault, ClientContext::default());
    let first = vault.freeze_everybody(&operator(), wanted(None), &origin).await.unwrap();
    assert!(matches!(stage.read("reader-0", "m").await, Err(Error::Frozen)));
    assert!(matches!(stage.read("execution", "cancel-orders").await, Err(Error::Frozen)));
    assert_eq!(stage.logouts().await, 0, "it ends no session");
    // Its owner's freeze leaves time for cancelling, and everybody's does not.
    stage.freeze(true).await.unwrap();
    assert!(matches!(stage.read("execution", "cancel-orders").await, Err(Error::Frozen)));
    // A request to lift the first one arrives late.
    vault.freeze_everybody(&operator(), wanted(None), &origin).await.unwrap();
    let event = stage.world.identity.audit_event(
        portcullis_store::AuditKind::EverybodyUnfrozen,
        portcullis_store::Id::of_everybody(),
        &origin,
    );
    assert!(!stage.world.truth.unfreeze_everybody(&first, &event.unwrap()).await.unwrap());
    vault.unfreeze_everybody(&operator(), &origin).await.unwrap();
    vault.unfreeze_everybody(&operator(), &origin).await.unwrap();
    assert!(stage.read("execution", "cancel-orders").await.is_ok(), "the owner's freeze leaves time");
    let rows = stage.world.rows("AUDIT#usr_00000000000000000000000000000000", "AUD#").await;
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["kind"]["S"].as_str()).collect();
    assert_eq!(kinds, ["everybody_frozen", "everybody_frozen", "everybody_unfrozen"]);
    assert_eq!(rows[0]["actor"]["S"], "cli:root");
    let verified = stage.world.identity.verify_audit().await.unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
}

/// The name of a step that matters here: the record of a reading, by its request, and the write of the freeze.
fn named(request: &str) -> Option<String> {
    if request.contains("TransactWriteItems") && request.contains("everybody_frozen") {
        return Some("freeze".to_owned());
    }
    let is_record = request.contains(".PutItem ") && request.contains("credentials_read");
    let (_, rest) = request.split_once("\"request_id\":{\"S\":\"").filter(|_| is_record)?;
    rest.split('"').next().map(str::to_owned)
}

/// In two halves, which run side by side.
#[tokio::test]
async fn a_freeze_of_everybody_beats_the_first_half_of_ten_thousand_readings() {
    freeze_everybody_against_five_thousand(SEED).await;
}

#[tokio::test]
async fn a_freeze_of_everybody_beats_the_second_half_of_ten_thousand_readings() {
    freeze_everybody_against_five_thousand(SEED + 1).await;
}

/// Each round is an interleaving of its own: the requests of all of them get their turns in an order that is drawn.
async fn freeze_everybody_against_five_thousand(seed: u64) {
    const ROUNDS: usize = 50;
    // One reading each: nobody queues up in a trail, and all of them are on their way when the freeze comes.
    const PEOPLE: usize = 100;
    const EACH: usize = 1;
    let (tokens, services) = services();
    let variables = [("SERVICE_TOKENS", tokens.as_str()), ("SERVICES", services.as_str())];
    let world = World::with_variables(seed, &variables).await;
    let mut accounts = Vec::new();
    for number in 0..PEOPLE {
        let person = world.person(&format!("p{number}@example.com")).await;
        accounts.push(link(&world, &person, "kite", KITE).await);
    }
    let (mut random, origin) = (StdRng::seed_from_u64(seed), ClientContext::default());
    let (mut released_in_all, mut refused_in_all) = (0, 0);
    for round in 0..ROUNDS {
        // Readings are counted by the minute.
        world.clock.advance(Duration::from_secs(1));
        world.faults.follow(named);
        let readings: Vec<_> = (0..PEOPLE * EACH)
            .map(|number| {
                let (world, account) = (world.clone(), accounts[number % PEOPLE]);
                let id = format!("r-{round}-{number}");
                tokio::spawn(async move {
                    let released = read(&world, "reader-0", account, "m", &id).await;
                    (id, released.is_ok())
                })
            })
            .collect();
        for _ in 0..random.random_range(0..40) {
            tokio::task::yield_now().await;
        }
        world.vault.freeze_everybody(&operator(), wanted(None), &origin).await.unwrap();
        assert!(matches!(read(&world, "reader-0", accounts[0], "m", "late").await, Err(Error::Frozen)));
        let mut released = Vec::new();
        for reading in readings {
            let (id, is_released) = reading.await.unwrap();
            if is_released {
                released.push(id);
            }
        }
        let steps = world.faults.followed();
        let stands = steps.iter().position(|step| *step == Step::Done("freeze".to_owned())).unwrap();
        for id in &released {
            let recorded = steps.iter().position(|step| *step == Step::Began(id.clone())).expect("a record");
            assert!(recorded < stands, "round {round}: {id} was released behind the freeze");
        }
        released_in_all += released.len();
        refused_in_all += PEOPLE * EACH - released.len();
        world.vault.unfreeze_everybody(&operator(), &origin).await.unwrap();
    }
    println!("{released_in_all} readings were released in front of the freeze, {refused_in_all} were not");
    assert!(released_in_all + refused_in_all == 5_000 && released_in_all > 100 && refused_in_all > 100);
}

/// What everybody has who is frozen: in the feed that the edge follows, and no longer once they are not.
#[tokio::test]
async fn the_feed_tells_who_is_frozen_until_they_are_not() {
    use portcullis_verifier::revocation::{Page, key};

    let stage = Stage::new().await;
    let (vault, origin) = (&stage.world.vault, ClientContext::default());
    let page = async || {
        let bytes = stage.world.identity.revocations(None, None).await.unwrap().unwrap();
        Page::parse(bytes).unwrap()
    };
    let asha = key(&stage.asha.caller.account.id.to_string()).unwrap();
    let mallory = stage.world.person("m@example.com").await.caller.account.id;
    let other = key(&mallory.to_string()).unwrap();
    let frozen = async || {
        let page = page().await;
        (page.freezes(asha), page.freezes(other))
    };
    assert_eq!(frozen().await, (false, false));
    stage.freeze(false).await.unwrap();
    assert_eq!(frozen().await, (true, false));
    let past = u64::try_from(stage.world.clock.now().as_millisecond()).unwrap();
    let old = stage.world.identity.revocations(Some(past - 60_000), Some(past - 1)).await.unwrap().unwrap();
    assert!(!Page::parse(old).unwrap().freezes(asha), "what stands is on the page that ends now alone");
    let person = stage.asha.caller.account.id;
    let hour = Some(Duration::from_hours(1));
    vault.freeze_person(&operator(), person, wanted(hour), &origin).await.unwrap();
    stage.unfreeze().await;
    assert_eq!(frozen().await, (true, false), "the administrators' stands");
    stage.world.clock.advance(Duration::from_hours(1));
    assert_eq!(frozen().await, (false, false), "it has ended");
    vault.freeze_everybody(&operator(), wanted(hour), &origin).await.unwrap();
    assert_eq!(frozen().await, (true, true));
    vault.unfreeze_everybody(&operator(), &origin).await.unwrap();
    assert_eq!(frozen().await, (false, false));
    // Who erases the account is frozen nowhere any more.
    stage.freeze(true).await.unwrap();
    vault.freeze_person(&operator(), person, wanted(None), &origin).await.unwrap();
    assert_eq!(stage.world.items("PERSON#").await.len(), 2);
    stage
        .world
        .identity
        .erase_account(&stage.asha.caller, &password(PASSWORD).into(), &origin)
        .await
        .unwrap();
    assert_eq!(stage.world.items("PERSON#").await.len(), 0);
    assert_eq!(stage.world.items("FREEZE").await.len(), 0);
    stage.sweep().await;
}

#[tokio::test]
async fn a_broker_that_does_not_confirm_the_end_of_a_session_is_asked_again_and_holds_up_no_other() {
    let stage = Stage::new().await;
    stage.brokers.are(json!({"mode": "down"})).await;
    let frozen = stage.freeze(false).await.unwrap();
    assert_eq!(Stage::of(&frozen, stage.kite).session, SessionEnd::Unconfirmed);
    stage.world.clock.advance(GRACE);
    stage.sweep().await;
    assert!(stage.session().await.is_some());
    stage.brokers.are(json!({"mode": "ok"})).await;
    // Not at once: each try is on record.
    stage.world.clock.advance(Duration::from_mins(1));
    stage.sweep().await;
    assert!(stage.session().await.is_some());
    stage.world.clock.advance(Duration::from_mins(9));
    stage.sweep().await;
    assert_eq!((stage.session().await, stage.logouts().await), (None, 3));
}

#[tokio::test]
async fn services_ask_for_the_state_with_a_right_to_and_no_others() {
    let stage = Stage::new().await;
    let vault = &stage.world.vault;
    stage.freeze(true).await.unwrap();
    for name in ["watcher", "execution", "keyless"] {
        let trading = vault.freezes_for(&service_of(&stage.world, name).await, stage.kite).await.unwrap();
        assert!(trading.own.is_some() && trading.cancel_until().is_some(), "{name}");
    }
    let reader = service_of(&stage.world, "reader-0").await;
    assert!(matches!(
        vault.freezes_for(&reader, stage.kite).await,
        Err(Error::Identity(portcullis_identity::Error::Forbidden(_)))
    ));
    for (name, account) in [
        ("reader-0", stage.kite),
        ("watcher", stage.kite),
        ("keyless", stage.kite),
        ("gateway", stage.alpaca),
    ] {
        let service = service_of(&stage.world, name).await;
        let outcome = Cancelled { cancelled: 1, failed: 0 };
        let refused = vault.acknowledge(&service, account, outcome, &ClientContext::default()).await;
        assert!(
            matches!(refused, Err(Error::Identity(portcullis_identity::Error::Forbidden(_)))),
            "{name}: {refused:?}"
        );
    }
    assert!(stage.session().await.is_some(), "none of them ended it");
}
