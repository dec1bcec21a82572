//! `/v1/trading-accounts`: a person's accounts at brokers, without their credentials; `vault::accounts` decides.

mod leases;

use axum::extract::State;
use axum::http::StatusCode;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AppState, Client, FreshCaller, IdempotencyKey, Json, PathId, Problem, SignedInCaller,
    TradingAccountStatusWord, Word, lasting, rfc3339, texts,
};
use portcullis_vault::{
    AccountChange, BrokerToken, BrokerUser, Credentials, Label, NewTradingAccount, OrderIps, TradingAccount,
    TradingAccountId,
};
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::freezes::TradingStateResponse;
use crate::path_parameters::{IdempotencyHeader, TradingAccountPath};

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, link))
        .routes(routes!(trading_state))
        .routes(routes!(read, change))
        .merge(leases::routes())
}

/// A trading account to be linked.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "broker": "kite",
    "user_id_broker": "AB1234",
    "api_key": "kitekeyofexample1",
    "api_secret": "kitesecretofexample",
    "label": "long term",
}))]
struct LinkTradingAccountRequest {
    /// The broker's name: one of the brokers in `GET /v1/providers`.
    #[schema(value_type = texts::BrokerName)]
    broker: String,
    /// The owner's user id at the broker.
    #[schema(value_type = texts::BrokerUserId)]
    user_id_broker: BrokerUser,
    /// The API key that the broker issued.
    #[schema(value_type = texts::BrokerSecret)]
    api_key: BrokerToken,
    /// The API secret that belongs to the key.
    #[schema(value_type = texts::BrokerSecret)]
    api_secret: BrokerToken,
    /// The owner's label for the account: 1 to 100 characters.
    #[schema(value_type = Option<texts::TradingAccountLabel>)]
    label: Option<Label>,
}

/// The changes to a trading account. Members that are absent stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"label": "long term", "enabled": true, "order_ips": ["203.0.113.7"], "session_mails": false}))]
struct ChangeTradingAccountRequest {
    /// The new label; `null` or an empty text removes it.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    #[schema(value_type = Option<texts::TradingAccountLabel>)]
    #[expect(clippy::option_option, reason = "null and absent mean different things")]
    label: Option<Option<Label>>,
    /// `false` disables the account, `true` enables it: an account that was disabled is `pending` then.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
    /// The one or two IP addresses that orders are sent from, as they are registered at the broker; `null` removes them. Services
    /// get them with the session.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    #[schema(value_type = Option<Vec<texts::IpAddressText>>, min_items = 1, max_items = 2)]
    #[expect(clippy::option_option, reason = "null and absent mean different things")]
    order_ips: Option<Option<OrderIps>>,
    /// Whether letters are sent half an hour before the session at the broker ends, and when it has.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = bool, required = false)]
    session_mails: Option<bool>,
}

/// A trading account, without its credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TradingAccountResponse {
    /// The id of the account, opaque.
    #[schema(example = "acc_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    account_id: String,
    /// The broker's name.
    broker: String,
    /// The owner's user id at the broker.
    user_id_broker: String,
    /// The owner's label for the account.
    label: Option<String>,
    /// `pending`, `active`, `expired`, `rejected` or `disabled`.
    status: TradingAccountStatusWord,
    /// When the account was linked (RFC 3339, UTC).
    created_at: String,
    /// When the broker last accepted the credentials (RFC 3339, UTC); `null` before the first time.
    verified_at: Option<String>,
    /// The last four characters of the API key, by which its owner recognises it; only `…` for a short key.
    #[schema(example = "…9f3c")]
    api_key_hint: String,
    /// When the session at the broker ends (RFC 3339, UTC); `null` where there is none, or it is over.
    session_expires_at: Option<String>,
    /// The broker's login page for this account, which ends in a redirect with a `request_token` or a code; `null` for a
    /// broker without sessions, and for one that has to be asked for its page: `…/verify` does that. It contains the API key,
    /// as the broker requires, and where the broker brings one back a `state` for one login of the next 30 minutes.
    login_url: Option<String>,
    /// The addresses that orders are sent from: one or two, or none named.
    #[schema(example = json!(["203.0.113.7"]))]
    order_ips: Vec<String>,
    /// Whether letters are sent half an hour before the session at the broker ends, and when it has.
    session_mails: bool,
}

