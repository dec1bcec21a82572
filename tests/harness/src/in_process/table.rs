//! The table as somebody with access to it sees and changes it, past everything the store knows.

use std::path::Path;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use portcullis_platform_embedded::EmbeddedDynamoDb;
use serde_json::{Value, json};

use crate::in_process::world::{TABLE, World};

impl World {
    /// One operation of DynamoDB, and its answer.
    ///
    /// # Panics
    /// When the engine refuses it.
    pub async fn dynamodb(&self, operation: &str, request: Value) -> Value {
        dynamodb(&self.engine, TABLE, operation, request).await
    }

    /// Every item whose sort key begins like this, in the order of the keys.
    pub async fn items(&self, sort_key: &str) -> Vec<Value> {
        let answer = self.dynamodb("Scan", json!({})).await;
        let all = answer.get("Items").and_then(Value::as_array).cloned().unwrap_or_default();
        let key = |item: &Value, name: &str| {
            let text = item.get(name).and_then(|value| value.get("S")?.as_str());
            text.unwrap_or_default().to_owned()
        };
        let mut found: Vec<Value> =
            all.into_iter().filter(|item| key(item, "sk").starts_with(sort_key)).collect();
        found.sort_by_key(|item| (key(item, "pk"), key(item, "sk")));
        found
    }

    /// Writes an item whatever stood there.
    pub async fn plant(&self, item: &Value) {
        self.dynamodb("PutItem", json!({"Item": item})).await;
    }

    /// Removes an item.
    pub async fn tear_out(&self, item: &Value) {
        self.dynamodb("DeleteItem", json!({"Key": {"pk": item.get("pk"), "sk": item.get("sk")}})).await;
    }
}

#[expect(clippy::expect_used, reason = "there is no test without it")]
async fn dynamodb(engine: &EmbeddedDynamoDb, table: &str, operation: &str, mut request: Value) -> Value {
    if let Some(request) = request.as_object_mut() {
        request.insert("TableName".to_owned(), table.into());
    }
    let mut sent = HttpRequest::new(SdkBody::from(request.to_string()));
    sent.headers_mut().insert("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let answer = engine.call(sent).await.expect("the engine answers");
    let body: Value = serde_json::from_slice(answer.body().bytes().unwrap_or_default()).expect("JSON");
    assert!(answer.status().is_success(), "{operation}: {body}");
    body
}

/// Data keys and ciphertexts of all trading accounts in the folder of a service that runs, as the table has them.
///
/// # Panics
/// When the database cannot be read.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub async fn sealed_in(data_dir: &Path) -> Vec<String> {
    let engine = EmbeddedDynamoDb::open(&data_dir.join("portcullis.db")).expect("a database");
    let answer = dynamodb(&engine, "portcullis", "Scan", json!({})).await;
    let items = answer.get("Items").and_then(Value::as_array).into_iter().flatten();
    let accounts = items.filter(|item| item.get("credentials_key").is_some());
    let values = accounts.filter_map(Value::as_object).flatten();
    values.filter_map(|(_, value)| value.get("B")?.as_str().map(str::to_owned)).collect()
}

/// Makes every password in the folder of a service that runs as old as can be.
///
/// # Panics
/// When the database cannot be read or written.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub async fn age_passwords(data_dir: &Path) {
    const CHANGED_AT: &str = "password_changed_at";
    let engine = EmbeddedDynamoDb::open(&data_dir.join("portcullis.db")).expect("a database");
    let answer = dynamodb(&engine, "portcullis", "Scan", json!({})).await;
    let items = answer.get("Items").and_then(Value::as_array).cloned().unwrap_or_default();
    for mut item in items.into_iter().filter(|item| item.get(CHANGED_AT).is_some()) {
        if let Some(changed_at) = item.get_mut(CHANGED_AT) {
            *changed_at = json!({"N": "0"});
        }
        dynamodb(&engine, "portcullis", "PutItem", json!({"Item": item})).await;
    }
}
