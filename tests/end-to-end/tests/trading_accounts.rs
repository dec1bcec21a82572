//! Trading accounts through the HTTP surface, with brokers that behave as Kite and Alpaca say they do.
#![cfg(test)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portcullis_harness::brokers::{ALPACA, FakeBrokers, KITE};
use portcullis_harness::process::{Running, Target};
use portcullis_harness::table::sealed_in;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

const PASSWORD: &str = "copper lantern drifts upstream";
const SERVICES: &str = r#"{
    "ticker": {"rights": ["provider:report"], "credentials": {"brokers": ["kite", "alpaca"], "kind": "long_lived"}},
    "chart": {"credentials": {"brokers": ["kite"], "kind": "session"}},
    "greedy": {"credentials": {"brokers": ["kite"], "kind": "long_lived", "per_minute": 3}},
    "edge": ["api-key:verify"]
}"#;

struct App {
    brokers: FakeBrokers,
    folder: tempfile::TempDir,
    service: Running,
    client: Client,
    asha: String,
    mallory: String,
}

/// The token of a service.
fn token(service: &str) -> String {
    format!("{service:_<40}")
}

impl App {
    async fn start() -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let services: Value = serde_json::from_str(SERVICES).unwrap();
        let names = services.as_object().unwrap().keys();
        let tokens: serde_json::Map<String, Value> =
            names.map(|name| (name.clone(), token(name).into())).collect();
        let tokens = Value::from(tokens).to_string();
        let mut variables =
            vec![("SERVICES", SERVICES), ("SERVICE_TOKENS", tokens.as_str()), ("RUST_LOG", "debug")];
        // The hash is not what is tested here.
        variables.extend([("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1")]);
        let of_brokers = brokers.variables();
        variables.extend(of_brokers.iter().map(|(name, value)| (*name, value.as_str())));
        // What is about brokers is told to the one process alone; the gateway's functions read the same variables.
        let service = Running::start_logging(
            Target::Local,
            &folder.path().join("data"),
            &variables,
            &folder.path().join("log"),
        );
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let mut app = Self {
            brokers,
            folder,
            service: service.unwrap(),
            client,
            asha: String::new(),
            mallory: String::new(),
        };
        app.asha = app.person("asha@example.com").await;
        app.mallory = app.person("mallory@example.com").await;
        app
    }

    async fn person(&self, email: &str) -> String {
        let body = json!({"email": email, "password": PASSWORD, "name": "Somebody"});
        answer(self.request(Method::POST, "/v1/auth/register").json(&body), 201).await;
        let session = answer(self.request(Method::POST, "/v1/auth/login").json(&body), 200).await;
        session["access_token"].as_str().unwrap().to_owned()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.service.url))
    }

    fn by(&self, person: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(person)
    }

    async fn link(&self, broker: &str, (key, secret, user): (&str, &str, &str)) -> String {
        let body = json!({"broker": broker, "user_id_broker": user, "api_key": key, "api_secret": secret});
        let linked = answer(self.by(&self.asha, Method::POST, "/v1/trading-accounts").json(&body), 201).await;
        assert_eq!(linked["status"], "pending");
        linked["account_id"].as_str().unwrap().to_owned()
    }

    fn credentials(&self, service: &str, account: &str) -> RequestBuilder {
        self.request(Method::POST, &format!("/v1/internal/trading-accounts/{account}/credentials"))
            .header("x-service-token", token(service))
            .json(&json!({"purpose": "market-stream"}))
    }

    fn on(&self, account: &str, what: &str) -> RequestBuilder {
        self.by(&self.asha, Method::POST, &format!("/v1/trading-accounts/{account}/{what}"))
    }

    async fn brokers_are(&self, state: Value) {
        let url = format!("{}/_control", self.brokers.url);
        self.client.post(url).json(&state).send().await.unwrap();
    }

    /// Logs in at Kite, as the owner's browser does, and brings back what it is led back with.
    async fn log_in_at_kite(&self, login_url: &str) -> String {
        let led = self.client.get(login_url).send().await.unwrap();
        let back = led.headers()["location"].to_str().unwrap().to_owned();
        back.rsplit_once("request_token=").unwrap().1.to_owned()
    }

    /// Begins the session of the day.
    async fn begin_session(&self, account: &str) {
        let asked = answer(self.on(account, "verify"), 200).await;
        let request_token = self.log_in_at_kite(asked["login_url"].as_str().unwrap()).await;
        let begun =
            answer(self.on(account, "session").json(&json!({"request_token": request_token})), 200).await;
        assert_eq!(begun["status"], "active");
    }
}

