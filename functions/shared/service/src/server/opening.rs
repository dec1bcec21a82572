//! Opening the parts of a server, in an order in which nothing is made before it is known to fit.

use std::sync::Arc;

use portcullis_broker_http::HttpsBrokers;
use portcullis_platform::{
    Clock, Entropy, KeyWrap, Mailer, Misconfigured, SecretName, SecretPurpose, Secrets, SecretsError,
    key_mark,
};
use portcullis_platform_aws::secrets::{
    CachedSecrets, HashicorpVault, HashicorpVaultUnusable, SecretsManager, Snapshot, Source, SourceError,
};
use portcullis_platform_aws::{AwsConnection, KmsKeyWrap, SecretsProvider, SesMailer};
use portcullis_platform_embedded::{
    Created, EmbeddedDynamoDb, EngineError, FileKeys, Inspected, LocalMasterKey, Outbox, PrepareError,
    Prepared,
};
use portcullis_smtp::{SmtpMailer, SmtpUnusable};
use portcullis_store::{Deployment, Meter, ROW_FORMAT, Store, StoreError};
use secrecy::{ExposeSecret, SecretSlice};

use super::settings::{KmsKeys, MailBy, SecretsIn, ServerSettings, StoreIn};
use crate::embedded::TABLE;
use crate::{Platform, aws};

/// The entry of the document in Vault that holds the master key, where there is no KMS.
const MASTER_KEY: &str = "MASTER_KEY";

/// Why a server did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration does not fit what is there; nothing was written.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// The data folder could not be completed.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The database could not be opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The table could not be reached or created.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Vault cannot be asked as configured.
    #[error(transparent)]
    Vault(#[from] HashicorpVaultUnusable),
    /// The secrets could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A secret is missing.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Vault holds no master key.
    #[error(
        "the secret in Vault has no usable {MASTER_KEY} (32 bytes in base64url), and KMS_KEY_ID is not set"
    )]
    MasterKey,
    /// Mail cannot be sent as configured.
    #[error(transparent)]
    Smtp(#[from] SmtpUnusable),
    /// The table is in a format that this version does not know.
    #[error(
        "the table has rows of format {0}, and this version reads up to {ROW_FORMAT}: start a newer version"
    )]
    Newer(u32),
    /// The table was written under other keys.
    #[error("the table belongs to a deployment with other keys: every instance on it needs the same")]
    OtherKeys,
}

/// A server's platform.
#[derive(Debug)]
pub struct ServerPlatform {
    /// Store, secrets, keys, mail and brokers.
    pub platform: Platform,
    /// The embedded database, which needs maintenance that DynamoDB does by itself; `None` with a table elsewhere.
    pub engine: Option<EmbeddedDynamoDb>,
    /// Secrets that may change while the server runs; `None` where they are files.
    pub changing: Option<Arc<CachedSecrets>>,
    /// What the table consumes; nothing is counted for the embedded database.
    pub meter: Meter,
    /// What was missing in the data folder and has been made now.
    pub created: Vec<Created>,
}

/// The parts on the way to a platform.
struct Opening<'a> {
    settings: &'a ServerSettings,
    connection: Option<AwsConnection>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    meter: Meter,
}

/// Secrets and what wraps data keys.
struct Keys {
    secrets: Arc<dyn Secrets>,
    changing: Option<Arc<CachedSecrets>>,
    wrap: Arc<dyn KeyWrap>,
    broker_wrap: Arc<dyn KeyWrap>,
}

impl ServerPlatform {
    /// Makes what is missing, a token of each of these services among it, and opens it. Several servers may have one table, or
    /// one folder, open at a time. Fails when a part cannot be opened, and when the table is of other keys or a newer format.
    pub async fn open(
        inspected: Inspected,
        settings: &ServerSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let opening = Opening::new(settings, clock, entropy).await;
        let remote = opening.table().await?;
        if let Some(table) = &remote
            && !inspected.has_every_key()
            && table.deployment().await?.is_some()
        {
            // Keys made here would be none of those that the rows were written under.
            return Err(missing_keys(settings).into());
        }
        let mut prepared = inspected.prepare(settings.settings.identity.services.names())?;
        let created = std::mem::take(&mut prepared.created);
        let (engine, store) = opening.store(&prepared, remote)?;
        if engine.is_some() {
            store.create_table_if_missing().await?;
        }
        opening.complete(prepared, engine, store, created).await
    }

