//! What each request costs, as the engines' `ConsumedCapacity` counts it, and that `infra/COSTS.md` says so.
//!
//! DynamoDB Local answers four units for every transaction, whatever is in it; the embedded engine counts two for each
//! item, as DynamoDB does. So the page has the embedded engine's figures, and where nothing is a transaction the two
//! must agree.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so"
)]

use std::fmt::Write;
use std::path::Path;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use portcullis_gateway::Cloud;
use portcullis_gateway::template::{self, Template};
use portcullis_gateway::wire::{State, Wire};
use portcullis_harness::process::{Running, Target};
use portcullis_platform::{Environment, SecretName};
use portcullis_platform_aws::AwsConnection;
use portcullis_platform_aws::secrets::{SecretsManager, Source};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const PASSWORD: &str = "copper lantern drifts upstream";
const TABLE_BEGINS: &str = "<!-- measured -->\n";
const TABLE_ENDS: &str = "<!-- end -->";

/// List prices on demand in us-east-1, in dollars, as `COSTS.md` quotes them.
mod price {
    pub(crate) const MILLION_READS: f64 = 0.125;
    pub(crate) const MILLION_WRITES: f64 = 0.625;
    pub(crate) const MILLION_API_CALLS: f64 = 1.00;
    pub(crate) const MILLION_INVOCATIONS: f64 = 0.20;
    /// Of an arm64 function.
    pub(crate) const GIGABYTE_SECOND: f64 = 0.000_013_333_4;
}

/// One kind of request, how it is sent, and what Lambda is assumed to bill for it.
struct Case {
    name: &'static str,
    /// Whether it writes in a transaction.
    transacts: bool,
    service: &'static str,
    billed_ms: u32,
}

/// What a request took of the table.
#[derive(Debug, PartialEq)]
struct Measured {
    rounds: f64,
    reads: f64,
    writes: f64,
}

struct World {
    _folder: tempfile::TempDir,
    log: std::path::PathBuf,
    gateway: Running,
    keepers: Wire,
    client: Client,
    sessions: u32,
    /// The token of the ticker service.
    ticker: String,
}

impl World {
    /// A deployment whose table is in the engine behind this URL.
    async fn new(engine: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keepers = Environment::of_process().raw("AWS_ENDPOINT_URL").expect("tests/with-cloud").to_owned();
        let keepers = Wire::to(&keepers, State::Whole).await.unwrap();
        let url = keepers.url();
        let variables =
            [("AWS_ENDPOINT_URL", url.as_str()), ("AWS_ENDPOINT_URL_DYNAMODB", engine), ("RUST_LOG", "info")];
        let gateway = Running::start_target(Target::Functions, folder.path(), &variables).unwrap();
        let log = folder.path().join("functions.log");
        let ticker = ticker_token(folder.path()).await;
        let world =
            Self { _folder: folder, log, gateway, keepers, client: Client::new(), sessions: 0, ticker };
        world
            .post(
                "/v1/auth/register",
                json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"}),
            )
            .await;
        world
    }

    async fn send(&self, method: Method, path: &str, token: Option<&Value>, body: Option<Value>) -> Value {
        let mut request = self.client.request(method, format!("{}{path}", self.gateway.url));
        if let Some(token) = token {
            request = request.bearer_auth(token.as_str().unwrap());
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or_default()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, None, Some(body)).await
    }

    async fn link(&self) -> Value {
        let session = self.login().await;
        let body = json!({"broker": "kite", "user_id_broker": "AB1234", "api_key": "kitekey-9f3c", "api_secret": "s"});
        let path = "/v1/trading-accounts";
        self.send(Method::POST, path, Some(&session["access_token"]), Some(body)).await
    }

    async fn login(&self) -> Value {
        let body = json!({"email": "asha@example.com", "password": PASSWORD, "token_delivery": "body"});
        self.post("/v1/auth/login", body).await
    }

    /// Sends the request once, a session of its own prepared before.
    async fn perform(&mut self, name: &str) {
        self.sessions += 1;
        let number = self.sessions;
        match name {
            "register" => {
                let body =
                    json!({"email": format!("p{number}@example.com"), "password": PASSWORD, "name": "Asha"});
                self.post("/v1/auth/register", body).await;
            }
            "login" => drop(self.login().await),
            "refresh" => {
                let session = self.login().await;
                self.post("/v1/auth/refresh", json!({"refresh_token": session["refresh_token"]})).await;
            }
            "logout" => {
                let session = self.login().await;
                self.post("/v1/auth/logout", json!({"refresh_token": session["refresh_token"]})).await;
            }
            "users/me" => {
                let session = self.login().await;
                self.send(Method::GET, "/v1/users/me", Some(&session["access_token"]), None).await;
            }
            "auth/status" => {
                let session = self.login().await;
                self.send(Method::GET, "/v1/auth/status", Some(&session["access_token"]), None).await;
            }
            "link account" => drop(self.link().await),
            "read credentials" => {
                let account = self.link().await;
                let path = format!(
                    "/v1/internal/trading-accounts/{}/credentials",
                    account["account_id"].as_str().unwrap()
                );
                let request = self.client.post(format!("{}{path}", self.gateway.url));
                let request = request.header("x-service-token", &self.ticker);
                let answer = request.json(&json!({"purpose": "market-stream"})).send().await.unwrap();
                assert!(answer.status().is_success(), "{}", answer.status());
            }
            "jwks.json" => {
                self.send(Method::GET, "/v1/auth/.well-known/jwks.json", None, None).await;
            }
            other => panic!("{other}"),
        }
    }

