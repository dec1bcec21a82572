//! Known devices: strangers do not hold them up, they do not outlive the password they became known under, and several
//! of them guess no faster than as many strangers.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::in_process::{Enrolled, PASSWORD, UNLIMITED, World, password};
use portcullis_identity::{AccountUpdate, Assurance, ClientContext, Error, Login, Operator};
use secrecy::{ExposeSecret, SecretString};

const ASHA: &str = "asha@example.com";
const ANOTHER: &str = "marble orchard whispers northward";
const WRONG: &str = "not this one, surely";

/// The same network for everybody, in which strangers are throttled.
fn on(device: Option<&SecretString>) -> ClientContext {
    ClientContext { ip: Some("192.0.2.66".to_owned()), device: device.cloned(), ..ClientContext::default() }
}

async fn attempt(world: &World, typed: &str, client: &ClientContext) -> Result<Login, Error> {
    world.identity.sign_in(world.attempt(ASHA, typed), client).await
}

async fn is_throttled(world: &World, typed: &str, client: &ClientContext) -> bool {
    match attempt(world, typed, client).await {
        Ok(_) | Err(Error::InvalidCredentials) => false,
        Err(Error::TooManyAttempts { .. }) => true,
        Err(other) => panic!("{other:?}"),
    }
}

/// Uses up what strangers of the network may try, so that only a known device is let in.
async fn throttle_strangers(world: &World) {
    while !is_throttled(world, WRONG, &on(None)).await {}
}

