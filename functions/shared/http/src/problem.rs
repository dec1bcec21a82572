//! The one shape every error leaves in: an RFC 9457 problem document with a code that programs switch on.

mod code;
mod document;
mod from_identity;
mod from_vault;
pub mod responses;

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use portcullis_identity::Needed;
use secrecy::{ExposeSecret, SecretString};

pub use self::code::Code;
pub use self::document::{FieldError, ProblemDocument, ProofOfWork};
use crate::RequestId;

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// `Retry-After` in seconds, where the place of the error does not know better.
const DEFAULT_RETRY_AFTER: u32 = 2;

/// An error on its way to a client. It can be made from a [`Code`] and words of ours alone: there is no conversion from
/// error types at large, so that no internal message finds its way out.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: u32,
    session_token: Option<SecretString>,
    needed: Needed,
    proof_of_work: Option<ProofOfWork>,
}

impl Problem {
    /// Returns an error with the usual words for it.
    pub fn new(code: Code) -> Self {
        let detail = Cow::Borrowed(code.detail());
        Self {
            code,
            detail,
            errors: Vec::new(),
            retry_after: DEFAULT_RETRY_AFTER,
            session_token: None,
            needed: Needed::default(),
            proof_of_work: None,
        }
    }

    /// Returns the error for a value that cannot be used, and where it is.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { errors: vec![FieldError::new(pointer, detail)], ..Self::new(Code::ValidationFailed) }
    }

    /// Returns the error for a new password that is too weak, with advice for the person.
    pub fn weak_password(pointer: &'static str, advice: String) -> Self {
        let error = FieldError::new(pointer, advice.clone());
        Self::new(Code::WeakPassword).with_detail(advice).with_error(error)
    }

    /// The same with words for this occurrence.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// The same with a time to come back, in whole seconds rounded up, so that a retry at exactly that time is not throttled.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        Self { retry_after: u32::try_from(seconds.max(1)).unwrap_or(u32::MAX), ..self }
    }

    /// The same with what the client goes on with.
    #[must_use]
    pub fn with_session_token(self, token: SecretString) -> Self {
        Self { session_token: Some(token), ..self }
    }

    /// The same with what the sign-in of the client has to be.
    #[must_use]
    pub fn with_needed(self, needed: Needed) -> Self {
        Self { needed, ..self }
    }

    /// The same with what the client has to compute first.
    #[must_use]
    pub fn with_proof_of_work(self, work: ProofOfWork) -> Self {
        Self { proof_of_work: Some(work), ..self }
    }

    /// The same with one more value that cannot be used.
    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// What went wrong, for programs.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The body, once the request's id is known.
    pub(crate) fn body(&self, id: Option<&RequestId>) -> Body {
        serde_json::to_vec(&self.document(id.map(RequestId::as_str))).unwrap_or_default().into()
    }

    /// The challenge of a 401. Of a token that was refused it says why (RFC 6750, section 3), because libraries show that
    /// and no body; of a sign-in that is not enough it says what is (RFC 9470, section 3).
    fn challenge(&self) -> Option<HeaderValue> {
        let challenge = self.code.challenge()?;
        if !self.needed.is_nothing() {
            return HeaderValue::try_from(format!("{challenge}{}", self.needed)).ok();
        }
        let described = format!("{challenge}, error_description=\"{}\"", self.detail);
        let described = HeaderValue::try_from(described).ok().filter(|_| self.code == Code::InvalidToken);
        Some(described.unwrap_or(HeaderValue::from_static(challenge)))
    }

    fn document<'a>(&'a self, request_id: Option<&'a str>) -> ProblemDocument<'a> {
        ProblemDocument {
            kind: format!("urn:portcullis:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
            session_token: self.session_token.as_ref().map(ExposeSecret::expose_secret),
            proof_of_work: self.proof_of_work.as_ref(),
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body(None));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if matches!(self.code.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(RETRY_AFTER, HeaderValue::from(self.retry_after));
        }
        // The layer that knows the request's id writes the body once more.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_brings_the_headers_its_status_owes() {
        for code in Code::ALL {
            let response = Problem::new(*code).into_response();
            assert_eq!(response.status(), code.status());
            let (status, headers) = (response.status().as_u16(), response.headers());
            assert_eq!(headers[CONTENT_TYPE], MEDIA_TYPE);
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == 401, "{code:?}");
            assert_eq!(headers.contains_key(RETRY_AFTER), matches!(status, 429 | 503), "{code:?}");
        }
    }

    #[test]
    fn waiting_times_are_whole_seconds_rounded_up_and_never_zero() {
        for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (900_000, "900")] {
            let problem = Problem::new(Code::TooManyAttempts).with_retry_after(Duration::from_millis(wait));
            assert_eq!(problem.into_response().headers()[RETRY_AFTER], seconds, "{wait} ms");
        }
    }
}
