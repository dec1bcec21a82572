//! Signing out with every combination of tokens: whatever of its own a client shows has ended, and nothing else.
#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use portcullis_harness::in_process::World;
use portcullis_http::{AppState, HttpSettings};
use portcullis_identity::{ClientContext, SignedIn};
use portcullis_platform::{Environment, SystemEntropy};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower::ServiceExt;

const SEED: u64 = 20_261_128;
const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
/// The page that may send the cookie, unless an operator says otherwise.
const OUR_PAGE: &str = "http://localhost:3000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InBody {
    Absent,
    Good,
    Forged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearer {
    Absent,
    Good,
    Expired,
    Foreign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cookie {
    Absent,
    Good,
    OfAnEndedSession,
    Forged,
}

/// The service in this process, and its clock.
struct Service {
    world: World,
    router: Router,
}

/// What is sent.
#[derive(Debug, Default)]
struct Sent {
    body: Option<String>,
    bearer: Option<String>,
    cookie: Option<String>,
    origin: Option<&'static str>,
    all_devices: bool,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    /// The value of `Set-Cookie`.
    set_cookie: Option<String>,
    body: Value,
}

impl Answer {
    fn ids(&self, name: &str) -> BTreeSet<String> {
        let ids = self.body[name].as_array().unwrap_or_else(|| panic!("{name} in {self:?}"));
        ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    fn clears_the_cookie(&self) -> bool {
        self.set_cookie
            .as_ref()
            .is_some_and(|value| value.contains("refresh=;") && value.contains("Max-Age=0"))
    }
}

impl Service {
    async fn start() -> Self {
        let world = World::new(SEED).await;
        let state = AppState {
            identity: Arc::clone(&world.identity),
            vault: Arc::clone(&world.vault),
            settings: Arc::new(HttpSettings::read(&Environment::default()).unwrap()),
        };
        let router = portcullis_local::router(state, world.clock.clone(), Arc::new(SystemEntropy)).unwrap();
        for person in [ALICE, BOB] {
            world.person(person).await;
        }
        Self { world, router }
    }

    async fn sign_in(&self, person: &str) -> SignedIn {
        self.world.sign_in(person).await.unwrap()
    }

    async fn sign_out(&self, sent: &Sent) -> Answer {
        let mut request = Request::post("/v1/auth/logout").header("content-type", "application/json");
        if let Some(token) = &sent.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(token) = &sent.cookie {
            request = request.header("cookie", format!("refresh={token}"));
        }
        if let Some(origin) = sent.origin {
            request = request.header("origin", origin);
        }
        let body = json!({"refresh_token": sent.body, "all_devices": sent.all_devices});
        let answer =
            self.router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let set_cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        Answer { status, set_cookie, body: serde_json::from_slice(&bytes).unwrap() }
    }

    async fn is_live(&self, session: &SignedIn) -> bool {
        let token = session.refresh.token.secret();
        self.world.identity.refresh(token, &ClientContext::default()).await.is_ok()
    }
}

fn refresh_token(session: &SignedIn) -> String {
    session.refresh.token.secret().expose_secret().to_owned()
}

fn id(session: &SignedIn) -> String {
    refresh_token(session).split('.').nth(1).unwrap().to_owned()
}

fn ids(sessions: &[&SignedIn]) -> BTreeSet<String> {
    sessions.iter().map(|session| id(session)).collect()
}

/// Of the right form, and with a MAC of nobody.
fn forged(token: &str) -> String {
    let (signed, mac) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", mac.chars().rev().collect::<String>())
}

/// One combination, and everything it must and must not do.
async fn try_out(
    service: &Service,
    body: InBody,
    bearer: Bearer,
    cookie: Cookie,
    origin: Option<&'static str>,
) {
    let what = format!("{body:?} in the body, {bearer:?} bearer, {cookie:?} cookie from {origin:?}");
    let expired = service.sign_in(ALICE).await;
    service.world.clock.advance(Duration::from_hours(1));
    // Four sessions, of two people: whose they are makes no difference.
    let (of_body, of_bearer, of_cookie) =
        (service.sign_in(ALICE).await, service.sign_in(BOB).await, service.sign_in(ALICE).await);
    let ended = service.sign_in(ALICE).await;
    service.sign_out(&Sent { body: Some(refresh_token(&ended)), ..Sent::default() }).await;
    let sent = Sent {
        body: match body {
            InBody::Absent => None,
            InBody::Good => Some(refresh_token(&of_body)),
            InBody::Forged => Some(forged(&refresh_token(&of_body))),
        },
        bearer: match bearer {
            Bearer::Absent => None,
            Bearer::Good => Some(of_bearer.access_token.clone()),
            Bearer::Expired => Some(expired.access_token.clone()),
            Bearer::Foreign => Some(forged(&of_bearer.access_token)),
        },
        cookie: match cookie {
            Cookie::Absent => None,
            Cookie::Good => Some(refresh_token(&of_cookie)),
            Cookie::OfAnEndedSession => Some(refresh_token(&ended)),
            Cookie::Forged => Some(forged(&refresh_token(&of_cookie))),
        },
        origin,
        all_devices: false,
    };
    let answer = service.sign_out(&sent).await;

    let counts = cookie != Cookie::Absent && origin == Some(OUR_PAGE);
    let shown: Vec<(bool, &SignedIn)> = vec![
        (body == InBody::Good, &of_body),
        (bearer == Bearer::Good, &of_bearer),
        (bearer == Bearer::Expired, &expired),
        (counts && cookie == Cookie::Good, &of_cookie),
    ];
    let proved: Vec<&SignedIn> =
        shown.iter().filter(|(is_shown, _)| *is_shown).map(|(_, session)| *session).collect();
    let is_proved = !proved.is_empty() || (counts && cookie == Cookie::OfAnEndedSession);
    let expected = match () {
        () if is_proved || counts => (200, None),
        () if cookie != Cookie::Absent => (403, Some("origin_not_allowed")),
        () if body != InBody::Absent => (401, Some("invalid_refresh_token")),
        () if bearer != Bearer::Absent => (401, Some("invalid_token")),
        () => (401, Some("authentication_required")),
    };
    assert_eq!((answer.status, answer.body["code"].as_str()), expected, "{what}");
    assert_eq!(answer.clears_the_cookie(), answer.status == 200 && counts, "{what}: {answer:?}");
    assert!(answer.clears_the_cookie() || answer.set_cookie.is_none(), "{what}: {answer:?}");
    if answer.status == 200 {
        assert_eq!(answer.ids("ended"), ids(&proved), "{what}");
        assert!(answer.ids("all_devices").is_empty(), "{what}");
    }
    for (is_shown, session) in shown {
        assert_eq!(service.is_live(session).await, !is_shown, "{what}: {}", id(session));
    }
}

#[tokio::test]
async fn whatever_is_shown_has_ended_and_nothing_else_in_every_combination() {
    let service = Service::start().await;
    for body in [InBody::Absent, InBody::Good, InBody::Forged] {
        for bearer in [Bearer::Absent, Bearer::Good, Bearer::Expired, Bearer::Foreign] {
            for cookie in [Cookie::Absent, Cookie::Good, Cookie::OfAnEndedSession, Cookie::Forged] {
                for origin in [Some(OUR_PAGE), Some("https://evil.example"), None] {
                    try_out(&service, body, bearer, cookie, origin).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn tokens_of_one_session_end_it_once_and_a_repetition_ends_nothing() {
    let service = Service::start().await;
    let session = service.sign_in(ALICE).await;
    let token = refresh_token(&session);
    let sent = Sent {
        body: Some(token.clone()),
        bearer: Some(session.access_token.clone()),
        cookie: Some(token),
        origin: Some(OUR_PAGE),
        all_devices: false,
    };
    let answer = service.sign_out(&sent).await;
    assert_eq!((answer.status, answer.ids("ended")), (200, ids(&[&session])));
    let again = service.sign_out(&sent).await;
    assert_eq!((again.status, again.ids("ended").len(), again.clears_the_cookie()), (200, 0, true));
}

#[tokio::test]
async fn all_devices_means_all_of_every_account_that_is_shown() {
    let service = Service::start().await;
    let (alices, bobs) = (service.sign_in(ALICE).await, service.sign_in(BOB).await);
    let (elsewhere, too) = (service.sign_in(ALICE).await, service.sign_in(BOB).await);
    let answer = service
        .sign_out(&Sent {
            body: Some(refresh_token(&elsewhere)),
            bearer: Some(bobs.access_token.clone()),
            cookie: Some(refresh_token(&alices)),
            origin: Some(OUR_PAGE),
            all_devices: true,
        })
        .await;
    assert_eq!((answer.status, answer.ids("ended")), (200, ids(&[&alices, &bobs, &elsewhere])));
    let accounts = [&alices, &bobs].map(|session| session.account.id.to_string());
    assert_eq!(answer.ids("all_devices"), BTreeSet::from(accounts));
    for session in [&alices, &bobs, &elsewhere, &too] {
        assert!(!service.is_live(session).await);
    }
}

#[tokio::test]
async fn an_expired_or_ended_token_signs_no_other_device_out() {
    let service = Service::start().await;
    let old = service.sign_in(ALICE).await;
    service.world.clock.advance(Duration::from_hours(1));
    let (ended, other) = (service.sign_in(ALICE).await, service.sign_in(ALICE).await);
    let ended_tokens = Sent { body: Some(refresh_token(&ended)), ..Sent::default() };
    service.sign_out(&ended_tokens).await;

    let everywhere = Sent { bearer: Some(old.access_token.clone()), all_devices: true, ..Sent::default() };
    let answer = service.sign_out(&everywhere).await;
    assert_eq!((answer.status, answer.ids("ended")), (200, ids(&[&old])), "its own session alone");
    let answer = service.sign_out(&Sent { all_devices: true, ..ended_tokens }).await;
    assert_eq!((answer.status, answer.ids("ended").len()), (200, 0));
    assert!(answer.ids("all_devices").is_empty());
    assert!(service.is_live(&other).await);

    // Beside a token that may, it is one of the sessions of its account.
    let old = service.sign_in(ALICE).await;
    service.world.clock.advance(Duration::from_hours(1));
    let here = service.sign_in(ALICE).await;
    let answer = service
        .sign_out(&Sent {
            bearer: Some(old.access_token.clone()),
            cookie: Some(refresh_token(&here)),
            origin: Some(OUR_PAGE),
            all_devices: true,
            ..Sent::default()
        })
        .await;
    assert_eq!(answer.ids("ended"), ids(&[&old, &here]));
    assert!(!service.is_live(&other).await);
}

#[tokio::test]
async fn an_expired_access_token_still_needs_its_signature() {
    let service = Service::start().await;
    let session = service.sign_in(ALICE).await;
    service.world.clock.advance(Duration::from_hours(1));
    let other = service.sign_in(BOB).await;
    // The claims of one token under the signature of another.
    let (claims, _) = session.access_token.rsplit_once('.').unwrap();
    let (_, signature) = other.access_token.rsplit_once('.').unwrap();
    let answer =
        service.sign_out(&Sent { bearer: Some(format!("{claims}.{signature}")), ..Sent::default() }).await;
    assert_eq!((answer.status, &answer.body["code"]), (401, &json!("invalid_token")));
    assert!(service.is_live(&session).await && service.is_live(&other).await);
}
