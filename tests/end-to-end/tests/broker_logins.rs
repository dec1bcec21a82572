//! Logins at brokers with OAuth 2.0 through the HTTP surface: Upstox, Fyers and Dhan, as far as their documents say what they do.
#![cfg(test)]

use std::collections::BTreeMap;

use portcullis_harness::app::{App, MALLORY};
use portcullis_harness::brokers::{DHAN, FYERS, FakeBrokers, UPSTOX};
use portcullis_harness::call::Call;
use portcullis_harness::person::{Person, unix_now};
use portcullis_harness::process::Target;
use portcullis_harness::reply::Reply;
use portcullis_harness::service::{service_token, service_tokens};
use serde_json::{Value, json};

const SERVICES: &str =
    r#"{"chart": {"credentials": {"brokers": ["upstox", "fyers", "dhan"], "kind": "session"}}}"#;
const ALL: [(&str, (&str, &str, &str)); 3] = [("upstox", UPSTOX), ("fyers", FYERS), ("dhan", DHAN)];

struct Stage {
    app: App,
    brokers: FakeBrokers,
    asha: Person,
    mallory: Person,
}

impl Stage {
    async fn new() -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let tokens = service_tokens(&["chart"]);
        let mut variables = vec![("SERVICES", SERVICES), ("SERVICE_TOKENS", tokens.as_str())];
        variables.extend([("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1"), ("RUST_LOG", "debug")]);
        let of_brokers = brokers.variables();
        variables.extend(of_brokers.iter().map(|(name, value)| (*name, value.as_str())));
        let app = App::logging(Target::Local, &variables);
        let (asha, mallory) = (app.person("asha@example.com").await, app.person(MALLORY).await);
        Self { app, brokers, asha, mallory }
    }

    async fn link(&self, person: &Person, broker: &str, (key, secret, user): (&str, &str, &str)) -> String {
        let body = json!({"broker": broker, "user_id_broker": user, "api_key": key, "api_secret": secret});
        person.post("/v1/trading-accounts", body).await.assert_status(201).text("account_id").to_owned()
    }

    /// Where the owner is sent to log in, as the broker is asked for it.
    async fn page(&self, person: &Person, account: &str) -> String {
        let asked = verify(person, account).await;
        assert!(asked["reason"].is_string(), "{asked}");
        asked.text("login_url").to_owned()
    }

    /// What a login leads back with, as it is sent to the service.
    async fn log_in(&self, page: &str) -> Value {
        let back = self.brokers.led_back(page).await;
        let named = |name: &str| back.get(name).cloned();
        let code = named("auth_code").or(named("tokenId")).or(named("code"));
        json!({"request_token": code.unwrap(), "state": back.get("state")})
    }

    async fn begin(&self, person: &Person, account: &str) {
        let body = self.log_in(&self.page(person, account).await).await;
        let begun = session(person, account, body).await.assert_status(200);
        assert_eq!(begun["status"], "active");
    }

    fn credentials(&self, account: &str) -> Call {
        self.app.service(service_token("chart")).read_credentials(account)
    }
}

fn session(person: &Person, account: &str, body: Value) -> Call {
    person.post(format!("/v1/trading-accounts/{account}/session"), body)
}

async fn verify(person: &Person, account: &str) -> Reply {
    person.post(format!("/v1/trading-accounts/{account}/verify"), Value::Null).await.assert_status(200)
}

async fn shown(person: &Person, account: &str) -> Reply {
    person.get(format!("/v1/trading-accounts/{account}")).await.assert_status(200)
}

/// The time of this machine, to the second that has begun.
fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(i64::try_from(unix_now()).unwrap()).unwrap()
}

