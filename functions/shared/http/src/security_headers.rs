//! The response headers of the OWASP REST Security Cheat Sheet.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

/// On every response, whatever the handler said.
const ALWAYS: [(HeaderName, &str); 5] = [
    // Two years, as browsers ask for before they remember a host. Ignored over plain HTTP (RFC 6797 section 8.1).
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Unless the handler set its own: key sets may be cached, the documentation is a page with scripts, and pages of the
/// console may ask for passkeys.
const BY_DEFAULT: [(HeaderName, &str); 3] = [
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), microphone=(), \
         midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), usb=()",
    ),
];

/// Adds them on the way out.
pub(crate) async fn add(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in BY_DEFAULT {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::testing::{app, request, send};

    const OWN: [(HeaderName, &str); 3] = [
        (CACHE_CONTROL, "public, max-age=300"),
        (CONTENT_SECURITY_POLICY, "default-src 'self'"),
        (X_FRAME_OPTIONS, "x"),
    ];

    fn routes() -> Router {
        Router::new()
            .route("/plain", get(|| async { "plain" }))
            .route("/own", get(|| async { (OWN, "own") }))
            .route("/broken", get(broken))
    }

    async fn broken() {
        panic!("a fault")
    }

    #[tokio::test]
    async fn every_response_has_them_also_the_errors() {
        for (method, path) in [
            ("GET", "/plain"),
            ("GET", "/nowhere"),
            ("PUT", "/plain"),
            ("OPTIONS", "/plain"),
            ("GET", "/broken"),
        ] {
            let answer = send(&app(routes()), request(method, path, &[])).await;
            for (name, value) in ALWAYS.iter().chain(&BY_DEFAULT) {
                assert_eq!(answer.header(name.as_str()), Some(*value), "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn a_handler_decides_about_caching_and_scripts_and_nothing_else() {
        let answer = send(&app(routes()), request("GET", "/own", &[])).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'self'"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
}
