//! The kill switch in the hands of the owner.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{
    AppState, Client, Json, OptionalJson, OrdersWord, Problem, SessionEndWord, SignedInCaller, Word, lasting,
    rfc3339,
};
use portcullis_vault::Frozen;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::freezes::TradingStateResponse;
use crate::step_up::StepUpRequest;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(freeze)).routes(routes!(unfreeze))
}

/// What a freeze does beside stopping every reading.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"cancel_orders": true}))]
struct FreezeRequest {
    /// Whether resting orders are cancelled, protective stops among them; `false` when absent.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = bool, required = false)]
    cancel_orders: Option<bool>,
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
pub(super) struct FreezeResponse {
    /// Always `frozen`: services may not read credentials.
    status: FreezeStatus,
    /// Since when no credentials are released (RFC 3339, UTC).
    frozen_at: String,
    /// When the freeze ends by itself (RFC 3339, UTC); `null` for one that has to be lifted.
    until: Option<String>,
    /// Until when services that cancel orders may still read sessions (RFC 3339, UTC); `null` where none may.
    cancel_until: Option<String>,
    /// What became of each trading account.
    accounts: Vec<FrozenAccountResponse>,
}

/// What a freeze did about one trading account.
#[derive(Debug, Serialize, ToSchema)]
struct FrozenAccountResponse {
    /// The id of the trading account.
    account_id: String,
    /// The broker's name.
    broker: String,
    /// `none` (there was no session), `ended`, `unconfirmed`, or `kept` until a service has cancelled the orders.
    session: SessionEndWord,
    /// `none` (none were to be cancelled, or none rested), `cancelled`, `partly`, `unconfirmed`, or `delegated` to a service.
    orders: OrdersWord,
    /// How many orders rest, as the broker said last; `null` where it was not asked, or did not say.
    open_orders: Option<u32>,
    /// Advice about what is `unconfirmed` or `partly` done; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Frozen> for FreezeResponse {
    fn from(frozen: Frozen) -> Self {
        let accounts = frozen.accounts.into_iter().map(|account| FrozenAccountResponse {
            account_id: account.id.to_string(),
            broker: account.broker,
            session: Word(account.session),
            orders: Word(account.orders),
            open_orders: account.open_orders,
            reason: account.advice,
        });
        Self {
            status: FreezeStatus::Frozen,
            frozen_at: rfc3339(frozen.since),
            until: frozen.ends_at.map(rfc3339),
            cancel_until: frozen.cancel_until.map(rfc3339),
            accounts: accounts.collect(),
        }
    }
}

/// Freeze the own broker credentials
///
/// No service can read them any more, at once; then resting orders are cancelled where that is asked for, and the sessions at
/// brokers are ended. Returns what became of each account. A freeze needs no password and no code, and no body: it can be one
/// click. Lifting it needs one of them. Where a broker takes cancellations from the owner's registered address alone, orders
/// are `delegated`: services with the right `trading:cancel` may read the session until `cancel_until`.
#[utoipa::path(
    post, path = "/v1/trading-accounts/freeze", operation_id = "freeze_credentials", tag = "trading-accounts", security(("access_token" = [])),
    request_body = Option<FreezeRequest>,
    responses(
        (status = 200, description = "What was stopped, for each account", body = FreezeResponse),
        Unauthorized, Forbidden, Unprocessable, Unavailable,
    ),
)]
async fn freeze(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    OptionalJson(body): OptionalJson<FreezeRequest>,
) -> Result<Json<FreezeResponse>, Problem> {
    let (origin, cancel_orders) = (client.into(), body.cancel_orders.unwrap_or(false));
    Ok(Json(Box::pin(state.vault.freeze(&caller, cancel_orders, &origin)).await?.into()))
}

/// Lift the freeze of the own broker credentials
///
/// Services can read them again, unless an administrator froze them too: the response says what still stands. An account with a
/// second factor needs a `code`; its password is not enough.
#[utoipa::path(
    post, path = "/v1/trading-accounts/unfreeze", operation_id = "unfreeze_credentials", tag = "trading-accounts", security(("access_token" = [])),
    request_body = StepUpRequest,
    responses(
        (status = 200, description = "The state of trading after it", body = TradingStateResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn unfreeze(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    Json(body): Json<StepUpRequest>,
) -> Result<Json<TradingStateResponse>, Problem> {
    let origin = client.into();
    Ok(Json(Box::pin(state.vault.unfreeze(&caller, &body.proof()?, &origin)).await?.into()))
}
