//! `POST /v1/auth/logout`: ending this session or all of them. `identity::logout` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use portcullis_http::responses::{Forbidden, Unauthorized, Unavailable};
use portcullis_http::{
    AppState, Client, Code, Json, OptionalJson, Problem, bearer_token, require_allowed_origin,
};
use portcullis_identity::{Error, Logout};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(logout))
}

/// The sessions to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct LogoutRequest {
    /// Whether to end every session of the account, not only this one.
    #[serde(default)]
    all_devices: bool,
    /// The refresh token, for programs; browsers send a cookie.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

/// The status after a sign-out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LogoutStatus {
    /// The person is signed out.
    LoggedOut,
}

/// The outcome of a sign-out.
#[derive(Debug, Serialize, ToSchema)]
struct LogoutResponse {
    /// Always `logged_out`.
    status: LogoutStatus,
}

/// Sign out
///
/// Ends this session, or all of the account's. Takes a refresh token or an access token; signing out twice is no error.
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "auth", request_body = Option<LogoutRequest>,
    security(("refresh_cookie" = []), ("access_token" = []), ()),
    responses(
        (status = 200, description = "The session has ended", body = LogoutResponse),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn logout(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<LogoutRequest>,
) -> Result<(HeaderMap, Json<LogoutResponse>), Problem> {
    let which = if body.all_devices { Logout::AllDevices } else { Logout::ThisDevice };
    let cookie = state.refresh_cookie().read(&headers);
    let (identity, origin) = (&state.identity, client.into());
    let ended = match (&body.refresh_token, bearer_token(&headers), &cookie) {
        (Some(token), _, _) => identity.sign_out_by_refresh_token(token, which, &origin).await,
        (None, Some(token), _) => identity.sign_out_by_access_token(token, which, &origin).await,
        (None, None, Some(token)) => {
            require_allowed_origin(&headers, &state.settings.origins)?;
            identity.sign_out_by_refresh_token(token, which, &origin).await
        }
        (None, None, None) => return Err(Code::AuthenticationRequired.into()),
    };
    match ended {
        // A cookie that belongs to no session is signed out already; all that is left is to clear it.
        Err(Error::InvalidRefreshToken) if body.refresh_token.is_none() => {}
        ended => ended?,
    }
    let mut answer = HeaderMap::new();
    if cookie.is_some() {
        answer.insert(SET_COOKIE, state.refresh_cookie().clear()?);
    }
    Ok((answer, Json(LogoutResponse { status: LogoutStatus::LoggedOut })))
}