    /// Opens what a server has completed, for a program beside it; makes nothing. Fails where no server ever ran, and as
    /// [`Self::open`] does.
    pub async fn open_existing(
        inspected: Inspected,
        settings: &ServerSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let opening = Opening::new(settings, clock, entropy).await;
        let prepared = inspected.require_complete()?;
        let remote = opening.connection.as_ref().and_then(|connection| opening.remote(connection));
        let (engine, store) = opening.store(&prepared, remote)?;
        store.check_table().await?;
        opening.complete(prepared, engine, store, Vec::new()).await
    }
}

impl<'a> Opening<'a> {
    async fn new(settings: &'a ServerSettings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let connection = if settings.needs_aws() {
            Some(AwsConnection::of_process(settings.timeouts).await)
        } else {
            None
        };
        Self { settings, connection, clock, entropy, meter: Meter::default() }
    }

    fn remote(&self, connection: &AwsConnection) -> Option<Store> {
        let StoreIn::DynamoDb { table, .. } = &self.settings.store else { return None };
        let (environment, timeouts) = (&self.settings.environment, self.settings.timeouts);
        Some(aws::table(connection, environment, self.meter.clone(), timeouts, table))
    }

    /// The table elsewhere, looked at and made if that is wanted; `None` for the embedded database.
    async fn table(&self) -> Result<Option<Store>, OpenError> {
        let Some(store) = self.connection.as_ref().and_then(|connection| self.remote(connection)) else {
            return Ok(None);
        };
        if matches!(self.settings.store, StoreIn::DynamoDb { create: true, .. }) {
            store.create_table_if_missing().await?;
        }
        store.check_table().await?;
        Ok(Some(store))
    }

    fn store(
        &self,
        prepared: &Prepared,
        remote: Option<Store>,
    ) -> Result<(Option<EmbeddedDynamoDb>, Store), OpenError> {
        if let Some(store) = remote {
            return Ok((None, store));
        }
        let file = prepared.database.as_ref().ok_or_else(|| missing_keys(self.settings))?;
        let engine = EmbeddedDynamoDb::open(file)?;
        let store = Store::in_process(engine.http_client(), TABLE, self.settings.timeouts);
        Ok((Some(engine), store))
    }

    async fn complete(
        self,
        prepared: Prepared,
        engine: Option<EmbeddedDynamoDb>,
        store: Store,
        created: Vec<Created>,
    ) -> Result<ServerPlatform, OpenError> {
        let mailer = self.mailer(prepared.outbox)?;
        let keys = self.keys(prepared.keys).await?;
        check_deployment(&store, keys.secrets.as_ref()).await?;
        let platform = Platform {
            store,
            clock: self.clock,
            entropy: self.entropy,
            secrets: keys.secrets,
            key_wrap: keys.wrap,
            broker_key_wrap: keys.broker_wrap,
            mailer,
            broker_http: Arc::new(HttpsBrokers::default()),
        };
        Ok(ServerPlatform { platform, engine, changing: keys.changing, meter: self.meter, created })
    }

    fn mailer(&self, outbox: Option<std::path::PathBuf>) -> Result<Arc<dyn Mailer>, OpenError> {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Ok(match (&self.settings.mail, &self.connection) {
            (MailBy::Smtp(smtp, from), _) => Arc::new(SmtpMailer::new(smtp, from, clock, entropy)?),
            (MailBy::Ses(from), Some(connection)) => Arc::new(SesMailer::new(connection, from.clone())),
            (MailBy::Ses(_) | MailBy::Files, _) => {
                Arc::new(Outbox::new(outbox.unwrap_or_default(), clock, entropy))
            }
        })
    }

    async fn keys(&self, files: Option<FileKeys>) -> Result<Keys, OpenError> {
        match (files, &self.settings.secrets) {
            (Some(FileKeys { secrets, key_wrap }), _) => {
                let wrap: Arc<dyn KeyWrap> = Arc::new(key_wrap);
                let broker_wrap = Arc::clone(&wrap);
                Ok(Keys { secrets: Arc::new(secrets), changing: None, wrap, broker_wrap })
            }
            (None, SecretsIn::Provider(provider, kms)) => self.provided(provider, kms.as_ref()).await,
            (None, SecretsIn::Files) => Err(missing_keys(self.settings).into()),
        }
    }

    /// The keys of a provider.
    async fn provided(&self, provider: &SecretsProvider, kms: Option<&KmsKeys>) -> Result<Keys, OpenError> {
        let source: Box<dyn Source> = match (provider, &self.connection) {
            (SecretsProvider::HashicorpVault(vault), _) => Box::new(HashicorpVault::new(vault)?),
            (SecretsProvider::SecretsManager(name), Some(connection)) => {
                Box::new(SecretsManager::new(connection, name, SecretPurpose::ALL))
            }
            (SecretsProvider::SecretsManager(_), None) => return Err(missing_keys(self.settings).into()),
        };
        let (wrap, broker_wrap) = match (kms, &self.connection) {
            (Some(kms), Some(connection)) => of_kms(connection, kms),
            (Some(_), None) => return Err(missing_keys(self.settings).into()),
            (None, _) => {
                let wrap = self.master_key_of(&source.read().await?)?;
                (Arc::clone(&wrap), wrap)
            }
        };
        let changing = Arc::new(CachedSecrets::new(source, Arc::clone(&self.clock)));
        let secrets: Arc<dyn Secrets> = Arc::clone(&changing) as _;
        Ok(Keys { secrets, changing: Some(changing), wrap, broker_wrap })
    }

    /// The master key beside the secrets in Vault.
    fn master_key_of(&self, read: &Snapshot) -> Result<Arc<dyn KeyWrap>, OpenError> {
        let entry = read.current.0.get(MASTER_KEY).ok_or(OpenError::MasterKey)?;
        let text = SecretSlice::from(entry.current.expose_secret().as_bytes().to_vec());
        let key =
            LocalMasterKey::parse(&text, Arc::clone(&self.entropy)).map_err(|_| OpenError::MasterKey)?;
        Ok(Arc::new(key))
    }
}

