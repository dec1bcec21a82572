//! `/v1/auth/mfa/verify` and `/v1/mfa/…`: signing in with a code, and a person's own second factor. `identity::mfa`
//! decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::responses::{
    Conflict, Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, OptionalJson, Problem, SessionResponse, SignedInCaller};
use portcullis_identity::{MfaConfirmation, MfaSignIn, Password, PresentedCode, TotpEnrolment};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(set_up))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(renew_backup_codes))
}

/// The code that completes a sign-in.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"session_token": "mfa_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "code": "050471"}))]
struct VerifyCodeRequest {
    /// The `session_token` of the response to the sign-in.
    #[schema(value_type = String)]
    session_token: SecretString,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = String)]
    code: PresentedCode,
    /// The `device_token` of an earlier sign-in from this device, for programs; browsers have a cookie for it.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
}

/// The confirmation that replaces a second factor.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({}))]
struct SetUpTotpRequest {
    /// A code of the present second factor; required if there is one.
    #[schema(value_type = Option<String>)]
    code: Option<PresentedCode>,
}

/// A secret for an authenticator app.
#[derive(Debug, Serialize, ToSchema)]
struct SetUpTotpResponse {
    /// The secret in Base32, to be typed into the app.
    secret: String,
    /// The secret as an `otpauth:` URI, to be opened on the phone.
    otpauth_uri: String,
    /// The `otpauth:` URI as a QR code, to be scanned: a `data:image/png` URI for an `<img>`.
    qr_code_uri: String,
}

impl SetUpTotpResponse {
    fn of(enrolment: &TotpEnrolment) -> Self {
        Self {
            secret: enrolment.secret.expose_secret().to_owned(),
            otpauth_uri: enrolment.uri.expose_secret().to_owned(),
            qr_code_uri: enrolment.qr_code.expose_secret().to_owned(),
        }
    }
}

/// The proof that the authenticator app has the secret.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"code": "050471"}))]
struct EnableTotpRequest {
    /// Six digits of the authenticator app.
    #[schema(value_type = String)]
    code: PresentedCode,
}

/// Backup codes, for a lost authenticator app.
#[derive(Debug, Serialize, ToSchema)]
struct BackupCodesResponse {
    /// Ten codes, each for one use. No other response contains them.
    #[schema(example = json!(["mzxw6-ytboi"]))]
    backup_codes: Vec<String>,
}

impl BackupCodesResponse {
    fn of(codes: &[SecretString]) -> Self {
        Self { backup_codes: codes.iter().map(|code| code.expose_secret().to_owned()).collect() }
    }
}

/// The confirmation of a change to the second factor: password and code.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream", "code": "050471"}))]
struct ConfirmFactorRequest {
    /// The account's password.
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = String)]
    code: PresentedCode,
}

impl From<ConfirmFactorRequest> for MfaConfirmation {
    fn from(body: ConfirmFactorRequest) -> Self {
        Self { password: body.password, code: body.code }
    }
}

/// The outcome of disabling the second factor.
#[derive(Debug, Serialize, ToSchema)]
struct DisableTotpResponse {
    /// Always `false`.
    mfa_enabled: bool,
}

/// Complete a sign-in with a code
///
/// Returns the session. A code works once. Failed attempts are counted for the account, whichever sign-in they belong to,
/// and lead to a lockout.
#[utoipa::path(
    post, path = "/v1/auth/mfa/verify", operation_id = "verify_mfa_code", tag = "auth", request_body = VerifyCodeRequest,
    responses(
        (status = 200, description = "The tokens of the new session", body = SessionResponse, headers(("Set-Cookie" = String, description = "the refresh token"))),
        Unauthorized, Forbidden, TooManyRequests, Unavailable,
    ),
)]
async fn verify(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<VerifyCodeRequest>,
) -> Result<(HeaderMap, Json<SessionResponse>), Problem> {
    let sign_in = MfaSignIn { session_token: body.session_token, code: body.code };
    let origin = client.with_device(body.device_token).into();
    let session = state.identity.sign_in_with_code(&sign_in, &origin).await?;
    SessionResponse::of(&state, session)
}

/// Create a secret for an authenticator app
///
/// Returns the secret. The second factor takes effect once a code of the app is sent to `/v1/mfa/totp/enable`, within 15
/// minutes.
#[utoipa::path(
    post, path = "/v1/mfa/totp/setup", operation_id = "set_up_totp", tag = "mfa", security(("access_token" = [])),
    request_body(content = Option<SetUpTotpRequest>),
    responses(
        (status = 200, description = "The secret for an authenticator app, which is shown this once", body = SetUpTotpResponse),
        Unauthorized, Forbidden, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn set_up(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    OptionalJson(body): OptionalJson<SetUpTotpRequest>,
) -> Result<Json<SetUpTotpResponse>, Problem> {
    let enrolment = state.identity.set_up_mfa(&caller, body.code.as_ref(), &client.into()).await?;
    Ok(Json(SetUpTotpResponse::of(&enrolment)))
}

/// Enable the second factor
///
/// Every sign-in requires a code from then on. Returns the backup codes.
#[utoipa::path(
    post, path = "/v1/mfa/totp/enable", operation_id = "enable_totp", tag = "mfa", security(("access_token" = [])), request_body = EnableTotpRequest,
    responses(
        (status = 200, description = "The backup codes, which are shown this once", body = BackupCodesResponse),
        Unauthorized, Forbidden, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn enable(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<EnableTotpRequest>,
) -> Result<Json<BackupCodesResponse>, Problem> {
    let codes = state.identity.enable_mfa(&caller, &body.code, &client.into()).await?;
    Ok(Json(BackupCodesResponse::of(&codes)))
}

/// Disable the second factor
///
/// Sign-in requires the password alone from then on.
#[utoipa::path(
    post, path = "/v1/mfa/totp/disable", operation_id = "disable_totp", tag = "mfa", security(("access_token" = [])), request_body = ConfirmFactorRequest,
    responses(
        (status = 200, description = "The account has no second factor any more", body = DisableTotpResponse),
        Unauthorized, Forbidden, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn disable(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<ConfirmFactorRequest>,
) -> Result<Json<DisableTotpResponse>, Problem> {
    state.identity.disable_mfa(&caller, &body.into(), &client.into()).await?;
    Ok(Json(DisableTotpResponse { mfa_enabled: false }))
}

/// Replace the backup codes
///
/// Returns new ones; the old ones are refused from then on.
#[utoipa::path(
    post, path = "/v1/mfa/backup-codes", tag = "mfa", security(("access_token" = [])), request_body = ConfirmFactorRequest,
    responses(
        (status = 200, description = "The new backup codes, which are shown this once", body = BackupCodesResponse),
        Unauthorized, Forbidden, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn renew_backup_codes(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<ConfirmFactorRequest>,
) -> Result<Json<BackupCodesResponse>, Problem> {
    let codes = state.identity.renew_backup_codes(&caller, &body.into(), &client.into()).await?;
    Ok(Json(BackupCodesResponse::of(&codes)))
}
