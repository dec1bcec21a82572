//! `/v1/internal/trading-accounts/{id}/credentials`: the release of broker credentials to services. A function of its own,
//! because no other one returns them.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, OptionalJson, PathId, Problem, ServiceCaller, rfc3339, texts};
use portcullis_vault::{Purpose, ReleasedCredentials, TradingAccountId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::TradingAccountPath;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(read_credentials))
}

/// The reason for which a service reads credentials.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"purpose": "market-stream"}))]
struct ReadCredentialsRequest {
    /// The purpose, one word for the owner's audit trail: 1 to 64 of `a-z 0-9 . _ : -`. Without one the trail has
    /// `unspecified`. `SERVICES` can demand one of a service.
    #[schema(value_type = Option<texts::ReadingPurpose>)]
    purpose: Option<Purpose>,
}

/// A secret that this response contains, and no other.
#[derive(Debug)]
struct Shown(SecretString);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

/// The credentials of a trading account.
#[derive(Debug, Serialize, ToSchema)]
struct CredentialsResponse {
    /// The id of the trading account.
    account_id: String,
    /// The broker's name.
    broker: String,
    /// The owner's user id at the broker.
    user_id_broker: String,
    /// The API key.
    #[schema(value_type = String)]
    api_key: Shown,
    /// The API secret; absent for a service that may read sessions alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    api_secret: Option<Shown>,
    /// The access token of the session at the broker; absent without a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    access_token: Option<Shown>,
    /// The lease that the reading is in, as the owner sees it; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "lse_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    lease_id: Option<String>,
    /// Until when a reading for the same purpose is in the same lease (RFC 3339, UTC); absent without a lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<String>,
    /// The addresses that orders have to be sent from, as its owner registered them at the broker: one or two, or none named.
    order_ips: Vec<String>,
}

impl From<ReleasedCredentials> for CredentialsResponse {
    fn from(released: ReleasedCredentials) -> Self {
        let (lease_id, lease_expires_at) = released.lease.unzip();
        Self {
            account_id: released.id.to_string(),
            broker: released.broker,
            user_id_broker: released.broker_user,
            api_key: Shown(released.api_key),
            api_secret: released.api_secret.map(Shown),
            access_token: released.access_token.map(Shown),
            lease_id: lease_id.map(|id| id.to_string()),
            lease_expires_at: lease_expires_at.map(rfc3339),
            order_ips: released.order_ips.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Read a trading account's credentials
///
/// Returns the credentials that the service may read: the long-lived ones, or the session alone. For services with such a
/// right in `SERVICES`. The owner's audit trail records each request, with the service, its purpose and the request id,
/// before the response is sent. A service that reads again for the same purpose within `CREDENTIAL_LEASE_TTL` is given the same,
/// unless something was frozen, replaced or unlinked since.
#[utoipa::path(
    post, path = "/v1/internal/trading-accounts/{id}/credentials", operation_id = "read_broker_credentials", tag = "internal",
    security(("service_token" = [])), params(TradingAccountPath),
    request_body = Option<ReadCredentialsRequest>,
    responses(
        (status = 200, description = "The credentials, for this use", body = CredentialsResponse),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn read_credentials(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    OptionalJson(body): OptionalJson<ReadCredentialsRequest>,
) -> Result<Json<CredentialsResponse>, Problem> {
    let origin = client.into();
    let reading = Box::pin(state.vault.read_credentials(&service, id, body.purpose, &origin));
    Ok(Json(reading.await?.into()))
}
