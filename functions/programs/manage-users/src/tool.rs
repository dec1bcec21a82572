//! The operations, on the folder of a local service or on a table of AWS.

use std::sync::Arc;

use portcullis_identity::{ClientContext, Identity, Operator};
use portcullis_platform::{
    CallTimeouts, Clock, Entropy, Environment, SecretPurpose, Secrets, SystemClock, SystemEntropy,
    with_causes,
};
use portcullis_platform_aws::{AwsConnection, AwsSettings, with_variables_of_deployment};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_service::{
    AwsPlatform, OpenError, Operations, Platform, SecretsIn, ServerPlatform, ServerSettings, Settings,
    StoreIn,
};
use portcullis_store::Meter;
use portcullis_vault::Vault;

use crate::failure::Failure;
use crate::operator;
use crate::output::Output;
use crate::service_tokens::Keeper;

/// The operations, configuration and operator that every command uses.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) identity: Arc<Identity>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) environment: Environment,
    /// The embedded database; none when the command works on a DynamoDB table.
    engine: Option<EmbeddedDynamoDb>,
    /// The actor of the audit events.
    pub(crate) operator: Operator,
    pub(crate) origin: ClientContext,
    /// What the commands work on, in words.
    pub(crate) source: String,
    pub(crate) secrets: Arc<dyn Secrets>,
    /// Where the tokens of services are.
    pub(crate) keeper: Keeper,
}

impl Tool {
    /// Returns the operations on the named table, or on `DATA_DIR`; fails when the configuration cannot be used, and when
    /// the table, the secrets or the keys cannot be read.
    pub(crate) async fn open(table: Option<&str>, operator: Option<&str>) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let Opened { platform, settings, engine, source, arn, keeper } = match table {
            Some(table) => on_aws(environment.clone(), table).await?,
            None => on_this_machine(environment.clone()).await?,
        };
        let keyring = platform
            .keyring(&settings, SecretPurpose::ALL)
            .await
            .map_err(|error| Failure::unusable(&error))?;
        let hasher = platform.hasher(&settings)?;
        let Operations { identity, vault } = Operations::new(&platform, &settings, hasher, keyring);
        let operator = operator::named(operator, arn, &environment)?;
        let origin = ClientContext { request_id: "manage-users".to_owned(), ..ClientContext::default() };
        Ok(Self {
            identity,
            vault,
            environment,
            engine,
            operator,
            origin,
            source,
            secrets: platform.secrets,
            keeper,
        })
    }

    /// Says what was read, and from where.
    pub(crate) fn has_read(&self, output: Output, what: &str) {
        output.note(&format!("read {}: {what}", self.source));
    }

    /// Wipes removed rows from the database file. An error is ignored: a running service, or the next one to start,
    /// wipes what is left.
    pub(crate) async fn close(self) {
        if let Some(engine) = self.engine {
            let _ = engine.wipe_traces().await;
        }
    }
}

/// The platform and settings, opened on this machine or on AWS.
struct Opened {
    platform: Platform,
    settings: Settings,
    engine: Option<EmbeddedDynamoDb>,
    source: String,
    /// Who AWS says is calling.
    arn: Option<String>,
    keeper: Keeper,
}

fn clock_and_entropy() -> (Arc<dyn Clock>, Arc<dyn Entropy>) {
    (Arc::new(SystemClock), Arc::new(SystemEntropy))
}

/// Opens what the server with this configuration works on; fails when it cannot be used, and makes nothing in it. A server may
/// be running on it: both processes work on one table, or on one file, where SQLite admits one write transaction at a time.
async fn on_this_machine(environment: Environment) -> Result<Opened, Failure> {
    let server = ServerSettings::read(environment)?;
    let (clock, entropy) = clock_and_entropy();
    let inspected = server.inspect(&entropy)?;
    let folder = std::path::absolute(&server.place.folder)?;
    let opened = ServerPlatform::open_existing(inspected, &server, clock, entropy).await;
    let ServerPlatform { platform, engine, .. } = opened.map_err(not_opened)?;
    let source = match &server.store {
        StoreIn::Embedded => format!("the folder \"{}\"", folder.display()),
        StoreIn::DynamoDb { table, .. } => format!("the table {table}"),
    };
    let keeper = match &server.secrets {
        SecretsIn::Files => Keeper::of_files(&server.environment, &server.place.keys),
        SecretsIn::Provider(provider, _) => {
            let connection = AwsConnection::of_process(server.timeouts).await;
            Keeper::on_aws(provider, &connection)
        }
    };
    Ok(Opened { platform, settings: server.settings, engine, source, arn: None, keeper })
}

/// Returns the failure for a platform that did not open. An error of the store keeps its own exit status, since a retry
/// may succeed; the others need the operator.
fn not_opened(error: OpenError) -> Failure {
    match error {
        OpenError::Store(error) => portcullis_identity::Error::from(error).into(),
        OpenError::Misconfigured(error) => error.into(),
        other => Failure::unusable(&other),
    }
}

/// Returns the environment with the variables that the deployment of this table wrote down for its operators. Whoever sets
/// the name of the secret sets the others, too.
async fn of_deployment(
    environment: Environment,
    connection: &AwsConnection,
    table: &str,
) -> Result<Environment, Failure> {
    if environment.raw("AWS_SECRET_NAME").is_some() {
        return Ok(environment);
    }
    let found = with_variables_of_deployment(environment, connection, table).await;
    found.map_err(|error| {
        Failure::Unavailable(format!("the variables of the deployment: {}", with_causes(&error)))
    })
}

async fn on_aws(environment: Environment, table: &str) -> Result<Opened, Failure> {
    let connection = AwsConnection::of_process(CallTimeouts::read(&environment)?).await;
    let environment = of_deployment(environment, &connection, table).await?.with("TABLE_NAME", table);
    let aws = AwsSettings::read(&environment)?;
    let settings = Settings::read(&environment)?;
    let (clock, entropy) = clock_and_entropy();
    let (meter, purposes) = (Meter::default(), SecretPurpose::ALL);
    let opened = AwsPlatform::on(&connection, &environment, &aws, clock, entropy, meter, purposes);
    let AwsPlatform { platform, secrets, .. } = opened.map_err(|error| Failure::unusable(&error))?;
    platform.store.check_table().await.map_err(portcullis_identity::Error::from)?;
    secrets.version().await.map_err(|error| Failure::Unavailable(format!("the secrets: {error}")))?;
    let arn = connection.caller_arn().await;
    let source = format!("the table {}", aws.table);
    let keeper = Keeper::on_aws(&aws.secrets, &connection);
    Ok(Opened { platform, settings, engine: None, source, arn, keeper })
}
