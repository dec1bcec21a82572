//! A day of one isolate, its clock moved by hand: what it asks for, whom it lets through, and for how long.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking; clippy only knows so of its `#[test]` functions"
)]

use std::collections::BTreeSet;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_edge::{Check, Code, Gate, KeyNumber, Millis, RequestHead, RequestUrl, Ticket, Verdict};
use portcullis_verifier::revocation::{AccountCutoff, Ask, Page, Span, key, key_of_kid, newest_from};
use serde_json::{Value, json};

#[path = "gate/approvals.rs"]
mod approvals;
#[path = "gate/sockets.rs"]
mod sockets;

const KID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const OTHER: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const SESSION: &str = "ses_0199c82cc00070008000000000000001";
const START: Millis = 1_760_000_000_000;
const HOUR: Millis = 3_600_000;

fn gate(poll: &str) -> Gate {
    gate_with(poll, "")
}

/// A gate with these roles; empty for those that ship.
fn gate_with(poll: &str, roles: &str) -> Gate {
    let routes = json!([
        {"prefix": "/v1/portfolio", "service": "portfolio", "upstreams": ["https://p.example"]},
        {"prefix": "/v1/strategy", "service": "strategy", "upstreams": ["https://s.example"], "critical": true, "proof_key": "2026-11"},
        {"prefix": "/v1/trading", "service": "trading", "upstreams": ["https://t.example"]},
        {"prefix": "/v1/strategy/run", "service": "strategy", "upstreams": ["https://s.example"], "trading": poll != "0"},
        {"prefix": "/v1/portfolio/kept", "service": "portfolio", "upstreams": ["https://p.example"], "keeps_sockets": true},
        {"prefix": "/v1/trading/orders", "service": "trading", "upstreams": ["https://t.example"], "acr": "aal2", "max_age": 300},
        {"prefix": "/v1/portfolio/private", "service": "portfolio", "upstreams": ["https://p.example"], "acr": "aal2", "max_age": 300},
        {"prefix": "/v1/trading/once", "service": "trading", "upstreams": ["https://t.example"], "idempotency_keys": true},
        {"prefix": "/v1/open", "service": "web", "upstreams": ["https://w.example"], "public": true},
    ]);
    let variables = json!({
        "IDENTITY_URL": "https://id.example",
        "SERVICE_TOKEN": "s",
        "EDGE_PROOF_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "REVOCATION_POLL": poll,
        "ALLOWED_ORIGINS": "https://app.example",
        "ROUTES": routes.to_string(),
        "ROLE_DEFINITIONS": roles,
    });
    Gate::new(&variables.to_string(), "isolate", START).unwrap()
}

fn key_set(kids: &[&str]) -> Vec<u8> {
    let n = format!("w{}Q", "A".repeat(340));
    let key = |kid: &&str| json!({"kty": "RSA", "alg": "RS256", "kid": kid, "n": n, "e": "AQAB"});
    json!({ "keys": kids.iter().map(key).collect::<Vec<_>>() }).to_string().into_bytes()
}

fn publish(gate: &mut Gate, kids: &[&str], now: Millis) {
    gate.keys_fetching(now);
    gate.keys_arrived(&key_set(kids), None, now).unwrap();
}

fn token(kid: &str, now: Millis) -> String {
    signed(kid, &claims(now))
}

fn claims(now: Millis) -> Value {
    let now = now / 1000;
    json!({
        "iss": "user_service", "aud": "trading_platform", "sub": "usr_alice", "iat": now, "exp": now + 900,
        "jti": "j", "email": "alice@example.com", "roles": ["user"], "session_id": SESSION,
        "token_type": "access", "auth_time": now, "amr": ["pwd"],
    })
}

fn signed(kid: &str, claims: &Value) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": kid});
    format!("{}.{}.{}", part(header.to_string()), part(claims.to_string()), URL_SAFE_NO_PAD.encode([7; 256]))
}

/// Asks once; says for which key a signature has to be checked.
fn ask(gate: &mut Gate, path: &str, token: &str, now: Millis) -> (Verdict, Option<(Ticket, KeyNumber)>) {
    let head = RequestHead {
        method: "GET".into(),
        url: RequestUrl::parse(format!("https://edge.example{path}")).unwrap(),
        authorization: format!("Bearer {token}"),
        client_address: "192.0.2.1".into(),
        ..RequestHead::default()
    };
    admit(gate, &Rc::new(head), now)
}

