//! What the worker does next with a request.

use crate::Millis;
use crate::awaiting::Ticket;
use crate::cors::Page;
use crate::forward::Forward;
use crate::headers::{ALWAYS, BY_DEFAULT};
use crate::problem::Code;

/// The next step of a request.
#[derive(Debug)]
pub struct Verdict {
    /// What has to be awaited before the decision goes on.
    pub check: Check,
    /// Whether the keys should be refreshed in the background.
    pub keys_are_due: bool,
    /// Whether pages of revocations should be fetched in the background.
    pub list_is_due: bool,
}

/// Something that has to be awaited before a request can be decided.
#[derive(Debug)]
pub enum Check {
    /// Send this response.
    Respond(EdgeResponse),
    /// Send the request on.
    Forward(Box<Forward>),
    /// A signature is being verified; resume with the result and this ticket.
    Signature(Ticket),
    /// The ticket is not known any more; decide again from the start.
    Again,
    /// Fetch the keys, this many milliseconds from now, and decide again.
    Keys(Millis),
    /// Fetch the pages of revocations that are wanted and decide again.
    Revocations,
    /// Look the API key up and decide again.
    ApiKey,
}

/// A response of the edge itself.
#[derive(Debug)]
pub struct EdgeResponse {
    /// Why the request was refused; `None` for a preflight.
    pub code: Option<Code>,
    /// The HTTP status of the response.
    pub status: u16,
    /// Every header of the response, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body, if there is one.
    pub body: Option<String>,
}

impl EdgeResponse {
    pub(crate) fn new(status: u16, request_id: &str, page: Page<'_>) -> Self {
        let mut response = Self { code: None, status, headers: Vec::with_capacity(20), body: None };
        for (name, value) in ALWAYS.into_iter().chain(BY_DEFAULT).chain(page.headers()) {
            response.header(name, value);
        }
        response.header("x-request-id", request_id);
        response
    }

    pub(crate) fn header(&mut self, name: &'static str, value: &str) {
        self.headers.push((name, value.to_owned()));
    }
}
