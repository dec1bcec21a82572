//! Registration: whoever asks learns nothing of who is registered, and sending a request twice has one effect.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use portcullis_functions::Function;
use portcullis_harness::in_process::{PASSWORD, World, newcomer, password};
use portcullis_http::{AppState, HttpSettings};
use portcullis_identity::{ClientContext, Error, LoginAttempt, LoginName, NewPerson, PersonName, Username};
use portcullis_platform::Environment;
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt;

const ASHA: &str = "asha@example.com";
const DAY: Duration = Duration::from_hours(24);
const REQUIRED: (&str, &str) = ("EMAIL_VERIFICATION", "required");

static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

/// The routes of these functions without the layers around all routes, whose deadline would not stand still.
fn routes(world: &World, functions: &[&str]) -> Router {
    let settings = Arc::new(HttpSettings::read(&Environment::default()).unwrap());
    let (identity, vault) = (Arc::clone(&world.identity), Arc::clone(&world.vault));
    let state = AppState { identity, vault, settings };
    let routes = functions.iter().map(|name| Function::named(name).unwrap().routes().unwrap());
    let all = routes.map(Router::from).fold(Router::new(), Router::merge);
    all.with_state(state)
}

/// Everything of a response: status, headers and body.
async fn send(routes: &Router, path: &str, key: Option<&str>, body: &Value) -> String {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let (parts, body) = routes.clone().oneshot(request).await.unwrap().into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 16).await.unwrap().to_vec()).unwrap();
    let mut headers: Vec<String> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.sort();
    format!("{} {headers:?} {body}", parts.status.as_u16())
}

fn status(response: &str) -> &str {
    response.split_once(' ').unwrap().0
}

fn person(email: &str, name: &str, username: Option<&str>) -> Value {
    json!({"email": email, "password": PASSWORD, "name": name, "username": username})
}

/// A world in which the username `mallory` belongs to somebody, and where [`ASHA`] has an account or none.
async fn world(asha_has_an_account: bool, limits: &str) -> World {
    let world = World::with_variables(1, &[REQUIRED, ("RATE_LIMIT", limits)]).await;
    confirmed(&world, newcomer("mallory@example.com", Some("mallory"))).await;
    if asha_has_an_account {
        confirmed(&world, newcomer(ASHA, Some("asha.rao"))).await;
    }
    world.clock.advance(DAY);
    world
}

async fn confirmed(world: &World, person: NewPerson) {
    world.identity.register_unconfirmed(person, &ORIGIN).await.unwrap();
    let token: SecretString = world.notifications.take()[0].token().unwrap().into();
    world.identity.confirm_address(&token, &ORIGIN).await.unwrap();
}

