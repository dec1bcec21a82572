//! Refresh rotation under races and faults: nobody is signed out, nothing is forked, nothing stolen goes unnoticed.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so"
)]

use std::time::Duration;

use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_identity::{Email, Error, Logout, NewPerson, Origin, PersonName};
use secrecy::{ExposeSecret, SecretString};

const SEED: u64 = 20_261_121;

async fn refresh(world: &World, token: &SecretString) -> Result<SecretString, Error> {
    Ok(world.identity.refresh(token, &Origin::default()).await?.refresh.token.secret().clone())
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_refreshes_of_one_token_leave_one_branch_and_sign_nobody_out() {
    let world = World::new(SEED).await;
    let first = world.person("alice@example.com").await.refresh.token.secret().clone();
    let racing: Vec<_> = (0..200)
        .map(|_| {
            let (world, first) = (world.clone(), first.clone());
            tokio::spawn(async move { refresh(&world, &first).await })
        })
        .collect();
    let mut successors = Vec::new();
    for racer in racing {
        successors.push(racer.await.unwrap().expect("nobody is signed out"));
    }
    assert!(successors.windows(2).all(|pair| is_same(&pair[0], &pair[1])), "one branch");
    refresh(&world, &successors[0]).await.expect("the branch lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_beats_a_racing_refresh_a_thousand_times() {
    let world = World::new(SEED).await;
    world.person("alice@example.com").await;
    for round in 0..1_000 {
        let signed_in = world.sign_in("alice@example.com").await.unwrap();
        let first = signed_in.refresh.token.secret().clone();
        let which = if round % 2 == 0 { Logout::ThisDevice } else { Logout::AllDevices };
        let origin = Origin::default();
        let (refreshed, signed_out) = tokio::join!(
            refresh(&world, &first),
            world.identity.sign_out_by_refresh_token(&first, which, &origin)
        );
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
async fn an_older_token_ends_the_session_at_once_and_a_made_up_one_ends_nothing() {
    let world = World::new(SEED).await;
    let first = world.person("alice@example.com").await.refresh.token.secret().clone();
    let second = refresh(&world, &first).await.unwrap();
    let third = refresh(&world, &second).await.unwrap();

    let mut forged = third.expose_secret().to_owned();
    let place = forged.len() - 10;
    // A character that is not there already: a random MAC has any of them.
    let other = if forged.as_bytes()[place] == b'A' { "B" } else { "A" };
    forged.replace_range(place..=place, other);
    let forged = SecretString::from(forged);
    assert!(matches!(refresh(&world, &forged).await, Err(Error::InvalidRefreshToken)));
    let fourth = refresh(&world, &third).await.expect("a made-up token ends nobody's session");

    assert!(matches!(refresh(&world, &first).await, Err(Error::SessionRevoked)));
    assert!(refresh(&world, &fourth).await.is_err());
}

#[tokio::test]
async fn order_comes_from_the_generation_and_not_from_the_clock() {
    let world = World::new(SEED).await;
    let mut token = world.person("alice@example.com").await.refresh.token.secret().clone();
    for _ in 0..100 {
        token = refresh(&world, &token).await.expect("within one millisecond of a clock that stands still");
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

/// What a client does by contract: a refresh that failed with 503 is sent again with the same token.
async fn refresh_until_answered(world: &World, token: &SecretString) -> SecretString {
    for _ in 0..20 {
        match refresh(world, token).await {
            Ok(next) => return next,
            Err(Error::Store(_)) => {}
            Err(refused) => panic!("a faithful client was refused: {refused}"),
        }
    }
    panic!("twenty answers in a row were lost")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_refreshes_with_faults_lose_fork_and_falsely_end_no_session() {
    println!("seed {SEED}");
    let world = World::new(SEED).await;
    world.person("alice@example.com").await;
    let mut firsts = Vec::new();
    for _ in 0..1_000 {
        firsts.push(world.sign_in("alice@example.com").await.unwrap().refresh.token.secret().clone());
    }
    world.faults.set_per_mille(50);
    let clients: Vec<_> = firsts
        .chunks(50)
        .map(|tokens| {
            let (world, tokens) = (world.clone(), tokens.to_vec());
            tokio::spawn(async move {
                let mut ends = Vec::new();
                for mut token in tokens {
                    for _ in 0..10 {
                        token = refresh_until_answered(&world, &token).await;
                    }
                    ends.push(token);
                }
                ends
            })
        })
        .collect();
    let mut ends = Vec::new();
    for client in clients {
        ends.extend(client.await.unwrap());
    }
    world.faults.set_per_mille(0);
    println!("{} faults were injected", world.faults.injected());
    assert!(world.faults.injected() > 500, "the faults were really there");
    for token in &ends {
        let generation: u64 = token.expose_secret().split('.').nth(2).unwrap().parse().unwrap();
        assert_eq!(generation, 10, "each acknowledged refresh is one step");
        refresh(&world, token).await.expect("the session lives");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_registrations_of_one_address_one_wins() {
    let world = World::new(SEED).await;
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
            tokio::spawn(async move { world.identity.register(person, &Origin::default()).await })
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

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_whose_answer_was_lost_is_not_refused_by_its_own_row() {
    println!("seed {SEED}");
    let world = World::new(SEED).await;
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
            match world.identity.register(person(), &Origin::default()).await {
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