async fn answer(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    assert_eq!(headers["cache-control"], "no-store");
    if [429, 503].contains(&got) {
        assert!(headers.contains_key("retry-after"), "{text}");
    }
    serde_json::from_str(&text).unwrap_or_default()
}

#[tokio::test]
async fn an_account_lives_from_its_link_to_its_end() {
    let app = App::start().await;
    let account = app.link("kite", KITE).await;
    let path = format!("/v1/trading-accounts/{account}");
    let expected = [
        "account_id",
        "api_key_hint",
        "broker",
        "created_at",
        "label",
        "status",
        "user_id_broker",
        "verified_at",
    ];
    let shown = answer(app.by(&app.asha, Method::GET, &path), 200).await;
    let mut names: Vec<&String> = shown.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, expected);
    assert_eq!(shown["api_key_hint"], "…9f3c");
    assert_eq!(answer(app.by(&app.asha, Method::GET, "/v1/trading-accounts"), 200).await, json!([shown]));

    let relabelled = app.by(&app.asha, Method::PATCH, &path).json(&json!({"label": "long term"}));
    assert_eq!(answer(relabelled, 200).await["label"], "long term");
    let unlabelled = app.by(&app.asha, Method::PATCH, &path).json(&json!({"label": null}));
    assert_eq!(answer(unlabelled, 200).await["label"], Value::Null);
    let off = app.by(&app.asha, Method::PATCH, &path).json(&json!({"enabled": false}));
    assert_eq!(answer(off, 200).await["status"], "disabled");
    assert_eq!(answer(app.on(&account, "verify"), 409).await["code"], "trading_account_disabled");
    assert_eq!(answer(app.credentials("ticker", &account), 409).await["code"], "trading_account_disabled");
    let on = app.by(&app.asha, Method::PATCH, &path).json(&json!({"enabled": true}));
    assert_eq!(answer(on, 200).await["status"], "pending");

    let replaced = app.by(&app.asha, Method::PUT, &format!("{path}/credentials"));
    let body = json!({"api_key": "anotherkey-1a2b", "api_secret": "another"});
    assert_eq!(answer(replaced.json(&body), 200).await["api_key_hint"], "…1a2b");
    assert_eq!(answer(app.credentials("ticker", &account), 200).await["api_secret"], "another");
    answer(app.by(&app.asha, Method::DELETE, &path), 204).await;
    answer(app.by(&app.asha, Method::DELETE, &path), 404).await;
    answer(app.credentials("ticker", &account), 404).await;

    for (change, pointer) in [
        (json!({"broker": "robinhood"}), "/broker"),
        (json!({"user_id_broker": "a b"}), "/user_id_broker"),
        (json!({"api_key": "a\r\nb"}), "/api_key"),
        (json!({"api_secret": ""}), "/api_secret"),
        (json!({"label": "\u{0}"}), "/label"),
    ] {
        let mut body = json!({"broker": "kite", "user_id_broker": "A", "api_key": "k", "api_secret": "s"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = answer(app.by(&app.asha, Method::POST, "/v1/trading-accounts").json(&body), 422).await;
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn every_access_to_somebody_elses_account_is_not_found() {
    let app = App::start().await;
    let account = app.link("kite", KITE).await;
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
            let refused = answer(app.by(&app.mallory, method.clone(), &path).json(&body), 404).await;
            assert_eq!(refused["code"], "not_found", "{method} {path}");
        }
    }
    assert_eq!(answer(app.by(&app.mallory, Method::GET, "/v1/trading-accounts"), 200).await, json!([]));
    assert_eq!(answer(app.credentials("ticker", &account), 200).await["api_key"], KITE.0);
}

#[tokio::test]
async fn kite_wants_a_login_every_day_and_the_session_goes_to_the_services() {
    let app = App::start().await;
    let account = app.link("kite", KITE).await;
    let asked = answer(app.on(&account, "verify"), 200).await;
    assert_eq!(asked["status"], "pending");
    assert!(asked["reason"].as_str().unwrap().starts_with("Log in at Kite"), "{asked}");
    assert_eq!(answer(app.credentials("chart", &account), 409).await["code"], "no_broker_session");

    let request_token = app.log_in_at_kite(asked["login_url"].as_str().unwrap()).await;
    let body = json!({"request_token": request_token});
    let begun = answer(app.on(&account, "session").json(&body), 200).await;
    assert_eq!((&begun["status"], &begun["reason"]), (&json!("active"), &Value::Null));
    let again = answer(app.on(&account, "session").json(&body), 409).await;
    assert_eq!(again["code"], "broker_refused");
    assert!(again["detail"].as_str().unwrap().contains("Log in there again"), "{again}");
    assert_eq!(answer(app.on(&account, "verify"), 200).await["status"], "active");

    let for_chart = answer(app.credentials("chart", &account), 200).await;
    assert!(for_chart["access_token"].is_string() && for_chart.get("api_secret").is_none());
    let for_ticker = answer(app.credentials("ticker", &account), 200).await;
    assert_eq!(
        (&for_ticker["api_secret"], &for_ticker["access_token"]),
        (&json!(KITE.1), &for_chart["access_token"])
    );

    // The next morning in India Kite knows the session no more.
    app.brokers_are(json!({"now": 4_000_000_000_u64})).await;
    let expired = answer(app.on(&account, "verify"), 200).await;
    assert_eq!(expired["status"], "expired");
    assert!(expired["login_url"].is_string() && expired["reason"].as_str().unwrap().contains("log in there"));
    // That is its owner's affair and no fault of Kite's.
    let health = answer(app.by(&app.asha, Method::GET, "/v1/providers/kite"), 200).await;
    assert_eq!((&health["status"], &health["consecutive_failures"]), (&json!("healthy"), &json!(0)));
    app.brokers_are(json!({"now": null, "blocked": [KITE.2]})).await;
    let blocked = answer(app.on(&account, "verify"), 200).await;
    assert_eq!(blocked["status"], "rejected");
    assert!(blocked["reason"].as_str().unwrap().contains("blocked"), "{blocked}");
}

#[tokio::test]
async fn a_broker_that_is_down_rejects_nobody() {
    let app = App::start().await;
    let (kite, alpaca) = (app.link("kite", KITE).await, app.link("alpaca", ALPACA).await);
    app.begin_session(&kite).await;
    assert_eq!(answer(app.on(&alpaca, "verify"), 200).await["status"], "active");
    for mode in ["down", "html", "rate", "redirect"] {
        app.brokers_are(json!({"mode": mode})).await;
        for account in [&kite, &alpaca] {
            let asked = answer(app.on(account, "verify"), 200).await;
            assert_eq!(asked["status"], "active", "{mode}");
            assert!(asked["reason"].as_str().unwrap().contains("try again"), "{mode}: {asked}");
        }
        let refused = answer(app.on(&kite, "session").json(&json!({"request_token": "x"})), 503).await;
        assert_eq!(refused["code"], "broker_unavailable", "{mode}");
    }
    // Nothing was followed to where the answer pointed.
    let log: Value =
        app.client.get(format!("{}/_log", app.brokers.url)).send().await.unwrap().json().await.unwrap();
    assert!(!log.to_string().contains("stolen"), "{log}");
    app.brokers_are(json!({"mode": "ok"})).await;

    let wrong = app.link("alpaca", (ALPACA.0, "not-the-secret", ALPACA.2)).await;
    let refused = answer(app.on(&wrong, "verify"), 200).await;
    assert_eq!(refused["status"], "rejected");
    assert!(refused["reason"].as_str().unwrap().contains("API key or its secret"), "{refused}");
    let other = app.link("alpaca", (ALPACA.0, ALPACA.1, "PA_SOMEBODY_ELSE")).await;
    assert!(
        answer(app.on(&other, "verify"), 200).await["reason"].as_str().unwrap().contains("another account")
    );
    assert_eq!(
        answer(app.on(&alpaca, "session").json(&json!({"request_token": "x"})), 409).await["code"],
        "broker_without_sessions"
    );
}

#[tokio::test]
async fn a_freeze_stops_every_reading_and_ends_the_sessions() {
    let app = App::start().await;
    let (kite, alpaca) = (app.link("kite", KITE).await, app.link("alpaca", ALPACA).await);
    app.begin_session(&kite).await;
    let freeze = |what: &str, body: Value| {
        app.by(&app.asha, Method::POST, &format!("/v1/trading-accounts/{what}")).json(&body)
    };
    answer(freeze("freeze", json!({"password": "not it at all"})), 403).await;
    answer(freeze("freeze", json!({})), 422).await;
    answer(freeze("freeze", json!({"password": PASSWORD, "code": "123456"})), 422).await;
    assert_eq!(answer(freeze("freeze", json!({"code": "123456"})), 409).await["code"], "mfa_not_set_up");
    answer(app.credentials("ticker", &kite), 200).await;

    let frozen = answer(freeze("freeze", json!({"password": PASSWORD})), 200).await;
    assert_eq!(frozen["status"], "frozen");
    let ends: Vec<&Value> =
        frozen["accounts"].as_array().unwrap().iter().map(|account| &account["session"]).collect();
    assert_eq!(ends, ["ended", "none"]);
    for (service, account) in [("ticker", &kite), ("chart", &kite), ("ticker", &alpaca)] {
        assert_eq!(answer(app.credentials(service, account), 403).await["code"], "credentials_frozen");
    }
    answer(freeze("unfreeze", json!({"password": PASSWORD})), 200).await;
    let read = answer(app.credentials("ticker", &kite), 200).await;
    assert!(read.get("access_token").is_none(), "the session was ended");
    assert_eq!(answer(app.on(&kite, "verify"), 200).await["status"], "expired");
}

#[tokio::test]
async fn a_service_is_known_by_its_token_and_held_to_its_entry() {
    let mut app = App::start().await;
    let (kite, alpaca) = (app.link("kite", KITE).await, app.link("alpaca", ALPACA).await);
    let path = format!("/v1/internal/trading-accounts/{kite}/credentials");
    let body = json!({"purpose": "market-stream"});
    let shown = |token: &str| app.request(Method::POST, &path).header("x-service-token", token).json(&body);
    for wrong in ["", "ticker", &token("nobody"), &app.asha] {
        assert_eq!(answer(shown(wrong), 401).await["code"], "invalid_service_token");
    }
    let by_person = app.by(&app.asha, Method::POST, &path).json(&body);
    assert_eq!(answer(by_person, 401).await["code"], "authentication_required");
    assert_eq!(answer(app.credentials("edge", &kite), 403).await["code"], "forbidden");
    assert_eq!(answer(app.credentials("chart", &alpaca), 403).await["code"], "forbidden");
    for purpose in ["", "Two Words", "a\nb", &"p".repeat(65)] {
        let asked = shown(&token("ticker")).json(&json!({"purpose": purpose}));
        assert_eq!(answer(asked, 422).await["errors"][0]["pointer"], "/purpose");
    }
    answer(app.credentials("ticker", &kite).header("x-request-id", "ticker-start-42"), 200).await;
    let told = app.by(&app.asha, Method::GET, "/v1/audit?type=credentials_read&limit=1");
    let event = &answer(told, 200).await["items"][0];
    let names = ["actor", "service", "purpose", "target", "request_id"];
    let said = names.map(|name| event[name].as_str().unwrap());
    assert_eq!(said, ["service:ticker", "ticker", "market-stream", &kite, "ticker-start-42"]);
    let mut refused = 0;
    for _ in 0..7 {
        let read = app.credentials("greedy", &kite).send().await.unwrap();
        refused += u32::from(read.status() == 429);
    }
    // Seven requests may lie in two minutes, three of which are let through in each.
    assert!((1..=4).contains(&refused), "{refused}");
    answer(app.credentials("ticker", &kite), 200).await;

    // While a token is replaced both are good, and then the old one is not.
    let new = "n".repeat(40);
    for (tokens, old_is_good) in [(json!([token("ticker"), new]), true), (json!([new]), false)] {
        app.service.terminate().unwrap();
        let tokens = json!({"ticker": tokens}).to_string();
        let variables = [("SERVICE_TOKENS", tokens.as_str()), ("SERVICES", SERVICES)];
        app.service =
            Running::start_target(Target::Local, &app.folder.path().join("data"), &variables).unwrap();
        let path = format!("/v1/internal/trading-accounts/{kite}/credentials");
        let by_new = app.request(Method::POST, &path).header("x-service-token", &new).json(&body);
        answer(by_new, 200).await;
        answer(app.credentials("ticker", &kite), if old_is_good { 200 } else { 401 }).await;
    }
}

/// A request may take five seconds whatever a broker does, and its answer has to arrive.
const DEADLINE: Duration = Duration::from_secs(6);

/// The answer, and that it came in time.
async fn answer_in_time(request: RequestBuilder, status: u16) -> Value {
    tokio::time::timeout(DEADLINE, answer(request, status)).await.expect("an answer within the deadline")
}

#[tokio::test]
async fn a_broker_that_hangs_is_given_up_on_in_time_and_rejects_nobody() {
    let app = App::start().await;
    let (kite, alpaca) = (app.link("kite", KITE).await, app.link("alpaca", ALPACA).await);
    app.begin_session(&kite).await;
    assert_eq!(answer(app.on(&alpaca, "verify"), 200).await["status"], "active");
    app.brokers_are(json!({"mode": "hang"})).await;
    for account in [&kite, &alpaca] {
        let asked = answer_in_time(app.on(account, "verify"), 200).await;
        assert_eq!(asked["status"], "active");
        assert!(asked["reason"].as_str().unwrap().contains("did not answer"), "{asked}");
    }
    let begun = app.on(&kite, "session").json(&json!({"request_token": "x"}));
    assert_eq!(answer_in_time(begun, 503).await["code"], "broker_unavailable");
    for account in [&kite, &alpaca] {
        let path = format!("/v1/trading-accounts/{account}");
        assert_eq!(answer(app.by(&app.asha, Method::GET, &path), 200).await["status"], "active");
    }
    // Two calls of each were given up on.
    let health = answer(app.by(&app.asha, Method::GET, "/v1/providers/kite"), 200).await;
    assert_eq!((&health["status"], &health["consecutive_failures"]), (&json!("degraded"), &json!(2)));
}

#[tokio::test]
async fn a_freeze_stands_whether_or_not_the_broker_can_be_reached_and_says_so() {
    let app = App::start().await;
    let kite = app.link("kite", KITE).await;
    let change = |what: &str| {
        let proof = json!({"password": PASSWORD});
        app.by(&app.asha, Method::POST, &format!("/v1/trading-accounts/{what}")).json(&proof)
    };
    for mode in ["hang", "down", "rate", "html"] {
        app.brokers_are(json!({"mode": "ok"})).await;
        app.begin_session(&kite).await;
        app.brokers_are(json!({"mode": mode})).await;
        let frozen = answer_in_time(change("freeze"), 200).await;
        let [account] = frozen["accounts"].as_array().unwrap().as_slice() else { panic!("{frozen}") };
        assert_eq!(
            (&frozen["status"], &account["session"]),
            (&json!("frozen"), &json!("unconfirmed")),
            "{mode}"
        );
        let reason = account["reason"].as_str().unwrap();
        assert!(reason.starts_with("Kite could not be reached") && reason.contains("T00:30:00Z"), "{reason}");
        assert_eq!(answer(app.credentials("chart", &kite), 403).await["code"], "credentials_frozen");
        assert_eq!(answer(app.on(&kite, "verify"), 403).await["code"], "credentials_frozen");
        // Once the broker is back, freezing again ends what is left.
        app.brokers_are(json!({"mode": "ok"})).await;
        let again = answer(change("freeze"), 200).await;
        assert_eq!(again["accounts"][0]["session"], "ended", "{mode}: {again}");
        assert!(again["accounts"][0].get("reason").is_none());
        assert_eq!(answer(app.credentials("chart", &kite), 403).await["code"], "credentials_frozen");
        answer(change("unfreeze"), 200).await;
    }
    let log: Value =
        app.client.get(format!("{}/_log", app.brokers.url)).send().await.unwrap().json().await.unwrap();
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
async fn a_life_with_secrets(app: &App) -> Vec<String> {
    let data = app.folder.path().join("data");
    let mut sealed = Vec::new();
    let (kite, alpaca) = (app.link("kite", KITE).await, app.link("alpaca", ALPACA).await);
    app.begin_session(&kite).await;
    sealed.extend(sealed_in(&data).await);
    assert_eq!(sealed.len(), 6, "two accounts and a session, each with a data key");
    let (status, _, said) = portcullis_harness::process::tool(&data, &["rotate-credentials"], "");
    assert_eq!(status, 0, "{said}");
    sealed.extend(sealed_in(&data).await);
    let body = json!({"api_key": KITE.0, "api_secret": KITE.1});
    let path = format!("/v1/trading-accounts/{kite}");
    answer(app.by(&app.asha, Method::PUT, &format!("{path}/credentials")).json(&body), 200).await;
    app.begin_session(&kite).await;
    sealed.extend(sealed_in(&data).await);
    sealed.sort();
    sealed.dedup();
    // Of Alpaca's credentials there are two seals, of everything of Kite's three and two.
    assert!(sealed.len() >= 14, "{}", sealed.len());
    for account in [&kite, &alpaca] {
        answer(app.by(&app.asha, Method::DELETE, &format!("/v1/trading-accounts/{account}")), 204).await;
    }
    assert!(sealed_in(&data).await.is_empty());
    sealed
}

#[tokio::test]
async fn of_what_was_sealed_no_byte_lies_in_the_folder_once_the_service_has_stopped() {
    let mut app = App::start().await;
    let sealed = a_life_with_secrets(&app).await;
    let data = app.folder.path().join("data");
    let before = all_files(&data);
    assert!(!left(&before, &sealed).is_empty(), "this is where it would be seen");
    app.service.terminate().unwrap();
    let after = all_files(&data);
    assert!(holds(&after, "trading_account_unlinked"), "the database is there");
    assert_eq!(left(&after, &sealed), Vec::<&String>::new());
}

#[tokio::test]
async fn what_a_service_left_that_was_killed_is_wiped_by_the_next() {
    let mut app = App::start().await;
    let sealed = a_life_with_secrets(&app).await;
    let data = app.folder.path().join("data");
    app.service.kill().unwrap();
    assert!(!left(&all_files(&data), &sealed).is_empty(), "a kill leaves traces");
    app.service = Running::start_target(Target::Local, &data, &[]).unwrap();
    app.service.terminate().unwrap();
    assert_eq!(left(&all_files(&data), &sealed), Vec::<&String>::new());
}

#[tokio::test]
async fn no_byte_of_a_credential_lies_in_the_database_the_log_or_the_memory_after_unlinking() {
    let mut app = App::start().await;
    let kite = app.link("kite", KITE).await;
    app.begin_session(&kite).await;
    let read = answer(app.credentials("ticker", &kite), 200).await;
    let access_token = read["access_token"].as_str().unwrap().to_owned();
    let alpaca = app.link("alpaca", ALPACA).await;
    answer(app.on(&alpaca, "verify"), 200).await;
    answer(app.credentials("ticker", &alpaca), 200).await;
    for account in [&kite, &alpaca] {
        answer(app.by(&app.asha, Method::DELETE, &format!("/v1/trading-accounts/{account}")), 204).await;
    }
    let secrets = [KITE.1, ALPACA.1, access_token.as_str()];

    let of_data =
        ["portcullis.db", "portcullis.db-wal"].map(|file| app.folder.path().join("data").join(file));
    let files = of_data.map(|file| std::fs::read(file).unwrap_or_default()).concat();
    assert!(holds(&files, "credentials_read"), "the events are there, so this is where a secret would be");
    let log = std::fs::read(app.folder.path().join("log")).unwrap();
    assert!(
        holds(&log, "/v1/internal/trading-accounts/"),
        "requests are logged, so this is where a secret would be"
    );
    for secret in secrets {
        assert!(!holds(&files, secret), "the database holds {secret}");
        assert!(!holds(&log, secret), "the log holds {secret}");
    }

    // Connections hold what was last read from them; a client that goes away takes that with it.
    app.client = Client::new();
    answer(app.request(Method::GET, "/healthz"), 200).await;
    let core = app.folder.path().join("core");
    let dumped =
        Command::new("gcore").arg("-o").arg(&core).arg(app.service.id().to_string()).output().unwrap();
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    // Hundreds of megabytes, so somebody quick looks through them.
    let core = format!("{}.{}", core.display(), app.service.id());
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
