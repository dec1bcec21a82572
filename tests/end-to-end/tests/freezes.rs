//! Freezes through the HTTP surface: by the owner, by administrators of one person and of everybody, and as services meet them.
#![cfg(test)]

use portcullis_harness::app::{App, MALLORY};
use portcullis_harness::brokers::{ALPACA, FakeBrokers, KITE};
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::person::Person;
use portcullis_harness::process::{Target, tool_with};
use portcullis_harness::service::{Service, service_token, service_tokens};
use serde_json::{Value, json};

const SERVICES: &str = r#"{
    "ticker": {"credentials": {"brokers": ["kite", "alpaca"], "kind": "long_lived"}},
    "execution": {"rights": ["trading:cancel"], "credentials": {"brokers": ["kite"], "kind": "session"}},
    "watcher": ["freeze:read"]
}"#;

const NAMES: [&str; 3] = ["ticker", "execution", "watcher"];

/// Runs the command line on the folder of the service, and returns its status and what it said.
fn tool(app: &App, arguments: &[&str], typed: &str) -> (i32, String) {
    let tokens = service_tokens(&NAMES);
    let variables = [("SERVICES", SERVICES), ("SERVICE_TOKENS", tokens.as_str())];
    let (status, out, err) = tool_with(app.folder(), arguments, typed, &variables);
    (status, format!("{out}{err}"))
}

struct Stage {
    app: App,
    brokers: FakeBrokers,
    asha: Person,
    root: Person,
    kite: String,
}

impl Stage {
    async fn new() -> Self {
        let brokers = FakeBrokers::start().unwrap();
        let tokens = service_tokens(&NAMES);
        let mut variables = vec![("SERVICES", SERVICES), ("SERVICE_TOKENS", tokens.as_str())];
        variables.extend([("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1")]);
        let of_brokers = brokers.variables();
        variables.extend(of_brokers.iter().map(|(name, value)| (*name, value.as_str())));
        let app = App::on(Target::Local, &variables);
        let create = ["create-user", "root", "--role", "admin", "--email", "root@example.com"];
        let (status, said) = tool(&app, &create, PASSWORD);
        assert_eq!(status, 0, "{said}");
        let (asha, root) = (app.person("asha@example.com").await, app.sign_in("root@example.com").await);
        brokers.are(json!({"orders": 100})).await;
        let mut linked = Vec::new();
        for (broker, (key, secret, user)) in [("kite", KITE), ("alpaca", ALPACA)] {
            let body =
                json!({"broker": broker, "user_id_broker": user, "api_key": key, "api_secret": secret});
            let account = asha.post("/v1/trading-accounts", body).await.assert_status(201);
            linked.push(account.text("account_id").to_owned());
        }
        let stage = Self { app, brokers, asha, root, kite: linked[0].clone() };
        stage.log_in().await;
        stage
    }

    async fn log_in(&self) {
        let path = format!("/v1/trading-accounts/{}", self.kite);
        let asked = self.asha.post(format!("{path}/verify"), Value::Null).await.assert_status(200);
        let token = self.brokers.log_in(asked.text("login_url")).await;
        let begun = self.asha.post(format!("{path}/session"), json!({"request_token": token}));
        assert_eq!(begun.await.assert_status(200)["status"], "active");
    }

    fn service(&self, name: &str) -> Service {
        self.app.service(service_token(name))
    }

    fn of_account(&self, what: &str) -> String {
        format!("/v1/internal/trading-accounts/{}/{what}", self.kite)
    }

    fn of_asha(&self, what: &str) -> String {
        format!("/v1/admin/users/{}/{what}", self.asha.user_id())
    }
}

