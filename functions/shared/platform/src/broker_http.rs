//! The way to brokers: one request, one answer, nothing followed and nothing repeated.

use std::fmt::Debug;

use async_trait::async_trait;
use http::Method;
use secrecy::{SecretSlice, SecretString};

/// Sends requests to brokers over TLS. An answer that points elsewhere is an answer: what a request carries must not
/// follow wherever a broker, or whoever stands in its place, points.
#[async_trait]
pub trait BrokerHttp: Debug + Send + Sync {
    /// The answer, whatever its status.
    async fn send(&self, request: BrokerRequest) -> Result<BrokerAnswer, BrokerUnreachable>;
}

/// One request. Everything in it but the URL may be secret.
#[derive(Debug)]
pub struct BrokerRequest {
    /// The method brokers are asked with: GET, POST with the form as its body, or DELETE.
    pub method: Method,
    /// Where; nothing secret.
    pub url: String,
    /// Header fields.
    pub headers: Vec<(&'static str, SecretString)>,
    /// Names and values after the question mark.
    pub query: Vec<(&'static str, SecretString)>,
    /// Names and values of a form, sent as the body if there are any.
    pub form: Vec<(&'static str, SecretString)>,
}

impl BrokerRequest {
    /// A request with nothing but a method and a URL.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), query: Vec::new(), form: Vec::new() }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with one more value after the question mark.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// The same with one more value in its form.
    #[must_use]
    pub fn form(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.form.push((name, value.into()));
        self
    }
}

/// What a broker said.
#[derive(Debug)]
pub struct BrokerAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, which may hold a token.
    pub body: SecretSlice<u8>,
}

/// There was no answer, or none that can be used. The text never quotes the request.
#[derive(Debug, thiserror::Error)]
#[error("the broker gave no usable answer")]
pub struct BrokerUnreachable(#[source] pub Box<dyn std::error::Error + Send + Sync>);
