//! The liveness endpoint. It asks nothing of the store: a liveness probe that did would turn one slow dependency
//! into restarts everywhere.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Json;

/// The health of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: Liveness,
    /// The version of the service.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
}

/// The status of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// The process responds to requests.
    Ok,
}

/// Returns the route of `GET /healthz`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(healthz))
}

/// Check that the process is alive
///
/// Returns `ok` as long as the process responds to requests.
#[utoipa::path(get, path = "/healthz", operation_id = "get_health", tag = "service", responses((status = 200, description = "The process is alive", body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: Liveness::Ok, version: env!("CARGO_PKG_VERSION") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{app, request, send};

    #[tokio::test]
    async fn it_answers_and_is_not_cached() {
        let (router, _) = routes().split_for_parts();
        let answer = send(&app(router), request("GET", "/healthz", &[])).await;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(answer.json(), serde_json::json!({"status": "ok", "version": version}));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}
