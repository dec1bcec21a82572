//! A function that API Gateway forwards requests to.

use portcullis_functions::Function;
use portcullis_http::AppState;
use portcullis_platform::Environment;
use portcullis_platform_aws::serve;
use utoipa_axum::router::OpenApiRouter;

use crate::start::{Ended, started};

/// Serves these routes as this function until Lambda ends the process.
pub(crate) async fn serve_requests(
    row: &'static Function,
    routes: OpenApiRouter<AppState>,
    environment: Environment,
) -> Result<(), Ended> {
    let function = started(row, environment, routes).await?;
    serve(|request| function.respond(request)).await.map_err(Ended::RuntimeGone)
}
