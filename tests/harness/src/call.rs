//! One request of a client: awaiting it sends it, again after 503 where the endpoint says so, and returns the reply.

use std::future::IntoFuture;
use std::pin::Pin;

use reqwest::Method;
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::reply::Reply;

/// A request that can be sent as often as it is cloned.
#[derive(Debug, Clone)]
pub struct Call {
    to: Endpoint,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    bearer: Option<String>,
    body: Value,
}

impl Call {
    pub(crate) fn new(to: Endpoint, method: Method, path: String) -> Self {
        Self { to, method, path, headers: Vec::new(), bearer: None, body: Value::Null }
    }

    /// Shows this access token in place of another.
    #[must_use]
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(token.into());
        self
    }

    /// Sends one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends this body in place of another; null is none.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    /// Sends the request once. Fails when the service is gone before it has responded.
    pub async fn send(&self) -> reqwest::Result<Reply> {
        let url = format!("{}{}", self.to.url(), self.path);
        let mut request = self.to.client().request(self.method.clone(), url);
        if let Some(token) = &self.bearer {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.body.is_null() {
            request = request.json(&self.body);
        }
        Reply::read(self.method.as_str(), &self.path, request.send().await?).await
    }
}

impl IntoFuture for Call {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

    #[expect(clippy::expect_used, reason = "there is no test without a response")]
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut reply = self.send().await.expect("a response");
            for _ in 0..self.to.retries() {
                if reply.status == 503 {
                    reply = self.send().await.expect("a response");
                }
            }
            reply
        })
    }
}
