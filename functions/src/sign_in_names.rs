//! Changes of what a person signs in with: the address and the username. `identity::sign_in_names` decides. A function of its
//! own, because its role may move login records, and that of the function that shows accounts may not.

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{
    Conflict, Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, Object, Problem, SignedInCaller, User, texts};
use portcullis_identity::{Email, Password, PresentedCode, Username};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::passkeys::credentials::AssertionCredential;
use crate::step_up::proof;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(request_email_change))
        .routes(routes!(confirm_email_change))
        .routes(routes!(restore_email))
        .routes(routes!(change_username))
}

/// The new address, and a proof: the password, a code or a passkey, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"email": "asha@example.org", "password": "copper lantern drifts upstream"}))]
struct RequestEmailChangeRequest {
    /// The e-mail address that the account is to have.
    #[schema(value_type = texts::EmailAddress)]
    email: Email,
    /// The account's password; of an account with a second factor a `code` or a passkey is needed.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
    /// The `ceremony_token` of `/v1/auth/passkey/options`, where a passkey is the proof.
    #[schema(value_type = Option<String>)]
    ceremony_token: Option<SecretString>,
    /// What the browser returned for it, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(default)]
    #[schema(value_type = Option<AssertionCredential>)]
    credential: Option<Object<AssertionCredential>>,
}

/// The status of a change of address that waits for its confirmation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EmailChangeStatus {
    /// A link was sent to the new address.
    ConfirmationSent,
}

/// The outcome of a request for another address.
#[derive(Debug, Serialize, ToSchema)]
struct EmailChangeResponse {
    /// Always `confirmation_sent`: the account has its new address once the link is opened.
    status: EmailChangeStatus,
}

/// The token of a link in a mail.
#[derive(Debug, Deserialize, ToSchema)]
struct EmailChangeTokenRequest {
    /// The token in the link, behind `#token=`.
    #[schema(value_type = String)]
    token: SecretString,
}

/// The status of an account that has an earlier address back.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EmailRestorationStatus {
    /// The account has its earlier address.
    Restored,
}

/// The outcome of going back to an earlier address.
#[derive(Debug, Serialize, ToSchema)]
struct EmailRestorationResponse {
    /// Always `restored`: no password works until another one is chosen with the link that was mailed.
    status: EmailRestorationStatus,
}

/// The new username, and a proof: the password, a code or a passkey, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"username": "asha", "password": "copper lantern drifts upstream"}))]
struct ChangeUsernameRequest {
    /// The username that the account is to have.
    #[schema(value_type = texts::Username)]
    username: Username,
    /// The account's password; of an account with a second factor a `code` or a passkey is needed.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
    /// The `ceremony_token` of `/v1/auth/passkey/options`, where a passkey is the proof.
    #[schema(value_type = Option<String>)]
    ceremony_token: Option<SecretString>,
    /// What the browser returned for it, as `PublicKeyCredential.toJSON()` writes it.
    #[serde(default)]
    #[schema(value_type = Option<AssertionCredential>)]
    credential: Option<Object<AssertionCredential>>,
}

/// Ask for another e-mail address
///
/// Sends a link to the new address, which works once, for 24 hours; until it is opened nothing changes. The response is the
/// same, and takes the same time, whether or not another account has the address: only its owner is told.
#[utoipa::path(
    post, path = "/v1/users/me/email", operation_id = "request_email_change", tag = "users", security(("access_token" = [])),
    request_body = RequestEmailChangeRequest,
    responses(
        (status = 202, description = "A mail is on its way to the new address", body = EmailChangeResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn request_email_change(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<RequestEmailChangeRequest>,
) -> Result<(StatusCode, Json<EmailChangeResponse>), Problem> {
    let proof = proof((body.password, body.code), (body.ceremony_token, body.credential))?;
    Box::pin(state.identity.request_email_change(&caller, &body.email, &proof, &client.into())).await?;
    Ok((StatusCode::ACCEPTED, Json(EmailChangeResponse { status: EmailChangeStatus::ConfirmationSent })))
}

/// Confirm another e-mail address
///
/// Takes the token in the link of the mail, gives the account its new address and returns the account. Every session ends
/// but the one in which the change was asked for. The old address is told and has a way back for a week, in which nobody
/// else can register it.
#[utoipa::path(
    post, path = "/v1/auth/email/change", operation_id = "confirm_email_change", tag = "auth",
    request_body(content = EmailChangeTokenRequest, example = json!({"token": "chg_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U"})),
    responses(
        (status = 200, description = "The account with its new address", body = User),
        Unauthorized, Conflict, Unavailable,
    ),
)]
async fn confirm_email_change(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<EmailChangeTokenRequest>,
) -> Result<Json<User>, Problem> {
    let account = Box::pin(state.identity.change_email(&body.token, &client.into())).await?;
    Ok(Json(User::of(&state, account, None)))
}

/// Go back to an earlier e-mail address
///
/// Takes the token in the link that was mailed to the old address when it was changed. Every session and every API key ends,
/// and a link to choose another password is mailed: until then no password works.
#[utoipa::path(
    post, path = "/v1/auth/email/restore", operation_id = "restore_email", tag = "auth",
    request_body(content = EmailChangeTokenRequest, example = json!({"token": "bck_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U"})),
    responses(
        (status = 200, description = "The account has its earlier address", body = EmailRestorationResponse),
        Unauthorized, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn restore_email(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<EmailChangeTokenRequest>,
) -> Result<Json<EmailRestorationResponse>, Problem> {
    Box::pin(state.identity.restore_email(&body.token, &client.into())).await?;
    Ok(Json(EmailRestorationResponse { status: EmailRestorationStatus::Restored }))
}

/// Change the own username
///
/// Returns the account, which is signed in to with the new username from now on; the old one is free at once. An account
/// without an e-mail address keeps its username.
#[utoipa::path(
    put, path = "/v1/users/me/username", operation_id = "change_username", tag = "users", security(("access_token" = [])),
    request_body = ChangeUsernameRequest,
    responses(
        (status = 200, description = "The account with its new username", body = User),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn change_username(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<ChangeUsernameRequest>,
) -> Result<Json<User>, Problem> {
    let proof = proof((body.password, body.code), (body.ceremony_token, body.credential))?;
    let client = client.into();
    let changed = state.identity.change_username(&caller, &body.username, &proof, &client);
    let account = Box::pin(changed).await?;
    let last_login = state.identity.last_login(&account).await?;
    Ok(Json(User::of(&state, account, last_login)))
}
