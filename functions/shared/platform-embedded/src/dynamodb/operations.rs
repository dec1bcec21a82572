//! One DynamoDB request, one call of the engine, and its response in the form of DynamoDB.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

const TARGET_PREFIX: &str = "DynamoDB_20120810.";
const UNKNOWN_OPERATION: &str = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;

/// A response: an HTTP status and a JSON body.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: String,
}

impl From<DynoxideError> for Reply {
    fn from(error: DynoxideError) -> Self {
        Self { status: error.status_code(), body: error.to_json() }
    }
}

impl Reply {
    /// The reply as the SDK receives it. There is no `x-amz-crc32`: the SDK checks it only where a server sends one,
    /// and nothing is garbled on the way inside one process.
    pub(super) fn into_response(self) -> Result<HttpResponse, ConnectorError> {
        let status =
            StatusCode::try_from(self.status).map_err(|error| ConnectorError::other(error.into(), None))?;
        let mut response = HttpResponse::new(status, SdkBody::from(self.body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        Ok(response)
    }
}

/// Operations that leave everything as it is.
const READING: [&str; 8] = [
    "BatchGetItem",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "ListTables",
    "Query",
    "Scan",
    "TransactGetItems",
];

/// Whether the operation that `target` names may change something.
pub(super) fn changes(target: &str) -> bool {
    !READING.contains(&target.strip_prefix(TARGET_PREFIX).unwrap_or_default())
}

/// Returns the response of the operation that `target`, the value of the `x-amz-target` header, names.
pub(super) fn perform(db: &Database, target: &str, body: &[u8]) -> Reply {
    match target.strip_prefix(TARGET_PREFIX).unwrap_or_default() {
        "BatchGetItem" => reply(body, |request| db.batch_get_item(request)),
        "BatchWriteItem" => reply(body, |request| db.batch_write_item(request)),
        "CreateTable" => reply(body, |request| db.create_table(request)),
        "DeleteItem" => reply(body, |request| db.delete_item(request)),
        "DescribeTable" => reply(body, |request| db.describe_table(request)),
        "DescribeTimeToLive" => reply(body, |request| db.describe_time_to_live(request)),
        "GetItem" => reply(body, |request| db.get_item(request)),
        "ListTables" => reply(body, |request| db.list_tables(request)),
        "PutItem" => reply(body, |request| db.put_item(request)),
        "Query" => reply(body, |request| db.query(request)),
        "Scan" => reply(body, |request| db.scan(request)),
        "TransactGetItems" => reply(body, |request| db.transact_get_items(request)),
        "TransactWriteItems" => reply(body, |request| db.transact_write_items(request)),
        "UpdateItem" => reply(body, |request| db.update_item(request)),
        "UpdateTable" => reply(body, |request| db.update_table(request)),
        "UpdateTimeToLive" => reply(body, |request| db.update_time_to_live(request)),
        _ => Reply { status: 400, body: UNKNOWN_OPERATION.to_owned() },
    }
}

fn reply<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Reply {
    let answer = serde_json::from_slice(body).map_err(|error| unreadable(&error)).and_then(call);
    let written = answer.and_then(|answer| {
        serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
    });
    written.map_or_else(Reply::from, |body| Reply { status: 200, body })
}

/// The engine marks a value that is JSON but no valid attribute (a number that is none, an empty set) with a word in
/// front of the message; DynamoDB returns another error for those than for a body it cannot read at all.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    match message.split_once(':') {
        Some(("VALIDATION" | "VALIDATION_REQUEST" | "VALIDATION_AS_READ", reason)) => {
            DynoxideError::ValidationException(reason.trim().to_owned())
        }
        _ => DynoxideError::SerializationException(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(target: &str, body: &str) -> (u16, String) {
        let reply = perform(&Database::memory().unwrap(), target, body.as_bytes());
        (reply.status, reply.body)
    }

    #[test]
    fn what_is_not_an_operation_is_said_to_be_unknown() {
        for target in
            ["", "DynamoDB_20120810.", "DynamoDB_20120810.Nonsense", "GetItem", "DynamoDB_20111205.GetItem"]
        {
            assert_eq!(ask(target, "{}"), (400, UNKNOWN_OPERATION.to_owned()), "{target}");
        }
    }

    #[test]
    fn whatever_is_not_known_to_read_alone_changes_something() {
        for (name, changing) in
            [("GetItem", false), ("Query", false), ("UpdateItem", true), ("Nonsense", true)]
        {
            assert_eq!(changes(&format!("{TARGET_PREFIX}{name}")), changing, "{name}");
        }
        assert!(changes("GetItem"));
    }

    #[test]
    fn a_body_that_cannot_be_read_is_a_serialization_exception() {
        for body in ["", "{", "null", "\u{fffd}", r#"{"TableName": 1}"#] {
            let (status, answer) = ask("DynamoDB_20120810.GetItem", body);
            assert_eq!(status, 400, "{body}");
            assert!(answer.contains("#SerializationException"), "{body}: {answer}");
        }
    }

    #[test]
    fn a_value_that_is_no_attribute_is_a_validation_exception() {
        let body = r#"{"TableName": "things", "Item": {"pk": {"S": "a"}, "n": {"N": "many"}}}"#;
        let (status, answer) = ask("DynamoDB_20120810.PutItem", body);
        assert_eq!(status, 400);
        assert!(answer.contains("#ValidationException"), "{answer}");
        assert!(!answer.contains("VALIDATION"), "{answer}");
    }
}
