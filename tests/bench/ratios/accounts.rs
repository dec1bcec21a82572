//! Whether sign-ins and refreshes stay as fast when there are many accounts: a table of a million beside one of a
//! thousand, which take turns.
//!
//! Both are loaded row by row, past the service, which would hash a million passwords. The password hash is the cheapest
//! there is, so that what grows with the table would show.

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use portcullis_harness::in_process::{CHEAP_HASHES, TABLE};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::report::Report;
use crate::service::Service;

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
/// How many of the accounts sign in, spread over all of them.
const ACTIVE: usize = 500;
/// How many times as long anything may take with the many.
const AIM: f64 = 1.10;
/// DynamoDB takes this many rows in one batch.
pub(crate) const BATCH: usize = 25;
/// The account whose rows all others are copies of.
const MODEL: &str = "model@example.com";

/// A service whose table has so many accounts, and those of them that sign in.
struct Population {
    service: Service,
    emails: Vec<String>,
    tokens: Vec<String>,
    turn: usize,
}

pub(crate) fn measure(runtime: &Runtime, report: &mut Report) {
    let mut few = Population::of(runtime, FEW);
    // It is not worth the minutes that the many take unless it was selected.
    if report.time(&format!("login, {FEW} accounts"), || few.sign_in(runtime)).is_none() {
        return;
    }
    let mut many = Population::of(runtime, MANY);
    let name = |what: &str| format!("{what}, {MANY} accounts / {FEW} accounts");
    report.ratio(&name("login"), Some(AIM), &mut || few.sign_in(runtime), || many.sign_in(runtime));
    report.ratio(&name("refresh"), Some(AIM), &mut || few.refresh(runtime), || many.refresh(runtime));
}

impl Population {
    fn of(runtime: &Runtime, accounts: usize) -> Self {
        let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
        let service = runtime.block_on(Service::start(engine.http_client(), CHEAP_HASHES));
        runtime.block_on(service.register(MODEL));
        runtime.block_on(load(&engine, accounts));
        let emails: Vec<String> = (0..ACTIVE).map(|number| address(number * (accounts / ACTIVE))).collect();
        // Each has signed in before, so that what is measured is not the beginning of a chain of the audit trail.
        let tokens = emails.iter().map(|email| runtime.block_on(service.sign_in(email))).collect();
        Self { service, emails, tokens, turn: 0 }
    }

    fn next(&mut self) -> usize {
        self.turn = (self.turn + 1) % ACTIVE;
        self.turn
    }

    fn sign_in(&mut self, runtime: &Runtime) {
        let turn = self.next();
        let email = self.emails.get(turn).expect("an address");
        runtime.block_on(self.service.sign_in(email));
    }

    fn refresh(&mut self, runtime: &Runtime) {
        let turn = self.next();
        let token = self.tokens.get_mut(turn).expect("a token");
        *token = runtime.block_on(self.service.refresh(token));
    }
}

fn address(number: usize) -> String {
    format!("person{number}@example.com")
}

/// Writes the rows of so many accounts, copies of those of [`MODEL`].
async fn load(engine: &EmbeddedDynamoDb, accounts: usize) {
    let rows = dynamodb(engine, "Scan", &json!({"TableName": TABLE})).await;
    let rows = rows.get("Items").and_then(Value::as_array).cloned().expect("rows");
    let text_of = |row: &Value, name: &str| {
        row.get(name).and_then(|value| value.get("S")?.as_str()).map(str::to_owned).unwrap_or_default()
    };
    // What a sign-in and a refresh read: the row under the address and the one under the id.
    let is_read = |row: &&Value| ["CRED", "PROFILE"].contains(&text_of(row, "sk").as_str());
    let model: Vec<String> = rows.iter().filter(is_read).map(Value::to_string).collect();
    let profile = rows.iter().find(|row| text_of(row, "sk") == "PROFILE").expect("a profile");
    let id = text_of(profile, "account");
    let (stem, _) = id.split_at(id.len() - 12);
    let mut batch = Vec::new();
    for number in 0..accounts {
        for row in &model {
            let row = row.replace(MODEL, &address(number)).replace(&id, &format!("{stem}{number:012x}"));
            let row: Value = serde_json::from_str(&row).expect("a row");
            batch.push(json!({"PutRequest": {"Item": row}}));
        }
        if batch.len() + model.len() > BATCH || number + 1 == accounts {
            let items = json!({"RequestItems": {TABLE: std::mem::take(&mut batch)}});
            dynamodb(engine, "BatchWriteItem", &items).await;
        }
    }
}

pub(crate) async fn dynamodb(engine: &EmbeddedDynamoDb, operation: &str, request: &Value) -> Value {
    let mut sent = HttpRequest::new(SdkBody::from(request.to_string()));
    sent.headers_mut().insert("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let answer = engine.call(sent).await.expect("the engine answers");
    let body: Value = serde_json::from_slice(answer.body().bytes().unwrap_or_default()).expect("JSON");
    assert!(answer.status().is_success(), "{operation}: {body}");
    body
}
