//! What each request costs, as the engines' `ConsumedCapacity` counts it, and that `infra/COSTS.md` says so.
//!
//! DynamoDB Local answers four units for every transaction, whatever is in it; the embedded engine counts two for each
//! item, as DynamoDB does. So the page has the embedded engine's figures, and where nothing is a transaction the two
//! must agree.
#![cfg(test)]

use std::fmt::Write;
use std::path::Path;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use portcullis_gateway::Cloud;
use portcullis_gateway::template::{self, Template};
use portcullis_gateway::wire::{State, Wire};
use portcullis_harness::app::App;
use portcullis_harness::call::Call;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::passkey::SoftPasskey;
use portcullis_harness::person::{Person, unix_now};
use portcullis_harness::process::Target;
use portcullis_harness::service::Service;
use portcullis_platform::Environment;
use portcullis_platform_embedded::EmbeddedDynamoDb;
use serde_json::{Value, json};

const ASHA: &str = "asha@example.com";
/// After so many requests every process of a function is running.
const WARM: usize = 6;
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
    pub(crate) const MILLION_KEY_CALLS: f64 = 3.00;
    pub(crate) const MILLION_NOTIFICATIONS: f64 = 100.00;
}

/// What a client wants, and what is assumed and known of it.
struct Case {
    name: &'static str,
    /// Whether it writes in a transaction.
    transacts: bool,
    /// The functions that are asked, one request each, and what Lambda is assumed to bill for it.
    asks: &'static [(&'static str, u32)],
    /// Calls of KMS: a data key is made when something is sealed and opened when it is read, and never kept.
    key_calls: u32,
    notifications: u32,
    /// Queries that find nothing. Each takes a unit, which DynamoDB Local alone leaves out.
    empty_queries: f64,
}

/// What it took of the table.
#[derive(Debug, Default, PartialEq)]
struct Measured {
    rounds: f64,
    reads: f64,
    writes: f64,
}

/// The functions, and what is between them and the providers of keys and secrets.
struct World {
    app: App,
    keepers: Wire,
    people: u32,
    ticker: Service,
    trading: Service,
}

/// What a case needs: a new address, somebody who is signed in, a code, an account.
#[derive(Default)]
struct Prepared {
    email: String,
    person: Option<Person>,
    code: String,
    account: String,
    approval: String,
    /// What is to be sent with a passkey, or for an approval.
    shown: Value,
}

impl Prepared {
    fn person(&self) -> &Person {
        self.person.as_ref().expect("somebody who is signed in")
    }
}

impl World {
    /// A deployment whose table is in the engine behind this URL.
    async fn new(engine: &str) -> Self {
        let keepers = Environment::of_process().raw("AWS_ENDPOINT_URL").expect("tests/with-cloud").to_owned();
        let keepers = Wire::to(&keepers, State::Whole).await.unwrap();
        let url = keepers.url();
        let variables =
            [("AWS_ENDPOINT_URL", url.as_str()), ("AWS_ENDPOINT_URL_DYNAMODB", engine), ("RUST_LOG", "info")];
        let app = App::on(Target::Functions, &variables);
        let cloud = Cloud::of_folder(app.folder(), &Environment::of_process()).await.unwrap();
        let tokens = cloud.service_tokens().await.unwrap();
        let service = |name: &str| app.service(tokens[name][0].as_str().unwrap());
        let (ticker, trading) = (service("ticker"), service("trading"));
        app.register(ASHA).await.assert_status(201);
        Self { app, keepers, people: 0, ticker, trading }
    }

    fn link(person: &Person) -> Call {
        let body = json!({"broker": "alpaca", "user_id_broker": "AB1234", "api_key": "kitekey-9f3c", "api_secret": "s"});
        person.post("/v1/trading-accounts", body)
    }

    /// What has to be there before, made anew each time.
    async fn prepare(&mut self, name: &str) -> Prepared {
        self.people += 1;
        let mut prepared = Prepared { email: format!("p{}@example.com", self.people), ..Prepared::default() };
        match name {
            "register" | "login" | "jwks.json" => {}
            "login with a passkey" => prepared.shown = self.show_passkey().await,
            "login with MFA" => {
                let app = self.app.person(&prepared.email).await.enable_factor().await;
                prepared.code = app.code_at(unix_now());
            }
            "ask for an approval" | "approve an order" | "redeem an approval" => {
                self.prepare_approval(name, &mut prepared).await;
            }
            _ => prepared.person = Some(self.app.sign_in(ASHA).await),
        }
        if name == "refresh within the grace" {
            let person = prepared.person.as_mut().expect("somebody who is signed in");
            person.refresh().await.assert_status(200);
        }
        if name.starts_with("read credentials") {
            let linked = Self::link(prepared.person()).await.assert_status(201);
            prepared.account = linked.text("account_id").to_owned();
        }
        if name == "read credentials again" {
            self.ticker.read_credentials(&prepared.account).await.assert_status(200);
        }
        prepared
    }

