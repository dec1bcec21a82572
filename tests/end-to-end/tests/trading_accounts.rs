//! Trading accounts through the HTTP surface, with brokers that behave as Kite and Alpaca say they do.
#![cfg(test)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portcullis_harness::app::{App, MALLORY};
use portcullis_harness::brokers::{ALPACA, FakeBrokers, KITE};
use portcullis_harness::call::Call;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::in_process::table::sealed_in;
use portcullis_harness::person::Person;
use portcullis_harness::process::{Target, tool_with};
use portcullis_harness::reply::Reply;
use portcullis_harness::service::{service_token, service_tokens};
use reqwest::Method;
use serde_json::{Value, json};

const SERVICE_NAMES: [&str; 4] = ["ticker", "chart", "greedy", "edge"];
const SERVICES: &str = r#"{
    "ticker": {"rights": ["provider:report"], "credentials": {"brokers": ["kite", "alpaca"], "kind": "long_lived"}},
    "chart": {"credentials": {"brokers": ["kite"], "kind": "session", "purpose_required": true}},
    "greedy": {"credentials": {"brokers": ["kite"], "kind": "long_lived", "per_minute": 3}},
    "edge": ["api-key:verify"]
}"#;

/// The service with brokers to talk to, and two people of whom one links accounts.
struct Stage {
    app: App,
    brokers: FakeBrokers,
    asha: Person,
    mallory: Person,
}

impl Stage {
    async fn new() -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let tokens = service_tokens(&SERVICE_NAMES);
        let mut variables =
            vec![("SERVICES", SERVICES), ("SERVICE_TOKENS", tokens.as_str()), ("RUST_LOG", "debug")];
        // The hash is not what is tested here.
        variables.extend([("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1")]);
        let of_brokers = brokers.variables();
        variables.extend(of_brokers.iter().map(|(name, value)| (*name, value.as_str())));
        // What is about brokers is told to the one process alone; the gateway's functions read the same variables.
        let app = App::logging(Target::Local, &variables);
        let (asha, mallory) = (app.person("asha@example.com").await, app.person(MALLORY).await);
        Self { app, brokers, asha, mallory }
    }

    async fn link(&self, broker: &str, (key, secret, user): (&str, &str, &str)) -> String {
        let body = json!({"broker": broker, "user_id_broker": user, "api_key": key, "api_secret": secret});
        let linked = uncached(self.asha.post("/v1/trading-accounts", body), 201).await;
        assert_eq!(linked["status"], "pending");
        linked.text("account_id").to_owned()
    }

    fn credentials(&self, service: &str, account: &str) -> Call {
        self.app.service(service_token(service)).read_credentials(account)
    }

    fn on(&self, account: &str, what: &str) -> Call {
        self.asha.post(format!("/v1/trading-accounts/{account}/{what}"), Value::Null)
    }

    /// Begins the session of the day.
    async fn begin_session(&self, account: &str) {
        let asked = uncached(self.on(account, "verify"), 200).await;
        let request_token = self.brokers.log_in(asked.text("login_url")).await;
        let begun = self.on(account, "session").json(json!({"request_token": request_token}));
        assert_eq!(uncached(begun, 200).await["status"], "active");
    }
}

/// Returns the reply with this status, which no cache may keep, and which says when to come back where that helps.
async fn uncached(call: Call, status: u16) -> Reply {
    let reply = call.await.assert_status(status);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(![429, 503].contains(&status) || reply.header("retry-after").is_some(), "{}", reply.text);
    reply
}