/// What a stranger sees who tries everything about [`ASHA`]'s address that has to do with registrations.
async fn strangers_view(world: &World) -> Vec<String> {
    let routes = routes(world, &["register", "login", "password"]);
    let (key, other) = (Some("form-7"), Some("form-8"));
    let register = async |key, body: Value| send(&routes, "/v1/auth/register", key, &body).await;
    let mut seen = Vec::new();
    for round in 0..2 {
        let fresh = |name: &str| format!("{name}{round}@example.com");
        // The same twice, other names of the same person, and the name with another address.
        for name in ["rao", "rao", "chandra", "mallory"] {
            seen.push(register(None, person(ASHA, "Asha", Some(name))).await);
        }
        for name in ["rao", "chandra"] {
            seen.push(register(None, person(&fresh(name), "Somebody", Some(name))).await);
        }
        // A key with the same body, another body, another address; and one whose first request was refused.
        for (key, body) in [
            (key, person(ASHA, "Asha", Some("rao"))),
            (key, person(ASHA, "Asha", Some("rao"))),
            (key, person(ASHA, "Mallory", Some("rao"))),
            (key, person(ASHA, "Asha", None)),
            (key, person(&fresh("free"), "Asha", Some("rao"))),
            (other, person(ASHA, "Asha", Some("mallory"))),
            (other, person(ASHA, "Asha", Some("rao"))),
            (other, person(ASHA, "Asha", Some("mallory"))),
        ] {
            seen.push(register(key, body).await);
        }
        // Side by side, with a key and without.
        let body = person(ASHA, "Asha", Some("sidebyside"));
        for key in [None, Some("form-9")] {
            let (one, two) = tokio::join!(register(key, body.clone()), register(key, body.clone()));
            seen.extend([one, two]);
        }
        for name in ["rao", "sidebyside"] {
            let credentials = json!({"username": name, "password": PASSWORD});
            seen.push(send(&routes, "/v1/auth/login", None, &credentials).await);
        }
        for path in ["/v1/auth/email/resend", "/v1/auth/password/forgot"] {
            seen.push(send(&routes, path, None, &json!({"email": ASHA})).await);
        }
        world.clock.advance(DAY + Duration::from_hours(1));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_stranger_sees_the_same_of_a_taken_and_of_a_free_address() {
    let mut free = Vec::new();
    for limits in ["on", "off"] {
        let taken = strangers_view(&world(true, limits).await).await;
        free = strangers_view(&world(false, limits).await).await;
        for (number, (taken, free)) in taken.iter().zip(&free).enumerate() {
            assert_eq!(taken, free, "request {number} with limits {limits}");
        }
    }
    let statuses: Vec<_> = free.iter().map(|response| status(response)).collect();
    let of_a_round = [
        "202", "202", "202", "409", "202", "202", // names
        "202", "202", "422", "422", "202", "409", "202", "422", // keys
        "202", "202", "202", "202", // side by side
        "401", "401", "202", "202",
    ];
    assert_eq!(statuses, [of_a_round, of_a_round].concat());
}

#[tokio::test(start_paused = true)]
async fn clicking_twice_is_never_a_conflict() {
    for taken in [true, false] {
        for key in [None, Some("form-7")] {
            let world = world(taken, "on").await;
            let routes = routes(&world, &["register"]);
            let body = person(ASHA, "Asha", Some("rao"));
            let clicks = (0..8).map(|_| {
                let (routes, body) = (routes.clone(), body.clone());
                tokio::spawn(async move { send(&routes, "/v1/auth/register", key, &body).await })
            });
            for click in clicks.collect::<Vec<_>>() {
                assert_eq!(status(&click.await.unwrap()), "202", "{taken} {key:?}");
            }
            assert_eq!(status(&send(&routes, "/v1/auth/register", key, &body).await), "202");
        }
    }
}

/// Signs in with a username and [`PASSWORD`].
async fn signs_in_as(world: &World, name: &str) -> bool {
    let name = LoginName::Username(Username::parse(name).unwrap());
    let attempt = LoginAttempt { name, ..world.attempt(ASHA, PASSWORD) };
    world.identity.sign_in(attempt, &ORIGIN).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_username_belongs_to_whoever_confirms_an_address_first_and_costs_nobody_the_link() {
    let world = World::with_variables(2, &[REQUIRED]).await;
    let mut links = Vec::new();
    for address in [ASHA, "ravi@example.com", "chandra@example.com"] {
        world.identity.register_unconfirmed(newcomer(address, Some("rao")), &ORIGIN).await.unwrap();
        links.push(SecretString::from(world.notifications.take()[0].token().unwrap()));
    }
    assert!(!signs_in_as(&world, "rao").await, "nobody's yet");
    let ravi = world.identity.confirm_address(&links[1], &ORIGIN).await.unwrap();
    assert_eq!((ravi.username.as_deref(), ravi.email_verified), (Some("rao"), true));
    let asha = world.identity.confirm_address(&links[0], &ORIGIN).await.unwrap();
    assert_eq!((asha.username.as_deref(), asha.email_verified), (None, true));
    // A reset shows the same of an address as the link of a registration.
    let token = world.reset_token("chandra@example.com").await;
    let another = password("marble orchard whispers northward");
    world.identity.reset_password(&token, &another, &ORIGIN).await.unwrap();
    assert!(signs_in_as(&world, "rao").await);
    let owner = world.truth.login_record_by_username("rao").await.unwrap().unwrap().account;
    assert_eq!(owner.id, ravi.id);
    assert_eq!(world.truth.account(ravi.id).await.unwrap().unwrap().username.as_deref(), Some("rao"));
    let session = world.sign_in(ASHA).await.unwrap();
    assert_eq!(session.account.username, None);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_confirms_an_address_brings_its_username_along() {
    let world = World::with_variables(3, &[REQUIRED]).await;
    world.identity.register_unconfirmed(newcomer(ASHA, Some("rao")), &ORIGIN).await.unwrap();
    let token = world.reset_token(ASHA).await;
    world.identity.reset_password(&token, &password("marble orchard whispers"), &ORIGIN).await.unwrap();
    let owner = world.truth.login_record_by_username("rao").await.unwrap().expect("an owner").account;
    assert_eq!((owner.email.as_str(), owner.username.as_deref()), (ASHA, Some("rao")));
}

fn keyed(email: &str, name: &str) -> NewPerson {
    NewPerson {
        name: PersonName::parse(name).unwrap(),
        idempotency_key: Some("form-7".to_owned()),
        ..newcomer(email, None)
    }
}

#[tokio::test]
async fn a_key_that_a_stranger_chose_as_well_blocks_nobody() {
    let world = World::new(4).await;
    let stranger = world.identity.register(keyed("mallory@example.com", "Asha"), &ORIGIN).await.unwrap().0;
    let asha = world.identity.register(keyed(ASHA, "Asha"), &ORIGIN).await.unwrap().0;
    assert_ne!(stranger.id, asha.id);
    let again = world.identity.register(keyed(ASHA, "Asha"), &ORIGIN).await.unwrap().0;
    assert_eq!(again.id, asha.id);
    let other = world.identity.register(keyed(ASHA, "Mallory"), &ORIGIN).await;
    assert!(matches!(other, Err(Error::IdempotencyKeyReused)));
}

/// Erases the account with this address, whoever has it.
async fn erase(world: &World) {
    let caller = world.caller(&world.sign_in(ASHA).await.unwrap()).await;
    world.identity.erase_account(&caller, &password(PASSWORD).into(), &ORIGIN).await.unwrap();
}

#[tokio::test]
async fn a_registration_is_not_answered_with_an_account_that_was_erased() {
    let world = World::new(5).await;
    let register = || world.identity.register(keyed(ASHA, "Asha"), &ORIGIN);
    let first = register().await.unwrap().0;
    assert_eq!(register().await.unwrap().0.id, first.id);
    erase(&world).await;
    let second = register().await.unwrap().0;
    assert_ne!(second.id, first.id, "an account that lives");
    assert_eq!(world.sign_in(ASHA).await.unwrap().account.id, second.id);
    assert_eq!(register().await.unwrap().0.id, second.id, "and a repetition finds it");

    // Somebody else has the address by now.
    erase(&world).await;
    let third = world.identity.register(newcomer(ASHA, None), &ORIGIN).await.unwrap().0;
    assert!(matches!(register().await, Err(Error::EmailTaken)));
    assert_eq!(world.truth.account(third.id).await.unwrap().map(|account| account.id), Some(third.id));
}

#[tokio::test(start_paused = true)]
async fn a_pending_registration_is_not_answered_for_an_account_that_was_erased() {
    let world = world(true, "on").await;
    let register = || world.identity.register_unconfirmed(keyed(ASHA, "Asha"), &ORIGIN);
    register().await.unwrap();
    assert_eq!(world.notifications.take()[0].subject, "You already have an account");
    erase(&world).await;
    register().await.unwrap();
    let sent = world.notifications.take();
    let token: SecretString = sent.last().unwrap().token().expect("a link").into();
    world.identity.confirm_address(&token, &ORIGIN).await.unwrap();
    world.sign_in(ASHA).await.unwrap();
}

/// Status and body of a request with this proof of work, or none.
async fn asked(routes: &Router, path: &str, email: &str, proof: Option<&str>) -> (String, Value) {
    let mut body = json!({"email": email, "proof_of_work": proof});
    if path.ends_with("register") {
        (body["password"], body["name"]) = (PASSWORD.into(), "Asha".into());
    }
    let response = send(routes, path, None, &body).await;
    let (head, body) = response.split_once("] ").unwrap();
    (status(head).to_owned(), serde_json::from_str(body).unwrap())
}

/// A client of its own that finds the counter.
fn solve(problem: &Value) -> String {
    let puzzle = &problem["proof_of_work"];
    let (challenge, bits) = (puzzle["challenge"].as_str().unwrap(), puzzle["bits"].as_u64().unwrap());
    let proofs = (0_u64..).map(|counter| format!("{challenge}:{counter}"));
    let is_solved = |proof: &String| {
        let digest = digest(&SHA256, proof.as_bytes());
        u64::from_be_bytes(*digest.as_ref().first_chunk().unwrap()) >> (64 - bits) == 0
    };
    { proofs }.find(is_solved).unwrap()
}

const REGISTER: &str = "/v1/auth/register";
const FORGOT: &str = "/v1/auth/password/forgot";

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_requests_without_a_proof_of_work_reach_nothing() {
    let world = World::with_variables(6, &[("PROOF_OF_WORK", "10"), REQUIRED]).await;
    let routes = routes(&world, &["register", "password"]);
    let before = world.faults.requests();
    for number in 0..50_000 {
        let email = format!("p{number}@example.com");
        for path in [REGISTER, FORGOT] {
            let (status, problem) = asked(&routes, path, &email, None).await;
            assert_eq!((status.as_str(), &problem["code"]), ("428", &json!("proof_of_work_required")));
        }
    }
    // What hashes a password is counted in the table first.
    assert_eq!(world.faults.requests(), before, "not one request to the table");
    assert_eq!((world.items("CRED").await.len(), world.notifications.take()), (0, Vec::new()));

    let (_, problem) = asked(&routes, REGISTER, ASHA, None).await;
    let (status, _) = asked(&routes, REGISTER, ASHA, Some(&solve(&problem))).await;
    assert_eq!((status.as_str(), world.notifications.take().len()), ("202", 1));
}

#[tokio::test(start_paused = true)]
async fn a_proof_of_work_is_good_once_for_its_route_and_address_and_for_a_while() {
    let world = World::with_variables(7, &[("PROOF_OF_WORK", "8"), REQUIRED]).await;
    let routes = routes(&world, &["register", "password"]);
    let (_, problem) = asked(&routes, REGISTER, ASHA, None).await;
    let proof = solve(&problem);
    let (challenge, counter) = proof.split_once(':').unwrap();
    let easier = format!("{}:{counter}", challenge.replacen(".8.", ".0.", 1));
    let later = format!("9{proof}");
    for (path, email, shown) in [
        (FORGOT, ASHA, proof.as_str()),
        (REGISTER, "mallory@example.com", &proof),
        (REGISTER, ASHA, challenge),
        (REGISTER, ASHA, &easier),
        (REGISTER, ASHA, &later),
        (REGISTER, ASHA, ""),
    ] {
        let (status, again) = asked(&routes, path, email, Some(shown)).await;
        assert_eq!((status.as_str(), &again["proof_of_work"]["bits"]), ("428", &json!(8)), "{shown}");
    }
    assert_eq!(asked(&routes, REGISTER, ASHA, Some(&proof)).await.0, "202");
    assert_eq!(asked(&routes, REGISTER, ASHA, Some(&proof)).await.0, "428", "spent");

    let (_, problem) = asked(&routes, FORGOT, ASHA, None).await;
    let (one, late) = (solve(&problem), solve(&asked(&routes, FORGOT, ASHA, None).await.1));
    assert_eq!(asked(&routes, FORGOT, ASHA, Some(&one)).await.0, "202");
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(asked(&routes, FORGOT, ASHA, Some(&late)).await.0, "428", "too old");
}
