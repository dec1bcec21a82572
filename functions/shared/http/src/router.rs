//! The layers around every route, in the one order in which they work.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use portcullis_identity::EdgeProofKeys;
use portcullis_platform::{Clock, Entropy};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::edge::{self, Front};
use crate::{Code, HttpSettings, MAX_BODY, Problem};
use crate::{access_log, content_encoding, cors, deadline, panics, request_id, security_headers};

/// Puts every layer around a router whose routes are complete. Nothing may be routed outside of it. `edge_keys` are those
/// under which the edge in front, where there is one, proves what came through it.
///
/// From the outside in: the id first, since every response carries it; the log sees every response with its final status;
/// headers and CORS are set on errors too, or a browser could not read them; then every error becomes a problem, whether
/// a layer, the router or a handler failed. Whose request it is is known before any handler asks.
pub fn finish(
    router: Router,
    settings: &HttpSettings,
    edge_keys: EdgeProofKeys,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Router {
    let origins = Arc::new(settings.origins.clone());
    let front = Front::new(settings, edge_keys, Arc::clone(&clock));
    router.fallback(async || Problem::new(Code::NotFound)).layer(
        ServiceBuilder::new()
            .layer(from_fn_with_state(entropy, request_id::assign))
            .layer(from_fn_with_state(clock, access_log::record))
            .layer(from_fn(security_headers::add))
            .layer(from_fn_with_state(origins, cors::refuse_foreign_preflights))
            .layer(cors::layer(&settings.origins))
            .layer(from_fn(tell_every_error_as_a_problem))
            .layer(CatchPanicLayer::custom(panics::answer))
            .layer(from_fn_with_state(front, edge::recognise))
            .layer(from_fn(content_encoding::refuse_any))
            .layer(from_fn_with_state(settings.request_timeout, deadline::enforce))
            // For handlers that read a body by other means than our own extractors.
            .layer(DefaultBodyLimit::max(MAX_BODY)),
    )
}

/// Errors that come from axum itself, such as an unknown path, a wrong method or a path parameter that does not parse,
/// have no body or one with its internal message. Their headers stay: `Allow` tells which methods there are.
async fn tell_every_error_as_a_problem(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<Problem>().is_some() {
        return response;
    }
    let mut told = Problem::new(Code::for_status(status)).into_response();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_LENGTH);
    let owed = std::mem::take(told.headers_mut());
    *told.headers_mut() = std::mem::take(headers);
    told.headers_mut().extend(owed);
    told
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::extract::Path;
    use axum::routing::{get, post};
    use http::{HeaderName, StatusCode};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::testing::{TestResponse, app, request, send};

    const CHALLENGE: [(HeaderName, &str); 1] = [(http::header::WWW_AUTHENTICATE, "Basic")];

    fn routes() -> Router {
        Router::new()
            .route("/things", get(|| async { "things" }).post(|| async { StatusCode::CREATED }))
            .route("/things/{number}", get(async |Path(number): Path<u8>| number.to_string()))
            .route("/raw", post(async |bytes: Bytes| bytes.len().to_string()))
            .route("/bare/{status}", get(bare))
            .route("/panic", get(panics))
    }

    async fn panics() {
        panic!("hunter2")
    }

    async fn bare(Path(status): Path<u16>) -> impl IntoResponse {
        (StatusCode::from_u16(status).unwrap(), CHALLENGE, "table `users` is on fire")
    }

    async fn sent(method: &str, path: &str) -> TestResponse {
        send(&app(routes()), request(method, path, &[])).await
    }

    #[tokio::test]
    async fn an_unknown_path_is_a_problem() {
        for path in ["/", "/nowhere", "/things/", "//things", "/things/%2e%2e/panic"] {
            assert_eq!(sent("GET", path).await.problem(), (404, "not_found".to_owned()), "{path}");
        }
    }

    #[tokio::test]
    async fn a_wrong_method_is_told_the_right_ones() {
        let answer = sent("DELETE", "/things").await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()));
        assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
    }

    #[tokio::test]
    async fn a_rejection_of_axum_says_nothing_of_its_own() {
        let answer = sent("GET", "/things/abc").await;
        assert_eq!(answer.problem(), (400, "bad_request".to_owned()));
        assert_eq!(answer.json()["detail"], "The request cannot be understood.");
    }

    #[tokio::test]
    async fn a_bare_error_of_a_handler_becomes_a_problem_without_its_text() {
        for (status, told) in [
            (401, (401, "authentication_required")),
            (403, (403, "forbidden")),
            (418, (400, "bad_request")),
            (422, (422, "validation_failed")),
            (429, (429, "too_many_attempts")),
            (502, (500, "internal_error")),
            (503, (503, "unavailable")),
        ] {
            let answer = sent("GET", &format!("/bare/{status}")).await;
            assert_eq!(answer.problem(), (told.0, told.1.to_owned()));
            assert!(!String::from_utf8_lossy(&answer.body).contains("fire"));
        }
        assert_eq!(
            sent("GET", "/bare/401").await.header("www-authenticate"),
            Some(r#"Bearer error="invalid_token""#)
        );
        assert_eq!(sent("GET", "/bare/429").await.header("retry-after"), Some("2"));
    }

    #[tokio::test]
    async fn head_is_get_without_a_body() {
        let answer = sent("HEAD", "/things").await;
        assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (200, Some("6"), 0));
        let lost = sent("HEAD", "/nowhere").await;
        assert_eq!((lost.status, lost.body.len()), (404, 0));
        assert!(lost.header("x-request-id").is_some());
    }

    #[tokio::test]
    async fn options_without_an_origin_is_answered_and_runs_no_handler() {
        let answer = sent("OPTIONS", "/panic").await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }

    #[tokio::test]
    async fn a_handler_that_reads_raw_bytes_is_limited_too() {
        let large = request("POST", "/raw", &[]).map(|_| vec![0; MAX_BODY + 1].into());
        assert_eq!(send(&app(routes()), large).await.problem(), (413, "payload_too_large".to_owned()));
    }

    #[tokio::test]
    async fn the_host_header_changes_nothing() {
        let plain = sent("GET", "/things").await;
        for (name, value) in [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-host", "evil.example"),
            ("forwarded", "host=evil.example"),
            ("x-original-url", "/panic"),
            ("x-rewrite-url", "/panic"),
            ("x-http-method-override", "DELETE"),
        ] {
            let answer = send(&app(routes()), request("GET", "/things", &[(name, value)])).await;
            assert_eq!(
                (answer.status, answer.headers, answer.body),
                (200, plain.headers.clone(), plain.body.clone())
            );
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_without_its_message() {
        let answer = sent("GET", "/panic").await;
        assert_eq!(answer.problem(), (500, "internal_error".to_owned()));
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"));
    }

    #[tokio::test]
    async fn after_a_panic_the_connection_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app(routes())).await });
        let mut stream = TcpStream::connect(address).await.unwrap();

        stream.write_all(b"GET /panic HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\n\r\n").await.unwrap();
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.unwrap();
        let first = String::from_utf8_lossy(&head[..read]).into_owned();
        assert!(first.starts_with("HTTP/1.1 500") && first.contains("x-request-id: mine"), "{first}");

        stream.write_all(b"GET /things HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let second = String::from_utf8_lossy(&rest);
        assert!(second.contains("HTTP/1.1 200") && second.ends_with("things"), "{second}");
        server.abort();
    }
}
