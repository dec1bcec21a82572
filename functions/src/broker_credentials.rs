//! `/v1/internal/trading-accounts/{id}/credentials`: what services are given. A function of its own, because no other
//! gives broker credentials away.

use axum::extract::State;
use portcullis_http::responses::{
    Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable, Unprocessable,
};
use portcullis_http::{AppState, Client, Json, PathId, Problem, ServiceCaller};
use portcullis_vault::{Purpose, ReleasedCredentials, TradingAccountId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(read_credentials))
}

/// Why a service asks.
#[derive(Debug, Deserialize, ToSchema)]
struct ReadBody {
    /// One word for the owner's audit trail: 1 to 64 of `a-z 0-9 . _ : -`.
    #[schema(value_type = String, example = "market-stream")]
    purpose: Purpose,
}

/// A secret that this one answer shows.
#[derive(Debug)]
struct Shown(SecretString);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

/// An account's credentials.
#[derive(Debug, Serialize, ToSchema)]
struct CredentialsAnswer {
    /// The account.
    account_id: String,
    /// The broker's name.
    broker: String,
    /// What the broker calls the owner.
    user_id_broker: String,
    /// The key.
    #[schema(value_type = String)]
    api_key: Shown,
    /// The secret; absent for a service that may read sessions alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    api_secret: Option<Shown>,
    /// The token of the broker's session, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    access_token: Option<Shown>,
}

impl From<ReleasedCredentials> for CredentialsAnswer {
    fn from(released: ReleasedCredentials) -> Self {
        Self {
            account_id: released.id.to_string(),
            broker: released.broker,
            user_id_broker: released.broker_user,
            api_key: Shown(released.api_key),
            api_secret: released.api_secret.map(Shown),
            access_token: released.access_token.map(Shown),
        }
    }
}

/// Read a trading account's credentials
///
/// For services whose entry in `SERVICES` says so. Each call is in the owner's audit trail with service, purpose and
/// request.
#[utoipa::path(
    post, path = "/v1/internal/trading-accounts/{id}/credentials", tag = "internal",
    security(("service_token" = [])), params(("id" = String, Path, description = "id of the account")),
    request_body = ReadBody,
    responses(
        (status = 200, body = CredentialsAnswer),
        Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, TooManyRequests, Unavailable,
    ),
)]
async fn read_credentials(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    client: Client,
    PathId(id): PathId<TradingAccountId>,
    Json(body): Json<ReadBody>,
) -> Result<Json<CredentialsAnswer>, Problem> {
    let origin = client.into();
    let reading = Box::pin(state.vault.read_credentials(&service, id, &body.purpose, &origin));
    Ok(Json(reading.await?.into()))
}
