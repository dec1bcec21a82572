//! A rotation as one would write it carelessly: read the session, look at it, write it.
//!
//! The suites run their races and faults on this as well and expect to find the damage, so that nobody has to believe
//! that they could.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// Takes the condition out of each rotation and checks it in a read of its own, some time before the write.
#[derive(Debug, Clone)]
pub struct Unguarded(SharedHttpConnector);

impl Unguarded {
    /// In front of this connector.
    pub fn before(inner: impl HttpConnector + 'static) -> Self {
        Self(SharedHttpConnector::new(inner))
    }

    /// For the store.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }
}

impl HttpClient for Unguarded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Unguarded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.0.clone();
        let body: Value =
            serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let is_rotation =
            body["UpdateExpression"].as_str().is_some_and(|update| update.contains("successor"));
        if !is_rotation {
            return inner.call(request);
        }
        HttpConnectorFuture::new(async move {
            let read = json!({"TableName": body["TableName"], "Key": body["Key"], "ConsistentRead": true});
            let mut reading = request.try_clone().unwrap_or_else(|| unreachable!("a body in memory"));
            reading.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem");
            let answer = inner.call(with_body(reading, &read)).await?;
            if !answer.status().is_success() {
                return Ok(answer);
            }
            let found: Value =
                serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
            let (row, given) = (&found["Item"], &body["ExpressionAttributeValues"]);
            let time = |value: &Value| value["N"].as_str().and_then(|number| number.parse::<i64>().ok());
            let holds = row["gen"] == given[":gen"]
                && row["cur"] == given[":presented"]
                && row.get("revoked_at").is_none()
                && time(&row["rotated_at"]) <= time(&given[":last_step_by"]);
            if !holds {
                return Ok(condition_failed(row));
            }
            let mut write = body;
            if let Some(fields) = write.as_object_mut() {
                fields.remove("ConditionExpression");
            }
            // The values only the condition spoke of must not be sent without it.
            if let Some(values) = write["ExpressionAttributeValues"].as_object_mut() {
                values.remove(":gen");
                values.remove(":last_step_by");
            }
            inner.call(with_body(request, &write)).await
        })
    }
}

fn with_body(mut request: HttpRequest, body: &Value) -> HttpRequest {
    *request.body_mut() = SdkBody::from(body.to_string());
    request
}

fn condition_failed(row: &Value) -> HttpResponse {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": row,
    });
    let status = StatusCode::try_from(400).unwrap_or_else(|_| unreachable!("a status of ours"));
    HttpResponse::new(status, SdkBody::from(body.to_string()))
}