fn admit(gate: &mut Gate, head: &Rc<RequestHead>, now: Millis) -> (Verdict, Option<(Ticket, KeyNumber)>) {
    let mut asked = None;
    let verdict = gate.admit(Rc::clone(head), now, now, &mut |ticket, key, signature, signed| {
        assert_eq!(signature, [7; 256]);
        let text = [&head.authorization, head.url.query().unwrap_or_default()].map(str::to_owned).concat();
        assert!(text.contains(std::str::from_utf8(signed).unwrap()));
        asked = Some((ticket, key));
    });
    (verdict, asked)
}

fn resume(gate: &mut Gate, ticket: Ticket, is_valid: bool) -> Verdict {
    gate.resume(ticket, is_valid, &mut |_, _, _, _| panic!("a signature is verified once"))
}

/// Asks as the shell does, with a signature that is good.
fn answer(gate: &mut Gate, path: &str, token: &str, now: Millis) -> Verdict {
    match ask(gate, path, token, now) {
        (Verdict { check: Check::Signature(ticket), .. }, asked) => {
            assert_eq!(asked.unwrap().0, ticket);
            resume(gate, ticket, true)
        }
        (verdict, _) => verdict,
    }
}

/// The status, or 200 if the request goes on.
fn status(gate: &mut Gate, path: &str, token: &str, now: Millis) -> u16 {
    status_of(answer(gate, path, token, now))
}

fn status_of(verdict: Verdict) -> u16 {
    match verdict.check {
        Check::Forward(_) => 200,
        Check::Respond(response) => response.status,
        other => panic!("it asks for {other:?}"),
    }
}

/// The ticket of a request whose signature is being checked.
fn waiting(gate: &mut Gate, path: &str, token: &str, now: Millis) -> Ticket {
    match ask(gate, path, token, now).0.check {
        Check::Signature(ticket) => ticket,
        other => panic!("it asks for {other:?}"),
    }
}

/// A redirect would hide from a client that it shows its token to whoever listens.
#[test]
fn what_comes_in_the_clear_is_refused_before_anything_is_looked_at() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let head = |url: &str, method: &str| RequestHead {
        method: method.into(),
        url: RequestUrl::parse(url.into()).unwrap(),
        authorization: format!("Bearer {}", token(KID, START)),
        origin: "https://app.example".into(),
        preflight_method: "GET".into(),
        ..RequestHead::default()
    };
    for path in ["/v1/portfolio", "/v1/open", "/nowhere"] {
        for method in ["GET", "POST", "OPTIONS"] {
            let url = format!("http://edge.example{path}");
            let (verdict, asked) = admit(&mut gate, &Rc::new(head(&url, method)), START);
            let Check::Respond(refused) = verdict.check else { panic!("{method} {url} is let on") };
            assert_eq!((refused.status, refused.code), (403, Some(Code::HttpsRequired)), "{method} {url}");
            assert!(asked.is_none() && !refused.headers.iter().any(|(name, _)| *name == "location"));
        }
    }
    for url in ["https://edge.example/v1/portfolio", "http://127.0.0.1:8787/v1/portfolio"] {
        let (verdict, asked) = admit(&mut gate, &Rc::new(head(url, "GET")), START);
        assert!(matches!(verdict.check, Check::Signature(_)) && asked.is_some(), "{url}");
    }
}

#[test]
fn a_token_is_verified_once_and_anew_when_its_key_was_withdrawn() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let token = token(KID, START);
    let path = "/v1/portfolio";
    let (first, asked) = ask(&mut gate, path, &token, START);
    let (ticket, key) = asked.unwrap();
    assert!(matches!(first.check, Check::Signature(same) if same == ticket));
    let (number, published) = gate.keys().next().unwrap();
    assert_eq!((key, published.kid()), (number, KID));
    assert_eq!(status_of(resume(&mut gate, ticket, true)), 200);
    let (again, asked) = ask(&mut gate, path, &token, START + 1000);
    assert_eq!((status_of(again), asked), (200, None), "remembered");
    publish(&mut gate, &[OTHER], START + 5000);
    assert!(matches!(ask(&mut gate, path, &token, START + 5001).0.check, Check::Keys(_)));
}

#[test]
fn no_two_proofs_are_alike_though_everything_else_is() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let token = token(KID, START);
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let Check::Forward(forward) = answer(&mut gate, "/v1/portfolio", &token, START).check else {
            panic!()
        };
        // The second is for another attempt at the same request.
        for _ in 0..2 {
            let proof = gate.prove(&forward, START).unwrap();
            assert!(proof.starts_with("v2;k=1;t=1760000000;n=isolate-"), "{proof}");
            let nonce = proof.split(';').nth(3).unwrap().to_owned();
            assert!(seen.insert(proof) && seen.insert(nonce));
        }
    }
    let Check::Forward(forward) = answer(&mut gate, "/v1/strategy", &token, START).check else { panic!() };
    assert!(gate.prove(&forward, START + 5000).unwrap().starts_with("v2;k=2026-11;t=1760000005;"));
}

