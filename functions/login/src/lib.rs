//! `POST /v1/auth/login`: signing in. Wire types and translation only; `identity::login` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::{AppState, Client, Json, Problem, TokenDelivery, User, session_headers};
use portcullis_identity::{DeviceName, Email, LoginAttempt, LoginName, Password, Username};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(login))
}

/// Who says who they are.
#[derive(Debug, Deserialize, ToSchema)]
struct LoginRequest {
    /// The address; or give `username`.
    #[schema(example = "asha@example.com")]
    email: Option<String>,
    /// The username, in place of the address.
    username: Option<String>,
    /// The password.
    #[schema(value_type = String, format = Password, example = "copper lantern drifts upstream")]
    password: SecretString,
    /// Whether a browser keeps the session when it is closed.
    #[serde(default)]
    persist_session: bool,
    /// What the person calls the device.
    device_name: Option<String>,
    /// `cookie` for browsers, `body` for programs.
    #[serde(default)]
    token_delivery: TokenDelivery,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
struct LoginResponse {
    /// Always `authenticated`.
    status: &'static str,
    /// A JWT to be sent as `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    expires_in: u64,
    /// With `token_delivery: "body"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Who signed in.
    user: User,
}

/// Sign in
///
/// Unknown address, wrong password and disabled account are answered alike.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", request_body = LoginRequest,
    responses(
        (status = 200, body = LoginResponse, headers(("Set-Cookie" = String, description = "the refresh token"))),
        (status = 401, response = Problem), (status = 422, response = Problem), (status = 503, response = Problem),
    ),
)]
async fn login(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<LoginRequest>,
) -> Result<(HeaderMap, Json<LoginResponse>), Problem> {
    let name = match (&body.email, &body.username) {
        (Some(email), None) => LoginName::Email(Email::parse(email)?),
        (None, Some(username)) => LoginName::Username(Username::parse(username)?),
        _ => return Err(Problem::invalid("/email", "give either `email` or `username`")),
    };
    let attempt = LoginAttempt {
        name,
        password: Password::new(&body.password),
        persistent: body.persist_session,
        device_name: body.device_name.as_deref().map(DeviceName::parse).transpose()?,
    };
    let session = state.identity.sign_in(attempt, &client.into()).await?;
    let (headers, refresh_token) = session_headers(&state, &session.refresh, body.token_delivery)?;
    let answer = LoginResponse {
        status: "authenticated",
        access_token: session.access_token,
        token_type: "Bearer",
        expires_in: session.expires_in.as_secs(),
        refresh_token,
        user: User::of(session.account, Some(session.at)),
    };
    Ok((headers, Json(answer)))
}
