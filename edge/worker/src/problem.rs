//! The response to a request that is refused: RFC 9457, with the codes of the services behind it.

use portcullis_verifier::route::Needed;

use crate::cors::Page;
use crate::headers::{ALWAYS, BY_DEFAULT};
use crate::verdict::EdgeResponse;

/// A stable word that programs switch on, with its status and the usual words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request has more than one reading: path, credentials or method.
    BadRequest,
    /// No credentials came with a request that needs them.
    AuthenticationRequired,
    /// The access token is malformed, expired, or not ours.
    InvalidToken,
    /// The API key is malformed, unknown or withdrawn.
    InvalidApiKey,
    /// The session has ended; only signing in again helps.
    SessionRevoked,
    /// The route asks for a stronger or a newer sign-in than the caller's (RFC 9470).
    InsufficientUserAuthentication,
    /// No role of the caller opens the service.
    Forbidden,
    /// The request came in the clear.
    HttpsRequired,
    /// A page that is not allowed asks for a WebSocket.
    OriginNotAllowed,
    /// The broker credentials of the caller, or everybody's, are frozen.
    TradingFrozen,
    /// A role of the caller wants the order approved, and no approval came with it.
    ApprovalRequired,
    /// No route leads there.
    NotFound,
    /// No service accepts this method.
    MethodNotAllowed,
    /// The body is longer than an order is.
    PayloadTooLarge,
    /// The caller asks too often.
    TooManyAttempts,
    /// A fault of the worker itself.
    InternalError,
    /// No upstream could be reached.
    UpstreamUnavailable,
    /// No upstream responded in time.
    UpstreamTimeout,
    /// Something the decision depends on is missing.
    Unavailable,
}

struct Words {
    word: &'static str,
    status: u16,
    title: &'static str,
    detail: &'static str,
}

impl Code {
    const fn words(self) -> Words {
        let (word, status, title, detail) = match self {
            Self::BadRequest => ("bad_request", 400, "Bad request", "The request cannot be understood."),
            Self::AuthenticationRequired => (
                "authentication_required",
                401,
                "Authentication required",
                "This request needs an access token or an API key.",
            ),
            Self::InvalidToken => ("invalid_token", 401, "Invalid token", "The access token is not valid."),
            Self::InvalidApiKey => ("invalid_api_key", 401, "Invalid API key", "The API key is not valid."),
            Self::SessionRevoked => {
                ("session_revoked", 401, "Session revoked", "The session has ended; sign in again.")
            }
            Self::InsufficientUserAuthentication => (
                "insufficient_user_authentication",
                401,
                "Stronger or newer sign-in required",
                "Confirm who you are, and send the request again.",
            ),
            Self::Forbidden => ("forbidden", 403, "Forbidden", "The caller may not use this service."),
            Self::HttpsRequired => (
                "https_required",
                403,
                "HTTPS required",
                "Send the request over https; anybody on the way could read what came with this one.",
            ),
            Self::OriginNotAllowed => (
                "origin_not_allowed",
                403,
                "Origin not allowed",
                "Pages of this origin may not open a WebSocket here.",
            ),
            Self::TradingFrozen => {
                ("trading_frozen", 403, "Trading is frozen", "Nothing is traded until the freeze is lifted.")
            }
            Self::ApprovalRequired => (
                "approval_required",
                403,
                "Approval required",
                "Have the order approved (POST /v1/approvals), and send the approval in X-Approval-Id.",
            ),
            Self::NotFound => ("not_found", 404, "Not found", "There is no such resource."),
            Self::MethodNotAllowed => {
                ("method_not_allowed", 405, "Method not allowed", "No service answers that method.")
            }
            Self::PayloadTooLarge => {
                ("payload_too_large", 413, "Payload too large", "The body is longer than an order is.")
            }
            Self::TooManyAttempts => {
                ("too_many_attempts", 429, "Too many attempts", "Too many requests; try again later.")
            }
            Self::InternalError => (
                "internal_error",
                500,
                "Internal error",
                "The request failed through no fault of the caller.",
            ),
            Self::UpstreamUnavailable => {
                ("upstream_unavailable", 502, "Upstream unavailable", "The service cannot be reached.")
            }
            Self::UpstreamTimeout => {
                ("upstream_timeout", 502, "Upstream timeout", "The service did not answer in time.")
            }
            Self::Unavailable => (
                "unavailable",
                503,
                "Unavailable",
                "The request cannot be decided at the moment; try again shortly.",
            ),
        };
        Words { word, status, title, detail }
    }

