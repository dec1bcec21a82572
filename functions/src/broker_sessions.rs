//! Requests to brokers on the owner's behalf: verifying credentials, opening a session, and the kill switch. A function of
//! its own, because its role may decrypt credentials, and that of the function that links accounts may not.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{
    AppState, Client, Json, PathId, Problem, SessionEndWord, SignedInCaller, TradingAccountStatusWord, Word,
    rfc3339, texts,
};
use portcullis_vault::{BrokerToken, Frozen, TradingAccountId, Verification};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::TradingAccountPath;
use crate::step_up::StepUpRequest;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(begin_session))
        .routes(routes!(freeze))
        .routes(routes!(unfreeze))
}

/// The outcome of a verification at the broker.
#[derive(Debug, Serialize, ToSchema)]
struct CredentialVerificationResponse {
    /// The account's status after it: `pending`, `active`, `expired` or `rejected`.
    status: TradingAccountStatusWord,
    /// When the broker responded (RFC 3339, UTC).
    checked_at: String,
    /// Advice for the owner; absent where the broker accepts the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The broker's login page, where the owner has to log in; absent otherwise. It contains the API key, as the broker
    /// requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<String>,
}

impl From<Verification> for CredentialVerificationResponse {
    fn from(said: Verification) -> Self {
        Self {
            status: Word(said.status),
            checked_at: rfc3339(said.checked_at),
            reason: said.reason,
            login_url: said.login_url,
        }
    }
}

/// The result of the owner's login at the broker.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"request_token": "Zr7kQm2xWc5nTb9vLd4sHy8gJf3pUaE6"}))]
struct BeginBrokerSessionRequest {
    /// The `request_token` in the query of the address to which the broker redirected the owner.
    #[schema(value_type = texts::BrokerSecret)]
    request_token: BrokerToken,
}

/// The status after a freeze.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FreezeStatus {
    /// No credentials are released.
    Frozen,
}

/// The outcome of a freeze.
#[derive(Debug, Serialize, ToSchema)]
struct FreezeResponse {
    /// Always `frozen`: services may not read credentials.
    status: FreezeStatus,
    /// Since when no credentials are released (RFC 3339, UTC).
    frozen_at: String,
    /// How the session at the broker ended, for each trading account.
    accounts: Vec<FrozenAccountResponse>,
}

/// How one trading account's session at its broker ended.
#[derive(Debug, Serialize, ToSchema)]
struct FrozenAccountResponse {
    /// The id of the trading account.
    account_id: String,
    /// The broker's name.
    broker: String,
    /// `none` where there was no session, `ended` where the broker ended it, `unconfirmed` where it did not confirm the end.
    session: SessionEndWord,
    /// Advice about a session that is `unconfirmed`; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Frozen> for FreezeResponse {
    fn from(frozen: Frozen) -> Self {
        let accounts = frozen.accounts.into_iter().map(|account| FrozenAccountResponse {
            account_id: account.id.to_string(),
            broker: account.broker,
            session: Word(account.session),
            reason: account.advice,
        });
        Self { status: FreezeStatus::Frozen, frozen_at: rfc3339(frozen.since), accounts: accounts.collect() }
    }
}

/// The status after a freeze is lifted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UnfreezeStatus {
    /// Services may read credentials.
    Active,
}

/// The outcome of lifting a freeze.
#[derive(Debug, Serialize, ToSchema)]
struct UnfreezeResponse {
    /// Always `active`: services may read credentials.
    status: UnfreezeStatus,
}

/// Verify a trading account's credentials at the broker
///
/// Returns the account's status after it. A broker that does not respond leaves the status as it is, and `reason` says so.
#[utoipa::path(
    post, path = "/v1/trading-accounts/{id}/verify", operation_id = "verify_broker_credentials", tag = "trading-accounts", security(("access_token" = [])),
    params(TradingAccountPath),
    responses(
        (status = 200, description = "What the broker said of the credentials", body = CredentialVerificationResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unavailable,
    ),
)]
async fn verify(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
) -> Result<Json<CredentialVerificationResponse>, Problem> {
    let origin = client.into();
    Ok(Json(Box::pin(state.vault.verify(&caller, id, &origin)).await?.into()))
}

/// Start a session at the broker
///
/// For Kite: the owner logs in at `login_url`, and the `request_token` of that login is exchanged for a session, which is
/// stored encrypted. Returns the account's status after it.
#[utoipa::path(
    post, path = "/v1/trading-accounts/{id}/session", operation_id = "begin_broker_session", tag = "trading-accounts", security(("access_token" = [])),
    params(TradingAccountPath), request_body = BeginBrokerSessionRequest,
    responses(
        (status = 200, description = "What the broker said of the new session", body = CredentialVerificationResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, Unavailable,
    ),
)]
async fn begin_session(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<BeginBrokerSessionRequest>,
) -> Result<Json<CredentialVerificationResponse>, Problem> {
    let origin = client.into();
    let begun = Box::pin(state.vault.begin_session(&caller, id, &body.request_token, &origin)).await?;
    Ok(Json(begun.into()))
}

/// Freeze the own broker credentials
///
/// No service can read them any more, at once; then the sessions at brokers are ended. Returns how each of them ended. A
/// freeze needs no password and no code, and no body: it can be one click. Lifting it needs one of them.
#[utoipa::path(
    post, path = "/v1/trading-accounts/freeze", operation_id = "freeze_credentials", tag = "trading-accounts", security(("access_token" = [])),
    responses(
        (status = 200, description = "What was stopped, for each account", body = FreezeResponse),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn freeze(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
) -> Result<Json<FreezeResponse>, Problem> {
    let origin = client.into();
    Ok(Json(Box::pin(state.vault.freeze(&caller, &origin)).await?.into()))
}

/// Lift the freeze of the own broker credentials
///
/// Services can read them again. An account with a second factor needs a `code`; its password is not enough.
#[utoipa::path(
    post, path = "/v1/trading-accounts/unfreeze", operation_id = "unfreeze_credentials", tag = "trading-accounts", security(("access_token" = [])),
    request_body = StepUpRequest,
    responses(
        (status = 200, description = "Services may read the credentials again", body = UnfreezeResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn unfreeze(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<StepUpRequest>,
) -> Result<Json<UnfreezeResponse>, Problem> {
    let origin = client.into();
    Box::pin(state.vault.unfreeze(&caller, &body.proof()?, &origin)).await?;
    Ok(Json(UnfreezeResponse { status: UnfreezeStatus::Active }))
}
