//! Refresh rotation under races and faults: nobody is signed out, nothing is forked, nothing stolen goes unnoticed.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use portcullis_harness::in_process::{MovableClock, PASSWORD, UNLIMITED, World, password};
use portcullis_identity::{
    ClientContext, Email, Error, Logout, NewPerson, PersonName, ShownTokens, SignedOut,
};
use secrecy::{ExposeSecret, SecretString};

const SEED: u64 = 20_261_121;
/// Longer than the grace period.
const GRACE_IS_OVER: Duration = Duration::from_secs(31);

async fn refresh(world: &World, token: &SecretString) -> Result<SecretString, Error> {
    Ok(world.identity.refresh(token, &ClientContext::default()).await?.refresh.token.secret().clone())
}

async fn sign_out(world: &World, token: &SecretString, which: Logout) -> Result<SignedOut, Error> {
    let shown = ShownTokens { refresh_token: Some(token), ..ShownTokens::default() };
    world.identity.sign_out(&shown, which, &ClientContext::default()).await
}

/// A refresh by a client that keeps to the contract: what failed with 503 is sent again with the same token.
async fn refresh_until_answered(world: &World, token: &SecretString) -> Result<SecretString, Error> {
    loop {
        match refresh(world, token).await {
            Err(Error::Store(_)) => {}
            answered => return answered,
        }
    }
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// How many different successors 200 racing refreshes of one token get, and how many of them are refused.
async fn race(world: &World) -> (usize, usize) {
    let first = world.person("alice@example.com").await.refresh.token.secret().clone();
    let racing: Vec<_> = (0..200)
        .map(|_| {
            let (world, first) = (world.clone(), first.clone());
            tokio::spawn(async move { refresh_until_answered(&world, &first).await })
        })
        .collect();
    let (mut branches, mut refused) = (Vec::<SecretString>::new(), 0);
    for racer in racing {
        match racer.await.unwrap() {
            Ok(successor) if branches.iter().any(|branch| is_same(branch, &successor)) => {}
            Ok(successor) => branches.push(successor),
            Err(_) => refused += 1,
        }
    }
    for branch in &branches {
        refused += usize::from(refresh_until_answered(world, branch).await.is_err());
    }
    (branches.len(), refused)
}

#[tokio::test]
async fn two_hundred_refreshes_of_one_token_leave_one_branch_and_sign_nobody_out() {
    assert_eq!(race(&World::new(SEED).await).await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_on_two_threads() {
    assert_eq!(race(&World::new(SEED).await).await, (1, 0));
}

#[tokio::test]
async fn a_rotation_that_reads_first_and_writes_then_is_caught_by_the_race() {
    let (branches, refused) = race(&World::with_unguarded_rotation(SEED).await).await;
    println!("{branches} branches, {refused} refused");
    assert!(branches > 1 && refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_beats_a_racing_refresh_a_thousand_times() {
    let world = World::with_variables(SEED, &[UNLIMITED]).await;
    world.person("alice@example.com").await;
    for round in 0..1_000 {
        let signed_in = world.sign_in("alice@example.com").await.unwrap();
        let first = signed_in.refresh.token.secret().clone();
        let which = if round % 2 == 0 { Logout::ThisDevice } else { Logout::AllDevices };
        let (refreshed, signed_out) = tokio::join!(refresh(&world, &first), sign_out(&world, &first, which));
        signed_out.unwrap();
        let mut tokens = vec![first];
        tokens.extend(refreshed.ok());
        for token in tokens {
            assert!(refresh(&world, &token).await.is_err(), "round {round}: something is still alive");
        }
        assert!(world.identity.authenticate(&signed_in.access_token).await.is_err(), "round {round}");
    }
}

#[tokio::test]
async fn the_predecessor_is_forgiven_inside_the_grace_and_ends_the_session_after_it() {
    let world = World::new(SEED).await;
    let first = world.person("alice@example.com").await.refresh.token.secret().clone();
    let second = refresh(&world, &first).await.unwrap();
    world.clock.advance(Duration::from_secs(29));
    assert!(is_same(&refresh(&world, &first).await.unwrap(), &second), "the same successor again");
    world.clock.advance(Duration::from_secs(2));
    assert!(matches!(refresh(&world, &first).await, Err(Error::SessionRevoked)));
    assert!(
        matches!(refresh(&world, &second).await, Err(Error::InvalidRefreshToken)),
        "the whole session is over"
    );
}

#[tokio::test]
async fn three_generations_within_a_second_sign_nobody_out() {
    let world = World::new(SEED).await;
    let first = world.person("alice@example.com").await.refresh.token.secret().clone();
    world.clock.advance(Duration::from_mins(15));
    let second = refresh(&world, &first).await.unwrap();
    let third = refresh(&world, &second).await.unwrap();
    assert!(is_same(&third, &second), "a current token within the grace is answered with itself");
    let late = refresh(&world, &first).await.expect("it was under way when its successor was shown");
    assert!(is_same(&late, &second));

    world.clock.advance(GRACE_IS_OVER);
    let fourth = refresh(&world, &second).await.unwrap();
    assert!(!is_same(&fourth, &second), "the grace is over: it is rotated");
    assert!(is_same(&refresh(&world, &second).await.unwrap(), &fourth));
    assert!(
        matches!(refresh(&world, &first).await, Err(Error::SessionRevoked)),
        "older than the predecessor"
    );
    assert!(refresh(&world, &fourth).await.is_err());
}

#[tokio::test]
async fn a_refresh_within_the_grace_reads_and_writes_nothing() {
    let world = World::new(SEED).await;
    let alice = world.person("alice@example.com").await;
    let partition = format!("SESSIONS#{}", alice.account.id);
    let session = || world.rows(&partition, "SES#");
    let current = refresh(&world, alice.refresh.token.secret()).await.unwrap();
    let (before, calls) = (session().await, world.faults.requests());
    let refreshed = world.identity.refresh(&current, &ClientContext::default()).await.unwrap();
    assert!(!refreshed.refresh.is_new && is_same(refreshed.refresh.token.secret(), &current));
    world.identity.authenticate(&refreshed.access_token).await.expect("a fresh access token");
    assert_eq!(
        world.faults.requests() - calls,
        2 + 2,
        "account and session, for the refresh and the access token"
    );
    assert_eq!(session().await, before);
}

#[tokio::test]
async fn a_token_within_the_grace_is_refused_when_its_session_has_ended() {
    let world = World::new(SEED).await;
    let first = world.person("alice@example.com").await.refresh.token.secret().clone();
    let current = refresh(&world, &first).await.unwrap();
    sign_out(&world, &current, Logout::ThisDevice).await.unwrap();
    for token in [&current, &first] {
        assert!(matches!(refresh(&world, token).await, Err(Error::InvalidRefreshToken)));
    }
}

#[tokio::test]
async fn an_older_token_ends_the_session_at_once_and_a_made_up_one_ends_nothing() {
    let world = World::new(SEED).await;
    let first = world.person("alice@example.com").await.refresh.token.secret().clone();
    let second = refresh(&world, &first).await.unwrap();
    world.clock.advance(GRACE_IS_OVER);
    let third = refresh(&world, &second).await.unwrap();

    let mut forged = third.expose_secret().to_owned();
    let place = forged.len() - 10;
    // A character that is not there already: a random MAC has any of them.
    let other = if forged.as_bytes()[place] == b'A' { "B" } else { "A" };
    forged.replace_range(place..=place, other);
    let forged = SecretString::from(forged);
    assert!(matches!(refresh(&world, &forged).await, Err(Error::InvalidRefreshToken)));
    world.clock.advance(GRACE_IS_OVER);
    let fourth = refresh(&world, &third).await.expect("a made-up token ends nobody's session");

    assert!(matches!(refresh(&world, &first).await, Err(Error::SessionRevoked)));
    assert!(refresh(&world, &fourth).await.is_err());
}

#[tokio::test]
async fn order_comes_from_the_generation_and_not_from_the_clock() {
    let world = World::with_variables(SEED, &[("REFRESH_REUSE_GRACE", "0")]).await;
    let mut token = world.person("alice@example.com").await.refresh.token.secret().clone();
    for _ in 0..100 {
        let next =
            refresh(&world, &token).await.expect("within one millisecond of a clock that stands still");
        assert!(!is_same(&next, &token));
        token = next;
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let world = World::new(SEED).await;
    let idle = world.person("alice@example.com").await.refresh.token.secret().clone();
    world.clock.advance(Duration::from_secs(86_401));
    assert!(matches!(refresh(&world, &idle).await, Err(Error::InvalidRefreshToken)));

    let mut busy = world.sign_in("alice@example.com").await.unwrap().refresh.token.secret().clone();
    for _ in 0..59 {
        world.clock.advance(Duration::from_hours(12));
        busy = refresh(&world, &busy).await.unwrap();
    }
    world.clock.advance(Duration::from_hours(12));
    assert!(refresh(&world, &busy).await.is_err(), "30 days are over");
}

/// A session as its client knows it after its refreshes.
struct Outcome {
    token: SecretString,
    /// A refresh was refused although its token was the last one the client had been given, or its tabs got two.
    was_signed_out: bool,
}

/// Ten rotations of a client with two tabs, each once the grace after the one before is over.
async fn ten_refreshes(world: World, mut token: SecretString) -> Outcome {
    for _ in 0..10 {
        let tabs =
            tokio::join!(refresh_until_answered(&world, &token), refresh_until_answered(&world, &token));
        match tabs {
            (Ok(one), Ok(other)) if is_same(&one, &other) => token = one,
            _ => return Outcome { token, was_signed_out: true },
        }
        tokio::time::sleep(GRACE_IS_OVER).await;
    }
    Outcome { token, was_signed_out: false }
}

/// Lets the clock of the service go with the runtime's.
async fn follow_the_runtime(clock: Arc<MovableClock>) {
    const STEP: Duration = Duration::from_millis(100);
    loop {
        tokio::time::sleep(STEP).await;
        clock.advance(STEP);
    }
}

/// How many sessions end otherwise than alive and after ten steps, when one request to the store in twenty meets a
/// fault.
async fn damage_of_faults(world: &World, count: u64) -> usize {
    println!("seed {SEED}");
    world.person("alice@example.com").await;
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(world.sign_in("alice@example.com").await.unwrap().refresh.token.secret().clone());
    }
    // From here on a hang costs no time.
    tokio::time::pause();
    let clock = tokio::spawn(follow_the_runtime(world.clock.clone()));
    world.faults.set_per_mille(50);
    let clients: Vec<_> =
        sessions.into_iter().map(|token| tokio::spawn(ten_refreshes(world.clone(), token))).collect();
    let mut outcomes = Vec::new();
    for client in clients {
        outcomes.push(client.await.unwrap());
    }
    world.faults.set_per_mille(0);
    println!("{} faults were injected", world.faults.injected());
    assert!(world.faults.injected() > count / 4, "the faults were really there");
    // Whatever is still on its way to the store arrives.
    tokio::time::sleep(Duration::from_secs(5)).await;
    clock.abort();
    let mut damaged = 0;
    for Outcome { token, was_signed_out } in outcomes {
        let generation: u64 = token.expose_secret().split('.').nth(2).unwrap().parse().unwrap();
        let is_whole = !was_signed_out && generation == 10 && refresh(world, &token).await.is_ok();
        damaged += usize::from(!is_whole);
    }
    damaged
}

#[tokio::test]
async fn ten_thousand_refreshes_with_faults_lose_fork_and_falsely_end_no_session() {
    assert_eq!(damage_of_faults(&World::with_default_timeouts(SEED).await, 500).await, 0);
}

#[tokio::test]
async fn a_rotation_that_reads_first_and_writes_then_is_caught_by_the_faults() {
    let damaged = damage_of_faults(&World::with_unguarded_rotation(SEED).await, 200).await;
    println!("{damaged} of 200 sessions damaged");
    assert!(damaged > 0);
}

#[tokio::test]
async fn an_account_that_is_switched_off_is_refused_on_every_path_and_looks_like_none() {
    let world = World::new(SEED).await;
    let before = world.person("alice@example.com").await;
    world.disable(&before.account).await;
    assert!(matches!(world.sign_in("alice@example.com").await, Err(Error::InvalidCredentials)));
    let refreshed = refresh(&world, before.refresh.token.secret()).await;
    assert!(matches!(refreshed, Err(Error::InvalidRefreshToken)));
    let called = world.identity.authenticate(&before.access_token).await;
    assert!(matches!(called, Err(Error::InvalidAccessToken)));
}

#[tokio::test]
async fn every_refused_sign_in_asks_the_store_as_often() {
    let world = World::new(SEED).await;
    let disabled = world.person("disabled@example.com").await;
    world.disable(&disabled.account).await;
    world.person("alice@example.com").await;
    let mut asked = Vec::new();
    for (email, typed) in [
        ("nobody@example.com", PASSWORD),
        ("nobody@example.com", ""),
        ("alice@example.com", "wrong"),
        ("alice@example.com", ""),
        ("disabled@example.com", PASSWORD),
        ("disabled@example.com", "wrong"),
    ] {
        let before = world.faults.requests();
        let refused = world.login_with(email, typed).await;
        assert!(matches!(refused, Err(Error::InvalidCredentials)), "{email}");
        asked.push(world.faults.requests() - before);
    }
    // The credentials and the end of the trail; then the record and the head.
    assert_eq!(asked, [4; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_registrations_of_one_address_one_wins() {
    let world = World::with_variables(SEED, &[UNLIMITED]).await;
    let person = || NewPerson {
        email: Email::parse("alice@example.com").unwrap(),
        password: password(PASSWORD),
        name: PersonName::parse("Alice").unwrap(),
        phone: None,
        username: None,
        idempotency_key: None,
    };
    let racing: Vec<_> = (0..32)
        .map(|_| {
            let (world, person) = (world.clone(), person());
            tokio::spawn(async move { world.identity.register(person, &ClientContext::default()).await })
        })
        .collect();
    let mut winners = 0;
    for racer in racing {
        match racer.await.unwrap() {
            Ok(_) => winners += 1,
            Err(Error::EmailTaken | Error::Overloaded) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_not_refused_by_its_own_row() {
    println!("seed {SEED}");
    let world = World::with_default_timeouts(SEED).await;
    tokio::time::pause();
    world.faults.set_per_mille(300);
    for number in 0..200 {
        let person = || NewPerson {
            email: Email::parse(&format!("person{number}@example.com")).unwrap(),
            password: password(PASSWORD),
            name: PersonName::parse("Somebody").unwrap(),
            phone: None,
            username: None,
            idempotency_key: Some(format!("request-{number}")),
        };
        let registered = loop {
            match world.identity.register(person(), &ClientContext::default()).await {
                Ok(registered) => break registered.0,
                Err(Error::Store(_)) => {}
                Err(refused) => panic!("number {number}: {refused}"),
            }
        };
        let stored =
            world.truth.account(registered.id).await.unwrap().expect("what was acknowledged is there");
        assert_eq!(stored, registered);
    }
    assert!(world.faults.injected() > 50);
}