fn query(address: &str) -> BTreeMap<String, String> {
    reqwest::Url::parse(address).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_login_begins_a_session_and_services_get_nothing_but_that() {
    let stage = Stage::new().await;
    for (broker, of) in ALL {
        let account = stage.link(&stage.asha, broker, of).await;
        assert_eq!(stage.credentials(&account).await.assert_status(409)["code"], "no_broker_session");
        let began = now();
        stage.begin(&stage.asha, &account).await;
        assert_eq!(verify(&stage.asha, &account).await["status"], "active", "{broker}");

        let until: jiff::Timestamp =
            shown(&stage.asha, &account).await.text("session_expires_at").parse().unwrap();
        let day = jiff::SignedDuration::from_hours(24);
        assert!(
            until > began && until <= now() + day + jiff::SignedDuration::from_secs(1),
            "{broker}: {until}"
        );
        let india = until.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(5))).time();
        match broker {
            // Half past three and six in India, half an hour behind in the offset of whole hours.
            "upstox" => assert_eq!(india, jiff::civil::time(3, 0, 0, 0)),
            "fyers" => assert_eq!(india, jiff::civil::time(5, 30, 0, 0)),
            _ => assert!(until >= began + day),
        }
        let read = stage.credentials(&account).await.assert_status(200);
        assert!(read["access_token"].is_string() && read["api_secret"].is_null());
        assert_eq!((&read["api_key"], &read["user_id_broker"]), (&json!(of.0), &json!(of.2)));

        // Long after, the broker knows the session no more; that is no fault of its.
        stage.brokers.are(json!({"now": 4_000_000_000_u64})).await;
        let expired = verify(&stage.asha, &account).await;
        assert_eq!(expired["status"], "expired", "{broker}");
        assert!(expired["login_url"].is_string());
        stage.brokers.are(json!({"now": null, "blocked": [of.2]})).await;
        assert_eq!(verify(&stage.asha, &account).await["status"], "rejected", "{broker}");
        stage.brokers.are(json!({"blocked": []})).await;
        let health = stage.asha.get(format!("/v1/providers/{broker}")).await.assert_status(200);
        assert_eq!((&health["status"], &health["consecutive_failures"]), (&json!("healthy"), &json!(0)));
    }
    let log = std::fs::read_to_string(stage.app.scratch().join("log")).unwrap();
    assert!(log.contains("/session"), "requests are logged, so this is where a secret would be");
    assert!(ALL.iter().all(|(_, (_, secret, _))| !log.contains(secret)), "a secret is in the log");
}

#[tokio::test]
async fn the_login_page_says_where_to_lead_back_to_and_which_login_it_was() {
    let stage = Stage::new().await;
    for (broker, of) in [("upstox", UPSTOX), ("fyers", FYERS)] {
        let account = stage.link(&stage.asha, broker, of).await;
        let listed = shown(&stage.asha, &account).await;
        let asked = query(listed.text("login_url"));
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", of.0));
        assert!(asked["redirect_uri"].ends_with("/broker-callback"), "{asked:?}");
        assert!(asked["state"].starts_with(&format!("{account}.")));
        assert_eq!(asked.len(), 4);
    }
    // Dhan has to be asked for a page, with the secret.
    let dhan = stage.link(&stage.asha, "dhan", DHAN).await;
    assert_eq!(shown(&stage.asha, &dhan).await["login_url"], Value::Null);
    let page = stage.page(&stage.asha, &dhan).await;
    assert!(query(&page).contains_key("consentAppId") && !page.contains(DHAN.1), "{page}");
}

/// Cross-site request forgery (RFC 6749, 10.12): whoever leads Asha to the way back with a code of their own begins no session.
#[tokio::test]
async fn what_somebody_else_began_leads_nowhere() {
    let stage = Stage::new().await;
    let asha = stage.link(&stage.asha, "upstox", UPSTOX).await;
    let other = stage.link(&stage.asha, "upstox", UPSTOX).await;
    // Mallory even has the same application and user, so that nothing but the state tells the two apart.
    let mallory = stage.link(&stage.mallory, "upstox", UPSTOX).await;
    let hers = stage.log_in(&stage.page(&stage.mallory, &mallory).await).await;
    let of_other = stage.log_in(&stage.page(&stage.asha, &other).await).await;
    let own = stage.log_in(&stage.page(&stage.asha, &asha).await).await;
    let with = |state: &Value| json!({"request_token": hers["request_token"], "state": state});
    let bent = own["state"].as_str().unwrap().replacen('.', ".1", 1);
    for state in [&hers["state"], &of_other["state"], &json!(bent), &json!("x")] {
        let refused = session(&stage.asha, &asha, with(state)).await.assert_status(409);
        assert_eq!(refused["code"], "broker_refused", "{state}");
    }
    for missing in [json!({"request_token": hers["request_token"]}), with(&Value::Null)] {
        let refused = session(&stage.asha, &asha, missing).await.assert_status(422);
        assert_eq!(refused["errors"][0]["pointer"], "/state");
    }
    // Nothing of all that was sent to the broker.
    let log = stage.brokers.log().await.to_string();
    assert!(!log.contains("authorization/token"), "{log}");
    assert_eq!(shown(&stage.asha, &asha).await["status"], "pending");
    session(&stage.asha, &asha, own).await.assert_status(200);
}

