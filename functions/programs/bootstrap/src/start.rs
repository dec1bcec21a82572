//! The start of a function: its configuration, its log, its platform, and which errors end it.

use std::sync::Arc;

use portcullis_http::AppState;
use portcullis_platform::{Clock, Environment, Misconfigured, SecretPurpose, SystemClock, SystemEntropy};
use portcullis_platform_aws::secrets::{HashicorpVaultUnusable, SourceError};
use portcullis_platform_aws::{AwsSettings, Measured, Measurements};
use portcullis_service::{AwsPlatform, Settings};
use portcullis_store::{Meter, StoreError};
use tracing_subscriber::filter::{LevelFilter, Targets};
use utoipa_axum::router::OpenApiRouter;

use crate::function::{Function, NotReady};
use crate::log;

/// Why a function ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    #[error(transparent)]
    Vault(#[from] HashicorpVaultUnusable),
    #[error("the table {0} cannot be used")]
    Table(String, #[source] StoreError),
    #[error(transparent)]
    NotReady(#[from] NotReady),
    #[error(transparent)]
    Identity(#[from] portcullis_identity::Error),
    #[error("the Runtime API is gone")]
    RuntimeGone(Box<dyn std::error::Error + Send + Sync>),
}

/// Returns the function with its log started; fails when waiting cannot help.
pub(crate) async fn started(
    row: &'static portcullis_functions::Function,
    environment: Environment,
    routes: OpenApiRouter<AppState>,
) -> Result<Function, Ended> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let meter = Meter::default();
    let settings = AwsSettings::read(&environment);
    let filter = settings
        .as_ref()
        .map_or(Targets::new().with_default(LevelFilter::WARN), |settings| settings.log.clone());
    log::start(row.name, &environment, Arc::clone(&clock), Arc::new(Units(meter.clone())), filter);
    let function =
        Box::pin(start(environment, settings, clock, meter.clone(), (routes, row.secrets))).await?;
    // The capacity consumed by the start is not counted for the first request.
    meter.take();
    Ok(function)
}

async fn start(
    environment: Environment,
    aws: Result<AwsSettings, Misconfigured>,
    clock: Arc<dyn Clock>,
    meter: Meter,
    (routes, purposes): (OpenApiRouter<AppState>, &'static [SecretPurpose]),
) -> Result<Function, Ended> {
    let aws = aws?;
    let settings = Settings::read(&environment)?;
    let opened =
        AwsPlatform::open(&environment, &aws, clock, Arc::new(SystemEntropy), meter, purposes).await?;
    let hasher = opened.platform.hasher(&settings)?;
    let store = opened.platform.store.clone();
    let (routes, _) = routes.split_for_parts();
    let function = Function::new(routes, opened, settings, hasher);
    let (table, secrets) = tokio::join!(store.check_table(), function.renew());
    match table {
        Ok(()) => {}
        Err(error @ StoreError::Unavailable { .. }) => log::error("the table does not answer yet", &error),
        Err(error) => return Err(Ended::Table(aws.table, error)),
    }
    match secrets {
        Ok(()) => {}
        Err(error) if passes(&error) => log::error("the secrets are unavailable", &error),
        Err(error) => return Err(error.into()),
    }
    Ok(function)
}

/// Returns whether a retry may succeed. Secrets that are missing or malformed need the operator, and end the start with
/// an error.
fn passes(error: &NotReady) -> bool {
    matches!(error, NotReady::Secrets(SourceError::Unavailable(..)))
}

/// The table's meter, as the metrics want it.
#[derive(Debug)]
struct Units(Meter);

impl Measurements for Units {
    fn take(&self) -> Measured {
        let used = self.0.take();
        let rounds = u32::try_from(used.rounds).map_or(f64::MAX, f64::from);
        Measured {
            metrics: vec![("ConsumedReadUnits", used.read_units), ("ConsumedWriteUnits", used.write_units)],
            details: vec![("TableRounds", rounds)],
        }
    }
}
