//! `POST /v1/auth/login`: signing in. Wire types and translation only; `identity::login` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::responses::{Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AppState, Client, Json, Problem, SessionResponse, TokenDelivery, texts};
use portcullis_identity::{
    DeviceName, Email, Login, LoginAttempt, LoginName, MfaChallenge, Password, Username,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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

/// The response to a correct password: a session, or the request for a code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum LoginResponse {
    /// A session.
    Authenticated(Box<SessionResponse>),
    /// The request for a code of the second factor.
    MfaRequired(MfaRequired),
}

/// The status of a sign-in that is not finished.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LoginStatus {
    /// A code of the second factor is required.
    MfaRequired,
}

/// The kind of a second factor's code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MfaMethod {
    /// Six digits of the authenticator app.
    Totp,
    /// A backup code.
    BackupCode,
}

/// The request for a code of the second factor, to be sent to `/v1/auth/mfa/verify`.
#[derive(Debug, Serialize, ToSchema)]
struct MfaRequired {
    /// Always `mfa_required`.
    status: LoginStatus,
    /// The token to send with the code; valid for one sign-in.
    session_token: String,
    /// The kinds of codes that are accepted.
    methods: [MfaMethod; 2],
    /// How long the token is valid, in seconds.
    expires_in: u64,
}

impl MfaRequired {
    fn of(challenge: &MfaChallenge) -> Self {
        Self {
            status: LoginStatus::MfaRequired,
            session_token: challenge.token.secret().expose_secret().to_owned(),
            methods: [MfaMethod::Totp, MfaMethod::BackupCode],
            expires_in: challenge.expires_in.as_secs(),
        }
    }
}

/// Sign in
///
/// Returns a session, or the request for a code where the account has a second factor. The error is the same for an unknown
/// address, a wrong password and a disabled account. After five failed attempts in a row each further one doubles the
/// lockout, from one second to 15 minutes; attempts from the owner's known devices are counted apart from all others. An
/// expired password gets the error `password_expired`, with a `session_token` for `/v1/auth/password/rotate`.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", request_body = LoginRequest,
    responses(
        (status = 200, description = "The tokens of a new session, or the request for a code of the second factor", body = LoginResponse, headers(("Set-Cookie" = String, description = "the refresh token"))),
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
    match state.identity.sign_in(attempt, &origin).await? {
        Login::SignedIn(session) => {
            let (headers, Json(answer)) = SessionResponse::of(&state, *session)?;
            Ok((headers, Json(LoginResponse::Authenticated(Box::new(answer)))))
        }
        Login::MfaRequired(challenge) => {
            Ok((HeaderMap::new(), Json(LoginResponse::MfaRequired(MfaRequired::of(&challenge)))))
        }
    }
}
