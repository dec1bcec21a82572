//! The operations, on the folder of a local service or on a table of AWS.

use std::sync::Arc;

use portcullis_identity::{Identity, Operator, Origin};
use portcullis_platform::{Clock, Entropy, Environment, SystemClock, SystemEntropy};
use portcullis_platform_aws::AwsSettings;
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_service::{
    AwsPlatform, LocalPlatform, LocalSettings, OpenError, Operations, Platform, Settings,
};
use portcullis_store::Meter;
use portcullis_vault::Vault;

use crate::failure::Failure;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) identity: Arc<Identity>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) environment: Environment,
    /// The database of this machine, if that is what it is about.
    engine: Option<EmbeddedDynamoDb>,
    /// Who is at the keyboard, for the audit trail.
    pub(crate) operator: Operator,
    pub(crate) origin: Origin,
}

impl Tool {
    /// Checks the configuration, then opens what it names.
    pub(crate) async fn open(table: Option<&str>) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let Opened { platform, settings, engine } = match table {
            Some(table) => on_aws(environment.clone().with("TABLE_NAME", table)).await?,
            None => on_this_machine(environment.clone()).await?,
        };
        let keyring = platform.keyring().await.map_err(|error| Failure::unusable(&error))?;
        let hasher = platform.hasher(&settings)?;
        let Operations { identity, vault } = Operations::new(&platform, &settings, hasher, keyring);
        let operator = operator(&environment);
        let origin = Origin { request_id: "manage-users".to_owned(), ..Origin::default() };
        Ok(Self { identity, vault, environment, engine, operator, origin })
    }

    /// Wipes what was removed. A service that runs, or the next that does, takes over what cannot be done now.
    pub(crate) async fn close(self) {
        if let Some(engine) = self.engine {
            let _ = engine.wipe_traces().await;
        }
    }
}

/// What is one thing on this machine and another on AWS.
struct Opened {
    platform: Platform,
    settings: Settings,
    engine: Option<EmbeddedDynamoDb>,
}

/// The person at the keyboard, for the audit trail.
fn operator(environment: &Environment) -> Operator {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| environment.raw(name)).unwrap_or("unknown");
    Operator::CommandLine(user.chars().filter(|letter| !letter.is_control()).take(64).collect())
}

fn clock_and_entropy() -> (Arc<dyn Clock>, Arc<dyn Entropy>) {
    (Arc::new(SystemClock), Arc::new(SystemEntropy))
}

/// The folder may be that of a running service: both work on one file, one transaction at a time.
async fn on_this_machine(environment: Environment) -> Result<Opened, Failure> {
    let local = LocalSettings::read(environment)?;
    let (clock, entropy) = clock_and_entropy();
    let inspected = local.inspect(&entropy)?;
    let LocalPlatform { platform, engine, created } =
        LocalPlatform::open(inspected, clock, entropy).await.map_err(not_opened)?;
    for created in &created {
        eprintln!("{created}");
    }
    Ok(Opened { platform, settings: local.settings, engine: Some(engine) })
}

/// The table is an operation's business, and another run may find it; the rest takes a person.
fn not_opened(error: OpenError) -> Failure {
    match error {
        OpenError::Store(error) => portcullis_identity::Error::from(error).into(),
        other => Failure::unusable(&other),
    }
}

async fn on_aws(environment: Environment) -> Result<Opened, Failure> {
    let aws = AwsSettings::read(&environment)?;
    let settings = Settings::read(&environment)?;
    let (clock, entropy) = clock_and_entropy();
    let AwsPlatform { platform, secrets } =
        AwsPlatform::open(&environment, &aws, clock, entropy, Meter::default())
            .await
            .map_err(|error| Failure::unusable(&error))?;
    platform.store.check_table().await.map_err(portcullis_identity::Error::from)?;
    secrets.version().await.map_err(|error| Failure::Unavailable(format!("the secrets: {error}")))?;
    Ok(Opened { platform, settings, engine: None })
}
