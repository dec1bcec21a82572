//! `GET /v1/audit`: the audit trail of a person's own account.

use axum::extract::State;
use portcullis_http::responses::{Unauthorized, Unprocessable};
use portcullis_http::{
    AppState, AuditEventItem, AuditQuery, Both, Json, List, Page, Problem, Query, SignedInCaller,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
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
