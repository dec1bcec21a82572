//! The log of a function: one line of JSON for each event, set up before anything can fail.

use std::sync::Arc;

use portcullis_platform::{Clock, Environment, with_causes};
use portcullis_platform_aws::{JsonLines, Measurements};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log of the function `name`; events that `filter` lets through are written from here on.
pub(crate) fn start(
    name: &str,
    environment: &Environment,
    clock: Arc<dyn Clock>,
    measurements: Arc<dyn Measurements>,
    filter: Targets,
) {
    let lines = JsonLines::new(name, environment, clock, measurements);
    Registry::default().with(filter).with(lines).init();
    portcullis_http::log_panics_without_their_message();
}

/// Logs the error and its causes on one line.
pub(crate) fn error(message: &str, error: &dyn std::error::Error) {
    tracing::error!(error = with_causes(error), "{message}");
}
