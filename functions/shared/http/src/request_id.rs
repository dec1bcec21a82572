//! The id under which a request is found again: in its response, in every log line, and in the problem a client reports.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use portcullis_platform::Entropy;

use crate::{Code, Problem};

/// The header it travels in, both ways.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// 1 to 128 letters, digits, dots, underscores and hyphens: nothing that could end a log line or a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Returns an id that came from outside; `None` if it could not be one.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        ((1..=128).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// 128 random bits, in the form of a trace id of W3C Trace Context.
    fn fresh(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        // An id protects nothing. Without randomness it is all zeros, and whatever does need randomness will refuse.
        if entropy.fill(&mut bytes).is_err() {
            bytes = [0; 16];
        }
        Self(format!("{:032x}", u128::from_be_bytes(bytes)).into())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Code::InternalError.into())
    }
}

/// The outermost layer: every response carries the id, and so does its body if it is a problem.
pub(crate) async fn assign(
    State(entropy): State<Arc<dyn Entropy>>,
    mut request: Request,
    next: Next,
) -> Response {
    let given =
        request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).and_then(RequestId::parse);
    let id = given.unwrap_or_else(|| RequestId::fresh(&*entropy));
    request.extensions_mut().insert(id.clone());

    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = problem.body(Some(&id));
        // For whoever counts responses outside of the layers.
        response.extensions_mut().insert(problem.code());
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use portcullis_platform::EntropyUnavailable;

    use super::*;
    use crate::testing::{app, request, send};

    async fn echo(id: RequestId) -> String {
        id.as_str().to_owned()
    }

    fn routes() -> Router {
        Router::new().route("/echo", get(echo))
    }

    #[tokio::test]
    async fn a_valid_id_is_kept() {
        let long = "x".repeat(128);
        for given in ["abc", "A-1_b.2", &long] {
            let answer = send(&app(routes()), request("GET", "/echo", &[("x-request-id", given)])).await;
            assert_eq!((answer.header("x-request-id"), &*answer.body), (Some(given), given.as_bytes()));
        }
    }

    #[tokio::test]
    async fn an_invalid_one_is_replaced_and_never_echoed() {
        let long = "x".repeat(129);
        for given in ["", "a b", "a\tb", "a;b", "<script>", "é", "a,b", &long] {
            let answer = send(&app(routes()), request("GET", "/echo", &[("x-request-id", given)])).await;
            assert_eq!(answer.header("x-request-id"), Some("01010101010101010101010101010101"), "{given}");
        }
    }

    #[tokio::test]
    async fn two_requests_get_two_ids() {
        let app = app(routes());
        let first = send(&app, request("GET", "/echo", &[])).await;
        let second = send(&app, request("GET", "/echo", &[])).await;
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    }

    #[tokio::test]
    async fn errors_of_the_router_itself_have_it_too() {
        let given = [("x-request-id", "mine")];
        for (method, path, status) in [("GET", "/nowhere", 404), ("DELETE", "/echo", 405)] {
            let answer = send(&app(routes()), request(method, path, &given)).await;
            assert_eq!(answer.problem().0, status);
            assert_eq!(answer.json()["request_id"], "mine");
        }
    }

    #[test]
    fn without_randomness_there_is_still_an_id() {
        #[derive(Debug)]
        struct Dry;
        impl Entropy for Dry {
            fn fill(&self, _: &mut [u8]) -> Result<(), EntropyUnavailable> {
                Err(EntropyUnavailable)
            }
        }
        assert!(RequestId::parse(RequestId::fresh(&Dry).as_str()).is_some());
    }
}
