//! What a deployment has beside its functions, made in the engines of the tests: a table, a secret and a key of its own.

use std::path::Path;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use portcullis_bootstrap::key_rotation::{Circumstances, NotRotated, rotated};
use portcullis_platform::{
    CallTimeouts, Clock, Environment, SecretName, SecretPurpose, ServiceTokensInUse, SigningAlgorithm,
    SystemClock, SystemEntropy,
};
use portcullis_platform_aws::AwsConnection;
use portcullis_platform_aws::secrets::{Document, SecretsManager, Source};
use portcullis_store::{Store, StoreError, client_config};
use secrecy::ExposeSecret;
use serde_json::Value;

/// An engine may just have started, on a machine that is busy with tests.
const PATIENT: CallTimeouts = CallTimeouts::of_attempt(Duration::from_mins(1));

/// A deployment's table, secret and key.
#[derive(Debug)]
pub struct Cloud {
    /// The name of the table.
    pub table: String,
    /// What the names of the secrets begin with.
    pub secret: String,
    /// The alias of the key that wraps data keys.
    pub key: String,
    /// The address that mail comes from.
    pub sender: String,
}

/// The error when the resources cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum Unprepared {
    /// The engine is not there.
    #[error("AWS_ENDPOINT_URL_DYNAMODB is not set: tests are not to touch a table of AWS")]
    NoEngine,
    /// The table could not be made.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// The secret could not be made.
    #[error("making the secret")]
    Secret(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key could not be made.
    #[error("making the key")]
    Key(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The sender could not be made.
    #[error("making the sender")]
    Sender(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is nothing to put into it.
    #[error(transparent)]
    Keys(#[from] NotRotated),
}

impl Cloud {
    /// The deployment that belongs to a folder: the same one whenever it is asked for.
    pub async fn of_folder(folder: &Path, environment: &Environment) -> Result<Self, Unprepared> {
        let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
        let name: String = folder.to_string_lossy().chars().map(plain).collect();
        let cloud = Self {
            table: format!("portcullis{name}"),
            secret: format!("portcullis{name}"),
            key: format!("alias/portcullis{name}"),
            sender: format!("portcullis{name}@auth.example.com"),
        };
        let connection = AwsConnection::of_process(PATIENT).await;
        cloud.make_table(&connection, environment).await?;
        cloud.make_secret(&connection).await?;
        cloud.make_key(&connection).await?;
        cloud.make_sender(&connection).await?;
        Ok(cloud)
    }

    /// Returns the environment variables that name these resources to a function.
    pub fn variables(&self) -> [(String, String); 4] {
        let Self { table, secret, key, sender } = self;
        [("TABLE_NAME", table), ("AWS_SECRET_NAME", secret), ("KMS_KEY_ID", key), ("MAIL_FROM", sender)]
            .map(|(name, value)| (name.to_owned(), value.clone()))
    }

    /// Returns the tokens of services by their names, as the secret has them; fails when it cannot be read.
    pub async fn service_tokens(&self) -> Result<Value, Unprepared> {
        let connection = AwsConnection::of_process(PATIENT).await;
        let source = SecretsManager::new(&connection, &self.secret, &[SecretPurpose::Services]);
        let kept = source.read().await.map_err(|error| Unprepared::Secret(error.into()))?;
        let tokens = kept.current.versions(SecretName::ServiceTokens, None);
        let tokens = tokens.ok_or_else(|| Unprepared::Secret("it has no tokens of services".into()))?;
        serde_json::from_slice(tokens.current.expose_secret())
            .map_err(|error| Unprepared::Secret(error.into()))
    }

    async fn make_key(&self, connection: &AwsConnection) -> Result<(), Unprepared> {
        let client = aws_sdk_kms::Client::new(connection.config());
        if client.describe_key().key_id(&self.key).send().await.is_ok() {
            return Ok(());
        }
        let made = client.create_key().send().await.map_err(|error| Unprepared::Key(error.into()))?;
        let id = made.key_metadata.map(|key| key.key_id).unwrap_or_default();
        let named = client.create_alias().alias_name(&self.key).target_key_id(id).send().await;
        named.map(drop).map_err(|error| Unprepared::Key(error.into()))
    }

    async fn make_sender(&self, connection: &AwsConnection) -> Result<(), Unprepared> {
        let client = aws_sdk_sesv2::Client::new(connection.config());
        if client.get_email_identity().email_identity(&self.sender).send().await.is_ok() {
            return Ok(());
        }
        let made = client.create_email_identity().email_identity(&self.sender).send().await;
        made.map(drop).map_err(|error| Unprepared::Sender(error.into()))
    }

    async fn make_table(
        &self,
        connection: &AwsConnection,
        environment: &Environment,
    ) -> Result<(), Unprepared> {
        let endpoint = environment.raw("AWS_ENDPOINT_URL_DYNAMODB").ok_or(Unprepared::NoEngine)?;
        let config = connection.config();
        let mut client = client_config(PATIENT)
            .http_client(connection.http())
            .region(config.region().cloned())
            .endpoint_url(endpoint);
        client.set_credentials_provider(config.credentials_provider());
        Store::connect(client, &self.table).create_table_if_missing().await?;
        Ok(())
    }

    /// What the first rotation makes of nothing.
    async fn make_secret(&self, connection: &AwsConnection) -> Result<(), Unprepared> {
        let nothing = Document::default();
        let given = Circumstances {
            made_at: None,
            now: SystemClock.now(),
            least_age: Duration::ZERO,
            algorithm: SigningAlgorithm::Rs256,
            in_use: &ServiceTokensInUse::default(),
        };
        let made = rotated(nothing, &given, &SystemEntropy)?.document;
        let client = Client::new(connection.config());
        for purpose in SecretPurpose::ALL {
            let part = made.of_purpose(*purpose).to_json();
            let name = format!("{}{}", self.secret, purpose.suffix());
            let created = client.create_secret().name(name).secret_string(part.expose_secret()).send().await;
            match created {
                Ok(_) => {}
                // Then another process has made them all, or is about to.
                Err(error) if error.code() == Some("ResourceExistsException") => {}
                Err(error) => return Err(Unprepared::Secret(error.into())),
            }
        }
        Ok(())
    }
}
