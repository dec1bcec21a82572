//! `POST /v1/auth/login`: signing in. Wire types and translation only; `identity::login` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::responses::{Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AppState, Client, Json, Problem, TokenDelivery, texts};
use portcullis_identity::{DeviceName, Email, LoginAttempt, LoginName, Password, Username};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::login_response::LoginResponse;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(login))
}

/// The credentials to sign in with.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"email": "asha@example.com", "password": "copper lantern drifts upstream"}))]
struct LoginRequest {
    /// The e-mail address; either this or `username` is required.
    #[schema(value_type = Option<texts::EmailAddress>)]
    email: Option<Email>,
    /// The username, in place of the e-mail address.
    #[schema(value_type = Option<texts::Username>)]
    username: Option<Username>,
    /// The password.
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// Whether the browser keeps the session after it is closed.
    #[serde(default)]
    persist_session: bool,
    /// A name for the device, shown in the list of sessions.
    #[schema(value_type = Option<texts::DeviceName>)]
    device_name: Option<DeviceName>,
    /// The `device_token` of an earlier sign-in from this device, for programs; browsers have a cookie for it.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
    /// How the refresh token is returned: `cookie` for browsers, `body` for programs.
    #[serde(default)]
    token_delivery: TokenDelivery,
}

/// Sign in
///
/// Returns a session; or the request for a code, where the account has a second factor; or the request to set one up at
/// `/v1/mfa/totp/setup`, where a role requires one. The error is the same for an unknown
/// address, a wrong password and a disabled account. After five failed attempts in a row each further one doubles the
/// lockout, from one second to 15 minutes; attempts from the owner's known devices are counted apart from all others. An
/// expired password gets the error `password_expired`, with a `session_token` for `/v1/auth/password/rotate`.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", request_body = LoginRequest,
    responses(
        (status = 200, description = "The tokens of a new session, or the request for a code of the second factor, or to set one up", body = LoginResponse, headers(("Set-Cookie" = String, description = "the refresh token"))),
        Unauthorized, Forbidden, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn login(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<LoginRequest>,
) -> Result<(HeaderMap, Json<LoginResponse>), Problem> {
    let name = match (body.email, body.username) {
        (Some(email), None) => LoginName::Email(email),
        (None, Some(username)) => LoginName::Username(username),
        _ => return Err(Problem::invalid("/email", "give either `email` or `username`")),
    };
    let attempt = LoginAttempt {
        name,
        password: body.password,
        persistent: body.persist_session,
        device_name: body.device_name,
        token_in_body: body.token_delivery == TokenDelivery::Body,
    };
    let origin = client.with_device(body.device_token).into();
    LoginResponse::of(&state, state.identity.sign_in(attempt, &origin).await?)
}
