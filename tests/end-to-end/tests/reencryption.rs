//! Re-encryption reaches everybody, however many they are, and whatever becomes of one run or one account.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_functions::{JobEvent, ScheduledJob};
use portcullis_harness::in_process::{Crowd, MovableClock, UNLIMITED, World};
use portcullis_identity::ClientContext;
use portcullis_platform::{Clock, Environment, Variable};
use portcullis_store::StoredTradingAccount;
use portcullis_vault::{BrokerUser, Credentials, NewTradingAccount, Reencryption};
use serde_json::Value;

const SEED: u64 = 20_261_129;
/// Ten each.
const PEOPLE: usize = 10;
const ALL: u64 = 100;
const RUN: Duration = Duration::from_mins(14);
const NEXT: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);
/// The age from which credentials are re-encrypted, as short as it may be: a sweep that does not fix its time at the
/// beginning catches up with itself.
const MAX_AGE: (&str, &str) = ("CREDENTIAL_MAX_AGE", "3600");

const ACCOUNTS: Variable = Variable {
    name: "ACCOUNTS",
    default: "2000",
    about: "accounts of the crowd; a million for the full figure",
    aliases: &[],
};

/// A hundred accounts that are due.
async fn world() -> World {
    let world = World::with_variables(SEED, &[MAX_AGE, UNLIMITED]).await;
    for person in 0..PEOPLE {
        let person = world.person(&format!("person-{person}@example.com")).await;
        for _ in 0..10 {
            let wanted = NewTradingAccount {
                broker: "kite".to_owned(),
                broker_user: BrokerUser::parse("AB1234").unwrap(),
                credentials: Credentials::parse(&"kitekey-hunter2".into(), &"secret".into()).unwrap(),
                label: None,
                idempotency_key: None,
            };
            world.vault.link(&person.caller, wanted, &ClientContext::default()).await.unwrap();
        }
    }
    world.clock.advance(2 * HOUR);
    world
}

fn of_owner(row: &Value) -> bool {
    row["pk"]["S"].as_str().unwrap().starts_with("VAULT#")
}

async fn rows(world: &World) -> Vec<StoredTradingAccount> {
    let mut rows = Vec::new();
    for row in world.items("ACC#").await.iter().filter(|row| of_owner(row)) {
        let id = |name: &str| row[name]["S"].as_str().unwrap().to_owned();
        let (owner, account) = (id("account").parse().unwrap(), id("trading_account").parse().unwrap());
        rows.push(world.truth.trading_account(owner, account).await.unwrap().unwrap());
    }
    rows
}

/// How many events tell of a re-encryption.
async fn told(world: &World) -> usize {
    let events = world.items("AUD#0").await;
    events.iter().filter(|event| event["kind"]["S"] == "credentials_resealed").count()
}

async fn run(world: &World, before: Option<Timestamp>) -> Option<Reencryption> {
    world.vault.reencrypt_due(before, world.clock.now() + RUN).await.unwrap()
}

#[tokio::test]
async fn a_sweep_that_takes_several_runs_visits_everybody_once_and_ends() {
    let world = world().await;
    // An account takes forty seconds, and all of them more than the age from which they are due.
    world.key_wrap.takes(&world.clock, Duration::from_secs(20));
    let began_at = world.clock.now();
    let mut runs = Vec::new();
    while runs.last().is_none_or(|run: &Reencryption| !run.is_over) {
        let began_at = world.clock.now();
        runs.push(run(&world, None).await.expect("something is left"));
        // It is not cut off by Lambda: what is begun then is finished by then.
        assert!(world.clock.now() < began_at + NEXT + RUN, "{runs:?}");
        world.clock.set(world.clock.now().max(began_at + NEXT));
        assert!(runs.len() < 10, "it does not end: {runs:?}");
    }
    assert!(runs.len() > 1, "{runs:?}");
    assert!(world.clock.now() > began_at + HOUR);
    assert_eq!(runs.iter().map(|run| run.done).sum::<u64>(), ALL, "{runs:?}");
    assert!(runs.iter().all(|run| run.recent == 0), "what a run has passed, the next reads again: {runs:?}");
    assert!(rows(&world).await.iter().all(|row| row.sealed_at >= began_at));
    assert_eq!(told(&world).await, 100);

    // The next sweep begins a day after the last one did.
    assert_eq!(run(&world, None).await, None);
    world.clock.set(began_at + 24 * HOUR - Duration::from_millis(1));
    assert_eq!(run(&world, None).await, None);
    world.clock.advance(Duration::from_millis(1));
    assert!(run(&world, None).await.is_some_and(|run| run.done > 0));
}

