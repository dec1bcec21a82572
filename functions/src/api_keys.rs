//! `/v1/api-keys`: keys for programs. Only a person with a session manages them; `identity::api_keys` decides.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use portcullis_http::responses::{Conflict, Forbidden, NotFound, Unauthorized, Unavailable, Unprocessable};
use portcullis_http::{
    AppState, Client, IdempotencyKey, Json, List, Page, PathId, Problem, Query, SignedInCaller, rfc3339,
};
use portcullis_identity::{ApiKey, ApiKeyId};
use portcullis_identity::{ApiKeyName, ApiKeyRequest, IssuedApiKey};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(rotate)).routes(routes!(remove))
}

/// A key somebody wants.
#[derive(Debug, Deserialize, ToSchema)]
struct CreateRequest {
    /// What it is called: 1 to 100 characters.
    #[schema(value_type = String, example = "nightly rebalancing")]
    name: ApiKeyName,
    /// What it may do at most, as `resource:action`; all that the owner may do now, when left out. Keys, factors,
    /// passwords and sessions are never for a key.
    #[schema(example = json!(["portfolio:read"]))]
    scopes: Option<Vec<String>>,
    /// RFC 3339: when it ends; never, when left out.
    #[schema(value_type = Option<String>, example = "2027-06-30T00:00:00Z")]
    expires_at: Option<Timestamp>,
}

/// A key, without what is secret about it.
#[derive(Debug, Serialize, ToSchema)]
struct ApiKeyItem {
    /// Opaque id.
    #[schema(example = "key_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    key_id: String,
    /// What it is called.
    name: String,
    /// What the clear key begins with.
    #[schema(example = "pk_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    prefix: String,
    /// What it may do at most.
    scopes: Vec<String>,
    /// RFC 3339, UTC.
    created_at: String,
    /// RFC 3339, UTC; null if it does not end.
    expires_at: Option<String>,
    /// RFC 3339, UTC, give or take a minute; null before its first use.
    last_used_at: Option<String>,
}

impl From<ApiKey> for ApiKeyItem {
    fn from(key: ApiKey) -> Self {
        Self {
            key_id: key.id.to_string(),
            prefix: format!("pk_{}", key.id.digits()),
            name: key.name,
            scopes: key.scopes,
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            last_used_at: key.last_used_at.map(rfc3339),
        }
    }
}

/// A key with its clear text.
#[derive(Debug, Serialize, ToSchema)]
struct IssuedResponse {
    /// The clear key, to be sent as `X-API-Key`. It is never shown again.
    api_key: String,
    /// The rest.
    #[serde(flatten)]
    key: ApiKeyItem,
}

impl From<IssuedApiKey> for IssuedResponse {
    fn from(issued: IssuedApiKey) -> Self {
        Self { api_key: issued.text.expose_secret().to_owned(), key: issued.key.into() }
    }
}

/// List the own API keys
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "api-keys", security(("access_token" = [])), params(Page),
    responses(
        (status = 200, body = List<ApiKeyItem>),
        Unauthorized, Forbidden, Unprocessable,
    ),
)]
async fn list(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    Query(page): Query<Page>,
) -> Result<Json<List<ApiKeyItem>>, Problem> {
    let found = state.identity.list_api_keys(&caller, page.limit.into(), page.after()?).await?;
    Ok(Json(List {
        items: found.keys.into_iter().map(ApiKeyItem::from).collect(),
        next_cursor: found.next.map(|id| id.to_string()),
    }))
}

/// Make an API key
///
/// The clear key is in this answer and in no other. With an `Idempotency-Key` the same request may be sent again within
/// 24 hours and gets the same key.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "api-keys", security(("access_token" = [])), request_body = CreateRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    responses(
        (status = 201, body = IssuedResponse),
        Unauthorized, Forbidden, Conflict, Unprocessable, Unavailable,
    ),
)]
async fn create(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    key: Option<IdempotencyKey>,
    Json(body): Json<CreateRequest>,
) -> Result<(StatusCode, Json<IssuedResponse>), Problem> {
    let wanted = ApiKeyRequest {
        name: body.name,
        scopes: body.scopes,
        expires_at: body.expires_at,
        idempotency_key: key.map(|key| key.as_str().to_owned()),
    };
    let issued = state.identity.create_api_key(&caller, wanted, &client.into()).await?;
    Ok((StatusCode::CREATED, Json(issued.into())))
}

/// Give an API key another secret
///
/// The old clear key is worth nothing from then on; name, scopes and end stay.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/rotate", tag = "api-keys", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the key")),
    responses(
        (status = 200, body = IssuedResponse),
        Unauthorized, Forbidden, NotFound,
    ),
)]
async fn rotate(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    client: Client,
    PathId(id): PathId<ApiKeyId>,
) -> Result<Json<IssuedResponse>, Problem> {
    Ok(Json(state.identity.rotate_api_key(&caller, id, &client.into()).await?.into()))
}

/// Delete an API key
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "api-keys", security(("access_token" = [])),
    params(("id" = String, Path, description = "id of the key")),
    responses(
        (status = 204),
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
