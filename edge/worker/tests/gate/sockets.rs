//! Sockets that are open while tokens end, sessions are revoked and clients present other tokens.

use portcullis_edge::{Ending, Forward, Side, Socket, code_for};

use super::*;

const GONE: Ending = Ending { code: 4401, reason: "invalid_token" };
const REVOKED: Ending = Ending { code: 4401, reason: "session_revoked" };
const CHANGED: Ending = Ending { code: 4401, reason: "identity_changed" };
const LATER: Ending = Ending { code: 1013, reason: "unavailable" };
/// When a token of `START` ends, with the leeway.
const END: Millis = START + 905_000;
const KEY: &str = "5d41402abc4b2a76b9719d911017c592aeb63bf04df2a5cc19c7f8a1bd0e36f7";

fn followed() -> Gate {
    let mut gate = gate("5");
    publish(&mut gate, &[KID], START);
    follow(&mut gate, &[], START);
    gate
}

fn upgrade(path: &str) -> RequestHead {
    RequestHead {
        method: "GET".into(),
        url: RequestUrl::parse(format!("https://edge.example{path}")).unwrap(),
        upgrade: "websocket".into(),
        ..RequestHead::default()
    }
}

/// When the sign-in of a token of `START` is too old for a route that takes one of 300 seconds.
const TOO_OLD: Millis = START + 301_000;

#[test]
fn a_socket_opens_and_stays_with_a_sign_in_that_its_route_takes() {
    let mut gate = followed();
    let path = "/v1/portfolio/private";
    let refused = decide(&mut gate, &Rc::new(with_token(path, &token(KID, START))), true, START);
    assert_eq!(refused.unwrap_err(), Code::InsufficientUserAuthentication);
    let strong = |auth_time: Millis| {
        let mut claims = claims(START);
        claims["acr"] = json!("aal2");
        claims["auth_time"] = json!(auth_time / 1000);
        signed(KID, &claims)
    };
    let open = |gate: &mut Gate| opened(gate, with_token(path, &strong(START)), START).unwrap();
    let mut socket = open(&mut gate);
    let mut renewed = open(&mut gate);
    publish(&mut gate, &[KID], TOO_OLD - 1);
    follow(&mut gate, &[], TOO_OLD - 1);
    look(&mut gate, &mut socket, TOO_OLD - 1).unwrap();
    // Who proved themselves again stays, with the token that says so.
    present(&mut gate, &mut renewed, &strong(START + 200_000), true, TOO_OLD - 1).unwrap();
    let ended = look(&mut gate, &mut socket, TOO_OLD).unwrap_err();
    assert_eq!(ended, Ending { code: 4401, reason: "insufficient_user_authentication" });
    look(&mut gate, &mut renewed, TOO_OLD).unwrap();
}

/// Browsers ask no preflight before a WebSocket, so the origin is all that tells whose page it is.
#[test]
fn a_page_that_is_not_allowed_opens_no_socket() {
    let mut gate = followed();
    let from = |path: &str, origin: &str| RequestHead {
        origin: origin.into(),
        ..with_token(path, &token(KID, START))
    };
    let mut asked =
        |path: &str, origin: &str| decide(&mut gate, &Rc::new(from(path, origin)), true, START).err();
    for path in ["/v1/portfolio", "/v1/portfolio/kept"] {
        // A program has no page.
        for origin in ["", "https://app.example"] {
            assert_eq!(asked(path, origin), None, "{path} {origin}");
        }
        for origin in
            ["https://evil.example", "null", "https://APP.example", "https://app.example.evil.example"]
        {
            assert_eq!(asked(path, origin), Some(Code::OriginNotAllowed), "{path} {origin}");
        }
    }
    assert_eq!(asked("/v1/open", "https://evil.example"), None, "what is public asks nobody who they are");
}

#[test]
fn a_socket_of_trading_closes_when_its_user_is_frozen() {
    let mut gate = followed();
    let mut trading = opened(&mut gate, with_token("/v1/strategy/run", &token_of(ASHA)), START).unwrap();
    let mut other = opened(&mut gate, with_token("/v1/strategy", &token_of(ASHA)), START).unwrap();
    look(&mut gate, &mut trading, START + 2000).unwrap();
    freeze(&mut gate, &[AccountCutoff::frozen(key(ASHA).unwrap())], START + 4000);
    let ended = look(&mut gate, &mut trading, START + 4000).unwrap_err();
    assert_eq!(ended, Ending { code: 4403, reason: "trading_frozen" });
    look(&mut gate, &mut other, START + 4000).unwrap();
}

