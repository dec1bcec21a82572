//! `/v1/auth/password/…`: changing a password, resetting a forgotten one, and replacing an expired one.
//! `identity::recovery` and `identity::rotation` decide.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use portcullis_http::responses::{
    Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable, WorkRequired,
};
use portcullis_http::{AppState, Client, Json, Problem, SignedInCaller, device_headers, texts};
use portcullis_identity::{Email, Error, Password, Work};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::login_response::LoginResponse;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(change))
        .routes(routes!(rotate))
        .routes(routes!(forgot))
        .routes(routes!(reset))
}

/// The present and the new password.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "current_password": "copper lantern drifts upstream",
    "new_password": "marble orchard whispers northward",
}))]
struct ChangePasswordRequest {
    /// The present password.
    #[schema(value_type = String, format = Password)]
    current_password: Password,
    /// The new password: 12 to 256 characters, hard to predict.
    #[schema(value_type = texts::NewPassword)]
    new_password: Password,
}

/// The new password in place of an expired one.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "session_token": "rot_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U",
    "new_password": "marble orchard whispers northward",
}))]
struct RotatePasswordRequest {
    /// The `session_token` of the error `password_expired`.
    #[schema(value_type = String)]
    session_token: SecretString,
    /// The new password: 12 to 256 characters, hard to predict.
    #[schema(value_type = texts::NewPassword)]
    new_password: Password,
}

/// The account with the forgotten password.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"email": "asha@example.com"}))]
struct ForgotPasswordRequest {
    /// The e-mail address of the account.
    #[schema(value_type = texts::EmailAddress)]
    email: Email,
    /// The solution of the puzzle in the error `proof_of_work_required`, where the service asks for one.
    proof_of_work: Option<String>,
}

/// The new password in place of a forgotten one.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "token": "rst_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U",
    "new_password": "marble orchard whispers northward",
}))]
struct ResetPasswordRequest {
    /// The token in the link of the mail.
    #[schema(value_type = String)]
    token: SecretString,
    /// The new password: 12 to 256 characters, hard to predict.
    #[schema(value_type = texts::NewPassword)]
    new_password: Password,
    /// Whether all API keys of the account end, too: for an account that somebody else may have used.
    #[serde(default)]
    end_api_keys: bool,
}

/// The status of a request about a password.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PasswordStatus {
    /// The password was changed.
    PasswordChanged,
    /// A mail with a link is sent if the address has an account.
    MailSentIfKnown,
}

/// The outcome of a request about a password.
#[derive(Debug, Serialize, ToSchema)]
struct PasswordResponse {
    /// `password_changed`, or `mail_sent_if_known`, which does not reveal whether the address has an account.
    status: PasswordStatus,
}

const CHANGED: Json<PasswordResponse> = Json(PasswordResponse { status: PasswordStatus::PasswordChanged });

/// Change the own password
///
/// Every other session of the account ends, and every device but this one is a stranger's at its next sign-in.
#[utoipa::path(
    post, path = "/v1/auth/password/change", operation_id = "change_password", tag = "auth", security(("access_token" = [])), request_body = ChangePasswordRequest,
    responses(
        (status = 200, description = "The password is changed, and other sessions have ended", body = PasswordResponse, headers(("Set-Cookie" = String, description = "the token that makes this a known device"))),
        Unauthorized, Forbidden, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn change(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<ChangePasswordRequest>,
) -> Result<(HeaderMap, Json<PasswordResponse>), Problem> {
    let (current, new) = (&body.current_password, &body.new_password);
    let changed = state.identity.change_password(&caller, current, new, &client.into()).await;
    Ok((device_headers(&state, &changed.map_err(refused)?)?, CHANGED))
}

/// Replace an expired password and complete the sign-in
///
/// Returns the session, or the request to set up a second factor where a role requires one; every other session of the
/// account ends.
#[utoipa::path(
    post, path = "/v1/auth/password/rotate", operation_id = "rotate_password", tag = "auth", request_body = RotatePasswordRequest,
    responses(
        (status = 200, description = "The tokens of the new session, or the request to set up a second factor", body = LoginResponse, headers(("Set-Cookie" = String, description = "the refresh token"))),
        Unauthorized, Unprocessable, Unavailable,
    ),
)]
async fn rotate(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<RotatePasswordRequest>,
) -> Result<(HeaderMap, Json<LoginResponse>), Problem> {
    let new = &body.new_password;
    let rotated = state.identity.rotate_password(&body.session_token, new, &client.into()).await;
    LoginResponse::of(&state, rotated.map_err(refused)?)
}

/// Request a link to reset a forgotten password
///
/// The response is the same, and takes the same time, whether or not the address has an account.
#[utoipa::path(
    post, path = "/v1/auth/password/forgot", operation_id = "forgot_password", tag = "auth", request_body = ForgotPasswordRequest,
    responses(
        (status = 202, description = "A mail is on its way if the address has an account", body = PasswordResponse),
        Unprocessable, WorkRequired, TooManyRequests, Unavailable,
    ),
)]
async fn forgot(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<ForgotPasswordRequest>,
) -> Result<(StatusCode, Json<PasswordResponse>), Problem> {
    state.identity.demand_work(Work::ForgottenPassword, &body.email, body.proof_of_work.as_deref()).await?;
    state.identity.forgot_password(&body.email, &client.into()).await?;
    Ok((StatusCode::ACCEPTED, Json(PasswordResponse { status: PasswordStatus::MailSentIfKnown })))
}

/// Reset a forgotten password
///
/// Takes the token in the link of the mail, which works once, for 30 minutes. Every session of the account ends and, with
/// `end_api_keys`, every API key; the next sign-in requires a code where there is a second factor.
#[utoipa::path(
    post, path = "/v1/auth/password/reset", operation_id = "reset_password", tag = "auth", request_body = ResetPasswordRequest,
    responses(
        (status = 200, description = "The password is changed, and every session has ended", body = PasswordResponse, headers(("Set-Cookie" = String, description = "the token that makes this a known device"))),
        Unauthorized, Unprocessable, Unavailable,
    ),
)]
async fn reset(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<ResetPasswordRequest>,
) -> Result<(HeaderMap, Json<PasswordResponse>), Problem> {
    let new = &body.new_password;
    let (identity, origin) = (&state.identity, client.into());
    let reset = if body.end_api_keys {
        identity.reset_password_and_end_keys(&body.token, new, &origin).await
    } else {
        identity.reset_password(&body.token, new, &origin).await
    };
    let device = reset.map_err(refused)?;
    Ok((device_headers(&state, &device)?, CHANGED))
}

/// Returns the problem for an error. The member with the weak password is `new_password` here, and `password` elsewhere.
fn refused(error: Error) -> Problem {
    match error {
        Error::WeakPassword(advice) => Problem::weak_password("/new_password", advice),
        error => error.into(),
    }
}
