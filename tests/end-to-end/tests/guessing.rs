//! Guessing gets nowhere: not side by side, not from many addresses, not by watching the clock; and it locks no owner out.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, code, newcomer, password};
use portcullis_harness::process::Target;
use portcullis_identity::{
    ApiKeyName, ApiKeyRequest, ClientContext, Error, Login, LoginAttempt, LoginName, MfaSignIn, SignedIn,
    Username,
};
use portcullis_platform::{Clock, SystemEntropy};
use portcullis_store::{
    AttemptSource, AuditEvent, AuditKind, Challenge, ChallengeKind, Id, NewSession, SignInStep, Throttled,
    Wait,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

const ASHA: &str = "asha@example.com";
const WRONG: &str = "not this one, surely";

async fn attempt(world: &World, address: &str, typed: &str, origin: &ClientContext) -> Result<Login, Error> {
    world.identity.sign_in(world.attempt(address, typed), origin).await
}

/// Returns how many seconds the next attempt has to wait; none when this one was judged wrong.
fn wait(result: &Result<Login, Error>) -> Option<u64> {
    match result {
        Err(Error::InvalidCredentials) => None,
        Err(Error::TooManyAttempts { retry_after }) => Some(retry_after.as_secs()),
        other => panic!("{other:?}"),
    }
}

fn from(ip: &str) -> ClientContext {
    ClientContext { ip: Some(ip.to_owned()), ..ClientContext::default() }
}

fn on(device: &SecretString) -> ClientContext {
    ClientContext { device: Some(device.clone()), ..ClientContext::default() }
}

/// Attempts at once, as many as there are passwords, and how many were right, wrong and not judged.
async fn at_once(world: &World, address: &'static str, typed: Vec<String>) -> [usize; 3] {
    let attempts: Vec<_> = typed
        .into_iter()
        .map(|typed| {
            let world = world.clone();
            tokio::spawn(async move { attempt(&world, address, &typed, &ClientContext::default()).await })
        })
        .collect();
    let (mut right, mut wrong, mut unanswered) = (0, 0, 0);
    for one in attempts {
        match one.await.unwrap() {
            Ok(_) => right += 1,
            Err(Error::InvalidCredentials) => wrong += 1,
            // Beyond what the queue of hashes takes nothing is looked at either.
            Err(Error::TooManyAttempts { .. } | Error::Overloaded) => unanswered += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    [right, wrong, unanswered]
}

#[tokio::test(start_paused = true)]
async fn of_two_hundred_guesses_at_once_five_are_answered() {
    let world = World::new(1).await;
    world.person(ASHA).await;
    for address in [ASHA, "nobody@example.com"] {
        let wrong = (0..200).map(|number| format!("guess {number}")).collect();
        assert_eq!(at_once(&world, address, wrong).await, [0, 5, 195], "{address}");
        let right = attempt(&world, address, PASSWORD, &ClientContext::default()).await;
        assert_eq!(wait(&right), Some(1), "{address}: not even the right one is looked at");
    }
}

/// Each from a network of its own, so that none of them has to wait for itself.
#[tokio::test(start_paused = true)]
async fn of_two_hundred_guesses_at_once_from_as_many_networks_forty_are_answered() {
    let world = World::new(19).await;
    world.person(ASHA).await;
    for (address, network) in [(ASHA, 0), ("nobody@example.com", 1)] {
        let mut answered = 0;
        // As many at once as the queue of hashes takes.
        for round in 0..8 {
            let attempts: Vec<_> = (0..25)
                .map(|number| {
                    let (world, origin) = (world.clone(), from(&format!("10.{network}.{round}.{number}")));
                    tokio::spawn(async move { attempt(&world, address, WRONG, &origin).await })
                })
                .collect();
            for one in attempts {
                answered += usize::from(wait(&one.await.unwrap()).is_none());
            }
        }
        assert_eq!(answered, 40, "{address}");
        let right = attempt(&world, address, PASSWORD, &from("192.0.2.7")).await;
        assert_eq!(wait(&right), Some(60), "{address}: not even the right one is looked at");
        world.clock.advance(Duration::from_mins(1));
        let next = attempt(&world, address, WRONG, &from("192.0.2.8")).await;
        assert_eq!(wait(&next), None, "{address}: one more a minute later");
    }
}

#[tokio::test(start_paused = true)]
async fn the_right_one_among_the_wrong_is_refused_once_five_were_wrong() {
    let mut refused = 0;
    for place in [1, 6, 12, 20, 30] {
        let world = World::new(16).await;
        let session = world.person(ASHA).await;
        let typed = |number| if number == place { PASSWORD.to_owned() } else { format!("guess {number}") };
        let [right, ..] = at_once(&world, ASHA, (0..32).map(typed).collect()).await;
        // The trail says in which order they were decided.
        let mut in_a_row = 0;
        let mut signed_in = 0;
        for record in world.items("AUD#0").await {
            match record["kind"]["S"].as_str().unwrap() {
                "login_failed" => in_a_row += 1,
                "login_succeeded" => {
                    assert!(in_a_row < 5, "{place}: after {in_a_row} wrong ones");
                    (in_a_row, signed_in) = (0, signed_in + 1);
                }
                _ => {}
            }
            assert!(in_a_row <= 5, "{place}: {in_a_row} wrong ones in a row were answered");
        }
        // Of a right one that was refused nothing is left: no session, and no word of one in the trail.
        let caller = world.caller(&session).await;
        let live = world.identity.list_sessions(&caller, 100, None).await.unwrap().sessions.len();
        assert_eq!(
            (signed_in, live),
            (1 + right, 1 + right),
            "{place}: those told of, and the one from before"
        );
        refused += usize::from(right == 0);
    }
    assert!(refused > 0, "none of them came too late");
}

#[tokio::test]
async fn a_guess_that_comes_too_late_takes_as_long_right_or_wrong() {
    let waits = [Wait { after: 5, wait: Duration::from_secs(1) }];
    let mut asked = Vec::new();
    for becomes in ["nothing", "a session", "a challenge"] {
        let world = World::new(18).await;
        let account = world.person(ASHA).await.session.account;
        let (store, now) = (&world.identity.store, world.clock.now());
        // Five wrong ones fall between what this one reads and what it writes.
        let end = store.sign_ins_end(ASHA).await.unwrap();
        for _ in 0..5 {
            assert_eq!(wait(&attempt(&world, ASHA, WRONG, &ClientContext::default()).await), None);
        }
        let event = |kind, step| {
            let seal = world.identity.audit_seal().unwrap();
            let event = AuditEvent::new(kind, account.id, now, &seal, &SystemEntropy).unwrap();
            event.of_sign_in_with(ASHA, step).behind(end.clone())
        };
        let right = event(AuditKind::MfaRequired, SignInStep::Right(AttemptSource::Stranger));
        let before = world.faults.requests();
        let answered = match becomes {
            "a session" => {
                let session = NewSession {
                    id: Id::generate(now, &SystemEntropy).unwrap(),
                    account: account.id,
                    session_epoch: account.session_epoch,
                    current: [1; 32],
                    methods: Vec::new(),
                    persistent: false,
                    device_name: None,
                    user_agent: None,
                    ip: None,
                    created_at: now,
                    idle_expires_at: now + Duration::from_hours(1),
                    expires_at: now + Duration::from_hours(1),
                };
                store.start_session(&session, &right, &waits).await
            }
            "a challenge" => {
                let challenge = Challenge {
                    kind: ChallengeKind::Mfa,
                    digest: [1; 32],
                    account: account.id,
                    email: ASHA.to_owned(),
                    session_epoch: account.session_epoch,
                    methods: Vec::new(),
                    persistent: false,
                    token_in_body: false,
                    device_name: None,
                    wanted_email: None,
                    session: None,
                    expires_at: now + Duration::from_hours(1),
                };
                store.begin_challenge(&challenge, &right, &waits).await
            }
            _ => {
                let wrong = event(AuditKind::LoginFailed, SignInStep::Wrong(AttemptSource::Stranger));
                store.record_attempt(&wrong, &waits).await
            }
        };
        assert_eq!(answered.unwrap(), Err(Throttled { until: now + Duration::from_secs(1) }), "{becomes}");
        asked.push(world.faults.requests() - before);
        assert!(store.challenge(ChallengeKind::Mfa, &[1; 32], now).await.unwrap().is_none());
    }
    // A round of record and head, the end of the chain read anew behind the pause, and what is taken back; the row itself is
    // written beside the round.
    assert_eq!(asked, [4, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn right_ones_at_once_are_all_let_in() {
    let world = World::new(17).await;
    world.person(ASHA).await;
    assert_eq!(at_once(&world, ASHA, vec![PASSWORD.to_owned(); 16]).await, [16, 0, 0]);
}

#[tokio::test]
async fn the_wait_doubles_from_a_second_to_a_quarter_of_an_hour_and_is_the_same_for_nobody() {
    let world = World::new(2).await;
    world.person(ASHA).await;
    let mut seen = Vec::new();
    for address in [ASHA, "nobody@example.com"] {
        let mut waits = Vec::new();
        for _ in 0..18 {
            let result = attempt(&world, address, WRONG, &ClientContext::default()).await;
            waits.push(wait(&result));
            if let Some(seconds) = wait(&result) {
                world.clock.advance(Duration::from_millis(seconds * 1_000 - 1));
                assert!(
                    wait(&attempt(&world, address, WRONG, &ClientContext::default()).await).is_some(),
                    "early"
                );
                world.clock.advance(Duration::from_millis(1));
                assert_eq!(wait(&attempt(&world, address, WRONG, &ClientContext::default()).await), None);
            }
        }
        assert_eq!(waits[..5], [None; 5]);
        let expected: Vec<_> =
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900].into_iter().map(Some).collect();
        assert_eq!(waits[5..], expected);
        seen.push(waits);
    }
    assert_eq!(seen[0], seen[1]);
    world.clock.advance(Duration::from_mins(15));
    world.sign_in(ASHA).await.expect("after the wait the right one is right");
    let history = world.truth.sign_ins(ASHA).await.unwrap();
    assert_eq!(history.failed_login_attempts, 0);
    assert!(history.last_failed_login_at.is_some() && history.last_login_at == Some(world.clock.now()));
    assert_eq!(
        wait(&attempt(&world, ASHA, WRONG, &ClientContext::default()).await),
        None,
        "the count began anew"
    );
}

#[tokio::test]
async fn a_stranger_who_guesses_locks_no_owner_out() {
    let world = World::new(3).await;
    let session = world.person(ASHA).await;
    let device = session.device.clone();
    for _ in 0..8 {
        let _ = attempt(&world, ASHA, WRONG, &from("192.0.2.66")).await;
    }
    assert!(wait(&attempt(&world, ASHA, PASSWORD, &from("192.0.2.66")).await).is_some());
    // With a new phone, anywhere else.
    attempt(&world, ASHA, PASSWORD, &from("192.0.2.67")).await.expect("another network");
    assert!(
        wait(&attempt(&world, ASHA, PASSWORD, &from("192.0.2.66")).await).is_some(),
        "which ends no backoff"
    );
    // The device the owner signed in with before is counted apart, also for its own failures.
    assert_eq!(wait(&attempt(&world, ASHA, WRONG, &on(&device)).await), None);
    attempt(&world, ASHA, PASSWORD, &on(&device)).await.expect("a known device");
    for _ in 0..5 {
        assert_eq!(wait(&attempt(&world, ASHA, WRONG, &on(&device)).await), None);
    }
    assert!(
        wait(&attempt(&world, ASHA, WRONG, &on(&device)).await).is_some(),
        "a stolen device guesses no more"
    );
    // Sessions go on.
    world.identity.refresh(session.refresh.token.secret(), &ClientContext::default()).await.unwrap();
    // Nobody else's token, and none that was changed, makes a device known.
    let mallory = world.person("mallory@example.com").await;
    let text = device.expose_secret();
    let (id, mac) = text.split_once('.').unwrap();
    let other_id = format!("{}{}.{mac}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' });
    for token in [mallory.device.expose_secret(), &other_id, &format!("{id}."), "dv_", "", id] {
        let there = ClientContext { device: Some(token.into()), ..from("192.0.2.66") };
        assert!(wait(&attempt(&world, ASHA, PASSWORD, &there).await).is_some(), "{token}");
    }
}

#[tokio::test]
async fn whoever_resets_the_password_signs_in_although_strangers_guess() {
    let world = World::new(4).await;
    world.person(ASHA).await;
    for _ in 0..8 {
        let _ = attempt(&world, ASHA, WRONG, &ClientContext::default()).await;
    }
    let token = world.reset_token(ASHA).await;
    let another = "marble orchard whispers northward";
    let device =
        world.identity.reset_password(&token, &password(another), &ClientContext::default()).await.unwrap();
    assert!(wait(&attempt(&world, ASHA, another, &ClientContext::default()).await).is_some());
    attempt(&world, ASHA, another, &on(&device)).await.expect("a known device");
}

#[tokio::test]
async fn an_administrator_unlocks_an_account() {
    let world = World::new(5).await;
    let session = world.person(ASHA).await;
    for _ in 0..8 {
        let _ = attempt(&world, ASHA, WRONG, &ClientContext::default()).await;
    }
    assert_eq!(world.identity.history(&session.account).await.unwrap().failed_login_attempts, 5);
    let operator = portcullis_identity::Operator::CommandLine("somebody".to_owned());
    world.identity.unlock_account(&operator, session.account.id, &ClientContext::default()).await.unwrap();
    let history = world.identity.history(&session.account).await.unwrap();
    assert_eq!(history.failed_login_attempts, 0);
    assert!(history.last_login_at.is_some());
    world.sign_in(ASHA).await.unwrap();
}

#[tokio::test]
async fn a_username_and_its_address_have_one_count() {
    let world = World::new(6).await;
    world.identity.register(newcomer(ASHA, Some("asha")), &ClientContext::default()).await.unwrap();
    let by_name = |name: &str, typed: &str| LoginAttempt {
        name: LoginName::Username(Username::parse(name).unwrap()),
        ..world.attempt(ASHA, typed)
    };
    for name in ["asha", "nobody"] {
        for turn in 0..5 {
            let result = if turn % 2 == 0 || name == "nobody" {
                world.identity.sign_in(by_name(name, WRONG), &ClientContext::default()).await
            } else {
                attempt(&world, ASHA, WRONG, &ClientContext::default()).await
            };
            assert_eq!(wait(&result), None);
        }
        let sixth = world.identity.sign_in(by_name(name, PASSWORD), &ClientContext::default()).await;
        assert_eq!(wait(&sixth), Some(1), "{name}");
    }
}

#[tokio::test]
async fn one_client_address_fails_a_hundred_times_in_a_quarter_of_an_hour() {
    for (limit, expected) in [("on", 100), ("off", 130)] {
        let world = World::with_variables(7, &[("RATE_LIMIT", limit)]).await;
        world.person(ASHA).await;
        let mut looked_at = 0;
        for number in 0..130 {
            let result = attempt(&world, &format!("p{number}@example.com"), WRONG, &from("192.0.2.66")).await;
            looked_at += u32::from(wait(&result).is_none());
        }
        assert_eq!(looked_at, expected);
        let right = attempt(&world, ASHA, PASSWORD, &from("192.0.2.66")).await;
        assert_eq!(right.is_ok(), limit == "off");
        attempt(&world, ASHA, PASSWORD, &from("192.0.2.7")).await.expect("another address");
        world.clock.advance(Duration::from_mins(15));
        attempt(&world, ASHA, PASSWORD, &from("192.0.2.66")).await.expect("another quarter of an hour");
    }
}

/// Names that nobody has, so that no backoff but that of the address is met.
async fn wrong_guesses(world: &World, from_there: &ClientContext, tag: &str, times: usize) -> usize {
    let mut judged = 0;
    for number in 0..times {
        let result = attempt(world, &format!("{tag}x{number}@example.com"), WRONG, from_there).await;
        judged += usize::from(wait(&result).is_none());
    }
    judged
}

#[tokio::test]
async fn a_device_of_the_owner_passes_the_limit_by_address_and_keeps_its_own() {
    let world = World::new(7).await;
    let device = world.person(ASHA).await.device.clone();
    let office = from("192.0.2.66");
    let hers = ClientContext { device: Some(device), ..office.clone() };
    assert_eq!(wrong_guesses(&world, &office, "p", 100).await, 100);
    assert!(wait(&attempt(&world, ASHA, PASSWORD, &office).await).is_some(), "a stranger there");
    attempt(&world, ASHA, PASSWORD, &hers).await.expect("her own device there");
    for _ in 0..5 {
        assert_eq!(
            wait(&attempt(&world, ASHA, WRONG, &hers).await),
            None,
            "judged, and counted for the device"
        );
    }
    assert_eq!(wait(&attempt(&world, ASHA, PASSWORD, &hers).await), Some(1), "its own backoff");
    let another = attempt(&world, "ravi@example.com", WRONG, &hers).await;
    assert!(wait(&another).is_some(), "it is nobody else's device");
}

#[tokio::test]
async fn what_a_known_device_gets_wrong_is_not_counted_for_the_address() {
    let world = World::new(7).await;
    let device = world.person(ASHA).await.device.clone();
    let office = from("192.0.2.66");
    let hers = ClientContext { device: Some(device), ..office.clone() };
    for _ in 0..5 {
        assert_eq!(wait(&attempt(&world, ASHA, WRONG, &hers).await), None);
    }
    assert_eq!(wrong_guesses(&world, &office, "p", 110).await, 100);
}

#[tokio::test]
async fn an_ipv6_customer_is_counted_by_each_network_they_may_have() {
    let world = World::new(7).await;
    let at = |site: u16, subnet: u16| from(&format!("2001:db8:{site:x}:{subnet:x}::1"));
    // Three /64 of one /56 fail as often as they may; so has the /56, and the fourth gets nothing.
    for subnet in 0..3 {
        assert_eq!(wrong_guesses(&world, &at(1, subnet), &format!("a{subnet}"), 102).await, 100);
    }
    assert_eq!(wrong_guesses(&world, &at(1, 3), "a3", 2).await, 0, "the /56");
    assert_eq!(wrong_guesses(&world, &at(1, 0x100), "b", 2).await, 2, "another /56 of the same /48");
    // What other /56 have got wrong so far, short of two.
    let now = world.clock.now();
    for _ in 0..696 {
        let window = now.as_second().div_euclid(15 * 60);
        assert!(world.truth.count_failure("2001:db8:1::/48", window, 1_000, now).await.unwrap());
    }
    assert_eq!(wrong_guesses(&world, &at(1, 0x200), "c", 4).await, 2, "the /48");
    assert_eq!(wrong_guesses(&world, &at(1, 0xff00), "d", 2).await, 0, "the /48");
    assert_eq!(wrong_guesses(&world, &at(2, 0), "e", 2).await, 2, "another /48");
}

#[tokio::test(start_paused = true)]
async fn side_by_side_one_client_address_fails_no_more_often() {
    let world = World::new(8).await;
    let mut told = 0;
    // As many at once as the queue of hashes takes.
    for round in 0..8 {
        let attempts: Vec<_> = (0..30)
            .map(|number| {
                let (world, address) = (world.clone(), format!("p{round}x{number}@example.com"));
                tokio::spawn(async move { attempt(&world, &address, WRONG, &from("192.0.2.66")).await })
            })
            .collect();
        for one in attempts {
            told += u32::from(wait(&one.await.unwrap()).is_none());
        }
    }
    assert_eq!(told, 100);
}

#[tokio::test]
async fn a_store_that_fails_is_nobodys_failure() {
    let world = World::new(9).await;
    world.person(ASHA).await;
    for _ in 0..10 {
        world.faults.go_down_after(0);
        let failed = attempt(&world, ASHA, WRONG, &ClientContext::default()).await;
        assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
        world.faults.come_back();
    }
    for _ in 0..5 {
        assert_eq!(wait(&attempt(&world, ASHA, WRONG, &ClientContext::default()).await), None);
    }
}

#[tokio::test]
async fn a_sign_in_from_elsewhere_is_told_of_once() {
    let world = World::new(10).await;
    let session = world.person(ASHA).await;
    assert_eq!(world.notifications.take(), [], "the first sign-in of all is no news");
    attempt(&world, ASHA, PASSWORD, &ClientContext::default()).await.unwrap();
    assert_eq!(world.notifications.take(), [], "neither is one that looks like the last");
    attempt(&world, ASHA, PASSWORD, &from("192.0.2.9")).await.unwrap();
    let [sent] = world.notifications.take().try_into().expect("one notification");
    assert_eq!((sent.to.as_str(), sent.subject.as_str()), (ASHA, "New sign-in to your account"));
    let travelling = ClientContext { device: Some(session.device.clone()), ..from("192.0.2.10") };
    attempt(&world, ASHA, PASSWORD, &travelling).await.unwrap();
    assert_eq!(world.notifications.take(), [], "a known device may travel");
}

/// Everything somebody can get a token with.
struct Holdings {
    session: SignedIn,
    mfa: MfaSignIn,
    reset: SecretString,
    api_key: SecretString,
}

/// An account with every kind of thing begun.
async fn holdings(world: &World, address: &str) -> Holdings {
    let now = || ClientContext::default();
    let person = world.person(address).await;
    let wanted = ApiKeyRequest {
        name: ApiKeyName::parse("nightly").unwrap(),
        scopes: None,
        expires_at: None,
        idempotency_key: None,
    };
    let api_key = world.identity.create_api_key(&person.caller, wanted, &now()).await.unwrap().text;
    let reset = world.reset_token(address).await;
    // Proved with the code before the present one, which is still good for the sign-in that is begun.
    let (app, seconds) = (person.set_up_factor(None).await.unwrap(), world.unix_now());
    person.enable_factor(&app.code_at(seconds - 30)).await.unwrap();
    let Ok(Login::MfaRequired(challenge)) = attempt(world, address, PASSWORD, &now()).await else {
        panic!("a code is asked for");
    };
    let code = code(&app.code_at(seconds));
    let mfa = MfaSignIn { session_token: challenge.token.secret().clone(), code };
    Holdings { session: person.session, mfa, reset, api_key }
}

/// On which paths the account still gets somewhere.
async fn open_paths(world: &World, address: &str, held: &Holdings) -> Vec<&'static str> {
    let origin = ClientContext::default();
    let another = password("marble orchard whispers northward");
    let identity = &world.identity;
    let mut open = Vec::new();
    let mut note = |name, is_open: bool| open.extend(is_open.then_some(name));
    note("login", attempt(world, address, PASSWORD, &origin).await.is_ok());
    note(
        "login on a known device",
        attempt(world, address, PASSWORD, &on(&held.session.device)).await.is_ok(),
    );
    note("access token", identity.authenticate(&held.session.access_token).await.is_ok());
    note("refresh", identity.refresh(held.session.refresh.token.secret(), &origin).await.is_ok());
    note("api key", identity.authenticate_key(&held.api_key).await.is_ok());
    note("mfa", identity.sign_in_with_code(&held.mfa, &origin).await.is_ok());
    note("reset", identity.reset_password(&held.reset, &another, &origin).await.is_ok());
    open
}

#[tokio::test]
async fn every_path_asks_the_gate() {
    const ALL: [&str; 7] =
        ["login", "login on a known device", "access token", "refresh", "api key", "mfa", "reset"];
    let world = World::new(11).await;
    let held = Box::pin(holdings(&world, ASHA)).await;
    assert_eq!(Box::pin(open_paths(&world, ASHA, &held)).await, ALL, "an account in use");

    // Locked: the sign-in by password of strangers, and nothing else.
    let world = World::new(12).await;
    let held = Box::pin(holdings(&world, ASHA)).await;
    for _ in 0..8 {
        let _ = attempt(&world, ASHA, WRONG, &ClientContext::default()).await;
    }
    assert_eq!(Box::pin(open_paths(&world, ASHA, &held)).await, ALL[1..], "a locked account");

    let world = World::new(13).await;
    let held = Box::pin(holdings(&world, ASHA)).await;
    world.disable(&held.session.account).await;
    assert_eq!(Box::pin(open_paths(&world, ASHA, &held)).await, [""; 0], "a disabled account");

    let world = World::new(14).await;
    let held = Box::pin(holdings(&world, ASHA)).await;
    let caller = world.caller(&held.session).await;
    world
        .identity
        .erase_account(&caller, &password(PASSWORD).into(), &ClientContext::default())
        .await
        .unwrap();
    assert_eq!(Box::pin(open_paths(&world, ASHA, &held)).await, [""; 0], "an erased account");
    // Whoever registers the address next does not inherit what was begun.
    world.person(ASHA).await;
    let inherited = Box::pin(open_paths(&world, ASHA, &held)).await;
    assert_eq!(inherited, ["login", "login on a known device"], "somebody else's account");
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    InUse,
    Locked,
    Disabled,
    Erased,
}

#[tokio::test]
async fn the_rotation_of_an_old_password_asks_the_gate_as_well() {
    let origin = ClientContext::default();
    let another = password("marble orchard whispers northward");
    for (fate, works) in
        [(Fate::InUse, true), (Fate::Locked, true), (Fate::Disabled, false), (Fate::Erased, false)]
    {
        let world = World::with_variables(15, &[("PASSWORD_ROTATION_DAYS", "1")]).await;
        let account = world.person(ASHA).await.session.account;
        let young = world.clock.now();
        world.clock.advance(Duration::from_hours(24) - Duration::from_mins(1));
        let session = world.sign_in(ASHA).await.unwrap();
        let caller = world.caller(&session).await;
        let wanted = ApiKeyRequest {
            name: ApiKeyName::parse("nightly").unwrap(),
            scopes: None,
            expires_at: None,
            idempotency_key: None,
        };
        let key = world.identity.create_api_key(&caller, wanted, &origin).await.unwrap().text;
        world.identity.authenticate_key(&key).await.expect("the password is not too old yet");
        world.clock.advance(Duration::from_mins(1));
        assert_eq!(world.identity.password_expires_at(&account), Some(young + Duration::from_hours(24)));
        let keyed = world.identity.authenticate_key(&key).await;
        assert!(matches!(keyed, Err(Error::InvalidApiKey)), "a key ends with the password of its owner");
        let Err(Error::PasswordExpired(token)) = attempt(&world, ASHA, PASSWORD, &origin).await else {
            panic!("the password is too old");
        };
        match fate {
            Fate::InUse => {}
            Fate::Locked => {
                for _ in 0..8 {
                    let _ = attempt(&world, ASHA, WRONG, &origin).await;
                }
            }
            Fate::Disabled => world.disable(&account).await,
            Fate::Erased => {
                world.identity.erase_account(&caller, &password(PASSWORD).into(), &origin).await.unwrap();
            }
        }
        let rotated = world.identity.rotate_password(token.secret(), &another, &origin).await;
        assert_eq!(rotated.is_ok(), works, "{fate:?}: {rotated:?}");
        assert_eq!(world.identity.authenticate_key(&key).await.is_ok(), works, "{fate:?}");
    }
}

/// What differs is the id of the request alone. That it takes as long is measured by `cargo bench -p bench -- known`.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_an_account_is_answered_with_the_same_bytes() {
    let app = App::on(Target::Local, &[("RATE_LIMIT", "off"), ("ARGON2_MEMORY_KIB", "64")]);
    let known = |number: usize| format!("k{number}@example.com");
    let addresses: Vec<String> =
        (0..20).flat_map(|number| [known(number), format!("u{number}@example.com")]).collect();
    for number in 0..20 {
        app.register(&known(number)).await.assert_status(201);
    }
    let (mut logins, mut requests) = (BTreeSet::new(), BTreeSet::new());
    let before = app.outbox().len();
    for address in &addresses {
        let mut refused = app.post("/v1/auth/login", json!({"email": address, "password": WRONG})).await;
        refused.body.as_object_mut().unwrap().remove("request_id");
        logins.insert(format!("{} {} {}", refused.status, refused.text.len(), refused.body));
    }
    let forgot =
        addresses.iter().map(|address| app.post("/v1/auth/password/forgot", json!({"email": address})));
    // Each takes a second.
    let asked: Vec<_> = forgot.map(|call| tokio::spawn(call.into_future())).collect();
    for asked in asked {
        let reply = asked.await.unwrap();
        requests.insert(format!("{} {:?}", reply.status, reply.text));
    }
    assert_eq!((logins.len(), requests.len()), (1, 1), "{logins:?} {requests:?}");
    assert_eq!(app.outbox().len() - before, 20, "every known address got a mail");
}