fn with_token(path: &str, token: &str) -> RequestHead {
    upgrade(&format!("{path}?token={token}"))
}

/// What the gate says of a request whose signature, if it has one, is good or not.
fn decide(
    gate: &mut Gate,
    head: &Rc<RequestHead>,
    is_valid: bool,
    now: Millis,
) -> Result<Box<Forward>, Code> {
    let verdict = match admit(gate, head, now).0 {
        Verdict { check: Check::Signature(ticket), .. } => resume(gate, ticket, is_valid),
        verdict => verdict,
    };
    match verdict.check {
        Check::Forward(forward) => Ok(forward),
        Check::Respond(refusal) => Err(refusal.code.unwrap()),
        other => panic!("it asks for {other:?}"),
    }
}

fn opened(gate: &mut Gate, head: RequestHead, now: Millis) -> Option<Socket> {
    let head = Rc::new(head);
    let forward = decide(gate, &head, true, now).unwrap();
    gate.open_socket(&forward, &head, now)
}

/// A socket of Alice, with her token in the address.
fn alice(gate: &mut Gate, path: &str) -> Socket {
    let head = upgrade(&format!("{path}?token={}&symbol=X", token(KID, START)));
    opened(gate, head, START).unwrap()
}

/// What becomes of a socket when it is decided on.
fn look(gate: &mut Gate, socket: &mut Socket, now: Millis) -> Result<(), Ending> {
    let head = Rc::clone(socket.head());
    let outcome = decide(gate, &head, true, now);
    socket.decided(outcome.as_deref().map_err(|code| *code), now)
}

/// What becomes of a socket when its client presents this token.
fn present(
    gate: &mut Gate,
    socket: &mut Socket,
    token: &str,
    is_valid: bool,
    now: Millis,
) -> Result<String, Ending> {
    let head = socket.with_token(token);
    let outcome = decide(gate, &head, is_valid, now);
    socket.renewed(head, outcome.as_deref().map_err(|code| *code), now)
}

#[test]
fn a_socket_ends_with_its_token_and_not_earlier() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let mut socket = alice(&mut gate, "/v1/portfolio");
    assert_eq!(socket.pause(START), 2000);
    for now in (START..END).step_by(1000) {
        publish(&mut gate, &[KID], now);
        assert_eq!(look(&mut gate, &mut socket, now), Ok(()), "{}", now - START);
    }
    assert_eq!(socket.pause(END - 300), 300, "it is looked at when the token ends");
    assert_eq!(look(&mut gate, &mut socket, END), Err(GONE));
}

#[test]
fn a_socket_ends_with_its_session_its_user_or_the_key_of_its_token() {
    let mut gate = followed();
    let mut socket = alice(&mut gate, "/v1/portfolio");
    assert_eq!(look(&mut gate, &mut socket, START + 2000), Ok(()));
    follow(&mut gate, &[SESSION], START + 3000);
    assert_eq!(look(&mut gate, &mut socket, START + 4000), Err(REVOKED));

    let mut gate = followed();
    let user = "usr_0199c82cc00070008000000000000002";
    let mut claims = claims(START);
    claims["sub"] = json!(user);
    let head =
        RequestHead { authorization: format!("Bearer {}", signed(KID, &claims)), ..upgrade("/v1/trading") };
    claims["roles"] = json!(["trader"]);
    let authorization = format!("Bearer {}", signed(KID, &claims));
    let mut socket = opened(&mut gate, RequestHead { authorization, ..head }, START).unwrap();
    let now = START + 3000;
    let span = Span { from: newest_from(now), until: now };
    let disabled = AccountCutoff { account: key(user).unwrap(), except: 0, epoch: u32::MAX, revoked_at: 0 };
    gate.revocations_arrived(&Ask::Newest, Page::encode(span, now, 965, Vec::new(), vec![disabled]), now)
        .unwrap();
    assert_eq!(look(&mut gate, &mut socket, now), Err(REVOKED), "disabled");

    let mut gate = followed();
    let mut socket = alice(&mut gate, "/v1/portfolio");
    let page = Page::encode(span, now, 965, vec![key_of_kid(KID).unwrap()], Vec::new());
    gate.revocations_arrived(&Ask::Newest, page, now).unwrap();
    assert_eq!(look(&mut gate, &mut socket, now), Err(GONE), "the key was withdrawn");
}

