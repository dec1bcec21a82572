//! `/v1/auth/password/remove`, `/set` and `/recover`: accounts whose passkeys stand for a password.
//! `identity::passwordless` decides.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, Problem, SignedInCaller, TokenDelivery, object, texts};
use portcullis_identity::{Error, LostPasskeys, Password, PresentedCode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::credentials::AssertionCredential;
use crate::login_response::EnrolmentRequired;
use crate::mfa::shown;

/// The routes, which are the function's of passkeys.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(remove)).routes(routes!(set)).routes(routes!(recover))
}

/// The passkey that stands for the password from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "ceremony_token": "pkg_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U",
    "credential": AssertionCredential::example()
}))]
struct RemovePasswordRequest {
    /// The `ceremony_token` of `/v1/auth/passkey/options`.
    #[schema(value_type = String)]
    ceremony_token: SecretString,
    /// What the browser returned for it, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(deserialize_with = "object")]
    credential: AssertionCredential,
}

/// A password, and the passkey that proves whose it is going to be.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "ceremony_token": "pkg_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U",
    "new_password": "marble orchard whispers northward",
    "credential": AssertionCredential::example()
}))]
struct SetPasswordRequest {
    /// The `ceremony_token` of `/v1/auth/passkey/options`.
    #[schema(value_type = String)]
    ceremony_token: SecretString,
    /// What the browser returned for it, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(deserialize_with = "object")]
    credential: AssertionCredential,
    /// The new password: 12 to 256 characters, hard to predict.
    #[schema(value_type = texts::NewPassword)]
    new_password: Password,
}

/// The link and the code of somebody who lost their passkeys.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"token": "rst_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "code": "050471"}))]
struct RecoverRequest {
    /// The token in the link of the mail of `/v1/auth/password/forgot`.
    #[schema(value_type = String)]
    token: SecretString,
    /// A backup code.
    #[schema(value_type = String)]
    code: PresentedCode,
    /// A password, in place of a new passkey: 12 to 256 characters, hard to predict.
    #[schema(value_type = Option<texts::NewPassword>)]
    new_password: Option<Password>,
    /// How the refresh token of the session is returned that a passkey ends in.
    #[serde(default)]
    token_delivery: TokenDelivery,
}

/// The outcome of removing a password.
#[derive(Debug, Serialize, ToSchema)]
struct PasswordRemovedResponse {
    /// What became of the password: always `password_removed`.
    status: PasswordRemovedStatus,
    /// Ten codes for the day the passkeys are lost, where there were none. No other response contains them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!(["mzxw6-ytboi"]))]
    backup_codes: Vec<String>,
}

/// The status of a password that was removed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PasswordRemovedStatus {
    /// It signs in no more.
    PasswordRemoved,
}

/// The outcome of setting a password.
#[derive(Debug, Serialize, ToSchema)]
struct PasswordSetResponse {
    /// What became of the password: always `password_changed`.
    status: PasswordSetStatus,
}

/// The status of a password that was set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PasswordSetStatus {
    /// It signs in from now on.
    PasswordChanged,
}

/// What a link and a code lead to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum RecoveredResponse {
    /// A passkey has to be made.
    Passkey(EnrolmentRequired),
    /// The password was set.
    Password(PasswordSetResponse),
}

/// Remove the own password
///
/// Takes a passkey, over a challenge of `/v1/auth/passkey/options`. Passkeys alone sign in from then on; a sign-in with a password is
/// answered like one with a wrong password. Every other session ends. Returns backup codes where there were none: one of them,
/// and a link in a mail, is the way back. Needs a confirmed address and a passkey that stays.
#[utoipa::path(
    post, path = "/v1/auth/password/remove", operation_id = "remove_password", tag = "auth", security(("access_token" = [])),
    request_body = RemovePasswordRequest,
    responses(
        (status = 200, description = "There is no password any more", body = PasswordRemovedResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn remove(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<RemovePasswordRequest>,
) -> Result<Json<PasswordRemovedResponse>, Problem> {
    let passkey = body.credential.presented(body.ceremony_token)?;
    let codes = Box::pin(state.identity.remove_password(&caller, &passkey, &client.into())).await?;
    let status = PasswordRemovedStatus::PasswordRemoved;
    Ok(Json(PasswordRemovedResponse { status, backup_codes: shown(&codes) }))
}

/// Set a password where there is none
///
/// Takes a passkey, over a challenge of `/v1/auth/passkey/options`. Every other session ends.
#[utoipa::path(
    post, path = "/v1/auth/password/set", operation_id = "set_password", tag = "auth", security(("access_token" = [])),
    request_body = SetPasswordRequest,
    responses(
        (status = 200, description = "The password signs in from now on", body = PasswordSetResponse),
        Unauthorized, Forbidden, NotFound, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn set(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<SetPasswordRequest>,
) -> Result<Json<PasswordSetResponse>, Problem> {
    let passkey = body.credential.presented(body.ceremony_token)?;
    let (password, client) = (&body.new_password, client.into());
    let set = Box::pin(state.identity.set_password(&caller, &passkey, password, &client));
    set.await.map_err(refused)?;
    Ok(Json(PasswordSetResponse { status: PasswordSetStatus::PasswordChanged }))
}

/// Get back in without password and passkeys
///
/// Takes the token in the link of the mail of `/v1/auth/password/forgot` and a backup code, for an account without a password.
/// Every session and every API key ends. With `new_password` that is the password from then on; without it the response has
/// a `session_token` to make a passkey with, at `/v1/passkeys/options` and `/v1/passkeys`, which ends in a session.
#[utoipa::path(
    post, path = "/v1/auth/password/recover", operation_id = "recover_account", tag = "auth", request_body = RecoverRequest,
    responses(
        (status = 200, description = "The request to make a passkey, or that the password was set", body = RecoveredResponse),
        Unauthorized, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn recover(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<RecoverRequest>,
) -> Result<Json<RecoveredResponse>, Problem> {
    let lost = LostPasskeys { token: body.token, code: body.code };
    let (identity, client) = (&state.identity, client.into());
    let Some(password) = &body.new_password else {
        let in_body = body.token_delivery == TokenDelivery::Body;
        let asked = Box::pin(identity.begin_recovery(&lost, in_body, &client)).await?;
        return Ok(Json(RecoveredResponse::Passkey(EnrolmentRequired::of(&asked))));
    };
    Box::pin(identity.recover_with_password(&lost, password, &client)).await.map_err(refused)?;
    let status = PasswordSetStatus::PasswordChanged;
    Ok(Json(RecoveredResponse::Password(PasswordSetResponse { status })))
}

/// Returns the problem for an error: the member with the weak password is `new_password` here.
fn refused(error: Error) -> Problem {
    match error {
        Error::WeakPassword(advice) => Problem::weak_password("/new_password", advice),
        error => error.into(),
    }
}
