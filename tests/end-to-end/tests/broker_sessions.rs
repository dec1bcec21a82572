//! The day of a session at a broker as its owner and services see it: postbacks that are checked without the secret, the addresses
//! that orders are sent from, and the end with the account.
#![cfg(test)]

use aws_lc_rs::digest;
use portcullis_harness::app::{App, MALLORY};
use portcullis_harness::brokers::{ALPACA, DHAN, FakeBrokers, KITE, UPSTOX};
use portcullis_harness::call::Call;
use portcullis_harness::person::Person;
use portcullis_harness::process::Target;
use portcullis_harness::service::{service_token, service_tokens};
use serde_json::{Value, json};

const SERVICES: &str = r#"{
    "execution": {"rights": ["postback:verify"], "credentials": {"brokers": ["kite", "upstox", "dhan"], "kind": "session"}},
    "chart": {"credentials": {"brokers": ["kite"], "kind": "long_lived"}}
}"#;
const ORDER: &str = "220303000308932";
const AT: &str = "2022-03-03 09:24:25";

struct Stage {
    app: App,
    brokers: FakeBrokers,
    asha: Person,
    mallory: Person,
}

impl Stage {
    async fn new() -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let tokens = service_tokens(&["execution", "chart"]);
        let mut variables = vec![("SERVICES", SERVICES), ("SERVICE_TOKENS", tokens.as_str())];
        variables.extend([("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1")]);
        let of_brokers = brokers.variables();
        variables.extend(of_brokers.iter().map(|(name, value)| (*name, value.as_str())));
        let app = App::logging(Target::Local, &variables);
        let (asha, mallory) = (app.person("asha@example.com").await, app.person(MALLORY).await);
        Self { app, brokers, asha, mallory }
    }

    async fn link(&self, broker: &str, (key, secret, user): (&str, &str, &str)) -> String {
        let body = json!({"broker": broker, "user_id_broker": user, "api_key": key, "api_secret": secret});
        let linked = self.asha.post("/v1/trading-accounts", body).await.assert_status(201);
        linked.text("account_id").to_owned()
    }

    async fn begin_session(&self, account: &str) {
        let verify = self.asha.post(format!("{}/verify", path(account)), Value::Null);
        let page = verify.await.assert_status(200).text("login_url").to_owned();
        let back = self.brokers.led_back(&page).await;
        let code = back.get("request_token").or(back.get("tokenId")).or(back.get("code")).unwrap();
        let body = json!({"request_token": code, "state": back.get("state")});
        self.asha.post(format!("{}/session", path(account)), body).await.assert_status(200);
    }

    fn check(&self, service: &str, account: &str, body: Value) -> Call {
        let service = self.app.service(service_token(service));
        service.post(format!("/v1/internal/trading-accounts/{account}/postbacks/verify"), body)
    }

    fn credentials(&self, account: &str) -> Call {
        self.app.service(service_token("execution")).read_credentials(account)
    }
}

fn path(account: &str) -> String {
    format!("/v1/trading-accounts/{account}")
}

/// The checksum as Kite documents it.
fn checksum(order: &str, at: &str, secret: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, format!("{order}{at}{secret}").as_bytes()))
}

fn postback(order: &str, at: &str, checksum: &str) -> Value {
    json!({"order_id": order, "order_timestamp": at, "checksum": checksum})
}

