//! The coding of request bodies: none is decoded, so none is taken for the text itself.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

use crate::{Code, Problem};

const IDENTITY: &str = "identity";

/// Answers a request whose body is compressed with 415 and the codings that are accepted (RFC 9110, section 15.5.16).
pub(crate) async fn refuse_any(request: Request, next: Next) -> Response {
    if is_plain(request.headers()) {
        return next.run(request).await;
    }
    let detail = "The body must be sent as it is, without a Content-Encoding.";
    let mut response = Problem::new(Code::UnsupportedMediaType).with_detail(detail).into_response();
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(IDENTITY));
    response
}

fn is_plain(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().all(|value| {
        let mut codings = value.to_str().unwrap_or("?").split(',').map(str::trim);
        codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(IDENTITY))
    })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use serde_json::Value;

    use crate::Json;
    use crate::testing::{TestResponse, app, request, send};

    async fn posted(codings: &[&str]) -> TestResponse {
        let routes = Router::new().route("/", post(async |Json(body): Json<Value>| Json(body)));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(codings.iter().map(|coding| ("content-encoding", *coding)));
        send(&app(routes), request("POST", "/", &headers).map(|_| "{}".into())).await
    }

    #[tokio::test]
    async fn a_body_as_it_is_is_read() {
        for codings in [&[][..], &["identity"], &["Identity"], &[""], &["identity, identity"]] {
            assert_eq!(posted(codings).await.status, 200, "{codings:?}");
        }
    }

    #[tokio::test]
    async fn a_coding_is_refused_with_those_that_are_accepted() {
        for codings in
            [&["gzip"][..], &["br"], &["identity, gzip"], &["identity", "zstd"], &["x"], &["gzip;q=0"]]
        {
            let answer = posted(codings).await;
            assert_eq!(answer.problem(), (415, "unsupported_media_type".to_owned()), "{codings:?}");
            assert_eq!(answer.header("accept-encoding"), Some("identity"));
        }
    }
}