    /// What the last line of a function says it took.
    fn last(&self, service: &str) -> Measured {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let mut lines = text.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let line = lines.find(|line| line["service"] == service && line["outcome"] == "ok").unwrap();
        let number = |name: &str| line[name].as_f64().unwrap();
        Measured {
            rounds: number("TableRounds"),
            reads: number("ConsumedReadUnits"),
            writes: number("ConsumedWriteUnits"),
        }
    }
}

/// The token of the ticker service in a deployment's secret.
async fn ticker_token(folder: &Path) -> String {
    let cloud = Cloud::of_folder(folder, &Environment::of_process()).await.unwrap();
    let source = SecretsManager::new(&AwsConnection::of_process().await, &cloud.secret);
    let tokens = source.read().await.unwrap().current.versions(SecretName::ServiceTokens, None).unwrap();
    let tokens: Value = serde_json::from_slice(tokens.current.expose_secret()).unwrap();
    tokens["ticker"][0].as_str().unwrap().to_owned()
}

/// The embedded engine behind a port, and where.
async fn embedded() -> String {
    let engine = EmbeddedDynamoDb::in_memory().unwrap();
    let answer = async move |request: axum::http::Request<axum::body::Body>| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let request = axum::http::Request::from_parts(parts, SdkBody::from(body));
        let answer = engine.call(HttpRequest::try_from(request).unwrap()).await.unwrap();
        let status = axum::http::StatusCode::from_u16(answer.status().as_u16()).unwrap();
        (status, [("content-type", "application/x-amz-json-1.0")], answer.body().bytes().unwrap().to_vec())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
    url
}

fn dollars(case: &Case, measured: &Measured) -> [f64; 4] {
    let functions = Template::read(&template::path()).unwrap().functions();
    let binary = format!("{}-function", case.service);
    let memory = functions.iter().find(|function| function.binary == binary).unwrap().memory;
    let gigabytes = f64::from(u32::try_from(memory).unwrap()) / 1_024.0;
    let table = measured.reads * price::MILLION_READS + measured.writes * price::MILLION_WRITES;
    let compute = 1e6 * gigabytes * f64::from(case.billed_ms) / 1e3 * price::GIGABYTE_SECOND;
    let lambda = price::MILLION_INVOCATIONS + compute;
    [table, lambda, price::MILLION_API_CALLS, table + lambda + price::MILLION_API_CALLS]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_costs_is_what_the_page_says() {
    let cases = [
        Case { name: "register", transacts: true, service: "register", billed_ms: 60 },
        Case { name: "login", transacts: false, service: "login", billed_ms: 60 },
        Case { name: "refresh", transacts: false, service: "refresh", billed_ms: 15 },
        Case { name: "logout", transacts: true, service: "logout", billed_ms: 15 },
        Case { name: "users/me", transacts: false, service: "users", billed_ms: 10 },
        Case { name: "auth/status", transacts: false, service: "sessions", billed_ms: 10 },
        Case { name: "link account", transacts: true, service: "trading-accounts", billed_ms: 20 },
        Case { name: "read credentials", transacts: false, service: "credentials", billed_ms: 20 },
        Case { name: "jwks.json", transacts: false, service: "keys", billed_ms: 2 },
    ];
    let amazons =
        Environment::of_process().raw("AWS_ENDPOINT_URL_DYNAMODB").expect("tests/with-cloud").to_owned();
    let mut second_opinion = World::new(&amazons).await;
    let mut world = World::new(&embedded().await).await;
    let mut table = String::from(
        "| request | round trips, one after the other | read units | write units | KMS, Secrets Manager and SES calls | \
         table | Lambda | API | per million |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for case in &cases {
        world.perform(case.name).await;
        // Connections from the start are gone; each call from here on would be a new one.
        world.keepers.set(State::Whole);
        let before = world.keepers.connections();
        world.perform(case.name).await;
        // What is read was linked before, under a data key that was made for it, and its owner got a letter.
        let prepared = if case.name == "read credentials" { 2 } else { 0 };
        let calls = world.keepers.connections() - before - prepared;
        let measured = world.last(case.service);
        for _ in 0..2 {
            second_opinion.perform(case.name).await;
        }
        let also = second_opinion.last(case.service);
        let comparable = if case.transacts { Measured { writes: measured.writes, ..also } } else { also };
        assert_eq!(comparable, measured, "the engines differ about {}", case.name);
        match case.name {
            // Of the four, the trail takes three: a record, its copy in the index, the head of its chain.
            "login" => {
                assert!(measured.rounds <= 2.0 && measured.writes <= 4.0, "over the budget: {measured:?}");
            }
            "refresh" => {
                assert!(measured.rounds <= 1.0 && measured.writes <= 2.0, "over the budget: {measured:?}");
            }
            _ => {}
        }
        // A data key is made when credentials are sealed and opened when they are read, and never kept.
        let needed = match case.name {
            // And its owner gets a letter.
            "link account" => 2,
            "read credentials" => 1,
            _ => 0,
        };
        assert_eq!(calls, needed, "{} asks a keeper when warm", case.name);
        let [units, lambda, api, sum] = dollars(case, &measured);
        let Measured { rounds, reads, writes } = measured;
        writeln!(
            table,
            "| {} | {rounds} | {reads} | {writes} | {calls} | ${units:.3} | ${lambda:.3} | ${api:.2} | ${sum:.2} |",
            case.name
        )
        .unwrap();
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/COSTS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(TABLE_BEGINS).unwrap();
    let (said, _) = rest.split_once(TABLE_ENDS).unwrap();
    assert!(said == table, "infra/COSTS.md is out of date; measured now:\n{table}");
}
