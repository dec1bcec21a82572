//! What verifiers of access tokens need: the JWK set and the issuer's metadata.

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use portcullis_http::AppState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a client may cache the keys. The next signing key is published at least this long before it signs, so every
/// cache has it by then.
const CACHE: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=300");

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(jwks)).routes(routes!(discovery))
}

/// Public keys (RFC 7517)
///
/// Returns the JWK set that access tokens are verified with.
#[utoipa::path(
    get, path = "/v1/auth/.well-known/jwks.json", operation_id = "get_jwks", tag = "keys",
    responses((status = 200, description = "The keys that verify access tokens (RFC 7517)", content_type = "application/jwk-set+json", body = serde_json::Value)),
)]
async fn jwks(State(state): State<AppState>) -> ([(HeaderName, &'static str); 2], String) {
    ([CACHE, (CONTENT_TYPE, "application/jwk-set+json")], state.identity.keyring.jwks().to_owned())
}

/// Issuer metadata (RFC 8414)
///
/// Returns the issuer's name, its endpoints and its algorithms.
#[utoipa::path(
    get, path = "/.well-known/openid-configuration", operation_id = "get_discovery_document", tag = "keys",
    responses((status = 200, description = "Where to find what belongs to the tokens", content_type = "application/json", body = serde_json::Value)),
)]
async fn discovery(State(state): State<AppState>) -> ([(HeaderName, &'static str); 2], String) {
    let at = |path: &str| format!("{}{path}", state.settings.public_url.as_str());
    let metadata = serde_json::json!({
        "issuer": state.identity.settings.issuer,
        "jwks_uri": at("/v1/auth/.well-known/jwks.json"),
        "token_endpoint": at("/v1/auth/login"),
        "revocation_endpoint": at("/v1/auth/logout"),
        "userinfo_endpoint": at("/v1/users/me"),
        "response_types_supported": ["token"],
        "grant_types_supported": ["password", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": state.identity.keyring.algorithms().collect::<Vec<_>>(),
        "token_endpoint_auth_methods_supported": ["none"],
        "claims_supported": [
            "iss", "aud", "sub", "iat", "exp", "jti", "email", "roles", "session_id", "token_type", "auth_time", "amr",
        ],
    });
    ([CACHE, (CONTENT_TYPE, "application/json")], metadata.to_string())
}