#[test]
fn a_route_asks_for_the_sign_in_it_needs_and_says_which() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let path = "/v1/portfolio/private/tax";
    let of = |acr: &str, age: u64| {
        let mut claims = claims(START);
        claims["acr"] = json!(acr);
        claims["auth_time"] = json!(START / 1000 - age);
        signed(KID, &claims)
    };
    for (acr, age, expected) in [
        ("aal2", 0, 200),
        ("phr", 300, 200),
        ("aal2", 301, 401),
        ("aal1", 0, 401),
        // What this edge has never heard of is nothing to rely on.
        ("aal9", 0, 401),
    ] {
        assert_eq!(status(&mut gate, path, &of(acr, age), START), expected, "{acr}, {age} s ago");
        assert_eq!(status(&mut gate, "/v1/portfolio", &of(acr, age), START), 200, "{acr}, {age} s ago");
    }
    assert_eq!(status(&mut gate, path, &token(KID, START), START), 401, "a token that says nothing");
    // A token that is remembered grows old, too.
    let good = of("aal2", 0);
    publish(&mut gate, &[KID], START + 300_000);
    assert_eq!(status(&mut gate, path, &good, START + 300_999), 200);
    let Check::Respond(refusal) = answer(&mut gate, path, &good, START + 301_000).check else { panic!() };
    let challenge = refusal.headers.iter().find(|(name, _)| *name == "www-authenticate").unwrap();
    assert_eq!(
        challenge.1,
        r#"Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="300""#
    );
    let body: Value = serde_json::from_str(&refusal.body.unwrap()).unwrap();
    assert_eq!((&body["status"], &body["code"]), (&json!(401), &json!("insufficient_user_authentication")));
    // Whom no sign-in would help is not asked for one.
    assert_eq!(status(&mut gate, "/v1/trading/orders", &of("aal1", 0), START), 403);
}

#[test]
fn an_api_key_is_nobody_who_signed_in() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let key = "5d41402abc4b2a76b9719d911017c592aeb63bf04df2a5cc19c7f8a1bd0e36f7";
    let holder = json!({"active": true, "user_id": "usr_alice", "roles": ["user"], "scopes": ["portfolio:read"], "expires_at": null});
    gate.api_key_looked_up(key, holder.to_string().as_bytes(), &|_| 0, START).unwrap();
    let mut ask = |path: &str| {
        let head = RequestHead {
            method: "GET".into(),
            url: RequestUrl::parse(format!("https://edge.example{path}")).unwrap(),
            api_key: key.into(),
            ..RequestHead::default()
        };
        status_of(admit(&mut gate, &Rc::new(head), START).0)
    };
    assert_eq!((ask("/v1/portfolio"), ask("/v1/portfolio/private")), (200, 401));
}

#[test]
fn a_bad_signature_is_not_remembered_as_anything() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let token = token(KID, START);
    let ticket = waiting(&mut gate, "/v1/portfolio", &token, START);
    assert_eq!(status_of(resume(&mut gate, ticket, false)), 401);
    waiting(&mut gate, "/v1/portfolio", &token, START);
}

#[test]
fn an_outcome_counts_for_its_own_token_and_once() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let (good, forged) = (token(KID, START), token(KID, START + 1000));
    let forged_ticket = waiting(&mut gate, "/v1/portfolio", &forged, START);
    let good_ticket = waiting(&mut gate, "/v1/portfolio", &good, START);
    assert_eq!(status_of(resume(&mut gate, good_ticket, true)), 200);
    assert!(matches!(resume(&mut gate, good_ticket, true).check, Check::Again));
    assert_eq!(status_of(resume(&mut gate, forged_ticket, false)), 401);
    assert!(matches!(resume(&mut gate, forged_ticket, true).check, Check::Again), "401 is the last word");
    waiting(&mut gate, "/v1/portfolio", &forged, START);
}

