//! `/v1/trading-accounts`: a person's accounts at brokers, without what is secret about them; `vault::accounts` decides.

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AppState, Client, IdempotencyKey, Json, PathId, Problem, SignedInCaller, TradingAccountStatusWord, Word,
    rfc3339,
};
use portcullis_vault::{
    AccountChange, BrokerToken, BrokerUser, Credentials, Label, LinkRequest, TradingAccount, TradingAccountId,
};
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
    #[schema(value_type = String, example = "AB1234")]
    user_id_broker: BrokerUser,
    /// The key the broker gave out.
    #[schema(value_type = String)]
    api_key: BrokerToken,
    /// The secret that belongs to it.
    #[schema(value_type = String)]
    api_secret: BrokerToken,
    /// What the owner calls the account.
    #[schema(value_type = Option<String>, example = "long term")]
    label: Option<Label>,
}

/// What is changed; whatever is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
struct ChangeBody {
    /// Another label; null for none.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "null and absent mean different things")]
    label: Option<Option<Label>>,
    /// Whether the account may be used. Switched on again it is `pending`.
    enabled: Option<bool>,
}

/// New credentials.
#[derive(Debug, Deserialize, ToSchema)]
struct CredentialsBody {
    /// The key the broker gave out.
    #[schema(value_type = String)]
    api_key: BrokerToken,
    /// The secret that belongs to it.
    #[schema(value_type = String)]
    api_secret: BrokerToken,
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
    status: TradingAccountStatusWord,
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
            status: Word(account.status),
            created_at: rfc3339(account.created_at),
            verified_at: account.verified_at.map(rfc3339),
            api_key_hint: account.api_key_hint,
        }
    }
}

/// List the own trading accounts
///
/// Oldest first, all of them: a bare array.
#[utoipa::path(
    get, path = "/v1/trading-accounts", tag = "trading-accounts", security(("access_token" = [])),
    responses(
        (status = 200, body = Vec<AccountAnswer>),
        Unauthorized, Forbidden, Unavailable,
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
        Unauthorized, Forbidden, Conflict, Unprocessable, Unavailable,
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
        broker_user: body.user_id_broker,
        credentials: Credentials::new(body.api_key, body.api_secret),
        label: body.label,
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
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn read(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    PathId(id): PathId<TradingAccountId>,
) -> Result<Json<AccountAnswer>, Problem> {
    Ok(Json(state.vault.account(&caller, id).await?.into()))
}

/// Change a trading account
#[utoipa::path(
    patch, path = "/v1/trading-accounts/{id}", tag = "trading-accounts", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")), request_body = ChangeBody,
    responses(
        (status = 200, body = AccountAnswer),
        Unauthorized, Forbidden, NotFound, Unprocessable,
    ),
)]
async fn change(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<ChangeBody>,
) -> Result<Json<AccountAnswer>, Problem> {
    let change = AccountChange { label: body.label, enabled: body.enabled };
    Ok(Json(state.vault.change(&caller, id, &change, &client.into()).await?.into()))
}

/// Unlink a trading account
///
/// Its credentials are destroyed.
#[utoipa::path(
    delete, path = "/v1/trading-accounts/{id}", tag = "trading-accounts", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the account")),
    responses(
        (status = 204),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn unlink(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
) -> Result<StatusCode, Problem> {
    state.vault.unlink(&caller, id, &client.into()).await?;
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
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn replace_credentials(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<CredentialsBody>,
) -> Result<Json<AccountAnswer>, Problem> {
    let credentials = Credentials::new(body.api_key, body.api_secret);
    let replaced = state.vault.replace_credentials(&caller, id, &credentials, &client.into()).await?;
    Ok(Json(replaced.into()))
}
