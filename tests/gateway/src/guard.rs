//! IAM in front of the table and of the secrets: a function reaches what its policy in the template allows and is refused everything else.
//!
//! No engine on this machine knows policies, so that a right that is missing would show in the cloud first.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::template::Described;

const TARGET: &str = "x-amz-target";
const KEPT: [&str; 3] = ["content-type", "x-amz-crc32", "x-amzn-requestid"];
const DENIED: &str =
    r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not in the template"}"#;

struct Guard {
    function: Described,
    table: String,
    client: Client,
}

/// One action on the partitions it touches.
#[derive(Debug, PartialEq)]
struct Access<'a> {
    action: &'a str,
    partitions: Vec<&'a str>,
}

/// The URL at which a function finds the table at `table`, as far as it may.
pub async fn guard(function: Described, table: &str) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let guard = Arc::new(Guard { function, table: table.to_owned(), client: Client::new() });
    tokio::spawn(axum::serve(listener, Router::new().fallback(forward).with_state(guard)).into_future());
    Ok(url)
}

struct SecretsGuard {
    function: Described,
    /// What every function may.
    shared: Vec<Value>,
    /// What the names of the secrets begin with.
    name: String,
    secrets: String,
    client: Client,
}

/// The URL at which a function finds the secrets at `secrets` whose names begin with `name`, as far as it may or everybody may.
pub async fn guard_secrets(
    function: Described,
    shared: Vec<Value>,
    secrets: &str,
    name: &str,
) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (secrets, name) = (secrets.to_owned(), name.to_owned());
    let guard = Arc::new(SecretsGuard { function, shared, name, secrets, client: Client::new() });
    let router = Router::new().fallback(forward_secrets).with_state(guard);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(url)
}

async fn forward_secrets(
    State(guard): State<Arc<SecretsGuard>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
    let action = format!("secretsmanager:{}", target.rsplit('.').next().unwrap_or_default());
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let secret = request.get("SecretId").and_then(Value::as_str).unwrap_or_default();
    let mut statements = guard.shared.iter().chain(&guard.function.statements);
    if !statements.any(|statement| allows_secret(statement, &action, secret, &guard.name)) {
        eprintln!("{} may not {action} of {secret}", guard.function.logical_id);
        return (StatusCode::BAD_REQUEST, DENIED).into_response();
    }
    pass_on(&guard.client, &guard.secrets, &headers, body).await
}

/// Whether a statement allows an action on the secret of this name: its resource is called `RecordsSecret` for the secret whose
/// name ends with `/records`, and `Secrets` for the one of everybody.
fn allows_secret(statement: &Value, action: &str, secret: &str, name: &str) -> bool {
    let resource = statement.pointer("/Resource/Ref").and_then(Value::as_str).unwrap_or_default();
    let of_purpose =
        resource.strip_suffix("Secret").map(|purpose| format!("{name}/{}", purpose.to_lowercase()));
    let is_it = match of_purpose {
        Some(named) => named == secret,
        // Another name leads nowhere, and the function has to be told so.
        None => resource == "Secrets" && !secret.starts_with(&format!("{name}/")),
    };
    is_it && items(statement.get("Action")).any(|named| named == action)
}

async fn forward(State(guard): State<Arc<Guard>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let accesses = accesses(operation, &request);
    let denied = accesses.iter().find(|access| !allows(&guard.function, access));
    if let Some(denied) = denied {
        eprintln!("{} may not {denied:?}", guard.function.logical_id);
        return (StatusCode::BAD_REQUEST, DENIED).into_response();
    }
    pass_on(&guard.client, &guard.table, &headers, body).await
}

async fn pass_on(client: &Client, to: &str, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let mut forwarded = client.post(to).body(body);
    for name in [TARGET, "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            forwarded = forwarded.header(name, value);
        }
    }
    match answer(forwarded).await {
        Ok(answer) => answer,
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Response<Body>> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let kept = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let kept: HeaderMap = kept.filter(|(name, _)| KEPT.contains(&name.as_str())).collect();
    Ok((status, kept, answer.bytes().await?).into_response())
}

