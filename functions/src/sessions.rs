//! `/v1/sessions` and `/v1/auth/status`: where a person is signed in, and as whom.

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{NotFound, Unauthorized, Unprocessable};
use portcullis_http::{
    AppState, Client, Json, List, Page, PathId, Problem, Query, SessionStatus, SignedInCaller, rfc3339,
};
use portcullis_identity::{Session, SessionId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(list, revoke_others)).routes(routes!(revoke))
}

/// One place where a person is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SessionItem {
    /// Opaque id.
    session_id: String,
    /// What the person calls it.
    device_name: Option<String>,
    /// What the client calls itself.
    user_agent: Option<String>,
    /// Address of the sign-in.
    ip: Option<String>,
    /// RFC 3339, UTC.
    created_at: String,
    /// RFC 3339, UTC: the last refresh.
    last_seen_at: String,
    /// Whether this request comes from it.
    current: bool,
}

impl SessionItem {
    fn of(session: Session, current: SessionId) -> Self {
        Self {
            session_id: session.made.id.to_string(),
            current: session.made.id == current,
            device_name: session.made.device_name,
            user_agent: session.made.user_agent,
            ip: session.made.ip,
            created_at: rfc3339(session.made.created_at),
            last_seen_at: rfc3339(session.last_seen_at),
        }
    }
}

/// The session behind an access token.
#[derive(Debug, Serialize, ToSchema)]
struct StatusResponse {
    /// Always `authenticated`.
    status: SessionStatus,
    /// The account.
    user_id: String,
    /// The session.
    session_id: String,
    /// Roles as they are now, which may be newer than the token's.
    roles: Vec<String>,
    /// What those roles permit, as `resource:action`.
    permissions: Vec<String>,
    /// RFC 3339, UTC: when the session ends unless it is refreshed.
    session_expires_at: String,
    /// RFC 3339, UTC; null while passwords do not expire.
    password_expires_at: Option<String>,
    /// Whether a second factor is asked for.
    mfa_enabled: bool,
}

/// Read the own session
#[utoipa::path(
    get, path = "/v1/auth/status", tag = "auth", security(("access_token" = [])),
    responses((status = 200, body = StatusResponse), Unauthorized),
)]
async fn status(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Json<StatusResponse> {
    let session = &caller.session.made;
    let permissions = state.identity.settings.policy.permissions(&caller.account.roles);
    Json(StatusResponse {
        status: SessionStatus::Authenticated,
        user_id: caller.account.id.to_string(),
        session_id: session.id.to_string(),
        permissions: permissions.into_iter().map(ToString::to_string).collect(),
        session_expires_at: rfc3339(session.idle_expires_at.min(session.expires_at)),
        password_expires_at: state.identity.password_expires_at(&caller.account).map(rfc3339),
        mfa_enabled: caller.account.mfa_enabled,
        roles: caller.account.roles,
    })
}

/// List the own sessions
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", security(("access_token" = [])), params(Page),
    responses(
        (status = 200, body = List<SessionItem>),
        Unauthorized, Unprocessable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(page): Query<Page>,
) -> Result<Json<List<SessionItem>>, Problem> {
    let found = state.identity.list_sessions(&caller, page.limit.into(), page.after()?).await?;
    let current = caller.session.made.id;
    Ok(Json(List {
        items: found.sessions.into_iter().map(|session| SessionItem::of(session, current)).collect(),
        next_cursor: found.next.map(|id| id.to_string()),
    }))
}

/// End one of the own sessions
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "sessions", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the session")),
    responses((status = 204), Unauthorized, NotFound),
)]
async fn revoke(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    state.identity.revoke_session(&caller, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all own sessions but this one
#[utoipa::path(
    delete, path = "/v1/sessions", tag = "sessions", security(("access_token" = [])),
    responses((status = 204), Unauthorized),
)]
async fn revoke_others(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
) -> Result<StatusCode, Problem> {
    state.identity.revoke_other_sessions(&caller, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
