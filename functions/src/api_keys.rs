//! `/v1/api-keys`: keys for programs. Only a signed-in person can manage them; `identity::api_keys` decides.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AppState, Client, FreshCaller, IdempotencyKey, Json, List, Page, PathId, Problem, Query, SignedInCaller,
    rfc3339, texts,
};
use portcullis_identity::{ApiKey, ApiKeyId};
use portcullis_identity::{ApiKeyName, ApiKeyRequest, IssuedApiKey};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::path_parameters::{ApiKeyPath, IdempotencyHeader};

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(rotate)).routes(routes!(remove))
}

/// An API key to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"name": "nightly rebalancing", "scopes": ["portfolio:read"]}))]
struct CreateApiKeyRequest {
    /// The name of the key: 1 to 100 characters.
    #[schema(value_type = texts::ApiKeyName)]
    name: ApiKeyName,
    /// The scopes of the key, as `resource:action`; when absent, all of the owner's present permissions. No scope allows a key
    /// to manage API keys, second factors, passwords or sessions.
    #[schema(value_type = Option<Vec<texts::ScopeName>>, min_items = 1, max_items = 50)]
    scopes: Option<Vec<String>>,
    /// When the key expires (RFC 3339); when absent, as late as a key may: a year from now unless `API_KEY_MAX_AGE` says otherwise.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// An API key, without its clear text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyItem {
    /// The id of the key, opaque.
    #[schema(example = "key_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    key_id: String,
    /// The name of the key.
    name: String,
    /// The first characters of the clear text, by which its owner recognises it; empty for a key that was made elsewhere.
    #[schema(example = "pk_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    prefix: String,
    /// The scopes of the key, as `resource:action`.
    scopes: Vec<String>,
    /// When the key was created (RFC 3339, UTC).
    created_at: String,
    /// When the key expires (RFC 3339, UTC); `null` if it does not.
    expires_at: Option<String>,
    /// When the key was last used (RFC 3339, UTC), within a minute; `null` before its first use.
    last_used_at: Option<String>,
}

impl From<ApiKey> for ApiKeyItem {
    fn from(key: ApiKey) -> Self {
        Self {
            key_id: key.id.to_string(),
            prefix: if key.id.is_derived() { String::new() } else { format!("pk_{}", key.id.digits()) },
            name: key.name,
            scopes: key.scopes,
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            last_used_at: key.last_used_at.map(rfc3339),
        }
    }
}

/// An API key with its clear text.
#[derive(Debug, Serialize, ToSchema)]
struct IssuedApiKeyResponse {
    /// The clear text of the key, to be sent as `X-API-Key`. No other response contains it.
    api_key: String,
    /// The key's other members.
    #[serde(flatten)]
    key: ApiKeyItem,
}

impl From<IssuedApiKey> for IssuedApiKeyResponse {
    fn from(issued: IssuedApiKey) -> Self {
        Self { api_key: issued.text.expose_secret().to_owned(), key: issued.key.into() }
    }
}

/// List the own API keys
///
/// Returns one page of the keys, newest first, without their clear text.
#[utoipa::path(
    get, path = "/v1/api-keys", operation_id = "list_api_keys", tag = "api-keys", security(("access_token" = [])), params(Page),
    responses(
        (status = 200, description = "One page of the caller's API keys, without the keys themselves", body = List<ApiKeyItem>),
        Unauthorized, Forbidden, Unprocessable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(page): Query<Page>,
) -> Result<Json<List<ApiKeyItem>>, Problem> {
    let found = state.identity.list_api_keys(&caller, page.limit.into(), page.after()?).await?;
    Ok(Json(List::of(found.keys, found.next)))
}

/// Create an API key
///
/// Returns the key with its clear text, which no later response contains. A request with an `Idempotency-Key` can be sent
/// again within 24 hours and gets the same key.
#[utoipa::path(
    post, path = "/v1/api-keys", operation_id = "create_api_key", tag = "api-keys", security(("access_token" = [])), request_body = CreateApiKeyRequest,
    params(IdempotencyHeader),
    responses(
        (status = 201, description = "The new API key, which is shown this once", body = IssuedApiKeyResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, Unavailable,
    ),
)]
async fn create(
    State(state): State<AppState>,
    FreshCaller(caller): FreshCaller,
    client: Client,
    key: Option<IdempotencyKey>,
    Json(body): Json<CreateApiKeyRequest>,
) -> Result<(StatusCode, Json<IssuedApiKeyResponse>), Problem> {
    let wanted = ApiKeyRequest {
        name: body.name,
        scopes: body.scopes,
        expires_at: body.expires_at,
        idempotency_key: key.map(|key| key.as_str().to_owned()),
    };
    let issued = state.identity.create_api_key(&caller, wanted, &client.into()).await?;
    Ok((StatusCode::CREATED, Json(issued.into())))
}

/// Rotate an API key
///
/// Returns the key with a new clear text; name, scopes and expiry stay. The old clear text is refused from then on.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/rotate", operation_id = "rotate_api_key", tag = "api-keys", security(("access_token" = [])),
    params(ApiKeyPath),
    responses(
        (status = 200, description = "The key that takes its place, which is shown this once", body = IssuedApiKeyResponse),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn rotate(
    State(state): State<AppState>,
    FreshCaller(caller): FreshCaller,
    client: Client,
    PathId(id): PathId<ApiKeyId>,
) -> Result<Json<IssuedApiKeyResponse>, Problem> {
    Ok(Json(state.identity.rotate_api_key(&caller, id, &client.into()).await?.into()))
}

/// Delete an API key
///
/// The key is refused from then on.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", operation_id = "delete_api_key", tag = "api-keys", security(("access_token" = [])),
    params(ApiKeyPath),
    responses(
        (status = 204, description = "The API key is not valid any more"),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn remove(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    state.identity.delete_api_key(&caller, id, &client.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
