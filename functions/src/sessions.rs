//! `/v1/sessions` and `/v1/auth/status`: the sessions of a person, and the one behind a request.

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{NotFound, TooManyRequests, Unauthorized, Unprocessable};
use portcullis_http::{
    AppState, Client, Json, List, Page, PathId, Problem, Query, SessionStatus, SignedInCaller, rfc3339,
};
use portcullis_identity::{Assurance, Session, SessionId, SessionList};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::SessionPath;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(list, revoke_others)).routes(routes!(revoke))
}

/// A session of the account, with the device it is on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionItem {
    /// The id of the session, opaque.
    session_id: String,
    /// The person's name for the device.
    device_name: Option<String>,
    /// The `User-Agent` of the sign-in.
    user_agent: Option<String>,
    /// The IP address of the sign-in.
    ip: Option<String>,
    /// When the session started (RFC 3339, UTC).
    created_at: String,
    /// When the session was last refreshed (RFC 3339, UTC).
    last_seen_at: String,
    /// Whether it is the session of this request.
    current: bool,
}

impl SessionItem {
    /// Returns a page of sessions as their owner and administrators see them, beside the session of the request.
    pub(crate) fn list(found: SessionList, current: SessionId) -> List<Self> {
        let items: Vec<Self> = found.sessions.into_iter().map(|session| Self::of(session, current)).collect();
        List::of(items, found.next)
    }

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
    /// The id of the account.
    user_id: String,
    /// The id of the session.
    session_id: String,
    /// The account's roles as they are now, which may be newer than those in the token.
    roles: Vec<String>,
    /// The permissions of those roles, as `resource:action`.
    permissions: Vec<String>,
    /// When the session ends unless it is refreshed (RFC 3339, UTC).
    session_expires_at: String,
    /// When the password expires (RFC 3339, UTC); `null` if it does not.
    password_expires_at: Option<String>,
    /// Whether sign-in requires a second factor.
    mfa_enabled: bool,
    /// How surely the person has proved who they are in this session: `aal1`, `aal2` or `phr`.
    #[schema(example = "aal2")]
    acr: &'static str,
    /// When they last did (RFC 3339, UTC).
    auth_time: String,
}

/// Read the own session
///
/// Returns the session of the access token, with the account's roles and permissions as they are now.
#[utoipa::path(
    get, path = "/v1/auth/status", operation_id = "get_session_status", tag = "auth", security(("access_token" = [])),
    responses((status = 200, description = "The session of the token, and its owner", body = StatusResponse), Unauthorized),
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
        acr: Assurance::of_methods(&session.methods).as_str(),
        auth_time: rfc3339(caller.session.proved_at()),
        roles: caller.account.roles,
    })
}

/// List the own sessions
///
/// Returns one page of the sessions, newest first.
#[utoipa::path(
    get, path = "/v1/sessions", operation_id = "list_sessions", tag = "sessions", security(("access_token" = [])), params(Page),
    responses(
        (status = 200, description = "One page of the live sessions, newest first", body = List<SessionItem>),
        Unauthorized, Unprocessable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(page): Query<Page>,
) -> Result<Json<List<SessionItem>>, Problem> {
    let found = state.identity.list_sessions(&caller, page.limit.into(), page.after()?).await?;
    Ok(Json(SessionItem::list(found, caller.session.made.id)))
}

/// End one of the own sessions
///
/// Its tokens are revoked.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", operation_id = "revoke_session", tag = "sessions", security(("access_token" = [])),
    params(SessionPath),
    responses((status = 204, description = "The session has ended"), Unauthorized, NotFound, TooManyRequests),
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
///
/// Their tokens are revoked.
#[utoipa::path(
    delete, path = "/v1/sessions", operation_id = "revoke_other_sessions", tag = "sessions", security(("access_token" = [])),
    responses((status = 204, description = "Every session but the caller's has ended"), Unauthorized, TooManyRequests),
)]
async fn revoke_others(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
) -> Result<StatusCode, Problem> {
    state.identity.revoke_other_sessions(&caller, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
