//! Cross-origin requests (Fetch, section "CORS protocol"): exact origins with credentials, and never `*`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::request_id::X_REQUEST_ID;
use crate::{Origins, origin};

const FOREIGN: &str =
    "Pages of this origin may not send requests; the operator lists those that may in ALLOWED_ORIGINS.";

/// A change of the list reaches open pages this soon, at the price of one more preflight each time.
const PREFLIGHT_AGE: Duration = Duration::from_mins(10);

/// Returns the layer. It responds to OPTIONS itself, for every path alike, so that a preflight says nothing about what exists.
pub(crate) fn layer(origins: &Origins) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            X_REQUEST_ID,
        ])
        .expose_headers([X_REQUEST_ID, RETRY_AFTER, WWW_AUTHENTICATE])
        .max_age(PREFLIGHT_AGE)
}

/// Answers the preflight of a page that is not allowed with the reason. Browsers tell a page no more than that there was no
/// answer for it; whoever develops it finds the response in the browser's tools.
pub(crate) async fn refuse_foreign_preflights(
    State(allowed): State<Arc<Origins>>,
    request: Request,
    next: Next,
) -> Response {
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    match origin.filter(|origin| is_preflight && !allowed.contains(origin)) {
        Some(foreign) => origin::not_allowed(Some(foreign)).with_detail(FOREIGN).into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use http::HeaderName;

    use crate::testing::{TestResponse, app, request, send};

    const FRONTEND: &str = "http://localhost:3000";

    async fn preflight(origin: &str) -> TestResponse {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,authorization"),
        ];
        send(&app(Router::new().route("/login", post(|| async {}))), request("OPTIONS", "/login", &headers))
            .await
    }

    async fn posted(origin: &str) -> TestResponse {
        let routes = Router::new().route("/login", post(|| async { "done" }));
        send(&app(routes), request("POST", "/login", &[("origin", origin)])).await
    }

    #[tokio::test]
    async fn a_preflight_of_an_allowed_page_is_granted() {
        let answer = preflight(FRONTEND).await;
        assert_eq!(answer.status, 200);
        let is_cors = |name: &HeaderName| name.as_str().starts_with("access-control-") || name == "vary";
        let mut cors: Vec<_> = answer.headers.iter().filter(|(name, _)| is_cors(name)).collect();
        cors.sort_by_key(|(name, _)| name.as_str());
        insta::assert_debug_snapshot!(cors, @r#"
        [
            (
                "access-control-allow-credentials",
                "true",
            ),
            (
                "access-control-allow-headers",
                "authorization,content-type,idempotency-key,x-request-id",
            ),
            (
                "access-control-allow-methods",
                "GET,POST,PUT,PATCH,DELETE",
            ),
            (
                "access-control-allow-origin",
                "http://localhost:3000",
            ),
            (
                "access-control-max-age",
                "600",
            ),
            (
                "vary",
                "origin",
            ),
        ]
        "#);
    }

    #[tokio::test]
    async fn an_allowed_page_may_read_the_answer_and_the_headers_it_needs() {
        let answer = posted(FRONTEND).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(FRONTEND));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("x-request-id,retry-after,www-authenticate")
        );
        assert_eq!(answer.header("vary"), Some("origin"));
    }

    #[tokio::test]
    async fn a_foreign_page_is_granted_nothing() {
        for foreign in [
            "https://evil.example",
            "null",
            "*",
            "http://localhost:3000.evil.example",
            "http://LOCALHOST:3000",
        ] {
            for answer in [preflight(foreign).await, posted(foreign).await] {
                assert_eq!(answer.header("access-control-allow-origin"), None, "{foreign}");
                assert!(answer.headers.values().all(|value| value != "*"));
            }
            let refused = preflight(foreign).await;
            assert_eq!(refused.problem(), (403, "origin_not_allowed".to_owned()), "{foreign}");
            assert!(refused.json()["detail"].as_str().unwrap().contains("ALLOWED_ORIGINS"));
        }
    }

    #[tokio::test]
    async fn an_allowed_page_may_read_errors_too() {
        let answer = send(&app(Router::new()), request("GET", "/nowhere", &[("origin", FRONTEND)])).await;
        assert_eq!(answer.problem().0, 404);
        assert_eq!(answer.header("access-control-allow-origin"), Some(FRONTEND));
    }
}