#[test]
fn who_waits_too_long_asks_again_and_is_nobody_else() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let tokens: Vec<_> = (0..65).map(|second| token(KID, START - second * 1000)).collect();
    let tickets: Vec<_> =
        tokens.iter().map(|token| waiting(&mut gate, "/v1/portfolio", token, START)).collect();
    assert!(matches!(resume(&mut gate, tickets[0], true).check, Check::Again), "64 may wait");
    waiting(&mut gate, "/v1/portfolio", &tokens[0], START);
    for (ticket, token) in tickets.into_iter().zip(&tokens).skip(2) {
        assert_eq!(status_of(resume(&mut gate, ticket, true)), 200);
        assert_eq!(ask(&mut gate, "/v1/portfolio", token, START).1, None);
    }
}

#[test]
fn what_happens_while_a_signature_is_verified_counts() {
    let mut gate = gate("5");
    publish(&mut gate, &[KID], START);
    follow(&mut gate, &[], START);
    let token = token(KID, START);
    let ticket = waiting(&mut gate, "/v1/portfolio", &token, START);
    publish(&mut gate, &[OTHER], START + 3000);
    let withdrawn = resume(&mut gate, ticket, true).check;
    assert!(!matches!(withdrawn, Check::Forward(_)), "{withdrawn:?}");
    publish(&mut gate, &[KID], START + 6000);
    let ticket = waiting(&mut gate, "/v1/portfolio", &token, START + 6000);
    follow(&mut gate, &[SESSION], START + 6000);
    assert_eq!(status_of(resume(&mut gate, ticket, true)), 401);
}

#[test]
fn fresh_tokens_pass_for_a_day_without_the_issuer() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    for hour in 1..=24 {
        let now = START + hour * HOUR;
        gate.keys_fetching(now - 100);
        gate.keys_failed();
        assert_eq!(status(&mut gate, "/v1/portfolio", &token(KID, now), now), 200, "hour {hour}");
    }
    let now = START + 24 * HOUR + 1;
    assert_eq!(status(&mut gate, "/v1/portfolio", &token(KID, now), now), 503);
}

#[test]
fn without_the_list_critical_routes_close_and_the_others_do_not() {
    let mut gate = gate("5");
    publish(&mut gate, &[KID], START);
    let token = token(KID, START);
    let verdict = answer(&mut gate, "/v1/portfolio", &token, START);
    assert!(matches!(verdict.check, Check::Revocations), "an isolate that never saw the list asks first");
    gate.revocations_failed(&Ask::Newest, START);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START), 200);
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START), 503);
    follow(&mut gate, &[], START + 1000);
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START + 1000), 200);
    gate.revocations_failed(&Ask::Newest, START + 7000);
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START + 61_000), 200, "not for a minute");
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START + 61_001), 503);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START + 61_001), 200);
}

#[test]
fn a_revoked_session_is_refused_though_its_token_is_remembered() {
    let mut gate = gate("5");
    publish(&mut gate, &[KID], START);
    follow(&mut gate, &[], START);
    let token = token(KID, START);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START), 200);
    follow(&mut gate, &[SESSION], START + 3000);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START + 3000), 401);
}

#[test]
fn what_a_withdrawn_key_signed_is_refused_though_it_is_remembered_and_the_key_is_published() {
    let mut gate = gate("5");
    publish(&mut gate, &[KID, OTHER], START);
    follow(&mut gate, &[], START);
    let (token, other) = (token(KID, START), token(OTHER, START));
    for token in [&token, &other] {
        assert_eq!(status(&mut gate, "/v1/portfolio", token, START), 200);
    }
    let now = START + 3000;
    let span = Span { from: newest_from(now), until: now };
    let page = Page::encode(span, now, 965, vec![key_of_kid(KID).unwrap()], Vec::new());
    gate.revocations_arrived(&Ask::Newest, page, now).unwrap();
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, now), 401);
    publish(&mut gate, &[OTHER, KID], now + 1000);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, now + 1000), 401, "of another copy");
    assert_eq!(status(&mut gate, "/v1/portfolio", &other, now + 1000), 200);
}

/// A token of a person whose id is one of the identity service.
fn token_of(user: &str) -> String {
    let mut claims = claims(START);
    claims.as_object_mut().unwrap().insert("sub".to_owned(), json!(user));
    signed(KID, &claims)
}

const ASHA: &str = "usr_0199c82cc00070008000000000000001";
const BELA: &str = "usr_0199c82cc00070008000000000000002";

/// Brings the newest page, on which these are frozen.
fn freeze(gate: &mut Gate, frozen: &[AccountCutoff], now: Millis) {
    let span = Span { from: newest_from(now), until: now };
    let page = Page::encode(span, now, 965, Vec::new(), frozen.to_vec());
    gate.revocations_arrived(&Ask::Newest, page, now).unwrap();
}

