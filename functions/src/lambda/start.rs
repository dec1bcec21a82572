//! Starting a function.

use std::sync::Arc;

use portcullis_broker_http::HttpsBrokers;
use portcullis_http::{AppState, HttpSettings};
use portcullis_identity::{IdentitySettings, PasswordHasher};
use portcullis_platform::{Clock, Entropy, Environment, Misconfigured, SystemClock, SystemEntropy};
use portcullis_platform_aws::secrets::{
    CachedSecrets, SecretsManager, Source, SourceError, Vault, VaultUnusable,
};
use portcullis_platform_aws::{
    AwsConnection, AwsSettings, KmsKeyWrap, Measured, Measurements, SecretsProvider, SesMailer,
};
use portcullis_store::{Meter, Store, StoreError, client_config};
use portcullis_vault::VaultSettings;
use tracing_subscriber::filter::{LevelFilter, Targets};
use utoipa_axum::router::OpenApiRouter;

use super::function::{Function, NotReady, Parts};
use super::log;

/// Why a function ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    #[error(transparent)]
    Vault(#[from] VaultUnusable),
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
pub(super) async fn started(
    name: &str,
    environment: Environment,
    routes: OpenApiRouter<AppState>,
) -> Result<Function, Ended> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let meter = Meter::default();
    let settings = AwsSettings::read(&environment);
    let filter = settings
        .as_ref()
        .map_or(Targets::new().with_default(LevelFilter::WARN), |settings| settings.log.clone());
    log::start(name, &environment, Arc::clone(&clock), Arc::new(Units(meter.clone())), filter);
    let function = Box::pin(start(environment, settings, clock, meter.clone(), routes)).await?;
    // What the start took is no request's.
    meter.take();
    Ok(function)
}

async fn start(
    environment: Environment,
    settings: Result<AwsSettings, Misconfigured>,
    clock: Arc<dyn Clock>,
    meter: Meter,
    routes: OpenApiRouter<AppState>,
) -> Result<Function, Ended> {
    let settings = settings?;
    let identity = IdentitySettings::read(&environment)?;
    let http = HttpSettings::read(&environment)?;
    let vault = VaultSettings::read(&environment)?;
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let connection = AwsConnection::of_process().await;
    let store = store(&connection, &environment, meter, &settings.table);
    let (routes, _) = routes.split_for_parts();
    let function = Function::new(Parts {
        routes,
        store: store.clone(),
        key_wrap: Arc::new(KmsKeyWrap::new(&connection, settings.kms_key)),
        broker_key_wrap: Arc::new(KmsKeyWrap::new(&connection, settings.broker_kms_key)),
        broker_http: Arc::new(HttpsBrokers::default()),
        vault,
        mailer: Arc::new(SesMailer::new(&connection, settings.mail_from)),
        hasher: PasswordHasher::start(identity.argon2, entropy.as_ref())?,
        identity,
        http: Arc::new(http),
        secrets: CachedSecrets::new(source(&connection, &settings.secrets)?, Arc::clone(&clock)),
        clock,
        entropy,
    });
    let (table, secrets) = tokio::join!(store.check_table(), function.renew());
    match table {
        Ok(()) => {}
        Err(error @ StoreError::Unavailable { .. }) => log::error("the table does not answer yet", &error),
        Err(error) => return Err(Ended::Table(settings.table, error)),
    }
    match secrets {
        Ok(()) => {}
        Err(error) if passes(&error) => log::error("the secrets are unavailable", &error),
        Err(error) => return Err(error.into()),
    }
    Ok(function)
}

/// Whether waiting may help. What is missing or malformed takes a person, who is to read of it at the first start.
fn passes(error: &NotReady) -> bool {
    matches!(error, NotReady::Secrets(SourceError::Unavailable(..)))
}

/// The store's own timeouts and retries, on the connections everything shares.
fn store(connection: &AwsConnection, environment: &Environment, meter: Meter, table: &str) -> Store {
    let config = connection.config();
    let endpoint = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];
    let endpoint = endpoint.into_iter().find_map(|name| environment.raw(name)).map(str::to_owned);
    let mut client =
        client_config().http_client(connection.http()).region(config.region().cloned()).interceptor(meter);
    client.set_credentials_provider(config.credentials_provider()).set_endpoint_url(endpoint);
    Store::connect(client, table)
}

fn source(connection: &AwsConnection, provider: &SecretsProvider) -> Result<Box<dyn Source>, VaultUnusable> {
    Ok(match provider {
        SecretsProvider::SecretsManager(name) => Box::new(SecretsManager::new(connection, name)),
        SecretsProvider::Vault(settings) => Box::new(Vault::new(settings)?),
    })
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
