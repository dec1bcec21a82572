//! The operations, on the folder of a local service or on a table of AWS.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_broker_http::HttpsBrokers;
use portcullis_identity::{Identity, IdentitySettings, Keyring, Operator, Origin, PasswordHasher};
use portcullis_platform::{
    Clock, Entropy, Environment, KeyWrap, Mailer, Secrets, SystemClock, SystemEntropy, Variable,
};
use portcullis_platform_aws::secrets::{self, CachedSecrets, SecretsManager, Source};
use portcullis_platform_aws::{AwsConnection, AwsSettings, KmsKeyWrap, SecretsProvider, SesMailer};
use portcullis_platform_embedded::{DataDir, EmbeddedDynamoDb, Outbox};
use portcullis_store::{Store, client_config};
use portcullis_vault::{Vault, VaultSettings};

use crate::failure::Failure;

const DATA_DIR: Variable = Variable {
    name: "DATA_DIR",
    default: "./data",
    about: "folder of the database and the keys",
    aliases: &[],
};
const PUBLIC_URL: Variable = Variable {
    name: "PUBLIC_URL",
    default: "http://localhost:8001",
    about: "where clients reach the service, for links in mails",
    aliases: &[],
};
/// The name of the table in the embedded database.
const TABLE: &str = "portcullis";

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) identity: Arc<Identity>,
    pub(crate) vault: Vault,
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
        let (settings, of_vault) =
            (IdentitySettings::read(&environment)?, VaultSettings::read(&environment)?);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let Parts { store, engine, secrets, key_wrap, broker_key_wrap, mailer } = match table {
            Some(table) => on_aws(&environment, table, &clock).await?,
            None => on_this_machine(&environment, &clock, &entropy).await?,
        };
        let keyring = Keyring::load(secrets.as_ref()).await.map_err(|error| Failure::unusable(&error))?;
        let hasher = PasswordHasher::start(settings.argon2, entropy.as_ref())?;
        let user =
            ["USER", "LOGNAME"].into_iter().find_map(|name| environment.raw(name)).unwrap_or("unknown");
        let operator =
            Operator::CommandLine(user.chars().filter(|letter| !letter.is_control()).take(64).collect());
        let origin = Origin { request_id: "manage-users".to_owned(), ..Origin::default() };
        let public_url = environment.text(&PUBLIC_URL)?;
        let identity = Arc::new(Identity {
            store,
            clock,
            entropy,
            key_wrap,
            mailer,
            public_url,
            keyring,
            hasher,
            settings,
        });
        let brokers = Arc::new(HttpsBrokers::default());
        let vault = Vault::new(Arc::clone(&identity), broker_key_wrap, brokers, &of_vault);
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
struct Parts {
    store: Store,
    engine: Option<EmbeddedDynamoDb>,
    secrets: Arc<dyn Secrets>,
    key_wrap: Arc<dyn KeyWrap>,
    /// The keeper of the master key of broker credentials.
    broker_key_wrap: Arc<dyn KeyWrap>,
    mailer: Arc<dyn Mailer>,
}

/// The folder may be that of a running service: both work on one file, one transaction at a time.
async fn on_this_machine(
    environment: &Environment,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Parts, Failure> {
    let folder = PathBuf::from(environment.text(&DATA_DIR)?);
    let inspected = DataDir::inspect(&folder, environment, Arc::clone(entropy))?;
    let prepared = inspected.prepare().map_err(|error| Failure::unusable(&error))?;
    for created in &prepared.created {
        eprintln!("{created}");
    }
    let engine = EmbeddedDynamoDb::open(&prepared.database).map_err(|error| Failure::unusable(&error))?;
    let store = Store::in_process(engine.http_client(), TABLE);
    store.create_table_if_missing().await.map_err(portcullis_identity::Error::from)?;
    let mailer = Outbox::new(prepared.outbox, Arc::clone(clock), Arc::clone(entropy));
    let key_wrap: Arc<dyn KeyWrap> = Arc::new(prepared.key_wrap);
    Ok(Parts {
        store,
        engine: Some(engine),
        secrets: Arc::new(prepared.secrets),
        broker_key_wrap: Arc::clone(&key_wrap),
        key_wrap,
        mailer: Arc::new(mailer),
    })
}

async fn on_aws(environment: &Environment, table: &str, clock: &Arc<dyn Clock>) -> Result<Parts, Failure> {
    let settings = AwsSettings::read(&environment.clone().with("TABLE_NAME", table))?;
    let connection = AwsConnection::of_process().await;
    let config = connection.config();
    let endpoint = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];
    let endpoint = endpoint.into_iter().find_map(|name| environment.raw(name)).map(str::to_owned);
    let mut client = client_config().http_client(connection.http()).region(config.region().cloned());
    client.set_credentials_provider(config.credentials_provider()).set_endpoint_url(endpoint);
    let store = Store::connect(client, settings.table);
    store.check_table().await.map_err(portcullis_identity::Error::from)?;
    let source: Box<dyn Source> = match &settings.secrets {
        SecretsProvider::SecretsManager(name) => Box::new(SecretsManager::new(&connection, name)),
        SecretsProvider::Vault(vault) => {
            Box::new(secrets::Vault::new(vault).map_err(|error| Failure::unusable(&error))?)
        }
    };
    let secrets = CachedSecrets::new(source, Arc::clone(clock));
    secrets.version().await.map_err(|error| Failure::Unavailable(format!("the secrets: {error}")))?;
    let key_wrap = KmsKeyWrap::new(&connection, settings.kms_key);
    let mailer = SesMailer::new(&connection, settings.mail_from);
    Ok(Parts {
        store,
        engine: None,
        secrets: Arc::new(secrets),
        key_wrap: Arc::new(key_wrap),
        broker_key_wrap: Arc::new(KmsKeyWrap::new(&connection, settings.broker_kms_key)),
        mailer: Arc::new(mailer),
    })
}
