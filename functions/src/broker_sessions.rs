//! Requests to brokers on the owner's behalf: verifying credentials, opening a session and ending it, also with the credentials that it
//! belongs to, and the kill switch. A function of
//! its own, because its role may decrypt credentials, and that of the function that links accounts may not.

mod administration;
mod freeze;
mod postbacks;
mod services;

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AppState, Client, FreshCaller, Json, PathId, Problem, SignedInCaller, TradingAccountStatusWord, Word,
    rfc3339, texts,
};
use portcullis_vault::{BrokerToken, Credentials, LoginCode, LoginState, TradingAccountId, Verification};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::TradingAccountPath;
use crate::trading_accounts::TradingAccountResponse;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(begin_session))
        .routes(routes!(replace_credentials))
        .routes(routes!(unlink))
        .merge(freeze::routes())
        .merge(administration::routes())
        .merge(services::routes())
        .merge(postbacks::routes())
}

/// The credentials that replace the present ones.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"api_key": "kitekeyofexample1", "api_secret": "kitesecretofexample"}))]
struct ReplaceCredentialsRequest {
    /// The API key that the broker issued.
    #[schema(value_type = texts::BrokerSecret)]
    api_key: BrokerToken,
    /// The API secret that belongs to the key.
    #[schema(value_type = texts::BrokerSecret)]
    api_secret: BrokerToken,
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
    /// The `request_token`, `code`, `auth_code` or `tokenId` in the query of the address to which the broker redirected the
    /// owner.
    #[schema(value_type = texts::BrokerLoginCode)]
    request_token: LoginCode,
    /// The `state` beside it, which `login_url` had: needed where the broker brings one back. It works once, for 30 minutes, and
    /// for the person whom the login page was shown to.
    #[schema(value_type = Option<texts::BrokerLoginState>)]
    state: Option<LoginState>,
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
/// The owner logs in at `login_url`, and what that login leads back with is exchanged for a session, which is stored
/// encrypted. Returns the account's status after it.
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
    let login = (&body.request_token, body.state.as_ref());
    let begun = Box::pin(state.vault.begin_session(&caller, id, login, &origin)).await?;
    Ok(Json(begun.into()))
}

/// Replace a trading account's credentials
///
/// Returns the account, which is `pending` until it is verified, or still `disabled`. The previous credentials, and the
/// session at the broker that belongs to them, are destroyed, and the session is ended there.
#[utoipa::path(
    put, path = "/v1/trading-accounts/{id}/credentials", operation_id = "replace_broker_credentials", tag = "trading-accounts",
    security(("access_token" = [])), params(TradingAccountPath),
    request_body = ReplaceCredentialsRequest,
    responses(
        (status = 200, description = "The account with its new credentials", body = TradingAccountResponse),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn replace_credentials(
    State(state): State<AppState>,
    FreshCaller(caller): FreshCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<ReplaceCredentialsRequest>,
) -> Result<Json<TradingAccountResponse>, Problem> {
    let credentials = Credentials::new(body.api_key, body.api_secret);
    let replaced = state.vault.replace_credentials(&caller, id, &credentials, &client.into()).await?;
    Ok(Json(replaced.into()))
}

/// Unlink a trading account
///
/// Removes the account, destroys its credentials, and ends its session at the broker where the broker lets that happen.
#[utoipa::path(
    delete, path = "/v1/trading-accounts/{id}", operation_id = "unlink_trading_account", tag = "trading-accounts", security(("access_token" = [])),
    params(TradingAccountPath),
    responses(
        (status = 204, description = "The account and its credentials are gone"),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn unlink(
    State(state): State<AppState>,
    FreshCaller(caller): FreshCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
) -> Result<StatusCode, Problem> {
    Box::pin(state.vault.unlink(&caller, id, &client.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}
