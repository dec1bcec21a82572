//! The table as somebody with access to it sees and changes it, past everything the store knows.

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use crate::in_process::{TABLE, World};

impl World {
    /// One operation of DynamoDB, and its answer.
    ///
    /// # Panics
    /// When the engine refuses it.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn dynamodb(&self, operation: &str, mut request: Value) -> Value {
        if let Some(request) = request.as_object_mut() {
            request.insert("TableName".to_owned(), TABLE.into());
        }
        let mut sent = HttpRequest::new(SdkBody::from(request.to_string()));
        sent.headers_mut().insert("x-amz-target", format!("DynamoDB_20120810.{operation}"));
        let answer = self.engine.call(sent).await.expect("the engine answers");
        let body: Value = serde_json::from_slice(answer.body().bytes().unwrap_or_default()).expect("JSON");
        assert!(answer.status().is_success(), "{operation}: {body}");
        body
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
