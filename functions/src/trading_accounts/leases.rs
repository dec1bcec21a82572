//! `/v1/trading-accounts/{id}/leases`: what services were given of an account and may be given again.

use axum::extract::State;
use portcullis_http::responses::{Forbidden, NotFound, Unauthorized, Unavailable};
use portcullis_http::{AppState, Json, LeaseKindWord, PathId, Problem, SignedInCaller, Word, rfc3339};
use portcullis_vault::{Lease, TradingAccountId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::TradingAccountPath;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_leases))
}

/// What a service was given, for what, and until when it is given the same again.
#[derive(Debug, Serialize, ToSchema)]
struct LeaseResponse {
    /// The id of the lease, opaque; events of the audit trail name it.
    #[schema(example = "lse_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    lease_id: String,
    /// The service that reads.
    #[schema(example = "ticker")]
    service: String,
    /// The purpose that it named, or `unspecified`.
    #[schema(example = "market-stream")]
    purpose: String,
    /// `long_lived` for the key and secret with the session, `session` for the session alone.
    kind: LeaseKindWord,
    /// When it read first (RFC 3339, UTC).
    begun_at: String,
    /// When the lease ends at the latest (RFC 3339, UTC).
    expires_at: String,
}

impl From<Lease> for LeaseResponse {
    fn from(lease: Lease) -> Self {
        Self {
            lease_id: lease.id.to_string(),
            service: lease.service,
            purpose: lease.purpose,
            kind: Word(lease.kind),
            begun_at: rfc3339(lease.begun_at),
            expires_at: rfc3339(lease.expires_at),
        }
    }
}

/// List the leases of a trading account
///
/// Returns which services were given the credentials and may be given the same again, in the order of their names, as an array
/// without pages. A freeze, a replacement of the credentials and another session at the broker end every lease.
#[utoipa::path(
    get, path = "/v1/trading-accounts/{id}/leases", operation_id = "list_leases_of_trading_account", tag = "trading-accounts",
    security(("access_token" = [])), params(TradingAccountPath),
    responses(
        (status = 200, description = "The leases that go on", body = Vec<LeaseResponse>),
        Unauthorized, Forbidden, NotFound, Unavailable,
    ),
)]
async fn list_leases(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    PathId(id): PathId<TradingAccountId>,
) -> Result<Json<Vec<LeaseResponse>>, Problem> {
    let leases = Box::pin(state.vault.leases(&caller, id)).await?;
    Ok(Json(leases.into_iter().map(LeaseResponse::from).collect()))
}
