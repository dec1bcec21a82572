//! `/v1/auth/mfa/verify`, `/v1/auth/step-up` and `/v1/mfa/…`: signing in with a code, proving oneself once more, and a
//! person's own second factor. `identity::mfa` decides.

use axum::extract::State;
use axum::http::HeaderMap;
use portcullis_http::responses::{
    Conflict, Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{
    AppState, Client, Code, Json, Object, OptionalJson, Problem, SessionResponse, SignedInCaller, TokenType,
    bearer_token, require_allowed_origin,
};
use portcullis_identity::{
    EnrolledSignIn, MfaConfirmation, MfaSignIn, Password, PresentedCode, ShownToken, StepUp, TotpEnrolment,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::passkeys::credentials::AssertionCredential;
use crate::step_up::proof;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(step_up))
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

/// One more proof of who is signed in: the password, a code or a passkey, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream"}))]
struct RaiseSessionRequest {
    /// The account's password; of an account with a second factor a `code` is needed.
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
    /// The refresh token of a program whose refresh was refused, in place of an access token; browsers have a cookie for it.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

impl RaiseSessionRequest {
    /// Takes the proof out; fails where there is none, or more than one.
    fn take_proof(&mut self) -> Result<StepUp, Problem> {
        let passkey = (self.ceremony_token.take(), self.credential.take());
        proof((self.password.take(), self.code.take()), passkey)
    }
}

/// The access token of a session after one more proof.
#[derive(Debug, Serialize, ToSchema)]
struct RaisedSessionResponse {
    /// The access token, a JWT to be sent as `Authorization: Bearer`.
    access_token: String,
    /// How the token is sent: always `Bearer`.
    token_type: TokenType,
    /// How long the access token is valid, in seconds.
    expires_in: u64,
}

/// The confirmation that replaces a second factor, or the sign-in that waits for one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({}))]
struct SetUpTotpRequest {
    /// The `session_token` of a sign-in that has to wait for its first factor, in place of an access token.
    #[schema(value_type = Option<String>)]
    session_token: Option<SecretString>,
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
    /// The `session_token` of a sign-in that has to wait for its first factor, in place of an access token.
    #[schema(value_type = Option<String>)]
    session_token: Option<SecretString>,
    /// The `device_token` of an earlier sign-in from this device, for programs that complete a sign-in; browsers have a cookie
    /// for it.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
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
        Self { backup_codes: shown(codes) }
    }
}

/// The backup codes of a second factor that was just enabled, and the session that waited for it.
#[derive(Debug, Serialize, ToSchema)]
struct EnableTotpResponse {
    /// Ten codes, each for one use. No other response contains them.
    #[schema(example = json!(["mzxw6-ytboi"]))]
    backup_codes: Vec<String>,
    /// The session, where a `session_token` was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionResponse>,
}

/// The confirmation of new backup codes: password and code, or a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"password": "copper lantern drifts upstream", "code": "050471"}))]
struct RenewCodesRequest {
    /// The account's password, with a `code`.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// Six digits of the authenticator app, or a backup code, with the `password`.
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

/// Prove once more who is signed in
///
/// Returns an access token of the same session, whose `auth_time` is now and whose `acr` says what has been proved; so will
/// every token that the session is refreshed to. The session is that of the access token or, where its refresh is refused with
/// `insufficient_user_authentication`, of the refresh token. A code works once, here or at a sign-in, and wrong ones are
/// counted together. A passkey is shown over a challenge of `/v1/auth/passkey/options`, in place of either. A client that does
/// not get the response refreshes.
#[utoipa::path(
    post, path = "/v1/auth/step-up", operation_id = "step_up", tag = "auth", request_body = RaiseSessionRequest,
    security(("access_token" = []), ("refresh_cookie" = []), ()),
    responses(
        (status = 200, description = "An access token that says so", body = RaisedSessionResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn step_up(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    Json(mut body): Json<RaiseSessionRequest>,
) -> Result<Json<RaisedSessionResponse>, Problem> {
    let proof = body.take_proof();
    let cookie = state.refresh_cookie().read(&headers);
    let shown = match (bearer_token(&headers), &body.refresh_token, &cookie) {
        (Some(token), None, _) => ShownToken::Access(token),
        (None, Some(token), _) => ShownToken::Refresh(token),
        (None, None, Some(token)) => {
            require_allowed_origin(&headers, &state.settings.origins)?;
            ShownToken::Refresh(token)
        }
        (None, None, None) => return Err(Code::AuthenticationRequired.into()),
        (Some(_), Some(_), _) => {
            let detail = "Send either an access token or a refresh token, not both.";
            return Err(Problem::new(Code::BadRequest).with_detail(detail));
        }
    };
    let raised = Box::pin(state.identity.step_up(shown, &proof?, &client.into())).await?;
    Ok(Json(RaisedSessionResponse {
        access_token: raised.access_token,
        token_type: TokenType::Bearer,
        expires_in: raised.expires_in.as_secs(),
    }))
}

/// Create a secret for an authenticator app
///
/// Returns the secret. The second factor takes effect once a code of the app is sent to `/v1/mfa/totp/enable`, within 15
/// minutes. The first factor of an account needs an access token whose `auth_time` is within `STEP_UP_MAX_AGE`, or the
/// `session_token` of a sign-in that was answered with `mfa_enrolment_required`; another one needs a code of the present one.
#[utoipa::path(
    post, path = "/v1/mfa/totp/setup", operation_id = "set_up_totp", tag = "mfa", security(("access_token" = []), ()),
    request_body(content = Option<SetUpTotpRequest>),
    responses(
        (status = 200, description = "The secret for an authenticator app, which is shown this once", body = SetUpTotpResponse),
        Unauthorized, Forbidden, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn set_up(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<SetUpTotpRequest>,
) -> Result<Json<SetUpTotpResponse>, Problem> {
    let origin = client.into();
    let enrolment = if let Some(token) = &body.session_token {
        state.identity.set_up_first_mfa(token, &origin).await?
    } else {
        let SignedInCaller(caller) = SignedInCaller::of(&state, &headers).await?;
        state.identity.set_up_mfa(&caller, body.code.as_ref(), &origin).await?
    };
    Ok(Json(SetUpTotpResponse::of(&enrolment)))
}

/// Enable the second factor
///
/// Every sign-in requires a code from then on. Returns the backup codes and, where a `session_token` was sent, the session that
/// waited for it.
#[utoipa::path(
    post, path = "/v1/mfa/totp/enable", operation_id = "enable_totp", tag = "mfa", security(("access_token" = []), ()), request_body = EnableTotpRequest,
    responses(
        (status = 200, description = "The backup codes, which are shown this once, and the session that waited for them", body = EnableTotpResponse, headers(("Set-Cookie" = String, description = "the refresh token of the session"))),
        Unauthorized, Forbidden, Conflict, TooManyRequests, Unavailable,
    ),
)]
async fn enable(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    body: Result<Json<EnableTotpRequest>, Problem>,
) -> Result<(HeaderMap, Json<EnableTotpResponse>), Problem> {
    let waiting = body.as_ref().ok().and_then(|Json(body)| body.session_token.clone());
    let Some(session_token) = &waiting else {
        // Whoever is nobody is not told what is wrong with the body.
        let SignedInCaller(caller) = SignedInCaller::of(&state, &headers).await?;
        let Json(body) = body?;
        let codes = state.identity.enable_mfa(&caller, &body.code, &client.into()).await?;
        return Ok((
            HeaderMap::new(),
            Json(EnableTotpResponse { backup_codes: shown(&codes), session: None }),
        ));
    };
    let Json(body) = body?;
    let origin = client.with_device(body.device_token).into();
    let enrolled = state.identity.enable_first_mfa(session_token, &body.code, &origin);
    let EnrolledSignIn { session, backup_codes } = Box::pin(enrolled).await?;
    let (headers, Json(session)) = SessionResponse::of(&state, session)?;
    let backup_codes = shown(&backup_codes);
    Ok((headers, Json(EnableTotpResponse { backup_codes, session: Some(session) })))
}

/// Returns backup codes as they are shown.
pub(crate) fn shown(codes: &[SecretString]) -> Vec<String> {
    codes.iter().map(|code| code.expose_secret().to_owned()).collect()
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
/// Takes password and code, or a passkey. Returns new ones; the old ones are refused from then on.
#[utoipa::path(
    post, path = "/v1/mfa/backup-codes", tag = "mfa", security(("access_token" = [])), request_body = RenewCodesRequest,
    responses(
        (status = 200, description = "The new backup codes, which are shown this once", body = BackupCodesResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn renew_backup_codes(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<RenewCodesRequest>,
) -> Result<Json<BackupCodesResponse>, Problem> {
    let (identity, client) = (&state.identity, client.into());
    let codes = match (body.password, body.code) {
        (Some(password), Some(code)) if body.ceremony_token.is_none() && body.credential.is_none() => {
            identity.renew_backup_codes(&caller, &MfaConfirmation { password, code }, &client).await?
        }
        (password, code) => match proof((password, code), (body.ceremony_token, body.credential))? {
            StepUp::Passkey(shown) => {
                Box::pin(identity.renew_backup_codes_by_passkey(&caller, *shown, &client)).await?
            }
            _ => return Err(Problem::invalid("", "`password` and `code`, or a passkey, are needed")),
        },
    };
    Ok(Json(BackupCodesResponse::of(&codes)))
}