#[tokio::test]
async fn a_postback_is_checked_without_the_secret() {
    let stage = Stage::new().await;
    let account = stage.link("kite", KITE).await;
    let made = checksum(ORDER, AT, KITE.1);
    let valid = async |body: Value| {
        let answer = stage.check("execution", &account, body).await.assert_status(200);
        assert_eq!(answer.body.as_object().unwrap().len(), 1);
        answer["valid"].as_bool().unwrap()
    };
    assert!(valid(postback(ORDER, AT, &made)).await);
    let others = [
        ("220303000308933", AT, made.clone()),
        (ORDER, "2022-03-03 09:24:26", made.clone()),
        (ORDER, AT, checksum(ORDER, AT, "another-secret")),
        (ORDER, AT, checksum(ORDER, AT, "")),
        (ORDER, AT, "0".repeat(64)),
        // The same letters, joined elsewhere.
        ("22030300030893", AT, made.clone()),
    ];
    for (order, at, sum) in others {
        assert!(!valid(postback(order, at, &sum)).await, "{order} {at} {sum}");
    }
    for (body, pointer) in [
        (postback("1 2", AT, &made), "/order_id"),
        (postback(ORDER, "22022-03-03 09:24:25", &made), "/order_timestamp"),
        (postback(ORDER, AT, &made.to_uppercase()), "/checksum"),
        (postback(ORDER, AT, ""), "/checksum"),
    ] {
        let refused = stage.check("execution", &account, body).await.assert_status(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    let refused = stage.check("chart", &account, postback(ORDER, AT, &made)).await;
    assert_eq!(refused.assert_status(403)["code"], "forbidden");
    let unknown = "acc_0190f5d7a0007000800000000000000a";
    stage.check("execution", unknown, postback(ORDER, AT, &made)).await.assert_status(404);

    // A freeze lets nothing out; what became of an order is told all the same.
    stage.asha.post("/v1/trading-accounts/freeze", Value::Null).await.assert_status(200);
    assert!(valid(postback(ORDER, AT, &made)).await);
    let off = stage.asha.patch(path(&account), json!({"enabled": false}));
    off.await.assert_status(200);
    let refused = stage.check("execution", &account, postback(ORDER, AT, &made)).await.assert_status(409);
    assert_eq!(refused["code"], "trading_account_disabled");
}

#[tokio::test]
async fn no_postback_of_a_broker_without_checksums_is_valid() {
    let stage = Stage::new().await;
    for (broker, of) in [("alpaca", ALPACA), ("upstox", UPSTOX)] {
        let account = stage.link(broker, of).await;
        let body = postback(ORDER, AT, &checksum(ORDER, AT, of.1));
        assert_eq!(stage.check("execution", &account, body).await.assert_status(200)["valid"], false);
    }
}

#[tokio::test]
async fn a_service_checks_six_hundred_a_minute() {
    let stage = Stage::new().await;
    // Unknown accounts are counted like others, and nothing is decrypted for them.
    let ask = || {
        stage.check("execution", "acc_0190f5d7a0007000800000000000000a", postback(ORDER, AT, &"0".repeat(64)))
    };
    let mut statuses = Vec::new();
    for _ in 0..1_400 {
        let reply = ask().await;
        statuses.push(reply.status);
        if reply.status == 429 {
            assert!(reply.header("retry-after").is_some());
            break;
        }
    }
    let served = statuses.iter().filter(|status| **status == 404).count();
    assert_eq!(statuses.last(), Some(&429), "{served} were served");
    // A minute may end in between, and the next one has as many.
    assert!((600..1_201).contains(&served), "{served}");
}

#[tokio::test]
async fn services_get_the_addresses_that_orders_are_sent_from() {
    let stage = Stage::new().await;
    let account = stage.link("kite", KITE).await;
    stage.begin_session(&account).await;
    let change = |body: Value| stage.asha.patch(path(&account), body);
    assert_eq!(stage.credentials(&account).await.assert_status(200)["order_ips"], json!([]));
    let both = json!(["203.0.113.7", "2001:db8::7"]);
    assert_eq!(change(json!({"order_ips": both})).await.assert_status(200)["order_ips"], both);
    let listed = stage.asha.get("/v1/trading-accounts").await.assert_status(200);
    assert_eq!(listed.body[0]["order_ips"], both);
    assert_eq!(stage.credentials(&account).await.assert_status(200)["order_ips"], both);
    // What is not named stays as it is, the session among it.
    assert_eq!(change(json!({"label": "x"})).await.assert_status(200)["order_ips"], both);
    assert_eq!(
        change(json!({"order_ips": ["203.0.113.7"]})).await.assert_status(200)["order_ips"],
        json!(["203.0.113.7"])
    );
    for wrong in [
        json!([]),
        json!(["203.0.113.7", "203.0.113.7"]),
        json!(["127.0.0.1"]),
        json!(["a"]),
        json!("203.0.113.7"),
    ] {
        let refused = change(json!({"order_ips": wrong})).await.assert_status(422);
        assert_eq!(refused["errors"][0]["pointer"], "/order_ips", "{wrong}");
    }
    stage.mallory.patch(path(&account), json!({"order_ips": ["203.0.113.9"]})).await.assert_status(404);
    assert_eq!(change(json!({"order_ips": null})).await.assert_status(200)["order_ips"], json!([]));
    assert!(stage.credentials(&account).await.assert_status(200)["access_token"].is_string());
}

impl Stage {
    /// How many sessions a broker was asked to end.
    async fn asked_to_end(&self, path: &str) -> usize {
        let log = self.brokers.log().await;
        let of_it = |one: &&Value| one["path"] == path && one["method"] == "DELETE";
        log.as_array().unwrap().iter().filter(of_it).count()
    }

    /// How many ends of sessions are on record.
    async fn ends_on_record(&self) -> usize {
        let trail = self.asha.get("/v1/audit").await.assert_status(200);
        trail.items().iter().filter(|event| event["type"] == "broker_session_ended").count()
    }
}

#[tokio::test]
async fn an_unlinked_account_has_no_session_at_its_broker() {
    let stage = Stage::new().await;
    for (broker, of, ended) in [("kite", KITE, "/session/token"), ("upstox", UPSTOX, "/upstox/v2/logout")] {
        let account = stage.link(broker, of).await;
        stage.begin_session(&account).await;
        stage.mallory.delete(path(&account)).await.assert_status(404);
        assert_eq!(stage.asked_to_end(ended).await, 0, "{broker}: only its owner ends it");
        stage.asha.delete(path(&account)).await.assert_status(204);
        assert_eq!(stage.asked_to_end(ended).await, 1, "{broker}");
        stage.asha.delete(path(&account)).await.assert_status(404);
        assert_eq!(stage.asked_to_end(ended).await, 1, "{broker}");
    }
    assert_eq!(stage.ends_on_record().await, 2);
}

#[tokio::test]
async fn replaced_credentials_leave_no_session_at_the_broker() {
    const ENDED: &str = "/session/token";
    let stage = Stage::new().await;
    let account = stage.link("kite", KITE).await;
    let replace_by = async |api_key: &str| {
        let credentials = json!({"api_key": api_key, "api_secret": KITE.1});
        stage.asha.put(format!("{}/credentials", path(&account)), credentials).await.assert_status(200)
    };
    replace_by(KITE.0).await;
    assert_eq!(stage.asked_to_end(ENDED).await, 0, "there was none");
    stage.begin_session(&account).await;
    assert_eq!(replace_by("another0key0of0kite").await["session_expires_at"], Value::Null);
    assert_eq!((stage.asked_to_end(ENDED).await, stage.ends_on_record().await), (1, 1));
}

#[tokio::test]
async fn a_broker_that_is_down_or_ends_nothing_keeps_no_account() {
    let stage = Stage::new().await;
    for (broker, of, mode) in [("kite", KITE, "down"), ("upstox", UPSTOX, "html"), ("dhan", DHAN, "ok")] {
        let account = stage.link(broker, of).await;
        stage.begin_session(&account).await;
        stage.brokers.are(json!({"mode": mode})).await;
        stage.asha.delete(path(&account)).await.assert_status(204);
        stage.asha.get(path(&account)).await.assert_status(404);
        stage.brokers.are(json!({"mode": "ok"})).await;
    }
}
