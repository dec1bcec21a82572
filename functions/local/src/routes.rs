//! The routes of all functions, their OpenAPI document, and its browsable form.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use portcullis_http::{AppState, finish, healthz_routes, openapi};
use portcullis_platform::{Clock, Entropy};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Swagger UI brings its own scripts and styles and sets some styles inline; nothing comes from elsewhere.
const DOCS_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The whole service as one router, all layers included.
pub fn router(
    state: AppState,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Router, serde_json::Error> {
    let settings = Arc::clone(&state.settings);
    let (routes, document) = OpenApiRouter::with_openapi(openapi::base(&settings.public_url))
        .merge(portcullis_register::routes())
        .merge(portcullis_login::routes())
        .merge(portcullis_mfa::routes())
        .merge(portcullis_password::routes())
        .merge(portcullis_api_keys::routes())
        .merge(portcullis_authz::routes())
        .merge(portcullis_internal::routes())
        .merge(portcullis_trading_accounts::routes())
        .merge(portcullis_broker_sessions::routes())
        .merge(portcullis_credentials::routes())
        .merge(portcullis_providers::routes())
        .merge(portcullis_refresh::routes())
        .merge(portcullis_logout::routes())
        .merge(portcullis_users::routes())
        .merge(portcullis_sessions::routes())
        .merge(portcullis_audit::routes())
        .merge(portcullis_admin::routes())
        .merge(portcullis_keys::routes())
        .merge(healthz_routes())
        .split_for_parts();
    let complete = routes.with_state(state).merge(openapi::routes(&document)?).merge(docs());
    Ok(finish(complete, &settings, clock, entropy))
}

fn docs() -> Router {
    let ui: Router = SwaggerUi::new("/docs").config(Config::from("/openapi.json")).into();
    let set = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    ui.layer(set(CONTENT_SECURITY_POLICY, DOCS_POLICY)).layer(set(CACHE_CONTROL, "no-cache"))
}
