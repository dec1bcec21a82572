//! `/v1/auth/password/…`: changing a password, choosing a forgotten one anew, and replacing one that is too old.
//! `identity::recovery` and `identity::rotation` decide.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use portcullis_http::responses::{Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AppState, Client, Json, Problem, SessionAnswer, SignedInCaller, device_headers};
use portcullis_identity::{Email, Error, Password};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(change))
        .routes(routes!(rotate))
        .routes(routes!(forgot))
        .routes(routes!(reset))
}

/// A password for another.
#[derive(Debug, Deserialize, ToSchema)]
struct ChangeRequest {
    /// The password as it is.
    #[schema(value_type = String, format = Password)]
    current_password: Password,
    /// 12 to 256 characters that are hard to guess.
    #[schema(value_type = String, format = Password, example = "marble orchard whispers northward")]
    new_password: Password,
}

/// Another password for one that is too old.
#[derive(Debug, Deserialize, ToSchema)]
struct RotateRequest {
    /// What the sign-in was answered with.
    #[schema(value_type = String)]
    session_token: SecretString,
    /// 12 to 256 characters that are hard to guess.
    #[schema(value_type = String, format = Password, example = "marble orchard whispers northward")]
    new_password: Password,
}

/// Whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
struct ForgotRequest {
    /// The address.
    #[schema(value_type = String, example = "asha@example.com")]
    email: Email,
}

/// Another password for one that is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
struct ResetRequest {
    /// The token of the mail.
    #[schema(value_type = String)]
    token: SecretString,
    /// 12 to 256 characters that are hard to guess.
    #[schema(value_type = String, format = Password, example = "marble orchard whispers northward")]
    new_password: Password,
}

/// What became of a request about a password.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PasswordStatus {
    /// There is another password.
    PasswordChanged,
    /// A link is on its way, if the address has an account.
    MailSentIfKnown,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
struct StatusAnswer {
    /// `password_changed`, or `mail_sent_if_known` whether or not it was.
    status: PasswordStatus,
}

const CHANGED: Json<StatusAnswer> = Json(StatusAnswer { status: PasswordStatus::PasswordChanged });

/// Change the own password
///
/// Every other session ends.
#[utoipa::path(
    post, path = "/v1/auth/password/change", tag = "auth", security(("access_token" = [])), request_body = ChangeRequest,
    responses(
        (status = 200, body = StatusAnswer),
        Unauthorized, Forbidden, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn change(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<ChangeRequest>,
) -> Result<Json<StatusAnswer>, Problem> {
    let (current, new) = (&body.current_password, &body.new_password);
    state.identity.change_password(&caller, current, new, &client.into()).await.map_err(refused)?;
    Ok(CHANGED)
}

/// Replace a password that is too old, and finish the sign-in
///
/// Every other session ends.
#[utoipa::path(
    post, path = "/v1/auth/password/rotate", tag = "auth", request_body = RotateRequest,
    responses(
        (status = 200, body = SessionAnswer, headers(("Set-Cookie" = String, description = "the refresh token"))),
        Unauthorized, Unprocessable, Unavailable,
    ),
)]
async fn rotate(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<RotateRequest>,
) -> Result<(HeaderMap, Json<SessionAnswer>), Problem> {
    let new = &body.new_password;
    let rotated = state.identity.rotate_password(&body.session_token, new, &client.into()).await;
    SessionAnswer::of(&state, rotated.map_err(refused)?)
}

/// Ask for a link to choose another password
///
/// Answered alike, and after the same time, whether or not the address has an account.
#[utoipa::path(
    post, path = "/v1/auth/password/forgot", tag = "auth", request_body = ForgotRequest,
    responses(
        (status = 202, body = StatusAnswer),
        Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn forgot(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<ForgotRequest>,
) -> Result<(StatusCode, Json<StatusAnswer>), Problem> {
    state.identity.forgot_password(&body.email, &client.into()).await?;
    Ok((StatusCode::ACCEPTED, Json(StatusAnswer { status: PasswordStatus::MailSentIfKnown })))
}

/// Choose another password with the link of a mail
///
/// The link works once, for 30 minutes. Every session ends; the next sign-in asks for a code where there is a second
/// factor.
#[utoipa::path(
    post, path = "/v1/auth/password/reset", tag = "auth", request_body = ResetRequest,
    responses(
        (status = 200, body = StatusAnswer, headers(("Set-Cookie" = String, description = "makes the device known"))),
        Unauthorized, Unprocessable, Unavailable,
    ),
)]
async fn reset(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<ResetRequest>,
) -> Result<(HeaderMap, Json<StatusAnswer>), Problem> {
    let new = &body.new_password;
    let device = state.identity.reset_password(&body.token, new, &client.into()).await.map_err(refused)?;
    Ok((device_headers(&state, &device)?, CHANGED))
}

/// What is called `password` elsewhere is the new one here.
fn refused(error: Error) -> Problem {
    match error {
        Error::WeakPassword(advice) => Problem::weak_password("/new_password", advice),
        error => error.into(),
    }
}