#[test]
fn routes_of_trading_close_to_who_is_frozen_and_open_again() {
    let mut gate = gate("5");
    publish(&mut gate, &[KID], START);
    follow(&mut gate, &[], START);
    let (asha, bela) = (token_of(ASHA), token_of(BELA));
    let statuses = |gate: &mut Gate, now| {
        [("/v1/strategy/run", &asha), ("/v1/strategy/run", &bela), ("/v1/strategy", &asha)]
            .map(|(path, token)| status(gate, path, token, now))
    };
    assert_eq!(statuses(&mut gate, START), [200, 200, 200]);
    freeze(&mut gate, &[AccountCutoff::frozen(key(ASHA).unwrap())], START + 3000);
    assert_eq!(statuses(&mut gate, START + 3000), [403, 200, 200], "though the token is remembered");
    freeze(&mut gate, &[AccountCutoff::everybody_frozen()], START + 6000);
    assert_eq!(statuses(&mut gate, START + 6000), [403, 403, 200]);
    // What an earlier page says does not stand.
    freeze(&mut gate, &[], START + 9000);
    assert_eq!(statuses(&mut gate, START + 9000), [200, 200, 200]);
    let refused = {
        freeze(&mut gate, &[AccountCutoff::everybody_frozen()], START + 12_000);
        answer(&mut gate, "/v1/strategy/run", &asha, START + 12_000)
    };
    let Check::Respond(refused) = refused.check else { panic!("{refused:?}") };
    assert_eq!(refused.code, Some(portcullis_edge::Code::TradingFrozen));
    assert!(refused.body.unwrap().contains(r#""code":"trading_frozen""#));
    // A request never decides on a page that is older than five seconds while there is another one.
    assert!(matches!(answer(&mut gate, "/v1/strategy/run", &asha, START + 17_000).check, Check::Revocations));
    // While nobody can tell, they close like critical ones.
    gate.revocations_failed(&Ask::Newest, START + 17_000);
    assert_eq!(status(&mut gate, "/v1/strategy/run", &bela, START + 73_000), 503);
    assert_eq!(status(&mut gate, "/v1/portfolio", &bela, START + 73_000), 200);
}

#[test]
fn what_an_isolate_lacks_closes_critical_routes_for_older_tokens_alone() {
    let mut gate = gate("5");
    publish(&mut gate, &[KID], START);
    let (young, old) = (token(KID, START), token(KID, START - 600_000));
    newest(&mut gate, &[], START);
    let past = gate.revocations_wanted(START).unwrap();
    let verdict = answer(&mut gate, "/v1/strategy", &young, START);
    assert!(matches!(verdict.check, Check::Revocations), "the minute before is asked for");
    arrive(&mut gate, &past, &[], START);
    assert_eq!(status(&mut gate, "/v1/strategy", &young, START), 200, "nothing it needs is lacking");
    let verdict = answer(&mut gate, "/v1/strategy", &old, START);
    assert!(matches!(verdict.check, Check::Revocations), "ten minutes ago are asked for");
    let past = gate.revocations_wanted(START).unwrap();
    gate.revocations_failed(&past, START);
    assert_eq!(status(&mut gate, "/v1/strategy", &young, START), 200);
    assert_eq!(status(&mut gate, "/v1/strategy", &old, START), 503, "its end may be on the page that failed");
    assert_eq!(status(&mut gate, "/v1/portfolio", &old, START), 200);
    follow(&mut gate, &[], START + 1000);
    assert_eq!(status(&mut gate, "/v1/strategy", &old, START + 1000), 200);
}

/// Brings the newest page.
fn newest(gate: &mut Gate, sessions: &[&str], now: Millis) {
    arrive(gate, &Ask::Newest, sessions, now);
}

/// Brings what was asked for, with these sessions.
fn arrive(gate: &mut Gate, ask: &Ask, sessions: &[&str], now: Millis) {
    let span = match *ask {
        Ask::Newest => Span { from: newest_from(now), until: now },
        Ask::Past(span) => span,
    };
    let sessions = sessions.iter().map(|id| key(id).unwrap()).collect();
    gate.revocations_arrived(ask, Page::encode(span, now, 965, sessions, Vec::new()), now).unwrap();
}

/// Brings the newest page with these sessions, and empty ones for all that is lacking.
fn follow(gate: &mut Gate, sessions: &[&str], now: Millis) {
    newest(gate, sessions, now);
    while let Some(ask) = gate.revocations_wanted(now) {
        arrive(gate, &ask, &[], now);
    }
}