fn of_kms(connection: &AwsConnection, kms: &KmsKeys) -> (Arc<dyn KeyWrap>, Arc<dyn KeyWrap>) {
    let wrap = |key: &String| Arc::new(KmsKeyWrap::new(connection, key.clone()));
    (wrap(&kms.key), wrap(&kms.broker_key))
}

/// Fails when the table is in a format that is not known here, or its rows are under other keys. The secret of API keys and of
/// the trail is never rotated, so that its mark stands for the keys of a deployment.
async fn check_deployment(store: &Store, secrets: &dyn Secrets) -> Result<(), OpenError> {
    let secret = secrets.fetch(SecretName::ApiKeySecret).await?;
    let ours = Deployment { format: ROW_FORMAT, keys: key_mark(secret.current.expose_secret()) };
    let found = store.found_deployment(ours.clone()).await?;
    if !found.is_readable() {
        return Err(OpenError::Newer(found.format));
    }
    if found.keys != ours.keys {
        return Err(OpenError::OtherKeys);
    }
    Ok(())
}

fn missing_keys(settings: &ServerSettings) -> Misconfigured {
    let reason = format!(
        "the table is in use already, and \"{}\" has not every key of it; give this instance the keys of the others (KEYS_DIR)",
        settings.place.keys.folder().unwrap_or(&settings.place.folder).display()
    );
    Misconfigured::new("DATA_DIR", reason)
}
