//! The feed of revocations that the edge follows.

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use jiff::Timestamp;
use portcullis_http::responses::{Forbidden, Unauthorized, Unavailable};
use portcullis_http::{AppState, Problem, ServiceCaller};
use portcullis_identity::{Error, Revocations};
use serde::Serialize;
use utoipa::ToSchema;

const UNWRITABLE: Error = Error::Internal("the list of revocations could not be written");

/// The revocations within the lifetime of an access token. Times are Unix seconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevocationsResponse {
    /// The sessions that ended.
    sessions: Vec<RevokedSession>,
    /// The users with tokens that are no longer valid.
    users: Vec<RevokedUser>,
}

/// A session that ended. All of its tokens are to be refused.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedSession {
    /// The id of the session.
    session_id: String,
    /// When the session ended.
    revoked_at: i64,
}

/// A user with a new session epoch. All tokens of the user with an `epoch` below it are to be refused.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedUser {
    /// The id of the user.
    user_id: String,
    /// The new session epoch.
    epoch: u64,
    /// The id of the session that keeps its tokens; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    except_session_id: Option<String>,
    /// When the session epoch began.
    revoked_at: i64,
}

impl From<Revocations> for RevocationsResponse {
    fn from(listed: Revocations) -> Self {
        let sessions = listed.sessions.into_iter().map(|(id, at)| RevokedSession {
            session_id: id.to_string(),
            revoked_at: Timestamp::as_second(at),
        });
        let users = listed.accounts.into_iter().map(|((id, except), began)| RevokedUser {
            user_id: id.to_string(),
            epoch: began.session_epoch,
            except_session_id: except.map(|id| id.to_string()),
            revoked_at: began.at.as_second(),
        });
        Self { sessions: sessions.collect(), users: users.collect() }
    }
}

/// List recent revocations
///
/// Returns the sessions and users with revoked tokens, for services that verify access tokens themselves. Request it every
/// few seconds with `If-None-Match`. For services with the right `revocation:read`.
#[utoipa::path(
    get, path = "/v1/internal/revocations", operation_id = "list_revocations", tag = "internal", security(("service_token" = [])),
    params(("If-None-Match" = Option<String>, Header, description = "the `ETag` of the last list")),
    responses(
        (status = 200, description = "What was revoked and is not expired yet", body = RevocationsResponse, headers(("ETag" = String))),
        (status = 304, description = "the list has not changed"),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
pub(crate) async fn revocations(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.require("revocation", "read")?;
    let listed = RevocationsResponse::from(state.identity.revocations().await?);
    let body = serde_json::to_vec(&listed).map_err(|_| UNWRITABLE)?;
    // A strong validator (RFC 9110, section 8.8.1): equal lists have equal ones.
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, &body)));
    let tag: ETag = tag.parse().map_err(|_| UNWRITABLE)?;
    let known = headers.typed_get::<IfNoneMatch>().is_some_and(|known| !known.precondition_passes(&tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    };
    response.headers_mut().typed_insert(tag);
    Ok(response)
}
