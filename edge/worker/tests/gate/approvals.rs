//! Orders that a role wants approved: what is asked of whom, and what a service hears of it.

use portcullis_edge::{EdgeResponse, Ending, Forward, Redemption, RedemptionOutcome};

use super::*;

const ROLES: &str = r#"{
    "admin": {},
    "user": {"services": ["trading", "portfolio"]},
    "careful": {"inherits": ["user"], "requires": {"approval": [{"service": "trading"}]}},
    "robotic": {"inherits": ["user"], "requires": {"approval": [{"service": "trading", "keys": true}]}},
    "large": {"inherits": ["user"], "requires": {"approval": [{"service": "trading", "notional_above": "15005"}]}},
    "daily": {"inherits": ["user"], "requires": {"approval": [
        {"service": "trading", "outside_hours": {"from": "00:00", "to": "08:55", "utc_offset": "+00:00"}}
    ]}}
}"#;

const ORDERS: &str = "/v1/trading/place";
const APPROVAL: &str = "apr_0199f3c2a6e47d0c8f21b7e5d4a39c10";
const ORDER: &str = r#"{"authorization_details":[{"type":"order","account_id":"acc_1","exchange":"NSE","symbol":"INFY",
    "side":"buy","quantity":"10","order_type":"limit","price":"1500.50"}]}"#;
const KEY: &str = "5d41402abc4b2a76b9719d911017c592aeb63bf04df2a5cc19c7f8a1bd0e36f7";
/// Five minutes to nine, on a day when [`START`] was a little earlier.
const CLOSING: Millis = START + 100_000;

fn started() -> Gate {
    let mut gate = gate_with("0", ROLES);
    publish(&mut gate, &[KID], START);
    gate
}

fn order(path: &str, role: &str) -> RequestHead {
    let mut claims = claims(START);
    claims.as_object_mut().unwrap().insert("roles".into(), json!([role]));
    RequestHead {
        method: "POST".into(),
        url: RequestUrl::parse(format!("https://edge.example{path}")).unwrap(),
        authorization: format!("Bearer {}", signed(KID, &claims)),
        ..RequestHead::default()
    }
}

fn with_approval(path: &str, role: &str) -> RequestHead {
    RequestHead { approval_id: APPROVAL.into(), ..order(path, role) }
}

fn decided(gate: &mut Gate, head: &RequestHead, now: Millis) -> Result<Box<Forward>, EdgeResponse> {
    let verdict = match admit(gate, &Rc::new(head.clone()), now) {
        (Verdict { check: Check::Signature(ticket), .. }, _) => resume(gate, ticket, true),
        (verdict, _) => verdict,
    };
    match verdict.check {
        Check::Forward(forward) => Ok(forward),
        Check::Respond(refused) => Err(refused),
        other => panic!("it asks for {other:?}"),
    }
}

/// What the identity service is asked for such a request with such a body.
fn asked(gate: &mut Gate, head: &RequestHead, body: &str) -> Result<Option<Redemption>, Code> {
    let forward = decided(gate, head, START).map_err(|refused| refused.code.unwrap())?;
    if !forward.awaits_approval() {
        return Ok(None);
    }
    gate.redemption(&forward, head, body.as_bytes()).map_err(|refused| refused.code.unwrap())
}

fn said(status: u16, body: &str) -> RedemptionOutcome {
    RedemptionOutcome { status, body: body.into() }
}

#[test]
fn an_order_needs_an_approval_where_a_role_says_so_and_nowhere_else() {
    let mut gate = started();
    for (role, path, expected) in [
        ("user", ORDERS, Ok(None)),
        ("careful", ORDERS, Err(Code::ApprovalRequired)),
        ("careful", "/v1/portfolio", Ok(None)),
        ("robotic", ORDERS, Ok(None)),
        ("daily", ORDERS, Ok(None)),
    ] {
        // The second time the token is remembered, and nothing else is.
        for _ in 0..2 {
            assert_eq!(asked(&mut gate, &order(path, role), ORDER), expected, "{role} {path}");
        }
        // An approval that nothing needs is not spent, and not shown to the service.
        let (head, none) = (with_approval(path, role), expected.is_ok());
        assert_eq!(asked(&mut gate, &head, ORDER).unwrap().is_none(), none, "{role} {path}");
        let forward = decided(&mut gate, &head, START).unwrap();
        assert!(forward.request_headers().all(|(name, _)| !name.starts_with("x-approval")));
    }
    for method in ["PUT", "PATCH"] {
        let head = RequestHead { method: method.into(), ..order(ORDERS, "careful") };
        assert_eq!(asked(&mut gate, &head, ORDER), Err(Code::ApprovalRequired), "{method}");
    }
    // What reads, and what takes an order back.
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        let head = RequestHead { method: method.into(), ..order(ORDERS, "careful") };
        assert_eq!(asked(&mut gate, &head, ""), Ok(None), "{method}");
    }
}