#[test]
fn a_fresh_token_of_the_same_user_keeps_it_open_until_that_ends() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let mut socket = alice(&mut gate, "/v1/portfolio");
    let later = START + 800_000;
    publish(&mut gate, &[KID], later);
    let accepted = r#"{"type":"portcullis.token","status":"accepted","expires_in":900}"#;
    assert_eq!(present(&mut gate, &mut socket, &token(KID, later), true, later).unwrap(), accepted);
    publish(&mut gate, &[KID], END);
    assert_eq!(look(&mut gate, &mut socket, END), Ok(()), "the first token is over");
    assert!(socket.notice(later + 904_900).is_some());
    assert_eq!(socket.pause(later + 904_900), 100);
    publish(&mut gate, &[KID], later + 905_000);
    assert_eq!(look(&mut gate, &mut socket, later + 905_000), Err(GONE));
}

#[test]
fn a_token_that_would_not_open_it_ends_it() {
    let other = |member: &str, value: Value| {
        let mut claims = claims(START);
        claims[member] = value;
        signed(KID, &claims)
    };
    let forbidden = Ending { code: 4403, reason: "forbidden" };
    for (token, is_valid, ending) in [
        (other("sub", json!("usr_bob")), true, CHANGED),
        (other("roles", json!(["user", "admin"])), true, CHANGED),
        (other("roles", json!(["guest"])), true, forbidden),
        (other("exp", json!(START / 1000 - 60)), true, GONE),
        (other("aud", json!("elsewhere")), true, GONE),
        (other("jti", json!("forged")), false, GONE),
        (String::new(), true, GONE),
        ("x".into(), true, GONE),
    ] {
        let mut gate = followed();
        let mut socket = alice(&mut gate, "/v1/portfolio");
        assert_eq!(present(&mut gate, &mut socket, &token, is_valid, START), Err(ending), "{token}");
    }
    let mut gate = followed();
    let mut socket = alice(&mut gate, "/v1/portfolio");
    let revoked = other("jti", json!("another"));
    follow(&mut gate, &[SESSION], START + 3000);
    assert_eq!(present(&mut gate, &mut socket, &revoked, true, START + 3000), Err(REVOKED));
}

