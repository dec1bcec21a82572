//! The kill switch in the hands of administrators: for one person, and for everybody.

use std::time::Duration;

use axum::extract::State;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{AdminCaller, AppState, Client, FreshAdmin, Json, PathId, Problem, lasting, texts};
use portcullis_identity::{AccountId, Operator};
use portcullis_vault::{Freeze, FreezeReason, OperatorFreeze};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::broker_sessions::freeze::FreezeResponse;
use crate::freezes::{FreezeItem, FrozenBy, TradingStateResponse, TradingStatus};
use crate::path_parameters::AccountPath;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(freeze_person))
        .routes(routes!(unfreeze_person))
        .routes(routes!(everybody, freeze_everybody))
        .routes(routes!(unfreeze_everybody))
}

/// A freeze of one person's credentials by an administrator.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"reason": "Orders from an address that is not hers.", "cancel_orders": true}))]
struct FreezeUserRequest {
    /// Why, in words for the owner: 1 to 200 characters.
    #[schema(value_type = texts::FreezeReasonText)]
    reason: FreezeReason,
    /// Seconds until the freeze ends by itself: 1 to 2,678,400 (31 days). One without an end has to be lifted.
    #[schema(minimum = 1, maximum = 2_678_400)]
    expires_in: Option<u64>,
    /// Whether resting orders are cancelled, protective stops among them; `false` when absent.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = bool, required = false)]
    cancel_orders: Option<bool>,
}

/// A freeze of everybody's credentials.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"reason": "The execution service sends orders nobody placed.", "expires_in": 3600}))]
struct FreezeEverybodyRequest {
    /// Why, in words for everybody: 1 to 200 characters.
    #[schema(value_type = texts::FreezeReasonText)]
    reason: FreezeReason,
    /// Seconds until the freeze ends by itself: 1 to 2,678,400 (31 days). One without an end has to be lifted.
    #[schema(minimum = 1, maximum = 2_678_400)]
    expires_in: Option<u64>,
}

/// Whether everybody's credentials are frozen.
#[derive(Debug, Serialize, ToSchema)]
struct EverybodyResponse {
    /// `active`: services may read credentials that nobody froze; `frozen`: none are released.
    status: TradingStatus,
    /// The freeze of everybody; `null` where there is none.
    freeze: Option<FreezeItem>,
}

impl From<Option<Freeze>> for EverybodyResponse {
    fn from(freeze: Option<Freeze>) -> Self {
        let status = if freeze.is_some() { TradingStatus::Frozen } else { TradingStatus::Active };
        Self { status, freeze: freeze.map(|freeze| FreezeItem::of(FrozenBy::Everybody, freeze)) }
    }
}

fn wanted(reason: FreezeReason, expires_in: Option<u64>, cancel_orders: Option<bool>) -> OperatorFreeze {
    let lasts = expires_in.map(Duration::from_secs);
    OperatorFreeze { reason, lasts, cancel_orders: cancel_orders.unwrap_or(false) }
}

/// Freeze a person's broker credentials
///
/// Does what the person's own freeze does, and stands beside it: only an administrator lifts it. It needs no fresh proof, so
/// that it is one click. The person is told by mail, and sees who froze, why and until when.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/freeze", operation_id = "freeze_user", tag = "admin", security(("access_token" = [])),
    params(AccountPath), request_body = FreezeUserRequest,
    responses(
        (status = 200, description = "What was stopped, for each account", body = FreezeResponse),
        Unauthorized, Forbidden, NotFound, Unprocessable, Unavailable,
    ),
)]
async fn freeze_person(
    State(state): State<AppState>,
    AdminCaller(admin): AdminCaller,
    client: Client,
    PathId(id): PathId<AccountId>,
    Json(body): Json<FreezeUserRequest>,
) -> Result<Json<FreezeResponse>, Problem> {
    let (operator, origin) = (Operator::from(&admin), client.into());
    let wanted = wanted(body.reason, body.expires_in, body.cancel_orders);
    Ok(Json(Box::pin(state.vault.freeze_person(&operator, id, wanted, &origin)).await?.into()))
}

/// Lift an administrator's freeze of a person's broker credentials
///
/// The person's own freeze stays, as does that of everybody: the response says what still stands.
#[utoipa::path(
    post, path = "/v1/admin/users/{id}/unfreeze", operation_id = "unfreeze_user", tag = "admin", security(("access_token" = [])),
    params(AccountPath),
    responses(
        (status = 200, description = "The state of the person's trading after it", body = TradingStateResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unavailable,
    ),
)]
async fn unfreeze_person(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    PathId(id): PathId<AccountId>,
) -> Result<Json<TradingStateResponse>, Problem> {
    let (operator, origin) = (Operator::from(&admin), client.into());
    Ok(Json(state.vault.unfreeze_person(&operator, id, &origin).await?.into()))
}

/// Read whether everybody's broker credentials are frozen
///
/// Returns the freeze of everybody, with who froze, why and until when.
#[utoipa::path(
    get, path = "/v1/admin/freeze", operation_id = "get_freeze_of_everybody", tag = "admin", security(("access_token" = [])),
    responses(
        (status = 200, description = "Whether everybody's credentials are frozen", body = EverybodyResponse),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn everybody(
    State(state): State<AppState>,
    _admin: AdminCaller,
) -> Result<Json<EverybodyResponse>, Problem> {
    Ok(Json(state.vault.freeze_of_everybody().await?.into()))
}

/// Freeze everybody's broker credentials
///
/// No service can read anybody's, at once. Sessions at brokers go on, and no order is cancelled. A second request takes the
/// place of the first.
#[utoipa::path(
    post, path = "/v1/admin/freeze", operation_id = "freeze_everybody", tag = "admin", security(("access_token" = [])),
    request_body = FreezeEverybodyRequest,
    responses(
        (status = 200, description = "The freeze that stands from now on", body = EverybodyResponse),
        Unauthorized, Forbidden, Unprocessable, Unavailable,
    ),
)]
async fn freeze_everybody(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
    Json(body): Json<FreezeEverybodyRequest>,
) -> Result<Json<EverybodyResponse>, Problem> {
    let (operator, wanted) = (Operator::from(&admin), wanted(body.reason, body.expires_in, None));
    let freeze = state.vault.freeze_everybody(&operator, wanted, &client.into()).await?;
    Ok(Json(Some(freeze).into()))
}

/// Lift the freeze of everybody's broker credentials
///
/// Freezes of single people stay. The one that was read is lifted, and none that another administrator stored meanwhile.
#[utoipa::path(
    post, path = "/v1/admin/unfreeze", operation_id = "unfreeze_everybody", tag = "admin", security(("access_token" = [])),
    responses(
        (status = 200, description = "There is no freeze of everybody any more", body = EverybodyResponse),
        Unauthorized, Forbidden, Conflict, Unavailable,
    ),
)]
async fn unfreeze_everybody(
    State(state): State<AppState>,
    FreshAdmin(admin): FreshAdmin,
    client: Client,
) -> Result<Json<EverybodyResponse>, Problem> {
    state.vault.unfreeze_everybody(&Operator::from(&admin), &client.into()).await?;
    Ok(Json(None.into()))
}
