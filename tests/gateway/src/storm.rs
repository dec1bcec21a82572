//! A proxy between functions and a service of AWS that injects faults into single calls, as a test asks: an error before
//! anything happened, a call that is carried out and gets no response, a batch that is carried out in part.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// No call of ours is larger.
const MOST: usize = 1 << 20;
/// What a function asks the table for at its start; neither counted nor struck.
const AT_THE_START: &str = "\"NOTHING\"";

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this status and AWS's word for it. Nothing happened.
    Refused(u16, &'static str),
    /// A transaction that is cancelled for these reasons, one for each action, the last for all that follow. Nothing
    /// happened.
    Cancelled(&'static [&'static str]),
    /// Carried out, and the connection closes before the response.
    Lost,
    /// Neither carried out nor given a response, so that the caller runs into its timeout.
    Silent,
    /// So many parts of a batch are carried out; the others are given back.
    Partial(usize),
}

/// Which calls meet it, counted from the moment it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// The one of this number.
    Only(usize),
    /// The one of this number and all that follow.
    From(usize),
}

/// One or several ports whose calls are counted and struck together.
#[derive(Debug, Clone, Default)]
pub struct Storm(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    struck: Option<(Calls, Fault)>,
    seen: Vec<String>,
}

struct Port {
    storm: Storm,
    end: String,
    client: Client,
}

impl Storm {
    /// A port that leads to what answers at `end`.
    pub async fn to(&self, end: &str) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let end = end.trim_end_matches('/').to_owned();
        let port = Arc::new(Port { storm: self.clone(), end, client: Client::new() });
        tokio::spawn(axum::serve(listener, Router::new().fallback(pass).with_state(port)).into_future());
        Ok(url)
    }

    /// From here on these calls meet this fault.
    pub fn strike(&self, calls: Calls, fault: Fault) {
        *self.plan() = Plan { struck: Some((calls, fault)), seen: Vec::new() };
    }

    /// From here on nothing goes wrong. Says which operations were called since this was last said, or since a strike.
    pub fn calm(&self) -> Vec<String> {
        std::mem::take(&mut *self.plan()).seen
    }

    fn meet(&self, operation: String) -> Option<Fault> {
        let mut plan = self.plan();
        let number = plan.seen.len();
        plan.seen.push(operation);
        let (calls, fault) = plan.struck?;
        let is_meant = match calls {
            Calls::Only(one) => number == one,
            Calls::From(first) => number >= first,
        };
        is_meant.then_some(fault)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass(State(port): State<Arc<Port>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MOST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.map_or(parts.uri.path(), |target| target.rsplit('.').next().unwrap_or(target));
    let at_the_start = body.windows(AT_THE_START.len()).any(|part| part == AT_THE_START.as_bytes());
    let fault = if at_the_start { None } else { port.storm.meet(operation.to_owned()) };
    let url = format!("{}{}", port.end, parts.uri.path_and_query().map_or("/", |path| path.as_str()));
    let forward = async |body: Bytes| {
        let request = port.client.request(parts.method.clone(), &url).headers(forwarded(&parts.headers));
        answer(request.body(body)).await.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
    };
    match fault {
        None => forward(body).await,
        Some(Fault::Refused(status, code)) => {
            refusal(status, &json!({"__type": code, "message": "injected"}))
        }
        Some(Fault::Cancelled(reasons)) => cancellation(&body, reasons),
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Lost) => {
            forward(body).await;
            // Unwinding ends the connection; resumed, so that no panic message is printed.
            std::panic::resume_unwind(Box::new("the answer is lost"))
        }
        Some(Fault::Partial(first)) => {
            let (now, later) = split(&body, first);
            let mut done =
                if now.is_null() { json!({}) } else { json_of(forward(now.to_string().into()).await).await };
            let name = if operation == "BatchGetItem" { "UnprocessedKeys" } else { "UnprocessedItems" };
            if let Some(done) = done.as_object_mut() {
                done.insert(name.to_owned(), later);
            }
            refusal(200, &done)
        }
    }
}

/// All but what a connection has of its own.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let own = ["host", "content-length", "connection", "transfer-encoding", "accept-encoding"];
    let kept = headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Response<Body>> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status(), forwarded(answer.headers()));
    Ok((status, headers, answer.bytes().await?).into_response())
}

fn refusal(status: u16, body: &Value) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/x-amz-json-1.0")], body.to_string()).into_response()
}

fn cancellation(body: &Bytes, reasons: &[&str]) -> Response<Body> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let actions = request.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len);
    let all = reasons.iter().chain(std::iter::repeat(reasons.last().unwrap_or(&"None"))).take(actions);
    let all: Vec<Value> = all.map(|reason| json!({"Code": reason, "Message": "injected"})).collect();
    let code = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    refusal(400, &json!({"__type": code, "Message": "injected", "CancellationReasons": all}))
}

/// The writes or keys of a batch, table by table.
fn parts(tables: &mut Value) -> impl Iterator<Item = &mut Vec<Value>> {
    let tables = tables.as_object_mut().into_iter().flat_map(|tables| tables.values_mut());
    tables.filter_map(|table| match table {
        Value::Array(writes) => Some(writes),
        other => other.get_mut("Keys").and_then(Value::as_array_mut),
    })
}

/// A batch of one table: its first parts, null if they are none, and the `RequestItems` of the others.
fn split(body: &Bytes, first: usize) -> (Value, Value) {
    let mut now: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut later = now.get("RequestItems").cloned().unwrap_or_default();
    let mut left = 0;
    for parts in parts(&mut later) {
        parts.drain(..first.min(parts.len()));
        left += parts.len();
    }
    if let Some(tables) = now.get_mut("RequestItems") {
        parts(tables).for_each(|parts| parts.truncate(first));
    }
    (if first == 0 { Value::Null } else { now }, if left == 0 { json!({}) } else { later })
}

async fn json_of(answer: Response<Body>) -> Value {
    let body = to_bytes(answer.into_body(), MOST).await.unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_default()
}
