//! What the shell is to do, and the one text in which it is told.

use std::rc::Rc;

use portcullis_verifier::origin_proof;
use serde::Serialize;

use crate::Millis;
use crate::awaiting::Ticket;
use crate::caller::Caller;
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
    /// A signature is being verified; come back with the outcome and this ticket.
    Signature(Ticket),
    /// Nobody waits with that ticket; ask the question again.
    Again,
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
    /// Origins to try in turn, separated by blanks.
    pub upstreams: String,
    /// Path and query to ask for there.
    pub target: String,
    /// How long an upstream may take to begin its answer.
    pub timeout: Millis,
    /// Whether it may be tried again elsewhere (RFC 9110 section 9.2.2).
    pub is_idempotent: bool,
    /// Whether it becomes a WebSocket.
    pub is_websocket: bool,
    /// Who sends it; nobody in particular on a public route.
    pub(crate) caller: Option<Rc<Caller>>,
    /// Where it comes from, as a header can hold it.
    pub(crate) client_address: String,
    /// Its id.
    pub request_id: String,
    /// The proof that it came through the edge.
    pub(crate) proof: String,
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
            Check::Signature(ticket) => format!("S{due}\n{ticket}"),
            Check::Again => format!("Q{due}"),
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
    /// Flags (`i` it may be tried elsewhere, `w` a WebSocket, `p` about somebody, so that no cache may answer it), time
    /// limit, upstreams, target, what the rate limit counts it by, id, number of headers for the answer, these, and the
    /// headers for the service; each name and each value on a line of its own.
    fn to_text(&self, due: &str) -> String {
        let flag = |set, letter| if set { letter } else { "" };
        let mut text = String::with_capacity(1024);
        for part in [
            "F",
            due,
            "\n",
            flag(self.is_idempotent, "i"),
            flag(self.is_websocket, "w"),
            flag(self.caller.is_some(), "p"),
        ] {
            text.push_str(part);
        }
        let mut line = |value: &[&str]| {
            text.push('\n');
            for part in value {
                text.push_str(part);
            }
        };
        line(&[&self.timeout.to_string()]);
        line(&[&self.upstreams]);
        line(&[&self.target]);
        match &self.caller {
            Some(caller) => line(&["user:", &caller.told.user_id]),
            None => line(&["address:", &self.client_address]),
        }
        line(&[&self.request_id]);
        line(&[&self.answer_headers.len().to_string()]);
        for (name, value) in &self.answer_headers {
            line(&[name]);
            line(&[value]);
        }
        let mut header = |name: &str, value: &str| {
            if !value.is_empty() {
                line(&[name]);
                line(&[value]);
            }
        };
        if let Some(caller) = &self.caller {
            let told = &caller.told;
            header("x-user-id", &told.user_id);
            header("x-user-email", &told.email);
            header("x-user-roles", &told.roles);
            header("x-user-scopes", &told.scopes);
            header("x-session-id", &told.session_id);
            header("x-auth-method", told.method);
        }
        header("x-request-id", &self.request_id);
        header("x-client-address", &self.client_address);
        header(origin_proof::HEADER, &self.proof);
        text
    }
}
