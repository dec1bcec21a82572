//! The whole service behind its router, without a socket.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use portcullis_harness::in_process::{PASSWORD, TABLE, operations_on, platform};
use portcullis_identity::{Argon2Settings, ClientContext, Identity};
use portcullis_platform::{CallTimeouts, Environment, SystemClock, SystemEntropy};
use portcullis_service::Settings;
use portcullis_store::Store;
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt;

/// The cost of a password hash unless an operator says otherwise.
pub(crate) const DEFAULT_HASHES: Argon2Settings =
    Argon2Settings { memory_kib: 19_456, iterations: 2, lanes: 1 };

/// What is measured is done more often than anybody may.
const UNLIMITED: (&str, &str) = ("RATE_LIMIT", "off");
/// A refresh within the grace writes nothing; what is measured is the common one, which rotates.
const ALWAYS_ROTATED: (&str, &str) = ("REFRESH_REUSE_GRACE", "0");

/// The service and a client of it.
pub(crate) struct Service {
    pub(crate) identity: Arc<Identity>,
    router: Router,
}

impl Service {
    /// On this engine, which is empty.
    pub(crate) async fn start(engine: SharedHttpClient, hashes: Argon2Settings) -> Self {
        Self::start_with(engine, hashes, [UNLIMITED, ALWAYS_ROTATED].into_iter().collect()).await
    }

    /// The same with this key for access tokens.
    pub(crate) async fn start_with_key(engine: SharedHttpClient, hashes: Argon2Settings, pem: &str) -> Self {
        let environment = [("TOKEN_SIGNING_KEY", pem), UNLIMITED, ALWAYS_ROTATED].into_iter().collect();
        Self::start_with(engine, hashes, environment).await
    }

    /// The same with access tokens that are signed by this algorithm.
    pub(crate) async fn start_signing_by(
        engine: SharedHttpClient,
        hashes: Argon2Settings,
        algorithm: &str,
    ) -> Self {
        let algorithm = ("TOKEN_SIGNING_ALGORITHM", algorithm);
        let environment = [algorithm, UNLIMITED, ALWAYS_ROTATED].into_iter().collect();
        Self::start_with(engine, hashes, environment).await
    }

    async fn start_with(engine: SharedHttpClient, hashes: Argon2Settings, environment: Environment) -> Self {
        let platform = platform(&environment, table_on(engine).await, Arc::new(SystemClock));
        let operations = operations_on(&platform, &environment, hashes).await;
        let state = operations.state(&Settings::read(&environment).expect("defaults"));
        let router = portcullis_local::router(state, Arc::new(SystemClock), Arc::new(SystemEntropy));
        Self { identity: operations.identity, router: router.expect("a router") }
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    pub(crate) async fn register(&self, email: &str) {
        let body = json!({"email": email, "password": PASSWORD, "name": "Somebody"});
        let (status, answer) = self.post("/v1/auth/register", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }

    async fn login(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "token_delivery": "body"});
        let (status, answer) = self.post("/v1/auth/login", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// The refresh token of a new session.
    pub(crate) async fn sign_in(&self, email: &str) -> String {
        text(&self.login(email).await, "refresh_token")
    }

    pub(crate) async fn access_token(&self, email: &str) -> String {
        text(&self.login(email).await, "access_token")
    }

    /// The answer to a wrong password.
    pub(crate) async fn guess_at(&self, email: &str) {
        let body = json!({"email": email, "password": "not this one, surely"});
        let (status, answer) = self.post("/v1/auth/login", &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
    }

    /// The next refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> String {
        let (status, answer) = self.post("/v1/auth/refresh", &json!({"refresh_token": token})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        text(&answer, "refresh_token")
    }

    pub(crate) async fn refresh_without_http(&self, token: &str) {
        self.identity
            .refresh(&SecretString::from(token), &ClientContext::default())
            .await
            .expect("refreshed");
    }

    pub(crate) fn unix_seconds(&self) -> u64 {
        let now = self.identity.clock.now().as_second();
        u64::try_from(now).expect("after 1970")
    }
}

async fn table_on(engine: SharedHttpClient) -> Store {
    let store = Store::in_process(engine, TABLE, CallTimeouts::default());
    store.create_table_if_missing().await.expect("a table");
    store
}

fn text(answer: &Value, name: &str) -> String {
    answer.get(name).and_then(Value::as_str).expect("a text").to_owned()
}
