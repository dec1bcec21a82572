//! What is sent, and how much of it at most: every request takes one of a fixed number, and none begins after the deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use crate::target::Target;

/// No answer of ours is larger.
const LARGEST: usize = 1 << 20;
/// A request that got no answer in this time gets none.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a request is sent again that was refused with 503, as the contract of clients says.
const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(400);

/// The error when a check cannot go on: nothing is said about the property.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing came back.
    #[error("{0}: no answer ({1})")]
    NoAnswer(String, String),
    /// As many requests were sent as may be.
    #[error("as many requests were sent as may be; --requests allows more")]
    Spent,
    /// The time is over.
    #[error("the time is over; --seconds allows more")]
    TimeIsUp,
    /// What a check needs first was refused, or answered in another form.
    #[error("{0}")]
    Unexpected(String),
    /// There is no randomness to be had.
    #[error("no randomness")]
    NoRandomness,
    /// Whoever started the run stopped it.
    #[error("stopped")]
    Stopped,
}

/// The bounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests at most.
    pub requests: u32,
    /// Nothing begins after this.
    pub until: Instant,
}

/// A client of one deployment. Clones share their bounds.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Arc<str>,
    left: Arc<AtomicU32>,
    until: Instant,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request, for messages.
    pub to: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body where it is JSON; null otherwise.
    pub body: Value,
    /// How long it took, to the end of the body.
    pub took: Duration,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    token: Option<String>,
    body: Value,
}

impl Ask {
    /// Returns a `GET`.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), token: None, body: Value::Null }
    }

    /// Returns a `POST` with this body; null is none.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), token: None, body }
    }

    /// Returns a `DELETE` with this body; null is none.
    pub fn delete(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::DELETE, path: path.into(), token: None, body }
    }

    /// Shows this access token.
    #[must_use]
    pub fn with(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }
}

impl Client {
    /// Returns a client of this deployment; fails when there is no TLS to be had. It follows no redirect and
    /// takes no proxy of the environment: what is probed is what was named.
    pub fn new(target: &Target, bounds: Bounds) -> Result<Self, Trouble> {
        let http = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE);
        // Where the name led when it was judged.
        let http = http.resolve_to_addrs(&target.host, &target.addresses).build();
        let http = http.map_err(|error| Trouble::Unexpected(error.to_string()))?;
        let left = Arc::new(AtomicU32::new(bounds.requests));
        Ok(Self { http, url: target.url.as_str().into(), left, until: bounds.until })
    }

    /// Returns the same deployment with bounds of its own: what was made is erased however a run ended.
    #[must_use]
    pub fn bounded_anew(&self, bounds: Bounds) -> Self {
        Self { left: Arc::new(AtomicU32::new(bounds.requests)), until: bounds.until, ..self.clone() }
    }

    /// How many requests may still be sent.
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    /// Whether the time is over.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    fn take_one(&self) -> Result<(), Trouble> {
        if self.is_late() {
            return Err(Trouble::TimeIsUp);
        }
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(drop).map_err(|_| Trouble::Spent)
    }

    /// Sends a request once. Fails when nothing comes back, and when the bounds are reached.
    pub async fn send(&self, ask: &Ask) -> Result<Answer, Trouble> {
        self.take_one()?;
        let path = ask.path.split('?').next().unwrap_or_default();
        let to = format!("{} {path}", ask.method);
        let mut request = self.http.request(ask.method.clone(), format!("{}{}", self.url, ask.path));
        if let Some(token) = &ask.token {
            request = request.bearer_auth(token);
        }
        if !ask.body.is_null() {
            request = request.json(&ask.body);
        }
        let began = Instant::now();
        // The error would show the URL, and nothing of the cause.
        let lost = |error: reqwest::Error| {
            let cause =
                std::iter::successors(std::error::Error::source(&error), |cause| cause.source()).last();
            Trouble::NoAnswer(to.clone(), cause.map_or_else(|| "too late".to_owned(), ToString::to_string))
        };
        let mut response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut text = Vec::new();
        while let Some(part) = response.chunk().await.map_err(lost)? {
            if text.len() + part.len() > LARGEST {
                return Err(Trouble::Unexpected(format!("{to}: the answer is larger than {LARGEST} bytes")));
            }
            text.extend_from_slice(&part);
        }
        let took = began.elapsed();
        let body = serde_json::from_slice(&text).unwrap_or_default();
        Ok(Answer { to, status, headers, body, took })
    }

    /// Sends a request as a client does that keeps to the contract: again, a few times, where it is refused with 503.
    pub async fn ask(&self, ask: &Ask) -> Result<Answer, Trouble> {
        let mut answer = self.send(ask).await?;
        for _ in 0..RETRIES {
            if answer.status != StatusCode::SERVICE_UNAVAILABLE.as_u16() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            answer = self.send(ask).await?;
        }
        Ok(answer)
    }
}

impl Answer {
    /// Returns a text of the body; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns what the answer is, without anything secret: request, status and code.
    pub fn shown(&self) -> String {
        match self.text("code") {
            "" => format!("{}: {}", self.to, self.status),
            code => format!("{}: {} {code}", self.to, self.status),
        }
    }

    /// Returns the answer if it has this status; fails otherwise, with what is the matter.
    pub fn wants(self, status: u16) -> Result<Self, Trouble> {
        if self.status == status {
            return Ok(self);
        }
        let more = match self.text("code") {
            "too_many_attempts" => " — this client address has tried too often; wait a quarter of an hour",
            "email_not_verified" => " — addresses have to be confirmed here: give an administrator's token",
            "proof_of_work_required" => " — PROOF_OF_WORK is on: give an administrator's token",
            _ => "",
        };
        Err(Trouble::Unexpected(format!("{}, and {status} is needed{more}", self.shown())))
    }
}
