//! A scheduled job is done by one run at a time, and the canary tells whether clients reach the service.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use portcullis_functions::{JobEvent, ScheduledJob};
use portcullis_harness::in_process::World;
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse, BrokerUnreachable, Clock};

const MINUTE: Duration = Duration::from_mins(1);

/// Whoever is asked answers with this status, and is counted.
#[derive(Debug)]
struct Answering {
    status: AtomicU16,
    asked: AtomicUsize,
}

impl Answering {
    fn with(status: u16) -> Arc<Self> {
        Arc::new(Self { status: AtomicU16::new(status), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl BrokerHttp for Answering {
    async fn send(&self, request: BrokerRequest) -> Result<BrokerResponse, BrokerUnreachable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if request.url.contains("jwks") {
            assert_eq!(request.url, "https://auth.example.com/v1/auth/.well-known/jwks.json");
        }
        let body = b"{}".to_vec();
        Ok(BrokerResponse { status: self.status.load(Ordering::SeqCst), body: body.into() })
    }
}

#[tokio::test]
async fn of_runs_that_begin_at_once_one_gets_the_lease() {
    let world = World::new(1).await;
    let now = world.clock.now();
    let takers = (0..16).map(|number| {
        let store = world.truth.clone();
        tokio::spawn(async move {
            store.take_lease("job", &format!("run-{number}"), now, now + MINUTE).await.unwrap()
        })
    });
    let takers: Vec<_> = takers.collect();
    let mut taken = 0;
    for taker in takers {
        taken += usize::from(taker.await.unwrap());
    }
    assert_eq!(taken, 1);
    assert!(world.truth.take_lease("another job", "run-0", now, now + MINUTE).await.unwrap());
}

#[tokio::test]
async fn a_lease_is_given_back_by_its_holder_and_ends_without_one() {
    let world = World::new(1).await;
    let store = &world.truth;
    let now = world.clock.now();
    let take = |holder: &'static str, at| store.take_lease("job", holder, at, at + MINUTE);
    assert!(take("first", now).await.unwrap());
    assert!(take("first", now).await.unwrap(), "its answer was lost, and it asks again");
    store.release_lease("job", "second", now).await.unwrap();
    assert!(!take("second", now + MINUTE / 2).await.unwrap(), "only its holder gives it back");
    store.release_lease("job", "first", now).await.unwrap();
    assert!(take("second", now).await.unwrap());
    // The second dies.
    let just_before = now + MINUTE - Duration::from_millis(1);
    assert!(!take("third", just_before).await.unwrap());
    assert!(take("third", now + MINUTE).await.unwrap());
}

#[tokio::test]
async fn of_instances_that_look_whenever_they_like_one_gets_each_turn() {
    const EVERY: Duration = Duration::from_mins(15);
    let world = World::new(1).await;
    for turn in 0..3 {
        // Sixteen instances, each a little later than the one before, over most of the time until the next turn.
        let mut taken = 0;
        for _ in 0..16 {
            taken += usize::from(world.vault.take_turn("job", EVERY).await.unwrap());
            world.clock.advance(EVERY / 20);
        }
        assert_eq!(taken, 1, "turn {turn}");
        world.clock.advance(EVERY / 5);
    }
    let at_once = (0..16).map(|_| {
        let vault = Arc::clone(&world.vault);
        tokio::spawn(async move { vault.take_turn("another job", EVERY).await.unwrap() })
    });
    let mut taken = 0;
    for taker in at_once.collect::<Vec<_>>() {
        taken += usize::from(taker.await.unwrap());
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn a_job_is_left_alone_while_another_run_does_it_and_done_when_that_one_is_over_or_dead() {
    let brokers = Answering::with(200);
    let world = World::with_broker(1, &[], brokers.clone()).await;
    let asked = || brokers.asked.swap(0, Ordering::SeqCst);
    let now = world.clock.now();
    assert!(world.truth.take_lease("provider-check", "who died", now, now + MINUTE).await.unwrap());
    ScheduledJob::CheckProviders.run(&world.vault, JobEvent::default()).await.unwrap();
    assert_eq!(asked(), 0);
    world.clock.advance(MINUTE);
    for _ in 0..2 {
        ScheduledJob::CheckProviders.run(&world.vault, JobEvent::default()).await.unwrap();
        assert!(asked() > 0, "the run before gave its lease back");
    }
    let now = world.clock.now();
    let held = world.truth.take_lease("credential-rotation", "another run", now, now + MINUTE);
    assert!(held.await.unwrap());
    ScheduledJob::ReencryptCredentials.run(&world.vault, JobEvent::default()).await.unwrap();
    let never = world.vault.alone("credential-rotation", MINUTE, async { Ok(()) });
    assert_eq!(never.await.unwrap(), None);
}

#[tokio::test]
async fn the_canary_fails_when_clients_get_no_keys() {
    let service = Answering::with(200);
    let url = [("PUBLIC_URL", "https://auth.example.com")];
    let world = World::with_broker(1, &url, service.clone()).await;
    ScheduledJob::ReachPublicUrl.run(&world.vault, JobEvent::default()).await.unwrap();
    service.status.store(503, Ordering::SeqCst);
    let error =
        ScheduledJob::ReachPublicUrl.run(&world.vault, JobEvent::default()).await.unwrap_err().to_string();
    assert!(error.ends_with("/jwks.json answers 503"), "{error}");
}
