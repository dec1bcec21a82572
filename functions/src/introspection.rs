//! `/v1/internal`: verification of API keys and the feed of revocations, for services with a token of their own.

mod edge_report;
mod revocations;

use axum::extract::State;
use portcullis_http::responses::{Forbidden, Unauthorized, Unavailable};
use portcullis_http::{AppState, Json, Problem, ServiceCaller, rfc3339};
use portcullis_identity::{Error, KeyHolder};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(verify_api_key)).routes(routes!(revocations::revocations))
}

/// An API key that a client sent to a service.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"api_key": "pk_0199f3c2a6e47d0c8f21b7e5d4a39c10_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U3Rk9Qd"}))]
struct VerifyApiKeyRequest {
    /// The API key, as the client sent it.
    #[schema(value_type = String)]
    api_key: SecretString,
}

/// The owner and the rights of an API key. For a key that is not valid every member but `active` is absent.
#[derive(Debug, Default, Serialize, ToSchema)]
struct VerifyApiKeyResponse {
    /// Whether the key is valid now.
    active: bool,
    /// The id of the account that the key belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The owner's roles as they are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    /// The scopes of the key. It may only do what both its scopes and the owner's roles permit.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    /// When the key expires (RFC 3339, UTC); absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl From<KeyHolder> for VerifyApiKeyResponse {
    fn from(holder: KeyHolder) -> Self {
        Self {
            active: true,
            user_id: Some(holder.account.id.to_string()),
            roles: Some(holder.account.roles),
            scopes: Some(holder.key.scopes),
            expires_at: holder.key.expires_at.map(rfc3339),
        }
    }
}

/// Verify an API key
///
/// Returns the owner and the rights of the key, or `active: false`. For services with the right `api-key:verify`.
#[utoipa::path(
    post, path = "/v1/internal/api-keys/verify", tag = "internal", security(("service_token" = [])),
    request_body = VerifyApiKeyRequest,
    responses(
        (status = 200, description = "Whether the key is valid, and whose it is", body = VerifyApiKeyResponse),
        Unauthorized, Forbidden, Unavailable,
    ),
)]
async fn verify_api_key(
    State(state): State<AppState>,
    ServiceCaller(service): ServiceCaller,
    Json(body): Json<VerifyApiKeyRequest>,
) -> Result<Json<VerifyApiKeyResponse>, Problem> {
    service.require("api-key", "verify")?;
    match state.identity.authenticate_key(&body.api_key).await {
        Ok(holder) => Ok(Json(holder.into())),
        Err(Error::InvalidApiKey) => Ok(Json(VerifyApiKeyResponse::default())),
        Err(error) => Err(error.into()),
    }
}
