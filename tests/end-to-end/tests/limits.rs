//! What is no failure has its limits, too: by account and by client address, before anything is done.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::in_process::{PASSWORD, Person, World, newcomer, password};
use portcullis_identity::{
    ClientContext, Error, LoginAttempt, NewPerson, PersonName, ProfileUpdate, SessionId,
};
use portcullis_platform::Clock;
use portcullis_store::Id;

const ASHA: &str = "asha@example.com";
const OFFICE: &str = "192.0.2.7";
const HOUR: u64 = 60 * 60;

fn from(ip: &str) -> ClientContext {
    ClientContext { ip: Some(ip.to_owned()), ..ClientContext::default() }
}

fn at(number: usize) -> String {
    format!("p{number}@example.com")
}

/// How many times something works until it is over the limit; whatever else it is refused for counts as working.
async fn uses(most: usize, mut again: impl AsyncFnMut(usize) -> Result<(), Error>) -> usize {
    for number in 0..most {
        if let Err(Error::TooManyAttempts { retry_after }) = again(number).await {
            assert!((1..=HOUR).contains(&retry_after.as_secs()), "{retry_after:?}");
            return number;
        }
    }
    most
}

/// Until the present window of an hour ends.
fn left_of_the_hour(world: &World) -> Duration {
    Duration::from_secs(HOUR - world.unix_now() % HOUR)
}

#[tokio::test]
async fn registrations_are_counted_before_the_account_and_the_mail() {
    let world = World::new(1).await;
    let register = async |email: &str, client: &ClientContext| {
        world.identity.register(newcomer(email, None), client).await.map(drop)
    };
    let alone = uses(20, async |_| register(ASHA, &from(OFFICE)).await).await;
    assert_eq!(alone, 10, "of one email address");
    register(ASHA, &from("192.0.2.8")).await.expect_err("taken");
    assert!(
        matches!(register(ASHA, &from("192.0.2.8")).await, Err(Error::EmailTaken)),
        "elsewhere nothing is used up"
    );
    let together = uses(200, async |number| register(&at(number), &from(OFFICE)).await).await;
    // The eleventh above counted for the address.
    assert_eq!(together, 100 - 11, "of one client address");
    assert!(world.truth.login_record_by_email(&at(together)).await.unwrap().is_none());
    register(&at(together), &from("192.0.2.8")).await.expect("another address");
    world.clock.advance(left_of_the_hour(&world));
    register(&at(together + 1), &from(OFFICE)).await.expect("another hour");
}

#[tokio::test(start_paused = true)]
async fn a_registration_over_the_limit_leaves_neither_an_account_nor_a_mail() {
    let world = World::with_variables(2, &[("EMAIL_VERIFICATION", "required")]).await;
    let office = from(OFFICE);
    let register =
        async |number| world.identity.register_unconfirmed(newcomer(&at(number), None), &office).await;
    let made = uses(150, register).await;
    assert_eq!((made, world.notifications.take().len()), (100, 100));
    assert!(world.truth.login_record_by_email(&at(made)).await.unwrap().is_none());
}

#[tokio::test]
async fn usernames_are_not_probed_for_long() {
    let world = World::new(3).await;
    world.identity.register(newcomer(ASHA, Some("asha")), &ClientContext::default()).await.unwrap();
    let register = async |number: usize, name: &str, client: &ClientContext| {
        world.identity.register(newcomer(&at(number), Some(name)), client).await.map(drop)
    };
    assert_eq!(uses(90, async |number| register(number, "asha", &from(OFFICE)).await).await, 30);
    let free = register(40, "ravi", &from(OFFICE)).await;
    assert!(matches!(free, Err(Error::TooManyAttempts { .. })), "nor is a free one told from a taken one");
    let without = world.identity.register(newcomer(&at(41), None), &from(OFFICE)).await;
    without.expect("without a username");
    register(42, "ravi", &from("192.0.2.8")).await.expect("another address");
}

async fn sign_in(world: &World, email: &str, client: &ClientContext) -> Result<(), Error> {
    let attempt: LoginAttempt = world.attempt(email, PASSWORD);
    world.identity.sign_in(attempt, client).await.map(drop)
}

#[tokio::test]
async fn a_loop_of_right_passwords_ends() {
    let world = World::new(4).await;
    let elsewhere = ClientContext::default();
    for number in 0..8 {
        world.identity.register(newcomer(&at(number), None), &elsewhere).await.unwrap();
    }
    assert_eq!(uses(150, async |_| sign_in(&world, &at(0), &elsewhere).await).await, 100);
    let Err(Error::TooManyAttempts { retry_after }) = sign_in(&world, &at(0), &from(OFFICE)).await else {
        panic!("over the limit");
    };
    assert_eq!(retry_after, Duration::from_mins(15));

    // Ninety of each account count for the address.
    let mut total = 0;
    for number in 1..8 {
        total += uses(100, async |_| sign_in(&world, &at(number), &from(OFFICE)).await).await;
    }
    assert_eq!(total, 6 * 100 + 10 + 60);
    sign_in(&world, &at(7), &from("192.0.2.8")).await.expect("another address");
    world.person(ASHA).await;
    sign_in(&world, ASHA, &from(OFFICE)).await.expect("whoever signs in now and then");
    world.clock.advance(Duration::from_mins(15));
    sign_in(&world, &at(0), &from(OFFICE)).await.expect("another quarter of an hour");
}