#[tokio::test]
async fn after_a_leak_everything_of_before_it_is_encrypted_anew_whatever_its_age() {
    let world = world().await;
    assert!(run(&world, None).await.unwrap().is_over);
    world.clock.advance(Duration::from_mins(1));
    let leaked_at = world.clock.now();
    world.key_wrap.takes(&world.clock, Duration::from_secs(20));
    // It begins although the sweep of the day is over, and the schedule goes on with it.
    let event = JobEvent { before: Some(leaked_at) };
    let mut runs = 1;
    ScheduledJob::ReencryptCredentials.run(&world.vault, event).await.unwrap();
    while rows(&world).await.iter().any(|row| row.sealed_at < leaked_at) {
        world.clock.advance(NEXT);
        ScheduledJob::ReencryptCredentials.run(&world.vault, JobEvent::default()).await.unwrap();
        runs += 1;
        assert!(runs < 10);
    }
    assert!(runs > 1);
    assert_eq!(told(&world).await, 200);
    // The same event, delivered once more, has nothing to do; nor has one of an earlier time.
    assert_eq!(run(&world, Some(leaked_at)).await, None);
    // A time that is still to come would include what the sweep itself encrypts.
    world.clock.advance(Duration::from_mins(1));
    let mut last = run(&world, Some(world.clock.now() + HOUR)).await;
    while last.is_some_and(|run| !run.is_over) {
        last = run(&world, None).await;
    }
    assert_eq!(told(&world).await, 300);
}

#[tokio::test]
async fn an_account_that_fails_holds_up_nobody_and_is_visited_again() {
    let world = world().await;
    let rows_before = rows(&world).await;
    let broken = &rows_before[3];
    let planted = world.items(&format!("ACC#{}", broken.id)).await;
    let row = planted.iter().find(|row| of_owner(row)).unwrap();
    let mut without = row.clone();
    without.as_object_mut().unwrap().remove("credentials_key");
    world.plant(&without).await;

    assert!(world.vault.reencrypt_due(None, world.clock.now() + RUN).await.is_err());
    assert_eq!(told(&world).await, 99, "everybody else");
    let read = world.faults.requests();
    let failed = world.vault.reencrypt_due(None, world.clock.now() + RUN).await;
    assert!(failed.is_err(), "it is not forgotten");
    assert!(world.faults.requests() - read < 20, "and nobody else is read for it");

    world.plant(row).await;
    let mended = run(&world, None).await.unwrap();
    assert_eq!((mended.done, mended.is_over), (1, true));
    assert_eq!(told(&world).await, 100);

    // One that fails for good keeps nobody from being visited the next day.
    world.clock.advance(24 * HOUR);
    world.plant(&without).await;
    assert!(world.vault.reencrypt_due(None, world.clock.now() + RUN).await.is_err());
    world.clock.advance(24 * HOUR);
    assert!(world.vault.reencrypt_due(None, world.clock.now() + RUN).await.is_err());
    assert_eq!(told(&world).await, 100 + 2 * 99);
}

#[tokio::test]
async fn a_run_that_nothing_answers_ends_soon_and_the_next_goes_on() {
    let world = world().await;
    world.key_wrap.set_down(true);
    let before = world.key_wrap.calls();
    assert!(world.vault.reencrypt_due(None, world.clock.now() + RUN).await.is_err());
    let asked = world.key_wrap.calls() - before;
    assert!((64..ALL).contains(&asked), "{asked} accounts were tried");
    world.key_wrap.set_down(false);
    let rest = run(&world, None).await.unwrap();
    assert_eq!((rest.done, rest.is_over), (ALL, true));
}

/// With `ACCOUNTS=1000000` the leak of a deployment with a million accounts; that takes its time.
#[tokio::test]
async fn a_leak_run_over_a_crowd_ends() {
    let environment = Environment::of_process();
    let accounts = usize::try_from(environment.number(&ACCOUNTS, 1..=10_000_000).unwrap()).unwrap();
    let clock = Arc::new(MovableClock::default());
    let variables = [MAX_AGE].into_iter().collect();
    let (crowd, operations) = Crowd::of(accounts, &clock, &variables).await;
    let leaked_at = clock.now();
    let mut event = JobEvent { before: Some(leaked_at) };
    let mut runs = 0;
    while crowd.reencrypted(0) > 0 {
        let began_at = clock.now();
        ScheduledJob::ReencryptCredentials.run(&operations.vault, event).await.unwrap();
        runs += 1;
        event = JobEvent::default();
        let over = clock.now().duration_since(began_at);
        println!("run {runs}: {} accounts are left after {over:#}", crowd.reencrypted(0));
        assert!(over.unsigned_abs() < NEXT, "Lambda ends it at a quarter of an hour");
        clock.set(clock.now().max(began_at + NEXT));
        assert!(runs <= 1 + accounts / 100_000, "it does not end");
    }
    let took = clock.now().duration_since(leaked_at);
    println!("{accounts} accounts in {runs} runs, {took:#}");
    assert_eq!(crowd.reencrypted(1), accounts, "each once");
    assert_eq!(crowd.read(), accounts, "and read once");
    ScheduledJob::ReencryptCredentials.run(&operations.vault, event).await.unwrap();
    assert_eq!(crowd.read(), accounts, "nothing is left, and nothing is due");
}
