//! `/v1/trading-accounts`: a person's accounts at brokers, without what is secret about them; `vault::accounts` decides.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_http::{AppState, Client, Code, IdempotencyKey, Json, Problem, SignedInCaller, rfc3339};
use portcullis_vault::{
    AccountChange, BrokerUser, Credentials, Label, LinkRequest, TradingAccount, TradingAccountId,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, link))
        .routes(routes!(read, change, unlink))
        .routes(routes!(replace_credentials))
}

/// An account somebody wants to link.
#[derive(Debug, Deserialize, ToSchema)]
struct LinkBody {
    /// One of the brokers among `GET /v1/providers`.
    #[schema(example = "kite")]
    broker: String,
    /// What the broker calls the owner.
    #[schema(example = "AB1234")]
    user_id_broker: String,
    /// The key the broker gave out.
    #[schema(value_type = String)]
    api_key: SecretString,
    /// The secret that belongs to it.
    #[schema(value_type = String)]
    api_secret: SecretString,
    /// What the owner calls the account.
    #[schema(example = "long term")]
    label: Option<String>,
}

/// What is changed; whatever is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
struct ChangeBody {
    /// Another label; null for none.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "null and absent mean different things")]
    label: Option<Option<String>>,
    /// Whether the account may be used. Switched on again it is `pending`.
    enabled: Option<bool>,
}

/// New credentials.
#[derive(Debug, Deserialize, ToSchema)]
struct CredentialsBody {
    /// The key the broker gave out.
    #[schema(value_type = String)]
    api_key: SecretString,
    /// The secret that belongs to it.
    #[schema(value_type = String)]
    api_secret: SecretString,
}

/// A trading account. Its credentials never come back.
#[derive(Debug, Serialize, ToSchema)]
struct AccountAnswer {
    /// Opaque id.
    #[schema(example = "acc_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    account_id: String,
    /// The broker's name.
    broker: String,
    /// What the broker calls the owner.
    user_id_broker: String,
    /// What the owner calls it.
    label: Option<String>,
    /// `pending`, `active`, `expired`, `rejected` or `disabled`.
    status: &'static str,
    /// RFC 3339, UTC.
    created_at: String,
    /// RFC 3339, UTC: when the broker last accepted the credentials.
    verified_at: Option<String>,
    /// The end of the API key.
    #[schema(example = "…9f3c")]
    api_key_hint: String,
}

impl From<TradingAccount> for AccountAnswer {
    fn from(account: TradingAccount) -> Self {
        Self {
            account_id: account.id.to_string(),
            broker: account.broker,
            user_id_broker: account.broker_user,
            label: account.label,
            status: account.status.as_str(),
            created_at: rfc3339(account.created_at),
            verified_at: account.verified_at.map(rfc3339),
            api_key_hint: account.api_key_hint,
        }
    }
}

/// What is no id names no account.
fn id(text: &str) -> Result<TradingAccountId, Problem> {
    text.parse().map_err(|_| Code::NotFound.into())
}

/// List the own trading accounts
///
/// Oldest first, all of them: a bare array.
#[utoipa::path(
    get, path = "/v1/trading-accounts", tag = "trading-accounts", security(("access_token" = [])),
    responses(
        (status = 200, body = Vec<AccountAnswer>),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 503, response = Problem),
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<Json<Vec<AccountAnswer>>, Problem> {
    let accounts = state.vault.list(&caller).await?;
    Ok(Json(accounts.into_iter().map(AccountAnswer::from).collect()))
}

/// Link a trading account
///
/// The credentials are sealed and never shown to a person again. With an `Idempotency-Key` the same request may be sent
/// again within 24 hours and gets the same answer.
#[utoipa::path(
    post, path = "/v1/trading-accounts", tag = "trading-accounts", security(("access_token" = [])),
    request_body = LinkBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    responses(
        (status = 201, body = AccountAnswer),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 409, response = Problem),
        (status = 422, response = Problem), (status = 503, response = Problem),
    ),
)]
async fn link(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    key: Option<IdempotencyKey>,
    Json(body): Json<LinkBody>,
) -> Result<(StatusCode, Json<AccountAnswer>), Problem> {
    let wanted = LinkRequest {
        broker: body.broker,
        broker_user: BrokerUser::parse(&body.user_id_broker)?,
        credentials: Credentials::parse(&body.api_key, &body.api_secret)?,
        label: body.label.as_deref().map(Label::parse).transpose()?,
        idempotency_key: key.map(|key| key.as_str().to_owned()),
    };
    let origin = client.into();
    let linked = Box::pin(state.vault.link(&caller, wanted, &origin)).await?;
    Ok((StatusCode::CREATED, Json(linked.into())))
}

/// Read a trading account
#[utoipa::path(
    get, path = "/v1/trading-accounts/{id}", tag = "trading-accounts", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 200, body = AccountAnswer),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
async fn read(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Path(account): Path<String>,
) -> Result<Json<AccountAnswer>, Problem> {
    Ok(Json(state.vault.account(&caller, id(&account)?).await?.into()))
}

/// Change a trading account
#[utoipa::path(
    patch, path = "/v1/trading-accounts/{id}", tag = "trading-accounts", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")), request_body = ChangeBody,
    responses(
        (status = 200, body = AccountAnswer),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 422, response = Problem),
    ),
)]
async fn change(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Path(account): Path<String>,
    Json(body): Json<ChangeBody>,
) -> Result<Json<AccountAnswer>, Problem> {
    let label = body.label.map(|label| label.as_deref().map(Label::parse).transpose()).transpose()?;
    let change = AccountChange { label, enabled: body.enabled };
    Ok(Json(state.vault.change(&caller, id(&account)?, &change, &client.into()).await?.into()))
}

/// Unlink a trading account
///
/// Its credentials are destroyed.
#[utoipa::path(
    delete, path = "/v1/trading-accounts/{id}", tag = "trading-accounts", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 204),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
    ),
)]
async fn unlink(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Path(account): Path<String>,
) -> Result<StatusCode, Problem> {
    state.vault.unlink(&caller, id(&account)?, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replace a trading account's credentials
///
/// The old ones, and a session begun with them, are destroyed.
#[utoipa::path(
    put, path = "/v1/trading-accounts/{id}/credentials", tag = "trading-accounts",
    security(("access_token" = [])), params(("id" = String, Path, description = "id of the account")),
    request_body = CredentialsBody,
    responses(
        (status = 200, body = AccountAnswer),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 422, response = Problem), (status = 503, response = Problem),
    ),
)]
async fn replace_credentials(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Path(account): Path<String>,
    Json(body): Json<CredentialsBody>,
) -> Result<Json<AccountAnswer>, Problem> {
    let credentials = Credentials::parse(&body.api_key, &body.api_secret)?;
    let replaced =
        state.vault.replace_credentials(&caller, id(&account)?, &credentials, &client.into()).await?;
    Ok(Json(replaced.into()))
}