#[test]
fn while_nobody_can_tell_critical_sockets_close_and_others_wait_a_minute() {
    let mut gate = followed();
    let (mut critical, mut other) = (alice(&mut gate, "/v1/strategy"), alice(&mut gate, "/v1/portfolio"));
    gate.revocations_failed(&Ask::Newest, START + 6000);
    for socket in [&mut critical, &mut other] {
        assert_eq!(look(&mut gate, socket, START + 60_000), Ok(()));
    }
    assert_eq!(look(&mut gate, &mut critical, START + 60_001), Err(LATER));
    assert_eq!(look(&mut gate, &mut other, START + 60_001), Ok(()), "what was known goes on counting");
    // Without keys, for instance.
    let mut doubtful = |after| other.decided(Err(Code::Unavailable), START + 60_001 + after);
    assert_eq!(doubtful(59_999), Ok(()));
    assert_eq!(doubtful(60_000), Err(LATER));
    let told = present(&mut gate, &mut critical, &token(KID, START + 1000), true, START + 61_000);
    assert!(told.unwrap().contains(r#""status":"unavailable""#), "a fresh token may come again");
    assert_eq!(other.decided(Err(Code::Unavailable), END), Err(GONE), "the token ends all the same");
}

#[test]
fn a_socket_that_has_learnt_nothing_for_a_minute_is_opened_anew_and_stays_then() {
    let mut gate = followed();
    let mut socket = alice(&mut gate, "/v1/portfolio");
    follow(&mut gate, &[], START + 3000);
    gate.revocations_failed(&Ask::Newest, START + 6000);
    assert_eq!(look(&mut gate, &mut socket, START + 63_000), Ok(()));
    assert_eq!(look(&mut gate, &mut socket, START + 63_001), Err(LATER));
    let again = upgrade(&format!("/v1/portfolio?token={}", token(KID, START)));
    let mut socket = opened(&mut gate, again, START + 64_000).unwrap();
    gate.keys_failed();
    assert_eq!(look(&mut gate, &mut socket, START + 600_000), Ok(()), "an outage closes each of them once");
}

#[test]
fn a_client_that_has_presented_a_token_is_told_once_before_its_end() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let mut socket = alice(&mut gate, "/v1/portfolio");
    assert_eq!(socket.notice(END - 6000), None, "others do not know of this");
    let token = token(KID, START);
    present(&mut gate, &mut socket, &token, true, START).unwrap();
    assert_eq!(socket.pause(START + 839_500), 500);
    assert_eq!(socket.notice(START + 838_999), None);
    let notice = r#"{"type":"portcullis.token_expiring","expires_in":60}"#;
    assert_eq!(socket.notice(START + 840_000).as_deref(), Some(notice));
    assert_eq!(socket.notice(START + 841_000), None);
    assert_eq!(socket.pause(START + 841_000), 2000);
    publish(&mut gate, &[KID], START + 850_000);
    present(&mut gate, &mut socket, &token, true, START + 850_000).unwrap();
    assert!(socket.notice(START + 851_000).is_some(), "the same again");
}

#[test]
fn a_socket_of_an_api_key_ends_with_the_key() {
    let mut gate = gate("0");
    publish(&mut gate, &[KID], START);
    let known = |gate: &mut Gate, json: &Value, now| {
        let time = |text: &str| text.parse().unwrap();
        gate.api_key_looked_up(KEY, json.to_string().as_bytes(), &time, now).unwrap();
    };
    let mut active =
        json!({"active": true, "user_id": "usr_alice", "roles": ["user"], "scopes": ["portfolio:read"]});
    let invalid = Ending { code: 4401, reason: "invalid_api_key" };
    for (changed, ending) in [
        (json!({"active": false}), invalid),
        (
            json!({"active": true, "user_id": "usr_alice", "roles": ["user"], "scopes": ["portfolio:*"]}),
            CHANGED,
        ),
    ] {
        known(&mut gate, &active, START);
        let head = RequestHead { api_key: KEY.into(), ..upgrade("/v1/portfolio") };
        let mut socket = opened(&mut gate, head, START).unwrap();
        assert_eq!(look(&mut gate, &mut socket, START + 29_000), Ok(()));
        let check = admit(&mut gate, &Rc::clone(socket.head()), START + 30_000).0.check;
        assert!(matches!(check, Check::ApiKey), "asked about again");
        known(&mut gate, &changed, START + 30_000);
        assert_eq!(look(&mut gate, &mut socket, START + 30_000), Err(ending));
    }
    active["expires_at"] = json!((START + 5000).to_string());
    known(&mut gate, &active, START);
    let head = RequestHead { api_key: KEY.into(), ..upgrade("/v1/portfolio") };
    let mut socket = opened(&mut gate, head, START).unwrap();
    assert_eq!(socket.pause(START + 4000), 1000);
    assert_eq!(socket.decided(Err(Code::Unavailable), START + 5000), Err(invalid), "nobody has to say so");
    let token = token(KID, START);
    assert_eq!(present(&mut gate, &mut socket, &token, true, START), Err(CHANGED), "a key is no session");
}

#[test]
fn what_asks_for_nothing_is_left_alone() {
    let mut gate = followed();
    let authorization = format!("Bearer {}", token(KID, START));
    let kept = RequestHead { authorization, ..upgrade("/v1/portfolio/kept/prices") };
    assert!(opened(&mut gate, kept, START).is_none(), "the route keeps its sockets");
    assert!(opened(&mut gate, upgrade("/v1/open"), START).is_none(), "nobody is known");
}

#[test]
fn a_side_is_told_how_the_other_one_closed_where_that_can_be_told() {
    for code in [1000, 1001, 1003, 1007, 1011, 1013, 3000, 4001, 4401, 4999] {
        for side in [Side::Client, Side::Service] {
            assert_eq!(code_for(side, code), Some(code));
        }
    }
    for code in [0, 999, 1004, 1006, 1015, 1016, 2999, 5000] {
        assert_eq!(
            (code_for(Side::Client, code), code_for(Side::Service, code)),
            (Some(1011), Some(1001)),
            "{code}"
        );
    }
    assert_eq!(code_for(Side::Client, 1005), None, "a close without a code");
}
