//! The feed of revocations that the edge follows.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use portcullis_http::responses::{Forbidden, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AppState, Problem, Query, ServiceCaller};
use serde::Deserialize;
use utoipa::IntoParams;

use super::edge_report::EdgeReport;

/// The span of time a page tells of.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SpanQuery {
    /// Where the page begins, in milliseconds since 1970. Absent for the page that ends now.
    after: Option<u64>,
    /// Before which it ends, in milliseconds since 1970. Absent for now.
    until: Option<u64>,
}

/// List recent revocations
///
/// Returns a page of what was revoked in a span of time, for services that verify access tokens themselves: without
/// parameters the page that ends now, to be requested every few seconds. The page says which span it tells of, which may end
/// before `until`; the next one begins there. Its form is binary: `prv1`, then little-endian for how many seconds
/// entries concern anybody (4 bytes), from when and until when the page tells, when it was read (8 each, milliseconds since
/// 1970), how many sessions and accounts follow (4 each); of each session the key (8); of each account the key, the key of
/// the session that goes on or 0 (8 each), the new session epoch and when it began, in Unix seconds (4 each); both sorted by
/// key. With the digits of an id as two numbers of 64 bits, `high` and `low`, its key is `rotate_left(low, 2) xor (high ×
/// 0x9e3779b97f4a7c15 mod 2^64)`. On the page that ends now the signing keys that were withdrawn stand among the sessions, each
/// by the first eight characters of its `kid`: a verifier believes none of them, whatever copy of the key set it has. For services with the right `revocation:read`.
#[utoipa::path(
    get, path = "/v1/internal/revocations", operation_id = "list_revocations", tag = "internal", security(("service_token" = [])),
    params(
        SpanQuery,
        (
            "X-Edge-Report" = Option<String>, Header,
            description = "What went wrong at the isolate of the edge that asks, since its last report: `keys`, `feed`, `lookups`, `upstreams`, `undecided` and `faults`, each with a number, like `keys=3,upstreams=12`. Counted in the metric `EdgeFailures`; what cannot be read is left out."
        ),
    ),
    responses(
        (status = 200, description = "What was revoked in the span", body = Vec<u8>, content_type = "application/octet-stream"),
        Unprocessable, Unauthorized, Forbidden, Unavailable,
    ),
)]
pub(crate) async fn revocations(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    Query(SpanQuery { after, until }): Query<SpanQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.require("revocation", "read")?;
    EdgeReport::of(&headers).count();
    let page = state.identity.revocations(after, until).await?.ok_or_else(empty_span)?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], page).into_response())
}

fn empty_span() -> Problem {
    let message = "must be before `until` and in the past";
    Problem::invalid("/after", message)
}
