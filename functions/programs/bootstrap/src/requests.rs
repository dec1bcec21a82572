//! A function that API Gateway forwards requests to.

use portcullis_http::AppState;
use portcullis_platform::Environment;
use portcullis_platform_aws::serve;
use utoipa_axum::router::OpenApiRouter;

use crate::start::{Ended, started};

/// Serves these routes as the function `name` until Lambda ends the process.
pub(crate) async fn serve_requests(
    name: &str,
    routes: OpenApiRouter<AppState>,
    environment: Environment,
) -> Result<(), Ended> {
    let function = started(name, environment, routes).await?;
    serve(|request| function.respond(request)).await.map_err(Ended::RuntimeGone)
}