#[tokio::test]
async fn orders_are_taken_back_by_the_vault_and_by_the_service_at_the_registered_address() {
    let stage = Stage::new().await;
    let frozen = stage.asha.post("/v1/trading-accounts/freeze", json!({"cancel_orders": true}));
    let frozen = frozen.await.assert_status(200);
    let [kite, alpaca] = frozen["accounts"].as_array().unwrap().as_slice() else { panic!("{frozen}") };
    let told =
        |account: &Value| ["broker", "session", "orders", "open_orders"].map(|name| account[name].clone());
    assert_eq!(told(kite), [json!("kite"), json!("kept"), json!("delegated"), json!(100)]);
    assert_eq!(told(alpaca), [json!("alpaca"), json!("none"), json!("cancelled"), json!(0)]);
    let trading = stage.service("execution").get(stage.of_account("freeze")).await.assert_status(200);
    assert_eq!((&trading["status"], &trading["cancel_until"]), (&json!("frozen"), &frozen["cancel_until"]));
    assert!(frozen["cancel_until"].is_string());
    let cancel = |purpose: &str| {
        stage.service("execution").post(stage.of_account("credentials"), json!({"purpose": purpose}))
    };
    cancel("market-stream").await.assert_problem(403, "credentials_frozen");
    let read = cancel("cancel-orders").await.assert_status(200);
    assert!(read["api_secret"].is_null() && read["access_token"].is_string());
    let told = stage.asha.get("/v1/audit?type=credentials_read&limit=1").await.assert_status(200);
    assert_eq!(told["items"][0]["details"], json!({"during_freeze": true}));

    let acknowledge = |body: Value| stage.service("execution").post(stage.of_account("freeze/ack"), body);
    for (body, pointer) in [
        (json!({"cancelled": 1_000_001, "failed": 0}), "/cancelled"),
        (json!({"cancelled": 0, "failed": 1_000_001}), "/failed"),
        (json!({"cancelled": -1, "failed": 0}), "/cancelled"),
        (json!({"cancelled": 1}), "/failed"),
    ] {
        let refused = acknowledge(body).await.assert_problem(422, "validation_failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    let kept = acknowledge(json!({"cancelled": 1_000_000, "failed": 1_000_000})).await.assert_status(200);
    assert_eq!(kept["session"], "kept");
    let ended = acknowledge(json!({"cancelled": 100, "failed": 0})).await.assert_status(200);
    assert_eq!(ended.body, json!({"account_id": stage.kite, "session": "ended"}));
    stage.asha.post("/v1/trading-accounts/unfreeze", json!({"password": PASSWORD})).await.assert_status(200);
    acknowledge(json!({"cancelled": 100, "failed": 0})).await.assert_problem(409, "nothing_to_cancel");
    let told = stage.asha.get("/v1/audit?type=orders_cancelled").await.assert_status(200);
    let last = &told["items"][0];
    assert_eq!(
        (&last["service"], &last["details"]),
        (&json!("execution"), &json!({"during_freeze": true, "cancelled": 100, "failed": 0}))
    );
}

#[tokio::test]
async fn an_administrator_freezes_a_person_who_sees_who_why_and_until_when() {
    let stage = Stage::new().await;
    for (body, pointer) in [
        (json!({}), "/reason"),
        (json!({"reason": ""}), "/reason"),
        (json!({"reason": "x".repeat(201)}), "/reason"),
        (json!({"reason": "y", "expires_in": 0}), "/expires_in"),
        (json!({"reason": "y", "expires_in": 2_678_401}), "/expires_in"),
        (json!({"reason": "y", "expires_in": 1_000_000_000_000_u64}), "/expires_in"),
    ] {
        let refused = stage.root.post(stage.of_asha("freeze"), body.clone()).await;
        assert_eq!(
            refused.assert_problem(422, "validation_failed")["errors"][0]["pointer"],
            pointer,
            "{body}"
        );
    }
    stage.asha.post(stage.of_asha("freeze"), json!({"reason": "y"})).await.assert_problem(403, "forbidden");
    let body = json!({"reason": "orders that nobody placed", "expires_in": 3600});
    let frozen = stage.root.post(stage.of_asha("freeze"), body).await.assert_status(200);
    assert_eq!(frozen["accounts"][0]["session"], "ended");
    let trading = stage.asha.get("/v1/trading-accounts/freeze").await.assert_status(200);
    let actor = format!("admin:{}", stage.root.user_id());
    let item = json!({
        "by": "admin", "actor": actor, "since": frozen["frozen_at"], "until": frozen["until"],
        "reason": "orders that nobody placed",
    });
    assert_eq!(
        (&trading["frozen_by"], &trading["until"], &trading["freezes"]),
        (&json!("admin"), &frozen["until"], &json!([item]))
    );
    let shown = stage.root.get(stage.of_asha("trading-accounts")).await.assert_status(200);
    assert_eq!(shown["freezes"], json!([item]));
    // The owner's own switch lifts nothing of it.
    let left = stage.asha.post("/v1/trading-accounts/unfreeze", json!({"password": PASSWORD}));
    assert_eq!(left.await.assert_status(200)["frozen_by"], "admin");
    stage.service("ticker").read_credentials(&stage.kite).await.assert_problem(403, "credentials_frozen");
    let told = stage.asha.get("/v1/audit?type=credentials_frozen").await.assert_status(200);
    let event = &told["items"][0];
    assert_eq!(
        (&event["actor"], &event["details"]["reason"]),
        (&json!(actor), &json!("orders that nobody placed"))
    );
    let lifted = stage.root.post(stage.of_asha("unfreeze"), Value::Null).await.assert_status(200);
    assert_eq!(lifted["status"], "active");
    stage.service("ticker").read_credentials(&stage.kite).await.assert_status(200);
    let nobody = "/v1/admin/users/usr_0190f5d7a0007000800000000000000a/freeze";
    stage.root.post(nobody, json!({"reason": "y"})).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn everybody_is_frozen_over_http_and_on_the_command_line() {
    let stage = Stage::new().await;
    let everybody = async || stage.root.get("/v1/admin/freeze").await.assert_status(200).body;
    assert_eq!(everybody().await, json!({"status": "active", "freeze": null}));
    stage.asha.post("/v1/admin/freeze", json!({"reason": "y"})).await.assert_problem(403, "forbidden");
    let body = json!({"reason": "execution runs away", "expires_in": 2_678_400});
    let frozen = stage.root.post("/v1/admin/freeze", body).await.assert_status(200);
    assert_eq!(everybody().await, frozen.body);
    assert_eq!((&frozen["status"], &frozen["freeze"]["by"]), (&json!("frozen"), &json!("everybody")));
    let mallory = stage.app.person(MALLORY).await;
    for person in [&stage.asha, &mallory] {
        let trading = person.get("/v1/trading-accounts/freeze").await.assert_status(200);
        assert_eq!(
            (&trading["frozen_by"], &trading["until"]),
            (&json!("everybody"), &frozen["freeze"]["until"])
        );
    }
    stage.service("ticker").read_credentials(&stage.kite).await.assert_problem(403, "credentials_frozen");
    let trading = stage.service("watcher").get(stage.of_account("freeze")).await.assert_status(200);
    assert_eq!((&trading["frozen_by"], &trading["cancel_until"]), (&json!("everybody"), &Value::Null));
    stage.service("ticker").get(stage.of_account("freeze")).await.assert_problem(403, "forbidden");
    assert_eq!(
        stage.root.post("/v1/admin/unfreeze", Value::Null).await.assert_status(200)["status"],
        "active"
    );
    stage.service("ticker").read_credentials(&stage.kite).await.assert_status(200);

    let tool = |arguments: &[&str]| tool(&stage.app, arguments, "");
    let reason = ["--reason", "execution runs away", "--until", "+1d"];
    assert_eq!(tool(&[&["freeze-everybody"][..], &reason].concat()).0, 2, "nobody is there to ask");
    let (status, said) = tool(&[&["--as", "root", "freeze-everybody", "--yes"][..], &reason].concat());
    assert_eq!((status, said.as_str()), (0, "nobody's broker credentials are read any more\n"));
    assert_eq!(everybody().await["freeze"]["actor"], "cli:root");
    stage.service("ticker").read_credentials(&stage.kite).await.assert_problem(403, "credentials_frozen");
    assert_eq!(tool(&["unfreeze-everybody", "--yes"]).0, 0);
    stage.service("ticker").read_credentials(&stage.kite).await.assert_status(200);
    let (status, said) =
        tool(&[&["--json", "--as", "root", "freeze", "asha@example.com"][..], &reason].concat());
    assert_eq!(status, 0, "{said}");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["accounts"].as_array().unwrap().len(), 2);
    let trading = stage.asha.get("/v1/trading-accounts/freeze").await.assert_status(200);
    assert_eq!(
        (&trading["frozen_by"], &trading["freezes"][0]["actor"]),
        (&json!("admin"), &json!("cli:root"))
    );
    let (_, said) = tool(&["unfreeze", "asha@example.com"]);
    assert_eq!(said, "the broker credentials of asha@example.com can be read again\n");
    stage.service("ticker").read_credentials(&stage.kite).await.assert_status(200);
    for bad in [&["--until", "-1d"][..], &["--until", "+40d"], &["--reason", "\n"]] {
        let arguments = [&["freeze", "asha@example.com"][..], &reason[..2], bad].concat();
        assert_ne!(tool(&arguments).0, 0, "{bad:?}");
    }
}
