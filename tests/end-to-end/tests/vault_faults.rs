//! The vault on a store that throttles, fails, hangs and loses answers: what was acknowledged is so, what is there can be
//! read, what is gone is gone, and a request that is sent again has one effect.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::response::IntoResponse;
use portcullis_harness::in_process::{DEFAULT_TIMEOUTS, PASSWORD, World, password};
use portcullis_harness::service::{service_token, service_tokens};
use portcullis_http::Problem;
use portcullis_identity::{Caller, ClientContext, StepUp, StoreError};
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse, BrokerUnreachable, Clock};
use portcullis_vault::{
    BrokerUser, Credentials, Error, LoginCode, NewTradingAccount, Purpose, ReleasedCredentials,
    TradingAccountId, TradingAccountStatus,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const SEED: u64 = 20_261_121;
const RUNS: u64 = 3;
const STEPS: usize = 50;
/// Accounts at a time, all of which are looked at after every step.
const FEWEST: usize = 2;
const MOST: usize = 6;
/// A fourth of all requests, and an answer takes some ten of them.
const PER_MILLE: u64 = 250;
/// As long as a request may be under way that nobody waits for any more.
const LATEST: Duration = Duration::from_secs(5);

/// An Alpaca that accepts everybody.
#[derive(Debug)]
struct Accepting;

#[async_trait]
impl BrokerHttp for Accepting {
    async fn send(&self, _: BrokerRequest) -> Result<BrokerResponse, BrokerUnreachable> {
        let account = json!({"id": "904837e3", "account_number": "AB1234", "status": "ACTIVE"});
        Ok(BrokerResponse { status: 200, body: account.to_string().into_bytes().into() })
    }
}

/// Asha, and a service that may read her credentials.
struct Scene {
    world: World,
    asha: Caller,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let services = json!({"ticker": {
            "credentials": {"brokers": ["alpaca"], "kind": "long_lived", "per_minute": 1_000_000},
        }});
        let (services, tokens) = (services.to_string(), service_tokens(&["ticker"]));
        let variables = [("SERVICES", services.as_str()), ("SERVICE_TOKENS", &tokens), DEFAULT_TIMEOUTS];
        let world = World::with_broker(seed, &variables, Arc::new(Accepting)).await;
        let asha = world.person("asha@example.com").await.caller;
        Self { world, asha }
    }

    async fn link(&self, number: usize) -> Result<TradingAccountId, Error> {
        self.link_at("alpaca", number).await
    }

    async fn link_at(&self, broker: &str, number: usize) -> Result<TradingAccountId, Error> {
        let wanted = NewTradingAccount {
            broker: broker.to_owned(),
            broker_user: BrokerUser::parse("AB1234").unwrap(),
            credentials: credentials(&linked_with(number)),
            label: None,
            idempotency_key: Some(format!("request-{number}")),
        };
        Ok(self.world.vault.link(&self.asha, wanted, &ClientContext::default()).await?.id)
    }

    async fn read(&self, id: TradingAccountId) -> Result<ReleasedCredentials, Error> {
        let service =
            self.world.identity.authenticate_service(&service_token("ticker").into()).await.unwrap();
        let purpose = Purpose::parse("market-stream").unwrap();
        self.world.vault.read_credentials(&service, id, Some(purpose), &ClientContext::default()).await
    }

    /// What a request comes to that is sent again for as long as it is answered with 503.
    async fn until_answered<T>(
        &self,
        mut request: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match request().await {
                Err(Error::Identity(portcullis_identity::Error::TooManyAttempts { retry_after })) => {
                    self.world.clock.advance(retry_after);
                }
                Err(error) if passes(&error) => {}
                answered => return answered,
            }
        }
    }

    /// Events about trading accounts: how often each kind was about each account.
    async fn told(&self) -> BTreeMap<(String, String), usize> {
        let mut told = BTreeMap::new();
        for row in self.world.rows(&format!("AUDIT#{}", self.asha.account.id), "AUD#").await {
            // The head has no kind of its own.
            let text = |name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
            *told.entry((text("kind"), text("target"))).or_insert(0) += 1;
        }
        told
    }
}

/// Whether the answer is 503, or that guesses come too fast.
fn passes(error: &Error) -> bool {
    use portcullis_identity::Error::{Contended, Overloaded, Store};
    let Error::Identity(error) = error else { return false };
    matches!(error, Contended | Overloaded | Store(StoreError::Unavailable { .. }))
}

fn linked_with(number: usize) -> String {
    format!("secret-of-link-{number}")
}