    /// Links an account and, where it is about the answer, asks for an approval; where it is about the redemption, approves it.
    async fn prepare_approval(&self, name: &str, prepared: &mut Prepared) {
        let person = self.app.person(&prepared.email).await;
        let linked = Self::link(&person).await.assert_status(201);
        prepared.shown = json!({"authorization_details": [{
            "type": "order", "account_id": linked.text("account_id"), "exchange": "NSE", "symbol": "INFY",
            "side": "buy", "quantity": "10", "order_type": "market",
        }]});
        if name != "ask for an approval" {
            let factor = person.enable_factor().await;
            let asked = person.post("/v1/approvals", prepared.shown.clone()).await.assert_status(201);
            prepared.approval = asked.text("approval_id").to_owned();
            prepared.code = factor.code_at(unix_now());
        }
        if name == "redeem an approval" {
            Self::approve(&person, prepared).await.assert_status(200);
            // That its token was used is noted once an hour, and not by what is measured.
            self.trading.get(format!("/v1/approvals/{}", prepared.approval)).await;
        }
        prepared.person = Some(person);
    }

    fn approve(person: &Person, prepared: &Prepared) -> Call {
        let body = json!({"decision": "approve", "code": prepared.code});
        person.post(format!("/v1/approvals/{}/decide", prepared.approval), body)
    }

    /// Adds a passkey and begins a sign-in with it.
    async fn show_passkey(&self) -> Value {
        let person = self.app.sign_in(ASHA).await;
        let related = self.app.get("/.well-known/webauthn").await.assert_status(200);
        let mut passkey = SoftPasskey::on(related["origins"][0].as_str().unwrap());
        let begun =
            person.post("/v1/passkeys/options", json!({"password": PASSWORD})).await.assert_status(200);
        let made = passkey.create(&begun["publicKey"]);
        let body = json!({"ceremony_token": begun["ceremony_token"], "credential": made});
        person.post("/v1/passkeys", body).await.assert_status(201);
        let begun = self.app.post("/v1/auth/passkey/options", json!({})).await.assert_status(200);
        let shown = passkey.get(&begun["publicKey"]);
        json!({"ceremony_token": begun["ceremony_token"], "credential": shown})
    }

    /// Does it once.
    async fn perform(&self, name: &str, prepared: &Prepared) {
        let sign_out = || json!({"refresh_token": prepared.person().refresh_token()});
        let call = match name {
            "register" => self.app.register(&prepared.email),
            "login" => self.app.login(ASHA, PASSWORD),
            "login with MFA" => {
                let asked = self.app.login(&prepared.email, PASSWORD).await;
                let body = json!({"session_token": asked["session_token"], "code": prepared.code});
                self.app.post("/v1/auth/mfa/verify", body)
            }
            "login with a passkey" => self.app.post("/v1/auth/passkey/verify", prepared.shown.clone()),
            "refresh" | "refresh within the grace" => self.app.refresh(prepared.person().refresh_token()),
            "logout" => self.app.post("/v1/auth/logout", sign_out()),
            "users/me" => prepared.person().me(),
            "auth/status" => prepared.person().get("/v1/auth/status"),
            "link account" => Self::link(prepared.person()),
            "read credentials" | "read credentials again" => self.ticker.read_credentials(&prepared.account),
            "ask for an approval" => prepared.person().post("/v1/approvals", prepared.shown.clone()),
            "approve an order" => Self::approve(prepared.person(), prepared),
            "redeem an approval" => {
                let path = format!("/v1/internal/approvals/{}/redeem", prepared.approval);
                self.trading.post(path, prepared.shown.clone())
            }
            "jwks.json" => self.app.get("/v1/auth/.well-known/jwks.json"),
            other => panic!("{other}"),
        };
        let reply = call.await;
        assert!((200..300).contains(&reply.status), "{reply}");
    }

