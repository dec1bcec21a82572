//! The platform on AWS: DynamoDB, KMS, Secrets Manager (or HashiCorp Vault) and SES.

use std::sync::Arc;

use portcullis_broker_http::HttpsBrokers;
use portcullis_platform::{CallTimeouts, Clock, Entropy, Environment, SecretPurpose};
use portcullis_platform_aws::secrets::{
    CachedSecrets, HashicorpVault, HashicorpVaultUnusable, SecretsManager, Source,
};
use portcullis_platform_aws::{AwsConnection, AwsSettings, KmsKeyWrap, SecretsProvider, SesMailer};
use portcullis_store::{Meter, Store, client_config};

use crate::Platform;

/// The endpoint of DynamoDB alone, then that of all services, as the SDK reads them.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];

/// A platform on AWS. Nothing is connected before the first call.
#[derive(Debug)]
pub struct AwsPlatform {
    /// Store, secrets, keys, mail and brokers, as AWS has them.
    pub platform: Platform,
    /// Its secrets, which tell when they changed.
    pub secrets: Arc<CachedSecrets>,
    /// What its secrets are for.
    pub purposes: &'static [SecretPurpose],
}

impl AwsPlatform {
    /// Returns the platform of [`AwsPlatform::on`], with the region and the credentials of the process.
    pub async fn open(
        environment: &Environment,
        settings: &AwsSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        meter: Meter,
        purposes: &'static [SecretPurpose],
    ) -> Result<Self, HashicorpVaultUnusable> {
        let connection = AwsConnection::of_process(settings.timeouts).await;
        Self::on(&connection, environment, settings, clock, entropy, meter, purposes)
    }

    /// Returns the platform that these settings name on a connection. What the table consumes is counted by `meter`. Of the
    /// secrets those for these purposes are read; HashiCorp Vault has one for all. Fails when HashiCorp Vault is to be asked
    /// and cannot be.
    pub fn on(
        connection: &AwsConnection,
        environment: &Environment,
        settings: &AwsSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        meter: Meter,
        purposes: &'static [SecretPurpose],
    ) -> Result<Self, HashicorpVaultUnusable> {
        let (source, purposes) = source(connection, &settings.secrets, purposes)?;
        let secrets = Arc::new(CachedSecrets::new(source, Arc::clone(&clock)));
        let platform = Platform {
            store: table(connection, environment, meter, settings.timeouts, &settings.table),
            clock,
            entropy,
            secrets: secrets.clone(),
            key_wrap: Arc::new(KmsKeyWrap::new(connection, settings.kms_key.clone())),
            broker_key_wrap: Arc::new(KmsKeyWrap::new(connection, settings.broker_kms_key.clone())),
            mailer: Arc::new(SesMailer::new(connection, settings.mail_from.clone())),
            broker_http: Arc::new(HttpsBrokers::default()),
        };
        Ok(Self { platform, secrets, purposes })
    }
}

/// Returns the store on the table of this name: with timeouts and retries of its own, on the connections everything shares.
pub fn table(
    connection: &AwsConnection,
    environment: &Environment,
    meter: Meter,
    timeouts: CallTimeouts,
    name: &str,
) -> Store {
    let config = connection.config();
    let endpoint = ENDPOINTS.into_iter().find_map(|name| environment.raw(name)).map(str::to_owned);
    let mut client = client_config(timeouts)
        .http_client(connection.http())
        .region(config.region().cloned())
        .interceptor(meter);
    client.set_credentials_provider(config.credentials_provider()).set_endpoint_url(endpoint);
    Store::connect(client, name)
}

fn source(
    connection: &AwsConnection,
    provider: &SecretsProvider,
    purposes: &'static [SecretPurpose],
) -> Result<(Box<dyn Source>, &'static [SecretPurpose]), HashicorpVaultUnusable> {
    Ok(match provider {
        SecretsProvider::SecretsManager(name) => {
            (Box::new(SecretsManager::new(connection, name, purposes)), purposes)
        }
        SecretsProvider::HashicorpVault(settings) => {
            (Box::new(HashicorpVault::new(settings)?), SecretPurpose::ALL)
        }
    })
}
