//! The function that serves pages. It opens no table and reads no secret, so it has no rights to either.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use portcullis_http::{HttpSettings, finish};
use portcullis_identity::EdgeProofKeys;
use portcullis_platform::{Clock, Environment, SystemClock, SystemEntropy};
use portcullis_platform_aws::{NothingMeasured, serve};
use tower::ServiceExt;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::log;
use crate::start::Ended;

/// Serves these pages as the function `name` until Lambda ends the process.
pub(crate) async fn serve_pages(
    name: &str,
    pages: fn(&HttpSettings) -> Router,
    environment: Environment,
) -> Result<(), Ended> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let filter = Targets::new().with_default(LevelFilter::WARN);
    log::start(name, &environment, Arc::clone(&clock), Arc::new(NothingMeasured), filter);
    let mut settings = HttpSettings::read(&environment)?;
    // Without keys no proof of the edge can be checked. Pages are the same for everybody, and what their scripts send is
    // checked by the functions it reaches.
    settings.requires_edge = false;
    let entropy = Arc::new(SystemEntropy);
    let router = finish(pages(&settings), &settings, EdgeProofKeys::default(), clock, entropy);
    let served = serve(|request| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(Body::from)).await;
            response
        }
    });
    served.await.map_err(Ended::RuntimeGone)
}