#[test]
fn what_is_redeemed_is_what_the_service_gets_in_the_name_of_the_caller() {
    let mut gate = started();
    let redemption = asked(&mut gate, &with_approval(ORDERS, "careful"), ORDER).unwrap().unwrap();
    assert_eq!(redemption.url, format!("https://id.example/v1/internal/approvals/{APPROVAL}/redeem"));
    let rest = ORDER.strip_prefix('{').unwrap();
    assert_eq!(
        String::from_utf8(redemption.body).unwrap(),
        format!(r#"{{"user_id":"usr_alice",{rest}"#),
        "not one byte of the order is written anew"
    );
    for id in
        ["", "apr_", "apr_0199F3C2A6E47D0C8F21B7E5D4A39C10", "apr_0199f3c2a6e47d0c8f21b7e5d4a39c1/", "x/../y"]
    {
        let head = RequestHead { approval_id: id.into(), ..order(ORDERS, "careful") };
        assert_eq!(asked(&mut gate, &head, ORDER), Err(Code::ApprovalRequired), "{id}");
    }
    for body in ["", "[]", "null", "quantity=10", "\u{feff}{}"] {
        let refused = asked(&mut gate, &with_approval(ORDERS, "careful"), body);
        assert_eq!(refused, Err(Code::BadRequest), "{body}");
    }
}

#[test]
fn an_approval_is_spent_again_only_where_the_service_tells_repetitions() {
    let mut gate = started();
    for (path, expected) in [(ORDERS, None), ("/v1/trading/once", Some("order 7".to_owned()))] {
        let head = RequestHead { idempotency_key: "order 7".into(), ..with_approval(path, "careful") };
        let redemption = asked(&mut gate, &head, ORDER).unwrap().unwrap();
        assert_eq!(redemption.idempotency_key, expected, "{path}");
    }
    let redemption = asked(&mut gate, &with_approval("/v1/trading/once", "careful"), ORDER).unwrap().unwrap();
    assert_eq!(redemption.idempotency_key, None);
}

#[test]
fn only_what_was_spent_for_this_caller_goes_on_and_is_proven() {
    let mut gate = started();
    let head = RequestHead { origin: "https://app.example".into(), ..with_approval(ORDERS, "careful") };
    let mut forward = decided(&mut gate, &head, START).unwrap();
    let good = r#"{"user_id":"usr_alice","order_tag":"7d0c8f21b7e5d4a39c10","acr":"phr"}"#;
    for (status, body) in [
        (200, good.replace("usr_alice", "usr_bela").as_str()),
        (200, &good.replace("7d0c8f21b7e5d4a39c10", "7d\\r\\nx-user-id: usr_bela")),
        (200, &good.replace("7d0c8f21b7e5d4a39c10", "")),
        (200, &good.replace("7d0c8f21b7e5d4a39c10", &"7".repeat(65))),
        (200, r#"{"user_id":"usr_alice"}"#),
        (200, "<html>"),
        (201, good),
        (204, ""),
        (302, ""),
        (401, good),
        (403, good),
        (413, good),
        (429, good),
        (500, good),
        (503, good),
    ] {
        let refused = gate.redeemed(&mut forward, &head, said(status, body)).unwrap_err();
        assert_eq!((refused.status, refused.code), (503, Some(Code::Unavailable)), "{status} {body}");
    }
    for status in [400, 404, 409, 422] {
        let problem = r#"{"code":"details_mismatch"}"#;
        let refused = gate.redeemed(&mut forward, &head, said(status, problem)).unwrap_err();
        assert_eq!((refused.status, refused.body.as_deref()), (status, Some(problem)));
        let has = |name: &str, value: &str| {
            refused.headers.iter().any(|(known, set)| *known == name && set == value)
        };
        assert!(has("content-type", "application/problem+json") && has("cache-control", "no-store"));
        assert!(has("access-control-allow-origin", "https://app.example"), "its page may read why");
    }
    assert!(forward.request_headers().all(|(name, _)| !name.starts_with("x-approval")), "nothing was spent");
    gate.redeemed(&mut forward, &head, said(200, good)).unwrap();
    let told: Vec<_> = forward.request_headers().filter(|(name, _)| name.starts_with("x-approval")).collect();
    assert_eq!(told, [("x-approval-id", APPROVAL), ("x-approval-order-tag", "7d0c8f21b7e5d4a39c10")]);
    assert!(gate.prove(&forward, START).is_some());
}

#[test]
fn a_key_is_told_from_a_person() {
    let mut gate = started();
    let holder = json!({"active": true, "user_id": "usr_alice", "roles": ["robotic"], "scopes": ["trading:*"], "expires_at": null});
    gate.api_key_looked_up(KEY, holder.to_string().as_bytes(), &|_| 0, START).unwrap();
    let by_key =
        RequestHead { authorization: String::new(), api_key: KEY.into(), ..order(ORDERS, "robotic") };
    assert_eq!(asked(&mut gate, &by_key, ORDER), Err(Code::ApprovalRequired));
    assert_eq!(asked(&mut gate, &order(ORDERS, "robotic"), ORDER), Ok(None));
    let brought = RequestHead { approval_id: APPROVAL.into(), ..by_key };
    assert!(asked(&mut gate, &brought, ORDER).unwrap().is_some());
}

#[test]
fn a_large_order_is_told_from_a_small_one_and_what_is_neither_from_both() {
    let mut gate = started();
    let mut of = |body: &str| asked(&mut gate, &order(ORDERS, "large"), body);
    assert_eq!(of(ORDER), Ok(None));
    for body in [
        ORDER.replace("1500.50", "1500.51"),
        ORDER.replace("\"10\"", "\"11\""),
        ORDER.replace("buy", "sell"),
        ORDER.replace("\"limit\"", "\"market\""),
        // Which of the two the service takes, nobody here knows.
        ORDER.replace("\"quantity\"", "\"quantity\":\"9000\",\"quantity\""),
        ORDER.replace("\"10\"", "\"10\",\"quantity\":\"9000\""),
        "{}".into(),
        String::new(),
    ] {
        assert_eq!(of(&body), Err(Code::ApprovalRequired), "{body}");
    }
}

#[test]
fn after_hours_an_order_needs_an_approval_and_a_socket_closes() {
    let mut gate = started();
    let place = order(ORDERS, "daily");
    assert!(!decided(&mut gate, &place, CLOSING - 1).unwrap().awaits_approval());
    assert!(decided(&mut gate, &place, CLOSING).unwrap().awaits_approval());
    let upgrade =
        |role: &str| RequestHead { method: "GET".into(), upgrade: "websocket".into(), ..order(ORDERS, role) };
    // Nobody sees the orders that go through one.
    for (role, now) in [("careful", START), ("large", START), ("daily", CLOSING)] {
        let refused = decided(&mut gate, &upgrade(role), now).unwrap_err();
        assert_eq!((refused.status, refused.code), (403, Some(Code::ApprovalRequired)), "{role}");
    }
    let head = Rc::new(upgrade("daily"));
    let forward = decided(&mut gate, &head, START).unwrap();
    let mut socket = gate.open_socket(&forward, &head, START).unwrap();
    // With the token it came with, and with one that its client presented since.
    for head in [head, socket.with_token(order(ORDERS, "daily").authorization.trim_start_matches("Bearer "))]
    {
        let forward = decided(&mut gate, &head, CLOSING - 1).unwrap();
        socket.decided(Ok(&forward), CLOSING - 1).unwrap();
        let outcome = decided(&mut gate, &head, CLOSING);
        let outcome = outcome.as_deref().map_err(|refused| refused.code.unwrap());
        let ended = socket.decided(outcome, CLOSING).unwrap_err();
        assert_eq!(ended, Ending { code: 4403, reason: "approval_required" });
    }
}