    /// The word that programs switch on.
    pub(crate) const fn word(self) -> &'static str {
        self.words().word
    }

    /// RFC 6750 section 3. Without credentials no error is named.
    const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::AuthenticationRequired => Some(r#"Bearer realm="portcullis""#),
            Self::InvalidToken | Self::InvalidApiKey | Self::SessionRevoked => {
                Some(r#"Bearer error="invalid_token""#)
            }
            Self::InsufficientUserAuthentication => {
                Some(r#"Bearer error="insufficient_user_authentication""#)
            }
            _ => None,
        }
    }

    const fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::TooManyAttempts => Some("10"),
            Self::Unavailable => Some("2"),
            _ => None,
        }
    }
}

/// Returns the response to a request that meets no gate, because there is none: fixed words, nothing of the error.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "the shell needs it"))]
pub(crate) fn without_gate(code: Code, request_id: &str) -> EdgeResponse {
    let Words { word, status, title, .. } = code.words();
    let detail = Code::InternalError.words().detail;
    let mut response = EdgeResponse {
        code: Some(code),
        status,
        headers: Vec::new(),
        body: Some(body(word, status, title, detail, request_id)),
    };
    let own = [("content-type", "application/problem+json"), ("x-request-id", request_id)];
    for (name, value) in ALWAYS.into_iter().chain(BY_DEFAULT).chain(own) {
        response.header(name, value);
    }
    if code == Code::Unavailable {
        response.header("retry-after", "10");
    }
    response
}

/// Fixed words and an id of letters, digits and `.`, `_`, `-`: nothing in it has to be escaped.
fn body(code: &str, status: u16, title: &str, detail: &str, request_id: &str) -> String {
    format!(
        r#"{{"type":"urn:portcullis:problem:{code}","title":"{title}","status":{status},"detail":"{detail}","code":"{code}","request_id":"{request_id}"}}"#
    )
}

/// Returns the response to a caller whose sign-in is not what a route needs, with the challenge that says what is (RFC 9470
/// section 3).
pub(crate) fn challenge(needed: Needed, request_id: &str, page: Page<'_>) -> EdgeResponse {
    let mut response = response(Code::InsufficientUserAuthentication, request_id, page);
    if let Some((_, value)) = response.headers.iter_mut().find(|(name, _)| *name == "www-authenticate") {
        value.push_str(&needed.to_string());
    }
    response
}

/// Returns the response that hands on a problem of the identity service.
pub(crate) fn passed_on(status: u16, problem: String, request_id: &str, page: Page<'_>) -> EdgeResponse {
    let mut response = EdgeResponse::new(status, request_id, page);
    response.header("content-type", "application/problem+json");
    response.body = Some(problem);
    response
}

/// Returns the response for a code.
pub(crate) fn response(code: Code, request_id: &str, page: Page<'_>) -> EdgeResponse {
    let Words { word, status, title, detail } = code.words();
    let mut response = EdgeResponse::new(status, request_id, page);
    response.code = Some(code);
    response.header("content-type", "application/problem+json");
    if let Some(challenge) = code.challenge() {
        response.header("www-authenticate", challenge);
    }
    if let Some(seconds) = code.retry_after() {
        response.header("retry-after", seconds);
    }
    if matches!(code, Code::MethodNotAllowed) {
        response.header("allow", crate::cors::METHODS);
    }
    response.body = Some(body(word, status, title, detail, request_id));
    response
}
