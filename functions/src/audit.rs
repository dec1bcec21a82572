//! `GET /v1/audit`: what happened to a person's own account.

use axum::extract::State;
use portcullis_http::{AppState, AuditEventItem, AuditQuery, Json, List, Page, Problem, SignedInCaller};
use portcullis_identity::AuditCursor;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List the own audit trail
///
/// Newest first. A page may be shorter than `limit`, or empty, and still not be the last: only `next_cursor` says so.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", security(("access_token" = [])), params(AuditQuery, Page),
    responses(
        (status = 200, body = List<AuditEventItem>),
        (status = 401, response = Problem), (status = 422, response = Problem),
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    query: AuditQuery,
    page: Page,
) -> Result<Json<List<AuditEventItem>>, Problem> {
    let unusable = |()| Problem::invalid("/cursor", "is not one that this list gave out");
    let after = page.cursor.as_deref().map(str::parse::<AuditCursor>).transpose().map_err(unusable)?;
    let found = state.identity.own_audit(&caller, &query.into(), page.limit.into(), after).await?;
    Ok(Json(List {
        items: found.records.into_iter().map(AuditEventItem::from).collect(),
        next_cursor: found.next.map(|cursor| cursor.to_string()),
    }))
}