#[tokio::test]
async fn a_state_works_once() {
    let stage = Stage::new().await;
    for (broker, of) in [("upstox", UPSTOX), ("fyers", FYERS)] {
        let account = stage.link(&stage.asha, broker, of).await;
        let page = stage.page(&stage.asha, &account).await;
        let (first, second) = (stage.log_in(&page).await, stage.log_in(&page).await);
        session(&stage.asha, &account, first.clone()).await.assert_status(200);
        // The second has a code that the broker would take; the state is used up.
        for used in [second, first] {
            let refused = session(&stage.asha, &account, used).await.assert_status(409);
            assert!(refused.text("detail").contains("Log in there again"), "{refused}");
        }
        stage.credentials(&account).await.assert_status(200);
    }
}

#[tokio::test]
async fn what_the_broker_refuses_is_told_apart() {
    let stage = Stage::new().await;
    for (broker, (key, secret, user)) in ALL {
        let begun = async |of: (&str, &str, &str)| {
            let account = stage.link(&stage.asha, broker, of).await;
            let asked = verify(&stage.asha, &account).await;
            if asked["login_url"].is_null() {
                return (asked["reason"].clone(), account);
            }
            let body = stage.log_in(asked.text("login_url")).await;
            let refused = session(&stage.asha, &account, body).await.assert_status(409);
            (refused["detail"].clone(), account)
        };
        let (other, account) = begun((key, secret, "SOMEBODY")).await;
        let status = shown(&stage.asha, &account).await["status"].clone();
        // Dhan gives no consent for somebody who is not the application's.
        let (wanted, word) =
            if broker == "dhan" { ("API key", "rejected") } else { ("another account", "rejected") };
        assert!(other.as_str().unwrap().contains(wanted) && status == word, "{broker}: {other} {status}");
        let (wrong, _) = begun((key, "not-the-secret", user)).await;
        let wanted = if broker == "fyers" { "Log in there again" } else { "API key or its secret" };
        assert!(wrong.as_str().unwrap().contains(wanted), "{broker}: {wrong}");

        let account = stage.link(&stage.asha, broker, (key, secret, user)).await;
        let made_up = match broker {
            "dhan" => json!({"request_token": "made-up"}),
            _ => {
                json!({"request_token": "made-up", "state": query(&stage.page(&stage.asha, &account).await)["state"]})
            }
        };
        let refused = session(&stage.asha, &account, made_up).await.assert_status(409);
        assert!(refused.text("detail").contains("Log in there again"), "{broker}: {refused}");
        for mode in ["down", "html", "rate", "redirect"] {
            let body = stage.log_in(&stage.page(&stage.asha, &account).await).await;
            stage.brokers.are(json!({"mode": mode})).await;
            let refused = session(&stage.asha, &account, body).await.assert_status(503);
            assert_eq!(refused["code"], "broker_unavailable", "{broker} {mode}");
            stage.brokers.are(json!({"mode": "ok"})).await;
        }
    }
    assert!(!stage.brokers.log().await.to_string().contains("stolen"));
}

#[tokio::test]
async fn a_freeze_ends_the_sessions_that_the_broker_lets_end() {
    let stage = Stage::new().await;
    let mut tokens = Vec::new();
    for (broker, of) in ALL {
        let account = stage.link(&stage.asha, broker, of).await;
        stage.begin(&stage.asha, &account).await;
        tokens.push(account);
    }
    stage.brokers.are(json!({"orders": 5})).await;
    let frozen = stage
        .asha
        .post("/v1/trading-accounts/freeze", json!({"cancel_orders": true}))
        .await
        .assert_status(200);
    for account in frozen["accounts"].as_array().unwrap() {
        let end = if account["broker"] == "dhan" { "unconfirmed" } else { "ended" };
        assert_eq!((&account["session"], &account["open_orders"]), (&json!(end), &json!(5)), "{account}");
        assert_eq!(account["orders"], "unconfirmed", "nobody may cancel them from here");
    }
    for account in tokens {
        assert_eq!(stage.credentials(&account).await.assert_status(403)["code"], "credentials_frozen");
    }
}