#[tokio::test]
async fn somebody_else_with_the_password_keeps_the_owner_out_of_nothing() {
    let world = World::new(8).await;
    let owner = world.person(ASHA).await;
    let theirs = ClientContext { device: Some(owner.session.device.clone()), ..ClientContext::default() };
    assert!(uses(150, async |_| sign_in(&world, ASHA, &from(OFFICE)).await).await < 150);
    sign_in(&world, ASHA, &from("192.0.2.8")).await.expect_err("no device of the owner");
    sign_in(&world, ASHA, &theirs).await.expect("a device of the owner");

    world.clock.advance(Duration::from_secs(1));
    let (token, new) = (world.reset_token(ASHA).await, password("brass kettle hums in the attic"));
    world.identity.reset_password(&token, &new, &from("192.0.2.8")).await.unwrap();
    let attempt = world.attempt(ASHA, "brass kettle hums in the attic");
    world.identity.sign_in(attempt, &from("192.0.2.8")).await.expect("another password, another count");
}

#[tokio::test]
async fn a_stolen_session_uses_up_nothing_of_what_ends_it() {
    let world = World::new(9).await;
    let thief = world.person(ASHA).await;
    let owner = world.caller(&world.sign_in(ASHA).await.unwrap()).await;
    assert_eq!(
        uses(100, async |_| do_it(&world, &thief, Deed::EndSession, &from("192.0.2.8")).await).await,
        60
    );
    world.identity.revoke_other_sessions(&owner, &from(OFFICE)).await.unwrap();
}

/// What a signed-in person does again and again.
#[derive(Debug, Clone, Copy)]
enum Deed {
    SetUpFactor,
    ChangeProfile,
    EndSession,
    EndOtherSessions,
}

async fn do_it(world: &World, person: &Person, deed: Deed, client: &ClientContext) -> Result<(), Error> {
    let (identity, caller) = (&world.identity, &person.caller);
    match deed {
        Deed::SetUpFactor => identity.set_up_mfa(caller, None, client).await.map(drop),
        Deed::ChangeProfile => {
            let name = PersonName::parse("Somebody Else").unwrap();
            let update = ProfileUpdate { name: Some(name), ..ProfileUpdate::default() };
            identity.update_profile(caller, update, client).await.map(drop)
        }
        Deed::EndSession => {
            let unknown: SessionId = Id::generate(world.clock.now(), identity.entropy.as_ref()).unwrap();
            identity.revoke_session(caller, unknown, client).await
        }
        Deed::EndOtherSessions => identity.revoke_other_sessions(caller, client).await,
    }
}

#[tokio::test]
async fn what_a_session_can_do_in_a_loop_ends_by_account_and_by_address() {
    for (deed, by_account, by_address) in [
        (Deed::SetUpFactor, 20, 200),
        (Deed::ChangeProfile, 60, 600),
        (Deed::EndSession, 60, 600),
        (Deed::EndOtherSessions, 60, 600),
    ] {
        let world = World::new(5).await;
        let mut people = Vec::new();
        for number in 0..12 {
            people.push(world.person(&at(number)).await);
        }
        let own = ClientContext::default();
        let alone = uses(100, async |_| do_it(&world, &people[11], deed, &own).await).await;
        assert_eq!(alone, by_account, "{deed:?} of one account");
        let mut together = 0;
        for person in &people[..11] {
            together += uses(by_account, async |_| do_it(&world, person, deed, &from(OFFICE)).await).await;
        }
        assert_eq!(together, by_address, "{deed:?} of one client address");
        do_it(&world, &people[10], deed, &from("192.0.2.8"))
            .await
            .map_or_else(|error| assert!(!matches!(error, Error::TooManyAttempts { .. }), "{deed:?}"), drop);
        world.clock.advance(left_of_the_hour(&world));
        let next = do_it(&world, &people[0], deed, &from(OFFICE)).await;
        assert!(!matches!(next, Err(Error::TooManyAttempts { .. })), "{deed:?} in another hour");
    }
}

#[tokio::test]
async fn uses_side_by_side_get_no_more_room() {
    let world = World::new(6).await;
    let person = std::sync::Arc::new(world.person(ASHA).await);
    let changes: Vec<_> = (0..100)
        .map(|_| {
            let (world, person) = (world.clone(), person.clone());
            tokio::spawn(async move { do_it(&world, &person, Deed::SetUpFactor, &from(OFFICE)).await })
        })
        .collect();
    let mut done = 0;
    for change in changes {
        done += usize::from(change.await.unwrap().is_ok());
    }
    // Fewer where a machine is so busy that the store is given up on.
    assert!((1..=20).contains(&done), "{done}");
}

#[tokio::test]
async fn the_limits_can_be_switched_off() {
    let world = World::with_variables(7, &[("RATE_LIMIT", "off")]).await;
    let person = world.person(ASHA).await;
    assert_eq!(uses(30, async |_| do_it(&world, &person, Deed::SetUpFactor, &from(OFFICE)).await).await, 30);
    assert_eq!(uses(120, async |_| sign_in(&world, ASHA, &from(OFFICE)).await).await, 120);
    let again = || NewPerson { ..newcomer(ASHA, None) };
    let register = async |_| world.identity.register(again(), &from(OFFICE)).await.map(drop);
    assert_eq!(uses(20, register).await, 20);
}
