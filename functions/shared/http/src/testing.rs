//! Sends requests to a finished router and looks at the answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use jiff::Timestamp;
use portcullis_identity::EdgeProofKeys;
use portcullis_platform::{Clock, Entropy, EntropyUnavailable, Environment};
use serde_json::Value;
use tower::ServiceExt;

use crate::{HttpSettings, finish};

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Bytes that are all 1 the first time, all 2 the second, and so on.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(())
    }
}

pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl TestResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and code of a problem, after a look at what every problem has.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        (self.status, body["code"].as_str().unwrap().to_owned())
    }

    /// Pointer and detail of the only value that cannot be used.
    #[track_caller]
    pub(crate) fn complaint(&self) -> (String, String) {
        assert_eq!(self.problem(), (422, "validation_failed".to_owned()));
        let errors = self.json()["errors"].as_array().unwrap().clone();
        assert_eq!(errors.len(), 1);
        let text = |name: &str| errors[0][name].as_str().unwrap().to_owned();
        (text("pointer"), text("detail"))
    }
}

/// What the service has when nothing is set.
pub(crate) fn settings() -> HttpSettings {
    HttpSettings::read(&Environment::default()).unwrap()
}

/// The router with all its layers and default settings.
pub(crate) fn app(router: Router) -> Router {
    app_with(router, &settings(), EdgeProofKeys::default())
}

/// The same with these settings and these keys of the edge.
pub(crate) fn app_with(router: Router, settings: &HttpSettings, keys: EdgeProofKeys) -> Router {
    finish(router, settings, keys, Arc::new(Stopped), Arc::new(Counting::default()))
}

/// A request without a body.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path);
    headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value))
        .body(Body::empty())
        .unwrap()
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> TestResponse {
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    TestResponse { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// A body that does not say how long it is.
pub(crate) async fn chunked(bytes: &[u8]) -> Body {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(64);
    for chunk in bytes.chunks(1024) {
        sender.send_data(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    Body::new(body)
}
