//! The routes of all functions, their OpenAPI document, and its browsable form.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use portcullis_functions::{FUNCTIONS, Function};
use portcullis_http::{AppState, finish, openapi};
use portcullis_platform::{Clock, Entropy};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::{OpenApi, Server};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

/// Swagger UI brings its own scripts and styles and sets some styles inline; nothing comes from elsewhere.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
     base-uri 'none'; frame-ancestors 'none'";

/// The whole service as one router, all layers included.
pub fn router(
    state: AppState,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Router, serde_json::Error> {
    with_routes_beside(Router::new(), state, clock, entropy)
}

/// The same with the routes of the process itself beside those of the functions.
pub(crate) fn with_routes_beside(
    beside: Router,
    state: AppState,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Router, serde_json::Error> {
    let settings = Arc::clone(&state.settings);
    let edge_keys = state.identity.keyring.edge_proofs().clone();
    let base = OpenApiRouter::with_openapi(openapi::base(&settings.public_url));
    let all = FUNCTIONS.iter().filter_map(Function::routes).fold(base, OpenApiRouter::merge);
    let (routes, document) = all.split_for_parts();
    let document = openapi::complete(document);
    let pages =
        FUNCTIONS.iter().filter_map(|function| function.pages(&settings)).fold(Router::new(), Router::merge);
    let complete = routes
        .with_state(state)
        .merge(pages)
        .merge(openapi::routes(&document)?)
        .merge(docs(document))
        .merge(beside);
    Ok(finish(complete, &settings, edge_keys, clock, entropy))
}

/// Requests of the page go where the page came from: `127.0.0.1` and `localhost` are two origins, and the page may send to
/// its own alone.
fn docs(mut document: OpenApi) -> Router {
    document.servers = Some(vec![Server::new("/")]);
    let ui: Router = SwaggerUi::new("/docs").url("/docs/openapi.json", document).into();
    let set = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    ui.layer(set(CONTENT_SECURITY_POLICY, DOCS_POLICY)).layer(set(CACHE_CONTROL, "no-cache"))
}