/// What IAM is asked about a request: a transaction is asked about action by action, a batch as one.
fn accesses<'a>(operation: &'a str, request: &'a Value) -> Vec<Access<'a>> {
    let one = |action, partition| Access { action, partitions: Vec::from_iter(partition) };
    match operation {
        "TransactWriteItems" => items(request.get("TransactItems"))
            .filter_map(|item| {
                let (kind, action) = item.as_object()?.iter().next()?;
                let name = match kind.as_str() {
                    "Put" => "PutItem",
                    "Update" => "UpdateItem",
                    "Delete" => "DeleteItem",
                    _ => "ConditionCheckItem",
                };
                Some(one(name, partition(action)))
            })
            .collect(),
        "BatchWriteItem" => {
            let tables = request.get("RequestItems").and_then(Value::as_object);
            let writes =
                tables.into_iter().flat_map(|tables| tables.values()).flat_map(|writes| items(Some(writes)));
            let actions = writes.filter_map(|write| write.as_object()?.values().next());
            vec![Access { action: operation, partitions: actions.filter_map(partition).collect() }]
        }
        "BatchGetItem" => {
            let tables = request.get("RequestItems").and_then(Value::as_object);
            let keys = tables.into_iter().flat_map(|tables| tables.values());
            let keys = keys.flat_map(|table| items(table.get("Keys")));
            let partitions = keys.filter_map(|key| key.get("pk")?.get("S")?.as_str());
            vec![Access { action: operation, partitions: partitions.collect() }]
        }
        "Query" => {
            let condition = request.get("KeyConditionExpression").and_then(Value::as_str).unwrap_or_default();
            // Of the table, or of its index.
            let condition = condition.strip_prefix("list_").unwrap_or(condition);
            let name =
                condition.strip_prefix("pk = ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            let value = request
                .get("ExpressionAttributeValues")
                .and_then(|values| values.get(name)?.get("S")?.as_str());
            vec![one(operation, value)]
        }
        _ => vec![one(operation, partition(request))],
    }
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

/// The partition key of an action, in its key or its item.
fn partition(action: &Value) -> Option<&str> {
    action.get("Key").or_else(|| action.get("Item"))?.get("pk")?.get("S")?.as_str()
}

/// Whether a statement allows the action on all its partitions. One that names none is refused: every operation the
/// product uses names some.
fn allows(function: &Described, access: &Access<'_>) -> bool {
    let action = format!("dynamodb:{}", access.action);
    !access.partitions.is_empty()
        && function.statements.iter().any(|statement| {
            let keys = statement.pointer("/Condition/ForAllValues:StringLike/dynamodb:LeadingKeys");
            let patterns: Vec<&str> = items(keys).filter_map(Value::as_str).collect();
            items(statement.get("Action")).any(|named| named == action.as_str())
                && access.partitions.iter().all(|key| patterns.iter().any(|pattern| is_like(key, pattern)))
        })
}

fn is_like(text: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(text == pattern, |beginning| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn function() -> Described {
        let statement = |actions: &[&str], keys: &[&str]| {
            let condition = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}});
            json!({"Effect": "Allow", "Action": actions, "Condition": condition})
        };
        Described {
            logical_id: "LoginFunction".into(),
            handler: "login".into(),
            timeout: 10,
            memory: 128,
            routes: Vec::new(),
            statements: vec![
                statement(&["dynamodb:GetItem"], &["EMAIL#*", "NOTHING"]),
                statement(&["dynamodb:BatchWriteItem", "dynamodb:PutItem"], &["SESSIONS#*"]),
            ],
        }
    }

    fn is_allowed(operation: &str, request: &Value) -> bool {
        let accesses = accesses(operation, request);
        !accesses.is_empty() && accesses.iter().all(|access| allows(&function(), access))
    }

    #[test]
    fn an_action_is_allowed_on_the_partitions_of_its_own_statement() {
        let key = |text: &str| json!({"Key": {"pk": {"S": text}}});
        assert!(is_allowed("GetItem", &key("EMAIL#a@example.com")));
        assert!(is_allowed("GetItem", &key("NOTHING")));
        assert!(!is_allowed("GetItem", &key("SESSIONS#usr_1")));
        assert!(!is_allowed("GetItem", &key("NOTHING#")));
        assert!(!is_allowed("DeleteItem", &key("EMAIL#a@example.com")));
        assert!(!is_allowed("Scan", &json!({"TableName": "t"})));
        assert!(!is_allowed("GetItem", &json!({})));
    }

    #[test]
    fn a_secret_is_allowed_by_its_own_statement_alone() {
        let statement = |resource: &str| json!({"Action": ["secretsmanager:GetSecretValue"], "Resource": {"Ref": resource}});
        let reads = |resource: &str, secret: &str| {
            allows_secret(&statement(resource), "secretsmanager:GetSecretValue", secret, "portcullis/dev")
        };
        assert!(reads("Secrets", "portcullis/dev") && reads("SigningSecret", "portcullis/dev/signing"));
        assert!(
            !reads("Secrets", "portcullis/dev/signing") && !reads("RecordsSecret", "portcullis/dev/signing")
        );
        assert!(!reads("RecordsSecret", "portcullis/dev") && !reads("Table", "portcullis/dev"));
        let put = "secretsmanager:PutSecretValue";
        assert!(!allows_secret(&statement("Secrets"), put, "portcullis/dev", "portcullis/dev"));
    }

    #[test]
    fn every_part_of_a_batch_and_of_a_transaction_is_looked_at() {
        let put = |text: &str| json!({"Item": {"pk": {"S": text}}});
        let batch = |keys: &[&str]| {
            let writes: Vec<Value> = keys.iter().map(|key| json!({"PutRequest": put(key)})).collect();
            json!({"RequestItems": {"t": writes}})
        };
        assert!(is_allowed("BatchWriteItem", &batch(&["SESSIONS#a", "SESSIONS#b"])));
        assert!(!is_allowed("BatchWriteItem", &batch(&["SESSIONS#a", "EMAIL#b"])));
        let transaction = |last: Value| json!({"TransactItems": [{"Put": put("SESSIONS#a")}, last]});
        assert!(is_allowed("TransactWriteItems", &transaction(json!({"Put": put("SESSIONS#b")}))));
        assert!(!is_allowed("TransactWriteItems", &transaction(json!({"Put": put("EMAIL#b")}))));
        assert!(!is_allowed(
            "TransactWriteItems",
            &transaction(json!({"Delete": {"Key": {"pk": {"S": "SESSIONS#b"}}}}))
        ));
    }
}
