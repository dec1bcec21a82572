//! A service of the platform, which shows a token of its own.

use reqwest::Method;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::endpoint::Endpoint;

/// A caller with a service token.
#[derive(Debug, Clone)]
pub struct Service {
    at: Endpoint,
    /// What it shows.
    pub token: String,
}

impl Service {
    pub(crate) fn new(at: Endpoint, token: String) -> Self {
        Self { at, token }
    }

    /// Returns a request with the service token.
    pub fn call(&self, method: Method, path: impl Into<String>) -> Call {
        self.at.call(method, path).header("x-service-token", &self.token)
    }

    /// Returns a `GET` with the service token.
    pub fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    /// Returns a `POST` with the service token.
    pub fn post(&self, path: impl Into<String>, body: Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// Returns a request for a trading account's credentials.
    pub fn read_credentials(&self, account: &str) -> Call {
        let path = format!("/v1/internal/trading-accounts/{account}/credentials");
        self.post(path, serde_json::json!({"purpose": "market-stream"}))
    }
}

/// Returns the token of the service of this name, where [`service_tokens`] was configured.
pub fn service_token(name: &str) -> String {
    format!("{name:_<40}")
}

/// Returns what `SERVICE_TOKENS` has to say for services of these names.
pub fn service_tokens(names: &[&str]) -> String {
    let tokens: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), service_token(name).into())).collect();
    Value::from(tokens).to_string()
}
