//! `/v1/auth/mfa/verify` and `/v1/mfa/…`: signing in with a code, and a person's own second factor. `identity::mfa`
//! decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::responses::{
    Conflict, Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, OptionalJson, Problem, SessionAnswer, SignedInCaller};
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

/// The second half of a sign-in.
#[derive(Debug, Deserialize, ToSchema)]
struct VerifyRequest {
    /// What the login was answered with.
    #[schema(value_type = String)]
    session_token: SecretString,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = String, example = "050471")]
    code: PresentedCode,
    /// What an earlier sign-in from this device was answered with, of a program.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
}

/// What a new factor wants of whoever has one.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct SetUpRequest {
    /// A code of the present factor; needed if there is one.
    #[schema(value_type = Option<String>, example = "050471")]
    code: Option<PresentedCode>,
}

/// A secret for an authenticator app.
#[derive(Debug, Serialize, ToSchema)]
struct SetUpResponse {
    /// Base32, to be typed.
    secret: String,
    /// To be opened on the phone itself.
    otpauth_uri: String,
    /// A `data:image/png` URI for an `<img>`, to be photographed.
    qr_code_uri: String,
}

impl SetUpResponse {
    fn of(enrolment: &TotpEnrolment) -> Self {
        Self {
            secret: enrolment.secret.expose_secret().to_owned(),
            otpauth_uri: enrolment.uri.expose_secret().to_owned(),
            qr_code_uri: enrolment.qr_code.expose_secret().to_owned(),
        }
    }
}

/// The proof that the app has the secret.
#[derive(Debug, Deserialize, ToSchema)]
struct EnableRequest {
    /// Six digits of the authenticator app.
    #[schema(value_type = String, example = "050471")]
    code: PresentedCode,
}

/// Codes for the day the phone is gone.
#[derive(Debug, Serialize, ToSchema)]
struct BackupCodesResponse {
    /// Ten, each good for one use. They are never shown again.
    #[schema(example = json!(["mzxw6-ytboi"]))]
    backup_codes: Vec<String>,
}

impl BackupCodesResponse {
    fn of(codes: &[SecretString]) -> Self {
        Self { backup_codes: codes.iter().map(|code| code.expose_secret().to_owned()).collect() }
    }
}

/// The proofs that a change to the factor wants.
#[derive(Debug, Deserialize, ToSchema)]
struct ConfirmRequest {
    /// The account's password.
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// Six digits of the authenticator app, or a backup code.
    #[schema(value_type = String, example = "050471")]
    code: PresentedCode,
}

impl From<ConfirmRequest> for MfaConfirmation {
    fn from(body: ConfirmRequest) -> Self {
        Self { password: body.password, code: body.code }
    }
}

/// That there is no second factor any more.
#[derive(Debug, Serialize, ToSchema)]
struct DisableResponse {
    /// Always `false`.
    mfa_enabled: bool,
}

/// Finish a sign-in with a code
///
/// A code is good once. Wrong ones are counted by account, whichever sign-in they were sent to.
#[utoipa::path(
    post, path = "/v1/auth/mfa/verify", tag = "auth", request_body = VerifyRequest,
    responses(
        (status = 200, body = SessionAnswer, headers(("Set-Cookie" = String, description = "the refresh token"))),
        Unauthorized, Forbidden, TooManyRequests, Unavailable,
    ),
)]
async fn verify(
    State(state): State<AppState>,
    client: Client,
    Json(body): Json<VerifyRequest>,
) -> Result<(HeaderMap, Json<SessionAnswer>), Problem> {
    let sign_in = MfaSignIn { session_token: body.session_token, code: body.code };
    let origin = client.with_device(body.device_token).into();
    let session = state.identity.sign_in_with_code(&sign_in, &origin).await?;
    SessionAnswer::of(&state, session)
}

/// Get a secret for an authenticator app
///
/// Nothing is asked for until a code of it was shown to `enable`, within 15 minutes.
#[utoipa::path(
    post, path = "/v1/mfa/totp/setup", tag = "mfa", security(("access_token" = [])),
    request_body(content = Option<SetUpRequest>),
    responses(
        (status = 200, body = SetUpResponse),
        Unauthorized, Forbidden, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn set_up(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    OptionalJson(body): OptionalJson<SetUpRequest>,
) -> Result<Json<SetUpResponse>, Problem> {
    let enrolment = state.identity.set_up_mfa(&caller, body.code.as_ref(), &client.into()).await?;
    Ok(Json(SetUpResponse::of(&enrolment)))
}

/// Ask for a code at every sign-in from now on
#[utoipa::path(
    post, path = "/v1/mfa/totp/enable", tag = "mfa", security(("access_token" = [])), request_body = EnableRequest,
    responses(
        (status = 200, body = BackupCodesResponse),
        Unauthorized, Forbidden, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn enable(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<EnableRequest>,
) -> Result<Json<BackupCodesResponse>, Problem> {
    let codes = state.identity.enable_mfa(&caller, &body.code, &client.into()).await?;
    Ok(Json(BackupCodesResponse::of(&codes)))
}

/// Ask for no code any more
#[utoipa::path(
    post, path = "/v1/mfa/totp/disable", tag = "mfa", security(("access_token" = [])), request_body = ConfirmRequest,
    responses(
        (status = 200, body = DisableResponse),
        Unauthorized, Forbidden, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn disable(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<ConfirmRequest>,
) -> Result<Json<DisableResponse>, Problem> {
    state.identity.disable_mfa(&caller, &body.into(), &client.into()).await?;
    Ok(Json(DisableResponse { mfa_enabled: false }))
}

/// Get new backup codes
///
/// The old ones are worth nothing from then on.
#[utoipa::path(
    post, path = "/v1/mfa/backup-codes", tag = "mfa", security(("access_token" = [])), request_body = ConfirmRequest,
    responses(
        (status = 200, body = BackupCodesResponse),
        Unauthorized, Forbidden, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn renew_backup_codes(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<ConfirmRequest>,
) -> Result<Json<BackupCodesResponse>, Problem> {
    let codes = state.identity.renew_backup_codes(&caller, &body.into(), &client.into()).await?;
    Ok(Json(BackupCodesResponse::of(&codes)))
}
