//! `POST /v1/auth/refresh`: exchanging a refresh token for the next one. `identity::refresh` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::responses::{Forbidden, Unauthorized, Unavailable};
use portcullis_http::{
    AppState, Client, Code, Json, OptionalJson, Problem, TokenDelivery, TokenType, require_allowed_origin,
    session_headers,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(refresh))
}

/// The refresh token of a program; a browser sends a cookie and no body.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct RefreshRequest {
    /// The refresh token.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

/// The new tokens of a session.
#[derive(Debug, Serialize, ToSchema)]
struct RefreshResponse {
    /// The access token, a JWT to be sent as `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    token_type: TokenType,
    /// How long the access token is valid, in seconds.
    expires_in: u64,
    /// The refresh token to go on with, where one was sent in the body; absent for browsers, which get a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Refresh a session
///
/// Returns a new access token and the refresh token to go on with. A refresh token is replaced once in
/// `REFRESH_REUSE_GRACE` at most: for so long after its issue it is answered with itself, and its predecessor with it, so
/// that requests that cross sign nobody out. Any other reuse of a replaced token ends the session.
#[utoipa::path(
    post, path = "/v1/auth/refresh", tag = "auth",
    request_body(content = Option<RefreshRequest>, examples(
        ("browser" = (summary = "A browser, which sends its cookie", value = json!({}))),
        ("program" = (summary = "A program", value = json!({"refresh_token": "rt_0199f3c2a6e47d0c8f21b7e5d4a39c10.kbZ0n5rR1xqfYw3vH8uJ2m"}))),
    )),
    security(("refresh_cookie" = []), ()),
    responses(
        (status = 200, description = "A new access token and the next refresh token", body = RefreshResponse, headers(("Set-Cookie" = String, description = "the next token; absent while the one that was sent stays"))),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn refresh(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<RefreshRequest>,
) -> Result<(HeaderMap, Json<RefreshResponse>), Problem> {
    let (token, delivery) = if let Some(token) = body.refresh_token {
        (token, TokenDelivery::Body)
    } else {
        let token = state.refresh_cookie().read(&headers).ok_or(Code::InvalidRefreshToken)?;
        require_allowed_origin(&headers, &state.settings.origins)?;
        (token, TokenDelivery::Cookie)
    };
    let refreshed = state.identity.refresh(&token, &client.into()).await?;
    let (headers, refresh_token) = session_headers(&state, &refreshed.refresh, delivery)?;
    let answer = RefreshResponse {
        access_token: refreshed.access_token,
        token_type: TokenType::Bearer,
        expires_in: refreshed.expires_in.as_secs(),
        refresh_token,
    };
    Ok((headers, Json(answer)))
}
