//! The kill switch as services meet it: they ask whether it was pulled, and say what became of orders.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, PathId, Problem, ServiceCaller, SessionEndWord, Word};
use portcullis_vault::{Cancelled, TradingAccountId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::freezes::TradingStateResponse;
use crate::path_parameters::TradingAccountPath;

/// More orders than an account has in a day.
const MOST_ORDERS: u32 = 1_000_000;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(state_of_freeze)).routes(routes!(acknowledge))
}

/// What became of the orders of an account that a service was to cancel.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"cancelled": 12, "failed": 0}))]
struct AcknowledgeFreezeRequest {
    /// How many orders the service cancelled.
    #[schema(minimum = 0, maximum = 1_000_000)]
    cancelled: u32,
    /// How many it could not cancel. Where there are any, the session goes on until the time for cancelling is over.
    #[schema(minimum = 0, maximum = 1_000_000)]
    failed: u32,
}

/// What followed from it.
#[derive(Debug, Serialize, ToSchema)]
struct AcknowledgeFreezeResponse {
    /// The id of the trading account.
    account_id: String,
    /// How the session ended: `ended`, `kept` where orders could not be cancelled, `unconfirmed`, or `none` where it was over.
    session: SessionEndWord,
}

/// Read the state of a trading account's freeze
///
/// Returns whether the owner's credentials are frozen, since when, by whom, and until when orders may be cancelled. For services
/// with the right `freeze:read` or `trading:cancel`.
#[utoipa::path(
    get, path = "/v1/internal/trading-accounts/{id}/freeze", operation_id = "get_freeze_of_account", tag = "internal",
    security(("service_token" = [])), params(TradingAccountPath),
    responses(
        (status = 200, description = "Whether services may read the credentials", body = TradingStateResponse),
        Unauthorized, Forbidden, NotFound, Unavailable,
    ),
)]
async fn state_of_freeze(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    PathId(id): PathId<TradingAccountId>,
) -> Result<Json<TradingStateResponse>, Problem> {
    Ok(Json(state.vault.freezes_for(&service, id).await?.into()))
}

/// Say what became of the orders of a frozen account
///
/// For services with the right `trading:cancel` and one to the session, after a freeze with `cancel_orders` that delegated the
/// orders. Where none is left, the session at the broker is ended. The owner's audit trail records it.
#[utoipa::path(
    post, path = "/v1/internal/trading-accounts/{id}/freeze/ack", operation_id = "acknowledge_freeze", tag = "internal",
    security(("service_token" = [])), params(TradingAccountPath), request_body = AcknowledgeFreezeRequest,
    responses(
        (status = 200, description = "How the session at the broker ended", body = AcknowledgeFreezeResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn acknowledge(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<AcknowledgeFreezeRequest>,
) -> Result<Json<AcknowledgeFreezeResponse>, Problem> {
    for (pointer, count) in [("/cancelled", body.cancelled), ("/failed", body.failed)] {
        if count > MOST_ORDERS {
            return Err(Problem::invalid(pointer, format!("must be 0 to {MOST_ORDERS}")));
        }
    }
    let outcome = Cancelled { cancelled: body.cancelled, failed: body.failed };
    let origin = client.into();
    let session = Box::pin(state.vault.acknowledge(&service, id, outcome, &origin)).await?;
    Ok(Json(AcknowledgeFreezeResponse { account_id: id.to_string(), session: Word(session) }))
}
