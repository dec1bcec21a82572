//! `POST /v1/auth/logout`: ending the sessions of the tokens that are sent, or all of them. `identity::logout` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use portcullis_http::responses::{Forbidden, Unauthorized, Unavailable};
use portcullis_http::{
    AppState, Client, Code, Json, OptionalJson, Problem, bearer_token, require_allowed_origin,
};
use portcullis_identity::{Error, Logout, ShownTokens, SignedOut};
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
    /// Whether to end every session of the account, not only those of the tokens that are sent.
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
    /// The ids of the sessions that ended, of those whose tokens were sent; one that had ended before is not among them.
    ended: Vec<String>,
    /// The ids of the accounts all of whose sessions ended, with `all_devices`.
    all_devices: Vec<String>,
}

/// Sign out
///
/// Ends the session of every token that is sent, in the body, as `Authorization: Bearer` and as a cookie, or all
/// sessions of their accounts. Signing out twice is no error, and an expired access token ends its own session. The
/// cookie counts only if `Origin` names an allowed page; otherwise its session stays, and so does the cookie.
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "auth",
    request_body(content = Option<LogoutRequest>, examples(
        ("browser" = (summary = "A browser, whose cookie says which session", value = json!({}))),
        ("program" = (summary = "A program", value = json!({"refresh_token": "rt_0199f3c2a6e47d0c8f21b7e5d4a39c10.kbZ0n5rR1xqfYw3vH8uJ2m"}))),
    )),
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
    // A page that may not send the cookie (CSRF) cannot end its session by adding a token of its own; nor can a cookie
    // that somebody else planted keep the session of a good token alive.
    let is_allowed = |_: &&SecretString| require_allowed_origin(&headers, &state.settings.origins).is_ok();
    let counted = cookie.as_ref().filter(is_allowed);
    let shown = ShownTokens {
        refresh_token: body.refresh_token.as_ref(),
        access_token: bearer_token(&headers),
        cookie: counted,
    };
    if shown.is_empty() {
        return Err(
            if cookie.is_some() { Code::OriginNotAllowed } else { Code::AuthenticationRequired }.into()
        );
    }
    let signed_out = match state.identity.sign_out(&shown, which, &client.into()).await {
        // Only the cookie might have been worth something.
        Err(Error::InvalidRefreshToken | Error::InvalidAccessToken | Error::UnverifiedAccessToken(_))
            if cookie.is_some() =>
        {
            return Err(Code::OriginNotAllowed.into());
        }
        signed_out => signed_out?,
    };
    let mut answer = HeaderMap::new();
    if counted.is_some() {
        // Its session has ended, now or before, or it never had one.
        answer.insert(SET_COOKIE, state.refresh_cookie().clear()?);
    }
    Ok((answer, Json(LogoutResponse::of(&signed_out))))
}

impl LogoutResponse {
    fn of(signed_out: &SignedOut) -> Self {
        Self {
            status: LogoutStatus::LoggedOut,
            ended: signed_out.sessions.iter().map(ToString::to_string).collect(),
            all_devices: signed_out.accounts.iter().map(ToString::to_string).collect(),
        }
    }
}
