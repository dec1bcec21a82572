//! One line for each request: enough to follow what happened, and nothing that identifies a person or opens a door.
//!
//! The route is logged as its pattern. The path and the query of a request can hold ids, cursors and, from a careless
//! client, tokens; headers and bodies always do.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use portcullis_platform::Clock;
use tracing::Instrument;

use crate::{Problem, RequestId};

/// Logs the request when there is a response; lines logged meanwhile are in its span.
pub(crate) async fn record(State(clock): State<Arc<dyn Clock>>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let id = extensions.get::<RequestId>().cloned();
    let request_id = id.as_ref().map(RequestId::as_str);
    let route = extensions.get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = request.method().clone();
    let span = tracing::info_span!("request", request_id);

    let began = clock.now();
    let response = next.run(request).instrument(span).await;
    // The clock on the wall can be set back meanwhile.
    let latency_ms = clock.now().as_millisecond().saturating_sub(began.as_millisecond()).max(0);

    let status = response.status().as_u16();
    let code = response.extensions().get::<Problem>().map(|problem| problem.code().as_str());
    if response.status().is_server_error() {
        tracing::error!(%method, route, status, code, latency_ms, request_id, "request failed");
    } else {
        tracing::info!(%method, route, status, code, latency_ms, request_id, "request answered");
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, Ordering};

    use axum::Router;
    use axum::routing::{get, post};
    use jiff::Timestamp;
    use portcullis_identity::EdgeProofKeys;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::finish;
    use crate::testing::{Counting, request, send, settings};

    async fn panics() {
        panic!("hunter2")
    }

    /// Each look at it is 7 ms after the last.
    #[derive(Debug, Default)]
    struct Ticking(AtomicI64);

    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            Timestamp::from_millisecond(self.0.fetch_add(7, Ordering::Relaxed)).unwrap()
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What one request leaves in the log.
    async fn logged(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .without_time()
            .with_target(false)
            .with_writer(lines.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let routes = Router::new()
            .route("/v1/users/{id}", get(|| async { tracing::info!("inside") }))
            .route("/v1/panic", post(panics));
        let app = finish(
            routes,
            &settings(),
            EdgeProofKeys::default(),
            Arc::new(Ticking::default()),
            Arc::new(Counting::default()),
        );
        send(&app, request(method, path, headers)).await;
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_logged_by_its_route_and_id_with_its_outcome() {
        let log = logged("GET", "/v1/users/usr_1?token=hunter2", &[("x-request-id", "mine")]).await;
        insta::assert_snapshot!(log, @r#"
        {"level":"INFO","fields":{"message":"inside"},"span":{"request_id":"mine","name":"request"},"spans":[{"request_id":"mine","name":"request"}]}
        {"level":"INFO","fields":{"message":"request answered","method":"GET","route":"/v1/users/{id}","status":200,"latency_ms":7,"request_id":"mine"}}
        "#);
    }

    #[tokio::test]
    async fn nothing_the_client_wrote_reaches_the_log() {
        let headers = [
            ("authorization", "Bearer hunter2"),
            ("cookie", "refresh=hunter2"),
            ("user-agent", "hunter2"),
            ("x-request-id", "hunter2 "),
            ("idempotency-key", "hunter2"),
        ];
        for (method, path) in [
            ("GET", "/v1/users/hunter2?q=hunter2"),
            ("POST", "/v1/panic"),
            ("GET", "/hunter2"),
            ("PUT", "/v1/panic"),
        ] {
            let log = logged(method, path, &headers[..3]).await;
            assert!(log.contains("\"latency_ms\":7") && !log.contains("hunter2"), "{log}");
        }
    }

    #[tokio::test]
    async fn a_page_that_is_refused_is_logged_with_where_pages_are_allowed() {
        let preflight = |origin| [("origin", origin), ("access-control-request-method", "POST")];
        let log = logged("OPTIONS", "/v1/panic", &preflight("https://app.example.com")).await;
        assert!(log.contains("ALLOWED_ORIGINS") && log.contains("https://app.example.com"), "{log}");
        assert!(log.contains(r#""status":403,"code":"origin_not_allowed""#), "{log}");
        let log = logged("OPTIONS", "/v1/panic", &preflight("http://localhost:3000")).await;
        assert!(!log.contains("ALLOWED_ORIGINS"), "{log}");
    }

    #[tokio::test]
    async fn an_error_is_logged_with_its_code() {
        let log = logged("POST", "/v1/panic", &[]).await;
        assert!(log.contains(r#""route":"/v1/panic","status":500,"code":"internal_error""#), "{log}");
        let log = logged("GET", "/nowhere", &[]).await;
        assert!(log.contains(r#""route":"unmatched","status":404,"code":"not_found""#), "{log}");
    }
}