/// A sign-in on a new device, and its token.
async fn new_device(world: &World) -> SecretString {
    match attempt(world, PASSWORD, &ClientContext::default()).await {
        Ok(Login::SignedIn(session)) => session.device,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_every_device_but_the_one_it_was_made_on() {
    let world = World::new(1).await;
    let person = world.person(ASHA).await;
    let devices = [person.session.device.clone(), new_device(&world).await];
    world.clock.advance(Duration::from_secs(1));
    let token = world.reset_token(ASHA).await;
    let kept =
        world.identity.reset_password(&token, &password(ANOTHER), &on(Some(&devices[0]))).await.unwrap();
    throttle_strangers(&world).await;
    for device in &devices {
        assert!(is_throttled(&world, ANOTHER, &on(Some(device))).await);
    }
    attempt(&world, ANOTHER, &on(Some(&kept))).await.expect("a known device");
}

#[tokio::test]
async fn a_change_of_the_password_ends_the_other_devices() {
    let world = World::new(2).await;
    let person = world.person(ASHA).await;
    let other = new_device(&world).await;
    world.clock.advance(Duration::from_secs(1));
    let (old, new) = (password(PASSWORD), password(ANOTHER));
    let changed = world.identity.change_password(&person.caller, &old, &new, &on(None)).await;
    let kept = changed.unwrap();
    throttle_strangers(&world).await;
    for device in [&person.session.device, &other] {
        assert!(is_throttled(&world, ANOTHER, &on(Some(device))).await);
    }
    attempt(&world, ANOTHER, &on(Some(&kept))).await.expect("a known device");
}

#[tokio::test]
async fn an_override_ends_all_of_them() {
    let world = World::new(3).await;
    let person = world.person(ASHA).await;
    world.clock.advance(Duration::from_secs(1));
    let operator = Operator::CommandLine("somebody".to_owned());
    let (account, new) = (&person.session.account, password(ANOTHER));
    world.identity.override_password(&operator, account, &new, &on(None)).await.unwrap();
    throttle_strangers(&world).await;
    assert!(is_throttled(&world, ANOTHER, &on(Some(&person.session.device))).await);
}

#[tokio::test]
async fn a_device_is_known_for_a_year_after_its_last_sign_in() {
    const DAY: Duration = Duration::from_hours(24);
    let world = World::new(4).await;
    let first = world.person(ASHA).await.session.device.clone();
    world.clock.advance(DAY * 364);
    throttle_strangers(&world).await;
    let Ok(Login::SignedIn(again)) = attempt(&world, PASSWORD, &on(Some(&first))).await else {
        panic!("a known device");
    };
    world.clock.advance(DAY);
    throttle_strangers(&world).await;
    assert!(is_throttled(&world, PASSWORD, &on(Some(&first))).await, "a year is over");
    attempt(&world, PASSWORD, &on(Some(&again.device))).await.expect("known again since the last sign-in");
}

#[tokio::test]
async fn more_devices_buy_no_more_guesses_than_there_are_counts() {
    let world = World::new(5).await;
    world.person(ASHA).await;
    let mut devices = Vec::new();
    for _ in 0..12 {
        devices.push(new_device(&world).await);
    }
    // Turn by turn, all day long: each of four counts and the one that the others share has a backoff of its own.
    let mut judged = 0;
    for minute in 0..24 * 60 {
        let device = &devices[minute % devices.len()];
        judged += usize::from(!is_throttled(&world, WRONG, &on(Some(device))).await);
        world.clock.advance(Duration::from_mins(1));
    }
    assert!(judged <= 5 * (15 + 96), "{judged} guesses");
    // Nobody else is held up by them, and a reset takes the tokens away.
    attempt(&world, PASSWORD, &on(None)).await.expect("a stranger who guessed nothing");
    let token = world.reset_token(ASHA).await;
    let kept = world.identity.reset_password(&token, &password(ANOTHER), &on(None)).await.unwrap();
    attempt(&world, ANOTHER, &on(Some(&kept))).await.expect("the only known device");
}

/// Signs in with a code, and returns the token of the device.
async fn with_code(asha: &Enrolled, world: &World) -> SecretString {
    world.clock.advance(Duration::from_secs(30));
    asha.sign_in(&asha.code()).await.unwrap().device
}

/// Whether a right password on this device is asked for a code.
async fn asks_for_code(world: &World, device: &SecretString) -> bool {
    match attempt(world, PASSWORD, &on(Some(device))).await.unwrap() {
        Login::MfaRequired(_) => true,
        Login::SignedIn(_) => false,
        Login::EnrolmentRequired(challenge) => panic!("{challenge:?}"),
    }
}

#[tokio::test]
async fn no_device_is_remembered_unless_an_operator_says_so() {
    let world = World::new(6).await;
    let asha = world.enrolled(ASHA).await;
    let device = with_code(&asha, &world).await;
    assert!(asks_for_code(&world, &device).await);
}

#[tokio::test]
async fn a_device_that_gave_a_code_signs_in_without_one_for_so_many_days_as_what_it_is() {
    const DAY: Duration = Duration::from_hours(24);
    let world = World::with_variables(7, &[("MFA_REMEMBER_DAYS", "30")]).await;
    let asha = world.enrolled(ASHA).await;
    let before = asha.session.device.clone();
    assert!(asks_for_code(&world, &before).await, "no code was given there");
    let device = with_code(&asha, &world).await;
    world.clock.advance(29 * DAY);
    let Ok(Login::SignedIn(session)) = attempt(&world, PASSWORD, &on(Some(&device))).await else { panic!() };
    let caller = world.caller(&session).await;
    assert_eq!((caller.claims.acr, caller.claims.amr.as_slice()), (Assurance::Aal1, &["pwd".to_owned()][..]));
    assert!(world.identity.require_fresh_proof(&caller).is_err(), "a password is no proof of hers");
    // It is not given anew by being remembered.
    world.clock.advance(DAY);
    assert!(asks_for_code(&world, &device).await && asks_for_code(&world, &session.device).await);
}

#[tokio::test]
async fn what_is_remembered_of_a_device_ends_with_the_factor_the_sessions_and_the_password() {
    let world = World::with_variables(8, &[("MFA_REMEMBER_DAYS", "30"), UNLIMITED]).await;
    let asha = world.enrolled(ASHA).await;
    let (operator, id) = (Operator::CommandLine("somebody".to_owned()), asha.caller.account.id);
    let device = with_code(&asha, &world).await;
    assert!(!asks_for_code(&world, &device).await);
    // Not one character of it can be another one.
    let text = device.expose_secret();
    let (known, given) = text.rsplit_once('.').unwrap();
    let (known, seconds) = known.rsplit_once('.').unwrap();
    let later: i64 = seconds.parse::<i64>().unwrap() + 1;
    for forged in
        [format!("{known}.{later}.{given}"), format!("{known}.{seconds}.{}A", &given[..42]), known.to_owned()]
    {
        assert!(asks_for_code(&world, &forged.into()).await);
    }
    world.identity.revoke_sessions_of(&operator, id, &ClientContext::default()).await.unwrap();
    assert!(asks_for_code(&world, &device).await, "she signed out everywhere");

    let device = with_code(&asha, &world).await;
    assert!(!asks_for_code(&world, &device).await);
    world.identity.reset_mfa(&operator, id, &ClientContext::default()).await.unwrap();
    let bare = world.person_again(ASHA).await;
    let _again = bare.enrol().await;
    assert!(asks_for_code(&world, &device).await, "the factor is another one");
}

#[tokio::test]
async fn a_role_that_requires_a_code_remembers_no_device() {
    let world = World::with_variables(9, &[("MFA_REMEMBER_DAYS", "30")]).await;
    let asha = world.enrolled(ASHA).await;
    let device = with_code(&asha, &world).await;
    assert!(!asks_for_code(&world, &device).await);
    let roles = Some(vec!["admin".to_owned()]);
    let update = AccountUpdate { roles, status: None };
    let (operator, id) = (Operator::CommandLine("somebody".to_owned()), asha.caller.account.id);
    world.identity.update_account(&operator, id, &update, &ClientContext::default()).await.unwrap();
    assert!(asks_for_code(&world, &device).await);
}