    /// What the last lines of the functions say it took.
    fn last(&self, case: &Case) -> Measured {
        let text = std::fs::read_to_string(self.app.folder().join("functions.log")).unwrap();
        let mut sum = Measured::default();
        for (service, _) in case.asks {
            let mut lines = text.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let line = lines.find(|line| line["service"] == *service && line["outcome"] == "ok").unwrap();
            let number = |name: &str| line[name].as_f64().unwrap();
            sum.rounds += number("TableRounds");
            sum.reads += number("ConsumedReadUnits");
            sum.writes += number("ConsumedWriteUnits");
        }
        sum
    }
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

fn dollars(case: &Case, measured: &Measured) -> [f64; 5] {
    let functions = Template::read(&template::path()).unwrap().functions();
    let table = measured.reads * price::MILLION_READS + measured.writes * price::MILLION_WRITES;
    let mut lambda = 0.0;
    for (service, billed_ms) in case.asks {
        let memory = functions.iter().find(|function| function.handler == *service).unwrap().memory;
        let gigabytes = f64::from(u32::try_from(memory).unwrap()) / 1_024.0;
        lambda +=
            price::MILLION_INVOCATIONS + 1e3 * gigabytes * f64::from(*billed_ms) * price::GIGABYTE_SECOND;
    }
    let requests = f64::from(u32::try_from(case.asks.len()).unwrap());
    let api = requests * price::MILLION_API_CALLS;
    let keepers = f64::from(case.key_calls) * price::MILLION_KEY_CALLS
        + f64::from(case.notifications) * price::MILLION_NOTIFICATIONS;
    [table, lambda, api, keepers, table + lambda + api + keepers]
}

fn cases() -> [Case; 16] {
    let case = |name, transacts, asks| Case {
        name,
        transacts,
        asks,
        key_calls: 0,
        notifications: 0,
        empty_queries: 0.0,
    };
    [
        case("register", true, &[("register", 60)]),
        case("login", false, &[("login", 60)]),
        Case { key_calls: 1, ..case("login with MFA", true, &[("login", 60), ("mfa", 25)]) },
        case("login with a passkey", true, &[("passkeys", 15)]),
        case("refresh", false, &[("refresh", 15)]),
        case("refresh within the grace", false, &[("refresh", 15)]),
        case("logout", false, &[("logout", 15)]),
        case("users/me", false, &[("users", 10)]),
        case("auth/status", false, &[("sessions", 10)]),
        Case { key_calls: 1, notifications: 1, ..case("link account", true, &[("trading-accounts", 20)]) },
        Case {
            key_calls: 1,
            empty_queries: 2.0,
            ..case("read credentials", false, &[("broker-credentials", 20)])
        },
        // In the lease that the first reading began.
        Case { empty_queries: 2.0, ..case("read credentials again", false, &[("broker-credentials", 20)]) },
        // Nothing else of theirs is pending.
        Case {
            notifications: 1,
            empty_queries: 1.0,
            ..case("ask for an approval", true, &[("approvals", 15)])
        },
        Case { key_calls: 1, ..case("approve an order", true, &[("approvals", 25)]) },
        case("redeem an approval", true, &[("approvals", 15)]),
        case("jwks.json", false, &[("jwks", 2)]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_costs_is_what_the_page_says() {
    let amazons =
        Environment::of_process().raw("AWS_ENDPOINT_URL_DYNAMODB").expect("tests/with-cloud").to_owned();
    let mut second_opinion = World::new(&amazons).await;
    let mut world = World::new(&embedded().await).await;
    let mut table = String::from(
        "| request | round trips, one after the other | read units | write units | KMS, Secrets Manager and SES calls | \
         table | Lambda | API | KMS and SES | per million |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for case in &cases() {
        let needed = u64::from(case.key_calls + case.notifications);
        let (mut calls, mut measured) = (u64::MAX, Measured::default());
        // A function that is still busy with its last answer is started once more, which is not what is counted here: it asks the
        // keepers for its keys, and takes a round to note that the token of a service is in use.
        for _ in 0..WARM {
            let prepared = world.prepare(case.name).await;
            // Connections from before are gone; each call from here on is a new one.
            world.keepers.set(State::Whole);
            let before = world.keepers.connections();
            world.perform(case.name, &prepared).await;
            calls = world.keepers.connections() - before;
            let before = std::mem::replace(&mut measured, world.last(case));
            if calls == needed && before == measured {
                break;
            }
        }
        assert_eq!(calls, needed, "{} asks a keeper when warm", case.name);
        let mut comparable = Measured::default();
        // Here, too.
        for _ in 0..WARM {
            let prepared = second_opinion.prepare(case.name).await;
            second_opinion.perform(case.name, &prepared).await;
            let mut also = second_opinion.last(case);
            also.reads += case.empty_queries;
            comparable = if case.transacts { Measured { writes: measured.writes, ..also } } else { also };
            if comparable == measured {
                break;
            }
        }
        assert_eq!(comparable, measured, "the engines differ about {}", case.name);
        match case.name {
            // Of the four, the trail takes three: a record, its copy in the index, the head of its chain.
            "login" => {
                assert!(measured.rounds <= 2.0 && measured.writes <= 4.0, "over the budget: {measured:?}");
            }
            "register" => assert!(measured.writes <= 8.0, "over the budget: {measured:?}"),
            "login with MFA" => assert!(measured.writes <= 10.0, "over the budget: {measured:?}"),
            // The first round of what a person asks for and approves is the account and the session of the token.
            "login with a passkey" | "approve an order" => {
                assert!(measured.rounds <= 3.0, "over the budget: {measured:?}");
            }
            "ask for an approval" | "redeem an approval" => {
                assert!(measured.rounds <= 2.0, "over the budget: {measured:?}");
            }
            "logout" => assert!(measured.writes <= 5.0, "over the budget: {measured:?}"),
            "refresh" => {
                assert!(measured.rounds <= 1.0 && measured.writes <= 2.0, "over the budget: {measured:?}");
            }
            "refresh within the grace" => {
                assert!(measured.rounds <= 1.0 && measured.writes == 0.0, "over the budget: {measured:?}");
            }
            _ => {}
        }
        let [units, lambda, api, keepers, sum] = dollars(case, &measured);
        let Measured { rounds, reads, writes } = measured;
        writeln!(
            table,
            "| {} | {rounds} | {reads} | {writes} | {calls} | ${units:.3} | ${lambda:.3} | ${api:.2} | \
             ${keepers:.2} | ${sum:.2} |",
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