impl From<TradingAccount> for TradingAccountResponse {
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
            session_expires_at: account.session_expires_at.map(rfc3339),
            login_url: account.login_url.map(|page| page.0),
            order_ips: account.order_ips.iter().map(ToString::to_string).collect(),
            session_mails: account.session_mails,
        }
    }
}

/// List the own trading accounts
///
/// Returns all accounts, oldest first, as an array without pages.
#[utoipa::path(
    get, path = "/v1/trading-accounts", operation_id = "list_trading_accounts", tag = "trading-accounts", security(("access_token" = [])),
    responses(
        (status = 200, description = "The linked accounts, without their credentials", body = Vec<TradingAccountResponse>),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<Json<Vec<TradingAccountResponse>>, Problem> {
    let accounts = state.vault.list(&caller).await?;
    Ok(Json(accounts.into_iter().map(TradingAccountResponse::from).collect()))
}

/// Read the state of the own trading
///
/// Returns whether the caller's broker credentials are frozen, since when, by whom and until when.
#[utoipa::path(
    get, path = "/v1/trading-accounts/freeze", operation_id = "get_trading_state", tag = "trading-accounts", security(("access_token" = [])),
    responses(
        (status = 200, description = "Whether services may read the credentials", body = TradingStateResponse),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn trading_state(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<Json<TradingStateResponse>, Problem> {
    Ok(Json(state.vault.freezes_of(&caller).await?.into()))
}

/// Link a trading account
///
/// Returns the account, without its credentials: they are stored encrypted, and no response to a person contains them. A
/// request with an `Idempotency-Key` can be sent again within 24 hours and gets the same response.
#[utoipa::path(
    post, path = "/v1/trading-accounts", operation_id = "link_trading_account", tag = "trading-accounts", security(("access_token" = [])),
    request_body = LinkTradingAccountRequest,
    params(IdempotencyHeader),
    responses(
        (status = 201, description = "The linked account", body = TradingAccountResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, Unavailable,
    ),
)]
async fn link(
    State(state): State<AppState>,
    FreshCaller(caller): FreshCaller,
    client: Client,
    key: Option<IdempotencyKey>,
    Json(body): Json<LinkTradingAccountRequest>,
) -> Result<(StatusCode, Json<TradingAccountResponse>), Problem> {
    let wanted = NewTradingAccount {
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
///
/// Returns the account, without its credentials.
#[utoipa::path(
    get, path = "/v1/trading-accounts/{id}", operation_id = "get_trading_account", tag = "trading-accounts", security(("access_token" = [])),
    params(TradingAccountPath),
    responses(
        (status = 200, description = "The account, without its credentials", body = TradingAccountResponse),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn read(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    PathId(id): PathId<TradingAccountId>,
) -> Result<Json<TradingAccountResponse>, Problem> {
    Ok(Json(state.vault.account(&caller, id).await?.into()))
}

/// Change a trading account
///
/// Sets or removes its label and the addresses that its orders are sent from, switches letters about its session on or off, disables or
/// enables it, and returns the account.
#[utoipa::path(
    patch, path = "/v1/trading-accounts/{id}", operation_id = "change_trading_account", tag = "trading-accounts", security(("access_token" = [])),
    params(TradingAccountPath), request_body = ChangeTradingAccountRequest,
    responses(
        (status = 200, description = "The account as it is now", body = TradingAccountResponse),
        Unauthorized, Forbidden, NotFound, Unprocessable,
    ),
)]
async fn change(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<ChangeTradingAccountRequest>,
) -> Result<Json<TradingAccountResponse>, Problem> {
    let ChangeTradingAccountRequest { label, enabled, order_ips, session_mails } = body;
    let change = AccountChange { label, enabled, order_ips, session_mails };
    Ok(Json(state.vault.change(&caller, id, &change, &client.into()).await?.into()))
}
