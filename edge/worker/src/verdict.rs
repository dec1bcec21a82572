//! What the shell is to do, and the one text in which it is told.

use serde::Serialize;

use crate::Millis;
use crate::cors::Page;
use crate::headers::{ALWAYS, BY_DEFAULT};

/// The next step of a request.
#[derive(Debug)]
pub struct Verdict {
    /// The step.
    pub check: Check,
    /// Whether the keys should be refreshed meanwhile.
    pub keys_are_due: bool,
    /// Whether the list of revocations should.
    pub list_is_due: bool,
}

/// A step.
#[derive(Debug)]
pub enum Check {
    /// Answer with this.
    Answer(Answer),
    /// Send the request on.
    Forward(Box<Forward>),
    /// A signature is being verified; come back with the outcome.
    Signature,
    /// Fetch the keys, this many milliseconds from now, and come back.
    Keys(Millis),
    /// Fetch the list of revocations and come back.
    Revocations,
    /// Ask about the API key and come back.
    ApiKey,
}

/// An answer of the edge itself.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Every header.
    pub headers: Vec<(&'static str, String)>,
    /// The body, if there is one.
    pub body: Option<String>,
}

/// A request that may pass.
#[derive(Debug)]
pub struct Forward {
    /// Origins to try in turn.
    pub upstreams: Vec<String>,
    /// Path and query to ask for there.
    pub target: String,
    /// How long an upstream may take to begin its answer.
    pub timeout: Millis,
    /// Whether it may be tried again elsewhere (RFC 9110 section 9.2.2).
    pub is_idempotent: bool,
    /// Whether it becomes a WebSocket.
    pub is_websocket: bool,
    /// Whether it is about somebody: no cache may answer it.
    pub is_private: bool,
    /// By what the rate limit counts it.
    pub rate_key: String,
    /// Its id.
    pub request_id: String,
    /// What the edge tells the service.
    pub headers: Vec<(&'static str, String)>,
    /// What the edge adds to the answer.
    pub answer_headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(crate) fn new(status: u16, request_id: &str, page: &Page<'_>) -> Self {
        let mut answer = Self { status, headers: Vec::with_capacity(20), body: None };
        for (name, value) in ALWAYS.into_iter().chain(BY_DEFAULT).chain(page.headers()) {
            answer.header(name, value);
        }
        answer.header("x-request-id", request_id);
        answer
    }

    pub(crate) fn header(&mut self, name: &'static str, value: &str) {
        self.headers.push((name, value.to_owned()));
    }
}

impl Verdict {
    /// The text for the shell. Its first line is a letter for the step, then `k` and `l` for keys and list to refresh.
    /// No value in it can hold a line break.
    pub fn to_text(&self) -> String {
        let due = match (self.keys_are_due, self.list_is_due) {
            (false, false) => "",
            (true, false) => "k",
            (false, true) => "l",
            (true, true) => "kl",
        };
        match &self.check {
            Check::Answer(answer) => format!("A{due}\n{}", answer.to_text()),
            Check::Forward(forward) => forward.to_text(due),
            Check::Signature => format!("S{due}"),
            Check::Keys(wait) => format!("K{due}\n{wait}"),
            Check::Revocations => format!("R{due}"),
            Check::ApiKey => format!("P{due}"),
        }
    }
}

impl Answer {
    /// JSON: answers of the edge are few.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Forward {
    fn to_text(&self, due: &str) -> String {
        let flag = |set, letter| if set { letter } else { "" };
        let mut text = String::with_capacity(1024);
        for part in [
            "F",
            due,
            "\n",
            flag(self.is_idempotent, "i"),
            flag(self.is_websocket, "w"),
            flag(self.is_private, "p"),
        ] {
            text.push_str(part);
        }
        let (timeout, upstreams) = (self.timeout.to_string(), self.upstreams.join(" "));
        let answer_headers = self.answer_headers.len().to_string();
        for line in [&timeout, &upstreams, &self.target, &self.rate_key, &self.request_id, &answer_headers] {
            text.push('\n');
            text.push_str(line);
        }
        for (name, value) in self.answer_headers.iter().chain(&self.headers) {
            for line in [name, value.as_str()] {
                text.push('\n');
                text.push_str(line);
            }
        }
        text
    }
}
