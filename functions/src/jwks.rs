//! What verifiers of access tokens need: the JWK set and the metadata of the authorization server.

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use portcullis_http::{AppState, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a client may cache the keys. The next signing key is published at least this long before it signs, so every
/// cache has it by then.
const CACHE: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=300");

/// The path of the JWK set.
const JWKS: &str = "/v1/auth/.well-known/jwks.json";

/// The function's routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(jwks)).routes(routes!(metadata))
}

/// The keys that verify access tokens (RFC 7517).
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the set is written once by the keyring; this describes it")]
struct JwkSet {
    /// The keys. A token names its own by `kid`.
    keys: Vec<PublicKey>,
}

/// A public key (RFC 7517; RFC 7518, section 6; RFC 8037).
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the set is written once by the keyring; this describes it")]
struct PublicKey {
    /// The type of the key.
    kty: KeyType,
    /// What it is for: signatures.
    #[schema(rename = "use")]
    usage: KeyUse,
    /// The algorithm of its signatures.
    alg: SignatureAlgorithm,
    /// The id of the key: its RFC 7638 thumbprint.
    kid: String,
    /// The modulus of an RSA key, in base64url.
    n: Option<String>,
    /// The exponent of an RSA key, in base64url.
    e: Option<String>,
    /// The curve of the point.
    crv: Option<Curve>,
    /// The first coordinate of a point of P-256, or the point of Ed25519, in base64url.
    x: Option<String>,
    /// The second coordinate of a point of P-256, in base64url.
    y: Option<String>,
}

/// A type of keys.
#[derive(Debug, ToSchema)]
#[expect(dead_code, clippy::upper_case_acronyms, reason = "described, and named as they are registered")]
enum KeyType {
    RSA,
    EC,
    OKP,
}

/// What a key is for.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "described and not made")]
enum KeyUse {
    Sig,
}

/// An algorithm of signatures.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "described and not made")]
enum SignatureAlgorithm {
    RS256,
    ES256,
    EdDSA,
}

/// A curve that the points of public keys are on (RFC 7518, section 6.2.1.1; RFC 8037).
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "described and not made")]
enum Curve {
    #[schema(rename = "P-256")]
    P256,
    Ed25519,
}

/// The metadata of the authorization server (RFC 8414), with members of this product for its access tokens.
#[derive(Debug, Serialize, ToSchema)]
struct ServerMetadata {
    /// The URL of the service, as RFC 8414 wants it. Access tokens have `access_token_issuer` as their `iss`.
    #[schema(example = "https://auth.example.com")]
    issuer: String,
    /// Where the keys are that verify access tokens.
    #[schema(example = "https://auth.example.com/v1/auth/.well-known/jwks.json")]
    jwks_uri: String,
    /// Empty: there is no authorization endpoint.
    response_types_supported: [String; 0],
    /// Empty: there is no token endpoint. People sign in at `/v1/auth/login`, which is no OAuth 2.0 grant.
    grant_types_supported: [String; 0],
    /// The `iss` of access tokens.
    #[schema(example = "user_service")]
    access_token_issuer: String,
    /// The `aud` of access tokens.
    #[schema(example = "trading_platform")]
    access_token_audience: String,
    /// The algorithms of the keys that sign access tokens.
    #[schema(value_type = Vec<SignatureAlgorithm>)]
    access_token_signing_alg_values_supported: Vec<&'static str>,
}

/// Public keys (RFC 7517)
///
/// Returns the JWK set that access tokens are verified with.
#[utoipa::path(
    get, path = "/v1/auth/.well-known/jwks.json", operation_id = "get_jwks", tag = "keys",
    responses((status = 200, description = "The keys that verify access tokens (RFC 7517)", content_type = "application/jwk-set+json", body = JwkSet)),
)]
async fn jwks(State(state): State<AppState>) -> ([(HeaderName, &'static str); 2], String) {
    ([CACHE, (CONTENT_TYPE, "application/jwk-set+json")], state.identity.keyring.jwks().to_owned())
}

/// Server metadata (RFC 8414)
///
/// Returns where the keys of access tokens are, and their issuer, audience and algorithms. RFC 8414 wants empty lists left
/// out, but one of the two is required, and readers take the absence of the other for grants that this service does not have.
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", operation_id = "get_server_metadata", tag = "keys",
    responses((status = 200, description = "Where the keys are, and what access tokens say", body = ServerMetadata)),
)]
async fn metadata(State(state): State<AppState>) -> ([(HeaderName, &'static str); 1], Json<ServerMetadata>) {
    let url = state.settings.public_url.as_str();
    let identity = &state.identity;
    let metadata = ServerMetadata {
        issuer: url.to_owned(),
        jwks_uri: format!("{url}{JWKS}"),
        response_types_supported: [],
        grant_types_supported: [],
        access_token_issuer: identity.settings.issuer.clone(),
        access_token_audience: identity.settings.audience.clone(),
        access_token_signing_alg_values_supported: identity.keyring.algorithms().collect(),
    };
    ([CACHE], Json(metadata))
}
