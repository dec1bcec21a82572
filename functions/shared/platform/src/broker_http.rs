//! The HTTP client for brokers: one request, one response, no redirects and no retries.

use std::fmt::Debug;

use async_trait::async_trait;
use http::Method;
use secrecy::{SecretSlice, SecretString};

/// Sends requests to brokers over TLS. A redirect is returned as a response and not followed: the secrets in a request
/// must not reach a host that a broker, or an impostor of one, names.
#[async_trait]
pub trait BrokerHttp: Debug + Send + Sync {
    /// Returns the response, whatever its status; fails when no usable response arrives. The request is not retried.
    async fn send(&self, request: BrokerRequest) -> Result<BrokerResponse, BrokerUnreachable>;
}

/// One request to a broker. Everything in it but the URL may be secret.
#[derive(Debug)]
pub struct BrokerRequest {
    /// The request method: GET, POST with the form or the document as its body, or DELETE.
    pub method: Method,
    /// The URL without its query; it holds no secret.
    pub url: String,
    /// Names and values of the header fields.
    pub headers: Vec<(&'static str, SecretString)>,
    /// Names and values of the query string.
    pub query: Vec<(&'static str, SecretString)>,
    /// Names and values of a form, sent as the body if there are any.
    pub form: Vec<(&'static str, SecretString)>,
    /// A JSON document, sent as the body of a request without a form.
    pub json: Option<SecretString>,
    /// The maximum size of the body of the response, in bytes; a longer one is none.
    pub most: usize,
}

/// The size of most responses at most: profiles are a few kilobytes.
const MOST: usize = 64 * 1024;

impl BrokerRequest {
    /// Returns a request with a method and a URL, without headers, query or form.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        let (headers, query, form) = (Vec::new(), Vec::new(), Vec::new());
        Self { method, url: url.into(), headers, query, form, json: None, most: MOST }
    }

    /// Returns the request with one more header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Returns the request with one more query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Returns the request whose response may have a body of this many bytes.
    #[must_use]
    pub fn up_to(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// Returns the request with one more form field.
    #[must_use]
    pub fn form(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.form.push((name, value.into()));
        self
    }

    /// Returns the request with a JSON document as its body.
    #[must_use]
    pub fn json(mut self, document: impl Into<SecretString>) -> Self {
        self.json = Some(document.into());
        self
    }
}

/// The response of a broker.
#[derive(Debug)]
pub struct BrokerResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body, which may hold a token.
    pub body: SecretSlice<u8>,
}

/// The error when a broker sends no response, or an unusable one. Its text never quotes the request.
#[derive(Debug, thiserror::Error)]
#[error("the broker gave no usable answer")]
pub struct BrokerUnreachable(#[source] pub Box<dyn std::error::Error + Send + Sync>);
