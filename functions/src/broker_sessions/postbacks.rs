//! Postbacks of brokers, checked for services that have no secret to check them with.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, PathId, Problem, ServiceCaller, texts};
use portcullis_vault::{Checksum, OrderId, OrderTime, Postback, TradingAccountId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::TradingAccountPath;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// What a postback of the broker vouches for, as it stands there.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "order_id": "220303000308932",
    "order_timestamp": "2022-03-03 09:24:25",
    "checksum": "2011845d9348bd6795151bf4258102a03431e3bb12a79c0df73fcb4b7fde4b5d",
}))]
struct VerifyPostbackRequest {
    /// The order's id at the broker.
    #[schema(value_type = texts::OrderIdText)]
    order_id: OrderId,
    /// When the order changed, as it stands in the postback.
    #[schema(value_type = texts::OrderTimeText)]
    order_timestamp: OrderTime,
    /// The broker's checksum.
    #[schema(value_type = texts::ChecksumText)]
    checksum: Checksum,
}

/// Whether the broker made the checksum.
#[derive(Debug, Serialize, ToSchema)]
struct VerifyPostbackResponse {
    /// Whether order and time are the broker's words. The rest of a postback no checksum vouches for. Never true for a broker
    /// that makes none.
    valid: bool,
}

/// Check the checksum of a broker's postback
///
/// Returns whether Kite made it, in constant time. For services with the right `postback:verify`, 600 times a minute each; the secret it
/// is made with reaches none of them. A freeze does not stop it.
#[utoipa::path(
    post, path = "/v1/internal/trading-accounts/{id}/postbacks/verify", operation_id = "verify_postback", tag = "internal",
    security(("service_token" = [])), params(TradingAccountPath), request_body = VerifyPostbackRequest,
    responses(
        (status = 200, description = "Whether the broker made the checksum", body = VerifyPostbackResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn verify(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<VerifyPostbackRequest>,
) -> Result<Json<VerifyPostbackResponse>, Problem> {
    let VerifyPostbackRequest { order_id, order_timestamp, checksum } = body;
    let postback = Postback { order_id, order_timestamp, checksum };
    let origin = client.into();
    let valid = Box::pin(state.vault.verify_postback(&service, id, &postback, &origin)).await?;
    Ok(Json(VerifyPostbackResponse { valid }))
}
