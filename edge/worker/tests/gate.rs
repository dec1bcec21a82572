//! A day of one isolate, its clock moved by hand: what it asks for, whom it lets through, and for how long.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking; clippy only knows so of its `#[test]` functions"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_edge::{Ask, Check, Gate, Millis, Signature, Verdict};
use serde_json::json;

const KID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const OTHER: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const START: Millis = 1_760_000_000_000;
const HOUR: Millis = 3_600_000;

fn gate(poll: &str) -> Gate {
    let routes = json!([
        {"prefix": "/v1/portfolio", "service": "portfolio", "upstreams": ["https://p.example"]},
        {"prefix": "/v1/strategy", "service": "strategy", "upstreams": ["https://s.example"], "critical": true},
    ]);
    let variables = json!({
        "IDENTITY_URL": "https://id.example",
        "SERVICE_TOKEN": "s",
        "EDGE_PROOF_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "REVOCATION_POLL": poll,
        "ROUTES": routes.to_string(),
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
    let now = now / 1000;
    let claims = json!({
        "iss": "user_service", "aud": "trading_platform", "sub": "usr_alice", "iat": now, "exp": now + 900,
        "jti": "j", "email": "alice@example.com", "roles": ["user"], "session_id": "ses_1",
        "token_type": "access", "auth_time": now, "amr": ["pwd"],
    });
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": kid});
    format!("{}.{}.{}", part(header.to_string()), part(claims.to_string()), URL_SAFE_NO_PAD.encode([7; 256]))
}

/// Asks once; says for which key a signature had to be checked.
fn ask(
    gate: &mut Gate,
    path: &str,
    token: &str,
    signature: Signature,
    now: Millis,
) -> (Verdict, Option<String>) {
    let lines = format!("GET\nhttps://edge.example{path}\nBearer {token}\n\n\n\n\n\n192.0.2.1");
    let mut asked = None;
    let verdict = gate.admit(&Ask::parse(&lines).unwrap(), signature, now, now, |kid, signature, signed| {
        assert_eq!(signature, [7; 256]);
        assert!(token.as_bytes().starts_with(signed));
        asked = Some(kid.to_owned());
    });
    (verdict, asked)
}

/// Asks as the shell does, with a signature that is good. The status, or 200 if the request goes on.
fn status(gate: &mut Gate, path: &str, token: &str, now: Millis) -> u16 {
    let (mut verdict, _) = ask(gate, path, token, Signature::Unchecked, now);
    if matches!(verdict.check, Check::Signature) {
        (verdict, _) = ask(gate, path, token, Signature::Valid, now);
    }
    match verdict.check {
        Check::Forward(_) => 200,
        Check::Answer(answer) => answer.status,
        other => panic!("it asks for {other:?}"),
    }
}

#[test]
fn a_token_is_verified_once_and_anew_when_its_key_was_withdrawn() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let token = token(KID, START);
    let path = "/v1/portfolio";
    let (first, asked) = ask(&mut gate, path, &token, Signature::Unchecked, START);
    assert!(matches!(first.check, Check::Signature));
    assert_eq!(asked.as_deref(), Some(KID));
    assert!(matches!(ask(&mut gate, path, &token, Signature::Valid, START).0.check, Check::Forward(_)));
    let (again, asked) = ask(&mut gate, path, &token, Signature::Unchecked, START + 1000);
    assert!(matches!(again.check, Check::Forward(_)));
    assert_eq!(asked, None, "remembered");
    publish(&mut gate, &[OTHER], START + 5000);
    assert!(matches!(
        ask(&mut gate, path, &token, Signature::Unchecked, START + 5001).0.check,
        Check::Keys(_)
    ));
}

#[test]
fn a_bad_signature_is_not_remembered_as_anything() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let token = token(KID, START);
    let (refused, _) = ask(&mut gate, "/v1/portfolio", &token, Signature::Invalid, START);
    assert!(matches!(refused.check, Check::Answer(answer) if answer.status == 401));
    let (next, asked) = ask(&mut gate, "/v1/portfolio", &token, Signature::Unchecked, START);
    assert!(matches!(next.check, Check::Signature) && asked.is_some());
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
    let (verdict, _) = ask(&mut gate, "/v1/portfolio", &token, Signature::Valid, START);
    assert!(matches!(verdict.check, Check::Revocations), "an isolate that never saw the list asks first");
    gate.revocations_failed(START);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START), 200);
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START), 503);
    gate.revocations_arrived(br#"{"sessions":[],"users":[]}"#, START + 1000).unwrap();
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START + 1000), 200);
    gate.revocations_failed(START + 7000);
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START + 61_000), 200, "not for a minute");
    assert_eq!(status(&mut gate, "/v1/strategy", &token, START + 61_001), 503);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START + 61_001), 200);
}

#[test]
fn a_revoked_session_is_refused_though_its_token_is_remembered() {
    let mut gate = gate("5");
    publish(&mut gate, &[KID], START);
    let list = |sessions: &str| format!(r#"{{"sessions":[{sessions}],"users":[]}}"#).into_bytes();
    gate.revocations_arrived(&list(""), START).unwrap();
    let token = token(KID, START);
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START), 200);
    gate.revocations_arrived(&list(r#"{"session_id":"ses_1","revoked_at":1}"#), START + 3000).unwrap();
    assert_eq!(status(&mut gate, "/v1/portfolio", &token, START + 3000), 401);
}