#[tokio::test]
async fn an_account_lives_from_its_link_to_its_end() {
    let stage = Stage::new().await;
    let account = stage.link("kite", KITE).await;
    let path = format!("/v1/trading-accounts/{account}");
    let expected = [
        "account_id",
        "api_key_hint",
        "broker",
        "created_at",
        "label",
        "login_url",
        "order_ips",
        "session_expires_at",
        "session_mails",
        "status",
        "user_id_broker",
        "verified_at",
    ];
    let shown = uncached(stage.asha.get(&path), 200).await.body;
    let mut names: Vec<&String> = shown.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, expected);
    assert_eq!(shown["api_key_hint"], "…9f3c");
    assert_eq!(uncached(stage.asha.get("/v1/trading-accounts"), 200).await.body, json!([shown]));

    let relabelled = stage.asha.patch(&path, json!({"label": "long term"}));
    assert_eq!(uncached(relabelled, 200).await["label"], "long term");
    let unlabelled = stage.asha.patch(&path, json!({"label": null}));
    assert_eq!(uncached(unlabelled, 200).await["label"], Value::Null);
    let off = stage.asha.patch(&path, json!({"enabled": false}));
    assert_eq!(uncached(off, 200).await["status"], "disabled");
    assert_eq!(uncached(stage.on(&account, "verify"), 409).await["code"], "trading_account_disabled");
    assert_eq!(
        uncached(stage.credentials("ticker", &account), 409).await["code"],
        "trading_account_disabled"
    );
    let on = stage.asha.patch(&path, json!({"enabled": true}));
    assert_eq!(uncached(on, 200).await["status"], "pending");

    let body = json!({"api_key": "anotherkey-1a2b", "api_secret": "another"});
    let replaced = stage.asha.put(format!("{path}/credentials"), body);
    assert_eq!(uncached(replaced, 200).await["api_key_hint"], "…1a2b");
    assert_eq!(uncached(stage.credentials("ticker", &account), 200).await["api_secret"], "another");
    uncached(stage.asha.delete(&path), 204).await;
    uncached(stage.asha.delete(&path), 404).await;
    uncached(stage.credentials("ticker", &account), 404).await;

    for (change, pointer) in [
        (json!({"broker": "robinhood"}), "/broker"),
        (json!({"user_id_broker": "a b"}), "/user_id_broker"),
        (json!({"api_key": "a\r\nb"}), "/api_key"),
        (json!({"api_secret": ""}), "/api_secret"),
        (json!({"label": "\u{0}"}), "/label"),
    ] {
        let mut body = json!({"broker": "kite", "user_id_broker": "A", "api_key": "k", "api_secret": "s"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = uncached(stage.asha.post("/v1/trading-accounts", body), 422).await;
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn every_access_to_somebody_elses_account_is_not_found() {
    let stage = Stage::new().await;
    let account = stage.link("kite", KITE).await;
    let credentials = json!({"api_key": "anotherkey-1a2b", "api_secret": "another"});
    for (method, what, body) in [
        (Method::GET, "", json!(null)),
        (Method::PATCH, "", json!({"label": "mine"})),
        (Method::DELETE, "", json!(null)),
        (Method::PUT, "/credentials", credentials),
        (Method::POST, "/verify", json!(null)),
        (Method::POST, "/session", json!({"request_token": "x"})),
    ] {
        for id in [account.as_str(), "acc_0190f5d7a0007000800000000000000a", "acc_", "ACC%231"] {
            let path = format!("/v1/trading-accounts/{id}{what}");
            let call = stage.mallory.call(method.clone(), &path).json(body.clone());
            let refused = uncached(call, 404).await;
            assert_eq!(refused["code"], "not_found", "{method} {path}");
        }
    }
    assert_eq!(uncached(stage.mallory.get("/v1/trading-accounts"), 200).await.body, json!([]));
    assert_eq!(uncached(stage.credentials("ticker", &account), 200).await["api_key"], KITE.0);
}

#[tokio::test]
async fn kite_wants_a_login_every_day_and_the_session_goes_to_the_services() {
    let stage = Stage::new().await;
    let account = stage.link("kite", KITE).await;
    let asked = uncached(stage.on(&account, "verify"), 200).await;
    assert_eq!(asked["status"], "pending");
    assert!(asked["reason"].as_str().unwrap().starts_with("Log in at Kite"), "{asked}");
    assert_eq!(uncached(stage.credentials("chart", &account), 409).await["code"], "no_broker_session");

    let request_token = stage.brokers.log_in(asked.text("login_url")).await;
    let exchange = stage.on(&account, "session").json(json!({"request_token": request_token}));
    let begun = uncached(exchange.clone(), 200).await;
    assert_eq!((&begun["status"], &begun["reason"]), (&json!("active"), &Value::Null));
    let again = uncached(exchange, 409).await;
    assert_eq!(again["code"], "broker_refused");
    assert!(again["detail"].as_str().unwrap().contains("Log in there again"), "{again}");
    assert_eq!(uncached(stage.on(&account, "verify"), 200).await["status"], "active");

    let for_chart = uncached(stage.credentials("chart", &account), 200).await;
    assert!(for_chart["access_token"].is_string() && for_chart["api_secret"].is_null());
    let for_ticker = uncached(stage.credentials("ticker", &account), 200).await;
    assert_eq!(
        (&for_ticker["api_secret"], &for_ticker["access_token"]),
        (&json!(KITE.1), &for_chart["access_token"])
    );

    // The next morning in India Kite knows the session no more.
    stage.brokers.are(json!({"now": 4_000_000_000_u64})).await;
    let expired = uncached(stage.on(&account, "verify"), 200).await;
    assert_eq!(expired["status"], "expired");
    assert!(expired["login_url"].is_string() && expired["reason"].as_str().unwrap().contains("log in there"));
    // That is its owner's affair and no fault of Kite's.
    let health = uncached(stage.asha.get("/v1/providers/kite"), 200).await;
    assert_eq!((&health["status"], &health["consecutive_failures"]), (&json!("healthy"), &json!(0)));
    stage.brokers.are(json!({"now": null, "blocked": [KITE.2]})).await;
    let blocked = uncached(stage.on(&account, "verify"), 200).await;
    assert_eq!(blocked["status"], "rejected");
    assert!(blocked["reason"].as_str().unwrap().contains("blocked"), "{blocked}");
}

#[tokio::test]
async fn a_broker_that_is_down_rejects_nobody() {
    let stage = Stage::new().await;
    let (kite, alpaca) = (stage.link("kite", KITE).await, stage.link("alpaca", ALPACA).await);
    stage.begin_session(&kite).await;
    assert_eq!(uncached(stage.on(&alpaca, "verify"), 200).await["status"], "active");
    for mode in ["down", "html", "rate", "redirect"] {
        stage.brokers.are(json!({"mode": mode})).await;
        for account in [&kite, &alpaca] {
            let asked = uncached(stage.on(account, "verify"), 200).await;
            assert_eq!(asked["status"], "active", "{mode}");
            assert!(asked["reason"].as_str().unwrap().contains("try again"), "{mode}: {asked}");
        }
        let refused = uncached(stage.on(&kite, "session").json(json!({"request_token": "x"})), 503).await;
        assert_eq!(refused["code"], "broker_unavailable", "{mode}");
    }
    // Nothing was followed to where the answer pointed.
    let log = stage.brokers.log().await;
    assert!(!log.to_string().contains("stolen"), "{log}");
    stage.brokers.are(json!({"mode": "ok"})).await;

    let wrong = stage.link("alpaca", (ALPACA.0, "not-the-secret", ALPACA.2)).await;
    let refused = uncached(stage.on(&wrong, "verify"), 200).await;
    assert_eq!(refused["status"], "rejected");
    assert!(refused["reason"].as_str().unwrap().contains("API key or its secret"), "{refused}");
    let other = stage.link("alpaca", (ALPACA.0, ALPACA.1, "PA_SOMEBODY_ELSE")).await;
    assert!(
        uncached(stage.on(&other, "verify"), 200).await["reason"]
            .as_str()
            .unwrap()
            .contains("another account")
    );
    assert_eq!(
        uncached(stage.on(&alpaca, "session").json(json!({"request_token": "x"})), 409).await["code"],
        "broker_without_sessions"
    );
}

/// What the broker led back with is believed for the account's own user alone: a page that leads somebody here with another
/// login has them trade on nobody else's account.
#[tokio::test]
async fn a_login_of_another_user_begins_no_session() {
    let stage = Stage::new().await;
    let account = stage.link("kite", (KITE.0, KITE.1, "ZZ0000")).await;
    let asked = uncached(stage.on(&account, "verify"), 200).await;
    let request_token = stage.brokers.log_in(asked.text("login_url")).await;
    let begun = stage.on(&account, "session").json(json!({"request_token": request_token}));
    let refused = uncached(begun, 409).await;
    assert_eq!(refused["code"], "broker_refused");
    assert!(refused.text("detail").contains("another account"), "{refused}");
    let account = uncached(stage.asha.get(format!("/v1/trading-accounts/{account}")), 200).await;
    assert_eq!((&account["status"], &account["session_expires_at"]), (&json!("rejected"), &Value::Null));
}

#[tokio::test]
async fn a_freeze_stops_every_reading_and_ends_the_sessions() {
    let stage = Stage::new().await;
    let (kite, alpaca) = (stage.link("kite", KITE).await, stage.link("alpaca", ALPACA).await);
    stage.begin_session(&kite).await;
    let freeze = |what: &str, body: Value| stage.asha.post(format!("/v1/trading-accounts/{what}"), body);
    uncached(stage.credentials("ticker", &kite), 200).await;
    let trading = async || uncached(stage.asha.get("/v1/trading-accounts/freeze"), 200).await.body;
    let open = json!({
        "status": "active", "frozen_at": null, "frozen_by": null, "until": null, "cancel_until": null, "freezes": [],
    });
    assert_eq!(trading().await, open);

    // It is one click: neither proof nor body.
    let frozen = uncached(stage.asha.post("/v1/trading-accounts/freeze", Value::Null), 200).await;
    assert_eq!(frozen["status"], "frozen");
    let since = &frozen["frozen_at"];
    let own = json!({"by": "self", "actor": "self", "since": since, "until": null, "reason": null});
    let stands = json!({
        "status": "frozen", "frozen_at": since, "frozen_by": "self", "until": null, "cancel_until": null, "freezes": [own],
    });
    assert_eq!(trading().await, stands);
    for account in frozen["accounts"].as_array().unwrap() {
        assert_eq!((&account["orders"], &account["open_orders"]), (&json!("none"), &Value::Null));
    }
    let ends: Vec<&Value> =
        frozen["accounts"].as_array().unwrap().iter().map(|account| &account["session"]).collect();
    assert_eq!(ends, ["ended", "none"]);
    for (service, account) in [("ticker", &kite), ("chart", &kite), ("ticker", &alpaca)] {
        assert_eq!(uncached(stage.credentials(service, account), 403).await["code"], "credentials_frozen");
    }
    uncached(freeze("unfreeze", json!({"password": "not it at all"})), 403).await;
    uncached(freeze("unfreeze", json!({})), 422).await;
    uncached(freeze("unfreeze", json!({"password": PASSWORD, "code": "123456"})), 422).await;
    assert_eq!(uncached(freeze("unfreeze", json!({"code": "123456"})), 409).await["code"], "mfa_not_set_up");
    assert_eq!(trading().await["status"], "frozen");
    assert_eq!(uncached(freeze("unfreeze", json!({"password": PASSWORD})), 200).await.body, open);
    assert_eq!(trading().await, open);
    let read = uncached(stage.credentials("ticker", &kite), 200).await;
    assert!(read["access_token"].is_null(), "the session was ended");
    assert_eq!(uncached(stage.on(&kite, "verify"), 200).await["status"], "expired");
}

#[tokio::test]
async fn an_account_says_until_when_its_session_lives_and_where_its_owner_logs_in() {
    let stage = Stage::new().await;
    let (kite, alpaca) = (stage.link("kite", KITE).await, stage.link("alpaca", ALPACA).await);
    let account = async |id: &str| uncached(stage.asha.get(format!("/v1/trading-accounts/{id}")), 200).await;
    let of_alpaca = account(&alpaca).await;
    assert_eq!((&of_alpaca["login_url"], &of_alpaca["session_expires_at"]), (&Value::Null, &Value::Null));

    let linked = account(&kite).await;
    assert_eq!(linked["session_expires_at"], Value::Null);
    let login = reqwest::Url::parse(linked.text("login_url")).unwrap();
    let query: Vec<(String, String)> = login.query_pairs().into_owned().collect();
    // Kite hands the last one to the page it redirects to.
    let expected = [("api_key", KITE.0), ("v", "3"), ("redirect_params", &format!("account_id={kite}"))];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(uncached(stage.on(&kite, "verify"), 200).await["login_url"], linked["login_url"]);

    stage.begin_session(&kite).await;
    let until: jiff::Timestamp = account(&kite).await.text("session_expires_at").parse().unwrap();
    let created: jiff::Timestamp = linked.text("created_at").parse().unwrap();
    assert!(until > created);
    let body = json!({"api_key": "anotherkey-1a2b", "api_secret": "another"});
    let replaced =
        uncached(stage.asha.put(format!("/v1/trading-accounts/{kite}/credentials"), body), 200).await;
    assert_eq!(replaced["session_expires_at"], Value::Null);
    assert!(replaced.text("login_url").contains("anotherkey-1a2b"));
}

#[tokio::test]
async fn a_service_is_known_by_its_token_and_held_to_its_entry() {
    let mut stage = Stage::new().await;
    let (kite, alpaca) = (stage.link("kite", KITE).await, stage.link("alpaca", ALPACA).await);
    for wrong in ["", "ticker", &service_token("nobody"), stage.asha.access_token()] {
        let read = stage.app.service(wrong).read_credentials(&kite);
        assert_eq!(uncached(read, 401).await["code"], "invalid_service_token");
    }
    let path = format!("/v1/internal/trading-accounts/{kite}/credentials");
    let by_person = stage.asha.post(path, json!({"purpose": "market-stream"}));
    assert_eq!(uncached(by_person, 401).await["code"], "authentication_required");
    assert_eq!(uncached(stage.credentials("edge", &kite), 403).await["code"], "forbidden");
    assert_eq!(uncached(stage.credentials("chart", &alpaca), 403).await["code"], "forbidden");
    for purpose in ["Two Words", "a\nb", &"p".repeat(65)] {
        let asked = stage.credentials("ticker", &kite).json(json!({"purpose": purpose}));
        assert_eq!(uncached(asked, 422).await["errors"][0]["pointer"], "/purpose");
    }
    uncached(stage.credentials("ticker", &kite).header("x-request-id", "ticker-start-42"), 200).await;
    let told = stage.asha.get("/v1/audit?type=credentials_read&limit=1");
    let told = uncached(told, 200).await;
    let event = &told["items"][0];
    let names = ["actor", "service", "purpose", "target", "request_id"];
    let said = names.map(|name| event[name].as_str().unwrap());
    assert_eq!(said, ["service:ticker", "ticker", "market-stream", &kite, "ticker-start-42"]);
    let about = async |account: &str| {
        let told = uncached(stage.asha.get(format!("/v1/audit?target={account}")), 200).await;
        told.items().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(about(&alpaca).await, ["credentials_refused", "trading_account_linked"]);
    assert!(about(&kite).await.contains(&"credentials_read".to_owned()));
    let mut refused = 0;
    for _ in 0..7 {
        refused += u32::from(stage.credentials("greedy", &kite).await.status == 429);
    }
    // Seven requests may lie in two minutes, three of which are let through in each.
    assert!((1..=4).contains(&refused), "{refused}");
    uncached(stage.credentials("ticker", &kite), 200).await;

    // While a token is replaced both are good, and then the old one is not.
    let new = "n".repeat(40);
    for (tokens, old_is_good) in [(json!([service_token("ticker"), new]), true), (json!([new]), false)] {
        stage.app.terminate();
        let tokens = json!({"ticker": tokens}).to_string();
        stage.app.start_again(&[("SERVICE_TOKENS", &tokens), ("SERVICES", SERVICES)]);
        let by_new = stage.app.service(&new).read_credentials(&kite);
        uncached(by_new, 200).await;
        uncached(stage.credentials("ticker", &kite), if old_is_good { 200 } else { 401 }).await;
    }
}

/// A request may take five seconds whatever a broker does, and its answer has to arrive.
const DEADLINE: Duration = Duration::from_secs(6);

/// The answer, and that it came in time.
async fn in_time(call: Call, status: u16) -> Reply {
    tokio::time::timeout(DEADLINE, uncached(call, status)).await.expect("an answer within the deadline")
}

#[tokio::test]
async fn a_broker_that_hangs_is_given_up_on_in_time_and_rejects_nobody() {
    let stage = Stage::new().await;
    let (kite, alpaca) = (stage.link("kite", KITE).await, stage.link("alpaca", ALPACA).await);
    stage.begin_session(&kite).await;
    assert_eq!(uncached(stage.on(&alpaca, "verify"), 200).await["status"], "active");
    stage.brokers.are(json!({"mode": "hang"})).await;
    for account in [&kite, &alpaca] {
        let asked = in_time(stage.on(account, "verify"), 200).await;
        assert_eq!(asked["status"], "active");
        assert!(asked["reason"].as_str().unwrap().contains("did not answer"), "{asked}");
    }
    let begun = stage.on(&kite, "session").json(json!({"request_token": "x"}));
    assert_eq!(in_time(begun, 503).await["code"], "broker_unavailable");
    for account in [&kite, &alpaca] {
        let path = format!("/v1/trading-accounts/{account}");
        assert_eq!(uncached(stage.asha.get(&path), 200).await["status"], "active");
    }
    // Two calls of each were given up on.
    let health = uncached(stage.asha.get("/v1/providers/kite"), 200).await;
    assert_eq!((&health["status"], &health["consecutive_failures"]), (&json!("degraded"), &json!(2)));
}

#[tokio::test]
async fn a_freeze_stands_whether_or_not_the_broker_can_be_reached_and_says_so() {
    let stage = Stage::new().await;
    let kite = stage.link("kite", KITE).await;
    let change = |what: &str| {
        let proof = json!({"password": PASSWORD});
        stage.asha.post(format!("/v1/trading-accounts/{what}"), proof)
    };
    for mode in ["hang", "down", "rate", "html"] {
        stage.brokers.are(json!({"mode": "ok"})).await;
        stage.begin_session(&kite).await;
        stage.brokers.are(json!({"mode": mode})).await;
        let frozen = in_time(change("freeze"), 200).await;
        let [account] = frozen["accounts"].as_array().unwrap().as_slice() else { panic!("{frozen}") };
        assert_eq!(
            (&frozen["status"], &account["session"]),
            (&json!("frozen"), &json!("unconfirmed")),
            "{mode}"
        );
        let reason = account["reason"].as_str().unwrap();
        assert!(reason.starts_with("Kite could not be reached") && reason.contains("T00:30:00Z"), "{reason}");
        assert_eq!(uncached(stage.credentials("chart", &kite), 403).await["code"], "credentials_frozen");
        assert_eq!(uncached(stage.on(&kite, "verify"), 403).await["code"], "credentials_frozen");
        // Once the broker is back, freezing again ends what is left.
        stage.brokers.are(json!({"mode": "ok"})).await;
        let again = uncached(change("freeze"), 200).await;
        assert_eq!(again["accounts"][0]["session"], "ended", "{mode}: {again}");
        assert!(again["accounts"][0].get("reason").is_none());
        assert_eq!(uncached(stage.credentials("chart", &kite), 403).await["code"], "credentials_frozen");
        uncached(change("unfreeze"), 200).await;
    }
    let log = stage.brokers.log().await;
    let ended = log.as_array().unwrap().iter().filter(|asked| asked["method"] == "DELETE").count();
    assert_eq!(ended, 8, "each session is tried to be ended twice");
}

/// Whether a file has a text in it.
fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Every byte of every file in a folder and those in it.
fn all_files(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { all_files(&path) } else { std::fs::read(path).unwrap() })
        .collect()
}

/// Which of these is in a file, by either of its ends: what was partly overwritten is there too.
fn left<'a>(content: &[u8], sealed: &'a [String]) -> Vec<&'a String> {
    let is_left = |text: &&String| holds(content, &text[..24]) || holds(content, &text[text.len() - 24..]);
    sealed.iter().filter(is_left).collect()
}

/// A life with three sets of credentials, two sessions and a sealing anew, from which nothing is left to be seen in the
/// table. Returns what was under seal meanwhile, data keys and ciphertexts.
async fn a_life_with_secrets(stage: &Stage) -> Vec<String> {
    let data = stage.app.folder();
    let mut sealed = Vec::new();
    let (kite, alpaca) = (stage.link("kite", KITE).await, stage.link("alpaca", ALPACA).await);
    stage.begin_session(&kite).await;
    sealed.extend(sealed_in(data).await);
    assert_eq!(sealed.len(), 6, "two accounts and a session, each with a data key");
    let tokens = service_tokens(&SERVICE_NAMES);
    let (status, _, said) = tool_with(data, &["rotate-credentials"], "", &[("SERVICE_TOKENS", &tokens)]);
    assert_eq!(status, 0, "{said}");
    sealed.extend(sealed_in(data).await);
    let body = json!({"api_key": KITE.0, "api_secret": KITE.1});
    let path = format!("/v1/trading-accounts/{kite}");
    uncached(stage.asha.put(format!("{path}/credentials"), body), 200).await;
    stage.begin_session(&kite).await;
    sealed.extend(sealed_in(data).await);
    sealed.sort();
    sealed.dedup();
    // Of Alpaca's credentials there are two seals, of everything of Kite's three and two.
    assert!(sealed.len() >= 14, "{}", sealed.len());
    for account in [&kite, &alpaca] {
        uncached(stage.asha.delete(format!("/v1/trading-accounts/{account}")), 204).await;
    }
    assert!(sealed_in(data).await.is_empty());
    sealed
}

#[tokio::test]
async fn of_what_was_sealed_no_byte_lies_in_the_folder_once_the_service_has_stopped() {
    let mut stage = Stage::new().await;
    let sealed = a_life_with_secrets(&stage).await;
    let before = all_files(stage.app.folder());
    assert!(!left(&before, &sealed).is_empty(), "this is where it would be seen");
    stage.app.terminate();
    let after = all_files(stage.app.folder());
    assert!(holds(&after, "trading_account_unlinked"), "the database is there");
    assert_eq!(left(&after, &sealed), Vec::<&String>::new());
}

#[tokio::test]
async fn what_a_service_left_that_was_killed_is_wiped_by_the_next() {
    let mut stage = Stage::new().await;
    let sealed = a_life_with_secrets(&stage).await;
    stage.app.kill();
    assert!(!left(&all_files(stage.app.folder()), &sealed).is_empty(), "a kill leaves traces");
    stage.app.start_again(&[]);
    stage.app.terminate();
    assert_eq!(left(&all_files(stage.app.folder()), &sealed), Vec::<&String>::new());
}

#[tokio::test]
async fn no_byte_of_a_credential_lies_in_the_database_the_log_or_the_memory_after_unlinking() {
    let stage = Stage::new().await;
    let kite = stage.link("kite", KITE).await;
    stage.begin_session(&kite).await;
    let read = uncached(stage.credentials("ticker", &kite), 200).await;
    let access_token = read["access_token"].as_str().unwrap().to_owned();
    let alpaca = stage.link("alpaca", ALPACA).await;
    uncached(stage.on(&alpaca, "verify"), 200).await;
    uncached(stage.credentials("ticker", &alpaca), 200).await;
    for account in [&kite, &alpaca] {
        uncached(stage.asha.delete(format!("/v1/trading-accounts/{account}")), 204).await;
    }
    let secrets = [KITE.1, ALPACA.1, access_token.as_str()];

    let of_data = ["portcullis.db", "portcullis.db-wal"].map(|file| stage.app.folder().join(file));
    let files = of_data.map(|file| std::fs::read(file).unwrap_or_default()).concat();
    assert!(holds(&files, "credentials_read"), "the events are there, so this is where a secret would be");
    let log = std::fs::read(stage.app.scratch().join("log")).unwrap();
    assert!(
        holds(&log, "/v1/internal/trading-accounts/"),
        "requests are logged, so this is where a secret would be"
    );
    for secret in secrets {
        assert!(!holds(&files, secret), "the database holds {secret}");
        assert!(!holds(&log, secret), "the log holds {secret}");
    }

    // Connections hold what was last read from them; a client that goes away takes that with it.
    stage.app.hang_up();
    uncached(stage.app.get("/healthz"), 200).await;
    let core = stage.app.scratch().join("core");
    let dumped =
        Command::new("gcore").arg("-o").arg(&core).arg(stage.app.process_id().to_string()).output().unwrap();
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    // Hundreds of megabytes, so somebody quick looks through them.
    let core = format!("{}.{}", core.display(), stage.app.process_id());
    let holds = |text: &str| {
        let found =
            Command::new("grep").args(["--text", "--quiet", "--fixed-strings", "--", text, &core]).status();
        found.unwrap().code() == Some(0)
    };
    assert!(holds("asha@example.com"), "what lives is there, so this is where a secret would be");
    for secret in secrets {
        assert!(!holds(secret), "the memory holds {secret}");
    }
}

#[tokio::test]
async fn a_service_may_leave_its_purpose_out_unless_it_has_to_name_one() {
    let stage = Stage::new().await;
    let account = stage.link("kite", KITE).await;
    let path = format!("/v1/internal/trading-accounts/{account}/credentials");
    let bare = |service: &str| stage.app.service(service_token(service)).call(Method::POST, &path);
    bare("ticker").await.assert_status(200);
    for body in [json!({}), json!({"purpose": null}), json!({"purpose": ""})] {
        bare("ticker").json(body).await.assert_status(200);
    }
    let read = stage.asha.get("/v1/audit?type=credentials_read").await.assert_status(200);
    let purposes: Vec<&Value> = read.items().iter().map(|event| &event["purpose"]).collect();
    assert_eq!(purposes, ["unspecified"; 4]);
    let refused = bare("chart").await.assert_problem(422, "validation_failed");
    assert_eq!(refused["errors"][0]["pointer"], "/purpose");
}
