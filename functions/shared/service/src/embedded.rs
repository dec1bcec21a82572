//! The platform on the files of one machine: for the local service, and for `manage-users` beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_broker_http::HttpsBrokers;
use portcullis_http::PUBLIC_URL;
use portcullis_platform::{
    CALL_TIMEOUT_MS, CallTimeouts, Clock, Entropy, Environment, KeyWrap, Misconfigured,
    TOKEN_SIGNING_ALGORITHM, Variable,
};
use portcullis_platform_embedded::{
    Created, DataDir, EmbeddedDynamoDb, EngineError, Inspected, Outbox, PrepareError, Prepared,
};
use portcullis_store::{Store, StoreError};

use crate::{Platform, Settings};

/// The name of the table in the embedded database.
pub const TABLE: &str = "portcullis";

const LISTEN_ADDR: Variable = Variable {
    name: "LISTEN_ADDR",
    default: "127.0.0.1:8001",
    about: "address and port to listen on",
    aliases: &[],
};
const DATA_DIR: Variable = Variable {
    name: "DATA_DIR",
    default: "./data",
    about: "folder of the database and the keys",
    aliases: &[],
};

/// The configuration of a service on one machine, checked.
#[derive(Debug)]
pub struct LocalSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the state lies.
    pub data_dir: PathBuf,
    /// The timeouts of calls to the database.
    pub timeouts: CallTimeouts,
    /// What every program shares.
    pub settings: Settings,
    /// For the secrets it may hold.
    pub environment: Environment,
}

impl LocalSettings {
    /// Returns the configuration that these variables hold; fails with the first variable that cannot be used. Nothing
    /// is written.
    pub fn read(environment: Environment) -> Result<Self, Misconfigured> {
        let listen: SocketAddr = environment.parse(&LISTEN_ADDR)?;
        // Port 0 is any that is free, and not known yet.
        let environment = match listen.port() {
            0 => environment,
            port => environment.or(PUBLIC_URL.name, format!("http://localhost:{port}")),
        };
        let data_dir = PathBuf::from(environment.text(&DATA_DIR)?);
        let timeouts = CallTimeouts::read(&environment)?;
        Ok(Self { listen, data_dir, timeouts, settings: Settings::read(&environment)?, environment })
    }

    /// Returns the data folder with whatever is in it checked; fails when something in it cannot be used. Nothing is
    /// written.
    pub fn inspect(&self, entropy: &Arc<dyn Entropy>) -> Result<Inspected, Misconfigured> {
        DataDir::inspect(&self.data_dir, &self.environment, Arc::clone(entropy))
    }

    /// Returns every variable that is read, for `--help`.
    pub fn variables() -> impl Iterator<Item = &'static Variable> {
        [&LISTEN_ADDR, &DATA_DIR, &TOKEN_SIGNING_ALGORITHM, &CALL_TIMEOUT_MS]
            .into_iter()
            .chain(Settings::variables())
    }
}

/// Why a data folder was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be completed.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The database could not be opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The table could not be created.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A platform on a data folder.
#[derive(Debug)]
pub struct LocalPlatform {
    /// Store, secrets, keys, mail and brokers, as a data folder has them.
    pub platform: Platform,
    /// The database under its store, which needs maintenance that DynamoDB does by itself.
    pub engine: EmbeddedDynamoDb,
    /// What was missing in the folder and has been made now.
    pub created: Vec<Created>,
}

impl LocalPlatform {
    /// Makes what is missing in the folder, tokens of these services among it, and opens it. Several processes may have one folder open: they work on one
    /// file, one transaction at a time.
    pub async fn open<'a>(
        inspected: Inspected,
        services: impl IntoIterator<Item = &'a str>,
        timeouts: CallTimeouts,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let mut prepared = inspected.prepare(services)?;
        let created = std::mem::take(&mut prepared.created);
        let (engine, store) = database(&prepared, timeouts)?;
        store.create_table_if_missing().await?;
        Ok(Self { platform: Platform::on_files(prepared, store, clock, entropy), engine, created })
    }

    /// Opens a folder that a service has completed; makes nothing in it. Fails where it is no such folder.
    pub async fn open_existing(
        inspected: Inspected,
        timeouts: CallTimeouts,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let prepared = inspected.require_complete().map_err(PrepareError::from)?;
        let (engine, store) = database(&prepared, timeouts)?;
        store.check_table().await?;
        let created = Vec::new();
        Ok(Self { platform: Platform::on_files(prepared, store, clock, entropy), engine, created })
    }
}

/// Returns the database of a complete folder, and the store on it.
fn database(prepared: &Prepared, timeouts: CallTimeouts) -> Result<(EmbeddedDynamoDb, Store), EngineError> {
    let engine = EmbeddedDynamoDb::open(&prepared.database)?;
    let store = Store::in_process(engine.http_client(), TABLE, timeouts);
    Ok((engine, store))
}

impl Platform {
    /// Returns the platform on the files of a folder, with this store.
    pub fn on_files(
        prepared: Prepared,
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let key_wrap: Arc<dyn KeyWrap> = Arc::new(prepared.key_wrap);
        let mailer = Outbox::new(prepared.outbox, Arc::clone(&clock), Arc::clone(&entropy));
        Self {
            store,
            clock,
            entropy,
            secrets: Arc::new(prepared.secrets),
            broker_key_wrap: Arc::clone(&key_wrap),
            key_wrap,
            mailer: Arc::new(mailer),
            broker_http: Arc::new(HttpsBrokers::default()),
        }
    }
}

#[cfg(test)]
mod tests;
