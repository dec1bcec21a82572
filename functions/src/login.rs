//! `POST /v1/auth/login`: signing in. Wire types and translation only; `identity::login` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::responses::{Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AppState, Client, Json, Problem, SessionAnswer, TokenDelivery};
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

/// Who says who they are.
#[derive(Debug, Deserialize, ToSchema)]
struct LoginRequest {
    /// The address; or give `username`.
    #[schema(value_type = Option<String>, example = "asha@example.com")]
    email: Option<Email>,
    /// The username, in place of the address.
    #[schema(value_type = Option<String>)]
    username: Option<Username>,
    /// The password.
    #[schema(value_type = String, format = Password, example = "copper lantern drifts upstream")]
    password: Password,
    /// Whether a browser keeps the session when it is closed.
    #[serde(default)]
    persist_session: bool,
    /// What the person calls the device.
    #[schema(value_type = Option<String>)]
    device_name: Option<DeviceName>,
    /// What an earlier sign-in from this device was answered with, of a program; browsers have a cookie for it.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
    /// `cookie` for browsers, `body` for programs.
    #[serde(default)]
    token_delivery: TokenDelivery,
}

/// What a right password leads to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum LoginResponse {
    /// A session.
    Authenticated(Box<SessionAnswer>),
    /// The question for a code.
    MfaRequired(MfaRequired),
}

/// That a sign-in is not finished.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LoginStatus {
    /// A code of the second factor is needed.
    MfaRequired,
}

/// A kind of code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MfaMethod {
    /// Six digits of the authenticator app.
    Totp,
    /// A backup code.
    BackupCode,
}

/// The question for a code, to be answered at `/v1/auth/mfa/verify`.
#[derive(Debug, Serialize, ToSchema)]
struct MfaRequired {
    /// Always `mfa_required`.
    status: LoginStatus,
    /// What to send with the code; good for one sign-in.
    session_token: String,
    /// Which codes will do.
    methods: [MfaMethod; 2],
    /// How long there is time, in seconds.
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
/// Unknown address, wrong password and disabled account are answered alike. After five failures in a row each further
/// one doubles the time nothing is tried, from a second to a quarter of an hour; devices of the owner are counted apart
/// from strangers. Where the account has a second factor, the answer is not yet a session but asks for a code. A
/// password that is too old is answered with `password_expired` and a `session_token` for its rotation.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", request_body = LoginRequest,
    responses(
        (status = 200, body = LoginResponse, headers(("Set-Cookie" = String, description = "the refresh token"))),
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
            let (headers, Json(answer)) = SessionAnswer::of(&state, *session)?;
            Ok((headers, Json(LoginResponse::Authenticated(Box::new(answer)))))
        }
        Login::MfaRequired(challenge) => {
            Ok((HeaderMap::new(), Json(LoginResponse::MfaRequired(MfaRequired::of(&challenge)))))
        }
    }
}