fn credentials(secret: &str) -> Credentials {
    Credentials::parse(&"alpacakey-9f3c".into(), &secret.into()).unwrap()
}

/// What is known of one account from answers alone.
#[derive(Debug)]
struct Known {
    number: usize,
    /// The secrets it may have: more than one after a replacement that was given up.
    secrets: BTreeSet<String>,
    /// Unlinking it was given up.
    may_be_gone: bool,
    /// What was sealed for it so far.
    sealed: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Model {
    accounts: BTreeMap<TradingAccountId, Known>,
    /// What was sealed for accounts that were unlinked.
    destroyed: BTreeSet<String>,
    unlinked: Vec<TradingAccountId>,
}

/// What is under seal in a row, as the table has it.
fn sealed(row: &Value) -> BTreeSet<String> {
    let values = row.as_object().unwrap().iter();
    let sealed = values.filter(|(name, _)| name.starts_with("credentials"));
    sealed.map(|(_, value)| value["B"].as_str().unwrap().to_owned()).collect()
}

/// Compares what is there with what was acknowledged.
async fn check(scene: &Scene, model: &mut Model, what: &str) {
    let rows = scene.world.items("ACC#").await;
    let id = |row: &Value| row["trading_account"]["S"].as_str().unwrap().parse::<TradingAccountId>().unwrap();
    let (accounts, owners): (Vec<Value>, Vec<Value>) =
        rows.into_iter().partition(|row| row["pk"]["S"].as_str().unwrap().starts_with("VAULT#"));
    let ids: BTreeSet<_> = accounts.iter().map(id).collect();
    assert_eq!(ids, owners.iter().map(id).collect(), "{what}: half an account");
    let listed = scene.world.vault.list(&scene.asha).await.unwrap();
    assert_eq!(ids, listed.iter().map(|account| account.id).collect(), "{what}");
    assert!(ids.iter().all(|id| model.accounts.contains_key(id)), "{what}: nobody was told of this account");
    let gone: Vec<_> = model.accounts.keys().copied().filter(|id| !ids.contains(id)).collect();
    for id in gone {
        let known = model.accounts.remove(&id).unwrap();
        assert!(known.may_be_gone, "{what}: an acknowledged account is lost");
        model.destroyed.extend(known.sealed);
        model.unlinked.push(id);
    }
    let table = json!(scene.world.items("").await).to_string();
    for row in &accounts {
        let known = model.accounts.get_mut(&id(row)).unwrap();
        let present = sealed(row);
        assert_eq!(present.len(), 2, "a data key and a ciphertext: {row}");
        // What was replaced is destroyed as well.
        model.destroyed.extend(known.sealed.difference(&present).cloned());
        known.sealed = present;
        let read = scene.read(id(row)).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let secret = read.api_secret.unwrap().expose_secret().to_owned();
        assert!(known.secrets.contains(&secret), "{what}: {secret} and not {:?}", known.secrets);
        known.secrets = [secret].into();
    }
    assert!(model.destroyed.iter().all(|sealed| !table.contains(sealed)), "{what}: a ciphertext is left");
}

/// One request of chance, sent until it is answered or given up, and what is known after it.
async fn step(scene: &Scene, model: &mut Model, random: &mut StdRng, number: usize) -> &'static str {
    let (vault, asha, origin) = (&scene.world.vault, &scene.asha, ClientContext::default());
    let ids: Vec<_> = model.accounts.keys().copied().collect();
    let kind = match ids.len() {
        0..FEWEST => 0,
        FEWEST..MOST => random.random_range(0..9),
        _ => 6,
    };
    let id = ids.get(random.random_range(0..ids.len().max(1))).copied();
    match (kind, id) {
        (0 | 1, _) | (_, None) => {
            let id = scene.until_answered(async || scene.link(number).await).await.unwrap();
            let known = Known {
                number,
                secrets: [linked_with(number)].into(),
                may_be_gone: false,
                sealed: BTreeSet::new(),
            };
            assert!(model.accounts.insert(id, known).is_none());
            "link"
        }
        (2, Some(id)) => {
            let number = model.accounts[&id].number;
            let again = scene.until_answered(async || scene.link(number).await).await.unwrap();
            assert_eq!(again, id, "a request that was sent again has the first answer");
            "the same link once more"
        }
        (3, Some(id)) => {
            let secret = format!("replaced-in-step-{number}");
            let replaced = vault.replace_credentials(asha, id, &credentials(&secret), &origin).await;
            let known = model.accounts.get_mut(&id).unwrap();
            match replaced {
                Ok(account) => {
                    assert_eq!(account.status, TradingAccountStatus::Pending);
                    known.secrets = [secret].into();
                }
                Err(error) if passes(&error) => drop(known.secrets.insert(secret)),
                Err(refused) => panic!("{refused:?}"),
            }
            "replace"
        }
        (4, Some(id)) => {
            let read = scene.until_answered(async || scene.read(id).await).await.unwrap();
            assert!(model.accounts[&id].secrets.contains(read.api_secret.unwrap().expose_secret()));
            "read"
        }
        (5, Some(id)) => {
            let said = scene.until_answered(async || vault.verify(asha, id, &origin).await).await.unwrap();
            assert_eq!(said.status, TradingAccountStatus::Active);
            "verify"
        }
        (6, Some(id)) => {
            match vault.unlink(asha, id, &origin).await {
                Ok(()) => {
                    let known = model.accounts.remove(&id).unwrap();
                    model.destroyed.extend(known.sealed);
                    model.unlinked.push(id);
                }
                Err(error) if passes(&error) => model.accounts.get_mut(&id).unwrap().may_be_gone = true,
                Err(refused) => panic!("{refused:?}"),
            }
            "unlink"
        }
        (7, Some(id)) => {
            let proof = || StepUp::Password(password(PASSWORD));
            let freeze = async || vault.freeze(asha, false, &origin).await;
            scene.until_answered(freeze).await.unwrap();
            let refused = scene.until_answered(async || scene.read(id).await).await;
            assert!(matches!(refused, Err(Error::Frozen)), "{refused:?}");
            let unfreeze = async || vault.unfreeze(asha, &proof(), &origin).await;
            scene.until_answered(unfreeze).await.unwrap();
            // A freeze whose client has given up on it may stand only now, and one more lifts it.
            scene.world.faults.set_per_mille(0);
            tokio::time::sleep(LATEST).await;
            scene.until_answered(unfreeze).await.unwrap();
            "freeze and unfreeze"
        }
        (_, Some(_)) => {
            let before = scene.world.clock.now();
            // A hundred calls at least, and every one that fails begins them anew.
            scene.world.faults.set_per_mille(PER_MILLE / 8);
            scene.until_answered(async || vault.reencrypt_all(before).await).await.unwrap();
            "rotate"
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_and_nothing_destroyed_is_left_whatever_the_store_does() {
    let (mut injected, mut linked, mut unlinked) = (0, 0, 0);
    for run in 0..RUNS {
        let scene = Scene::new(SEED + run).await;
        let mut random = StdRng::seed_from_u64(SEED + run);
        tokio::time::pause();
        let mut model = Model::default();
        for number in 0..STEPS {
            scene.world.clock.advance(Duration::from_secs(1));
            scene.world.faults.set_per_mille(PER_MILLE);
            let what = step(&scene, &mut model, &mut random, number).await;
            scene.world.faults.set_per_mille(0);
            // What is under way and nobody waits for may still be carried out.
            if model.accounts.values().any(|known| known.may_be_gone || known.secrets.len() > 1) {
                tokio::time::sleep(LATEST).await;
            }
            let what = format!("seed {}, step {number}, {what}", SEED + run);
            check(&scene, &mut model, &what).await;
            model.accounts.values_mut().for_each(|known| known.may_be_gone = false);
        }
        tokio::time::sleep(LATEST).await;
        check(&scene, &mut model, &format!("seed {}, in the end", SEED + run)).await;

        let told = scene.told().await;
        let count = |kind: &str, id: &TradingAccountId| {
            told.get(&(kind.to_owned(), id.to_string())).copied().unwrap_or_default()
        };
        for id in model.accounts.keys().chain(&model.unlinked) {
            assert_eq!(count("trading_account_linked", id), 1, "{id}");
            assert!(count("credentials_read", id) > 0 || model.unlinked.contains(id), "{id}");
        }
        for id in &model.unlinked {
            assert_eq!(count("trading_account_unlinked", id), 1, "{id}");
        }
        let verified = scene.world.identity.verify_audit().await.unwrap();
        assert!(verified.findings.is_empty(), "{:?}", verified.findings);
        injected += scene.world.faults.injected();
        linked += model.accounts.len() + model.unlinked.len();
        unlinked += model.unlinked.len();
        tokio::time::resume();
    }
    println!("{injected} faults in {RUNS} runs; {linked} accounts linked, {unlinked} unlinked again");
    assert!(injected > 300 && unlinked > 10, "there were faults, and there was something to lose");
}

#[tokio::test]
async fn a_request_to_unfreeze_that_arrives_late_lifts_no_later_freeze() {
    let scene = Scene::new(SEED).await;
    let id = scene.link(0).await.unwrap();
    let (owner, truth) = (scene.asha.account.id, &scene.world.truth);
    let origin = ClientContext::default();
    scene.world.vault.freeze(&scene.asha, false, &origin).await.unwrap();
    let first = truth.freeze(owner).await.unwrap().unwrap();
    // Somebody was about to lift this one, and is held up.
    scene.world.vault.freeze(&scene.asha, false, &origin).await.unwrap();
    let kind = portcullis_store::AuditKind::CredentialsUnfrozen;
    let event = scene.world.identity.audit_event(kind, owner, &origin).unwrap();
    let own = (owner, portcullis_store::Freezer::Owner);
    assert!(!truth.lift_freeze(own, &first, &event).await.unwrap());
    assert!(matches!(scene.read(id).await, Err(Error::Frozen)));
}

/// The status of an answer, and whether it says when to come back.
fn answered<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, bool) {
    let answer = Problem::from(result.unwrap_err()).into_response();
    (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
}

#[tokio::test]
async fn without_the_keeper_of_the_master_key_every_answer_is_503_and_nothing_changes() {
    let scene = Scene::new(SEED).await;
    let (vault, asha, origin) = (&scene.world.vault, &scene.asha, ClientContext::default());
    let id = scene.link(0).await.unwrap();
    let kite = scene.link_at("kite", 2).await.unwrap();
    scene.world.clock.advance(Duration::from_secs(1));
    let before = scene.world.items("ACC#").await;
    let events = scene.told().await;
    scene.world.key_wrap.set_down(true);
    let request_token = LoginCode::parse(&"token".into()).unwrap();
    let answers = [
        answered(scene.link(1).await),
        answered(scene.read(id).await),
        answered(vault.replace_credentials(asha, id, &credentials("another"), &origin).await),
        answered(vault.verify(asha, id, &origin).await),
        answered(vault.begin_session(asha, kite, (&request_token, None), &origin).await),
        answered(vault.reencrypt_all(scene.world.clock.now()).await),
    ];
    assert_eq!(answers, [(503, true); 6]);
    assert_eq!(scene.world.items("ACC#").await, before);
    assert_eq!(scene.told().await, events, "nothing was opened, and nothing is said to have been");
    assert!(
        scene.world.items("IDEM#").await.is_empty() || scene.world.vault.list(asha).await.unwrap().len() == 1
    );
    // The kill switch and the end of an account need no key.
    let proof = || StepUp::Password(password(PASSWORD));
    vault.freeze(asha, false, &origin).await.unwrap();
    vault.unfreeze(asha, &proof(), &origin).await.unwrap();
    scene.world.key_wrap.set_down(false);
    assert!(scene.read(id).await.is_ok());
    assert_eq!(scene.link(1).await.unwrap(), scene.link(1).await.unwrap());
    scene.world.key_wrap.set_down(true);
    vault.unlink(asha, id, &origin).await.unwrap();
}

/// A store that stays away: 503 from everything, and everything as it was when it is back.
#[tokio::test]
async fn without_the_store_every_answer_is_503_and_nothing_changes() {
    let scene = Scene::new(SEED).await;
    let (vault, asha, origin) = (&scene.world.vault, &scene.asha, ClientContext::default());
    let id = scene.link(0).await.unwrap();
    tokio::time::pause();
    let before = scene.world.items("").await;
    for calls in 0..3 {
        let down = || scene.world.faults.go_down_after(calls);
        let answers = [
            (down(), answered(scene.link(1).await)).1,
            (down(), answered(scene.read(id).await)).1,
            (down(), answered(vault.replace_credentials(asha, id, &credentials("another"), &origin).await)).1,
            (down(), answered(vault.verify(asha, id, &origin).await)).1,
            (down(), answered(vault.freeze(asha, false, &origin).await)).1,
        ];
        assert_eq!(answers, [(503, true); 5], "after {calls} calls");
    }
    scene.world.faults.come_back();
    let after = scene.world.items("").await;
    let but = |rows: &[Value]| -> Vec<Value> {
        // Guesses and turns are counted before anything is done.
        let counted = |row: &&Value| !["GUESS", "RATE"].contains(&row["sk"]["S"].as_str().unwrap());
        rows.iter().filter(counted).cloned().collect()
    };
    assert_eq!(but(&after), but(&before));
    assert!(scene.read(id).await.is_ok());
}
