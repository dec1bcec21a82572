//! `/v1/audit`: the audit trail of a person's own account, and whether it is as it was written.

use axum::extract::State;
use portcullis_http::responses::{Unauthorized, Unprocessable};
use portcullis_http::{
    AppState, AuditEventItem, AuditQuery, Both, Json, List, Page, Problem, Query, SignedInCaller, rfc3339,
};
use portcullis_identity::TrailIntegrity;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(integrity))
}

/// Whether a trail is as it was written.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TrailStatus {
    /// Nothing that was verified was changed or removed.
    Whole,
    /// A record was changed or removed.
    Damaged,
}

/// Since when a trail is as it was written.
#[derive(Debug, Serialize, ToSchema)]
struct TrailIntegrityResponse {
    /// `whole`: nothing that was verified was changed or removed; `damaged`: something was, before `whole_since`.
    status: TrailStatus,
    /// The time of the first record from which on all are there and as they were written (RFC 3339, UTC); `null` where not
    /// even the last one is.
    whole_since: Option<String>,
    /// When this was verified (RFC 3339, UTC): now.
    verified_at: String,
}

impl TrailIntegrityResponse {
    fn of(found: TrailIntegrity, now: jiff::Timestamp) -> Self {
        Self {
            status: if found.is_damaged { TrailStatus::Damaged } else { TrailStatus::Whole },
            whole_since: found.whole_since.map(rfc3339),
            verified_at: rfc3339(now),
        }
    }
}

/// List the own audit trail
///
/// Returns one page of events, newest first. A page may be shorter than `limit`, or empty, and still not be the last: only a
/// `next_cursor` of `null` marks the last page.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "list_own_audit_trail", tag = "audit", security(("access_token" = [])), params(AuditQuery, Page),
    responses(
        (status = 200, description = "One page of the records of the caller's account, newest first", body = List<AuditEventItem>),
        Unauthorized, Unprocessable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(Both(query, page)): Query<Both<AuditQuery, Page>>,
) -> Result<Json<List<AuditEventItem>>, Problem> {
    let found = state.identity.own_audit(&caller, &query.into(), page.limit.into(), page.after()?).await?;
    Ok(Json(List::of(found.records, found.next)))
}

/// Verify the own audit trail
///
/// Verifies the records of the caller's account and of sign-ins under its address, and returns since when all of them are there
/// and as they were written. At most the 500 newest of each are verified, so `whole_since` may be later than the registration
/// although nothing is wrong.
#[utoipa::path(
    get, path = "/v1/audit/integrity", operation_id = "get_own_trail_integrity", tag = "audit", security(("access_token" = [])),
    responses(
        (status = 200, description = "Since when the trail is as it was written", body = TrailIntegrityResponse),
        Unauthorized,
    ),
)]
async fn integrity(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<Json<TrailIntegrityResponse>, Problem> {
    let found = state.identity.own_trail_integrity(&caller).await?;
    Ok(Json(TrailIntegrityResponse::of(found, state.identity.clock.now())))
}
