//! A DynamoDB inside the process: dynoxide serves the AWS SDK's requests from an SQLite file or from memory.
//!
//! No socket is involved: the engine takes the place of the SDK's HTTP client, so that the same keys, expressions,
//! conditions and transactions run here as in the cloud. Only single-process conveniences differ: the memory of
//! `ClientRequestToken` ends with the process.

mod engine;
mod operations;
mod traces;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use dynoxide::{Database, DynoxideError};

use self::engine::Engine;
use self::operations::Reply;
pub use self::traces::WipeError;
use crate::private_files;

/// The embedded DynamoDB. Clones share one database; hand `SharedHttpClient::new(engine.clone())` to the SDK.
///
/// A write whose response was returned is on disk: dynoxide keeps SQLite in WAL mode and leaves `synchronous` at the compiled-in FULL, so
/// that a commit has been synced before it returns and outlives both `kill -9` and a power cut. Several processes may
/// open one file. A writer waits up to five seconds for the transaction of another process and then returns 500, which
/// the SDK retries; nothing is half written. A process remembers the tables it has seen, so indexes added by one reach the
/// others when they start again.
///
/// What is removed stays in the files until [`EmbeddedDynamoDb::wipe_traces`] is called.
#[derive(Debug, Clone)]
pub struct EmbeddedDynamoDb(Arc<Engine>);

/// The error when the embedded database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file could not be created.
    #[error("creating the database {path:?}")]
    Create {
        /// The database file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: std::io::Error,
    },
    /// The path is not one that SQLite accepts.
    #[error("the path of the database {path:?} is not UTF-8")]
    NotUtf8 {
        /// The database file.
        path: PathBuf,
    },
    /// The file is no database, or was written by a newer version.
    #[error("opening the database")]
    Open(#[source] DynoxideError),
    /// Expired items could not be removed; the next sweep retries.
    #[error("sweeping expired items")]
    Sweep(#[source] DynoxideError),
    /// Removed items are still in the files; a retry may succeed.
    #[error("wiping what was removed")]
    Wipe(#[from] WipeError),
    /// The runtime shut down before the work was done.
    #[error("the runtime is shutting down")]
    Stopped,
}

impl EmbeddedDynamoDb {
    /// Returns the database as an HTTP client for the AWS SDK.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Returns the database in a file, which is created for its owner only; SQLite gives the files beside it the same
    /// permissions. Fails when the file cannot be created, or is no database of this version. The call blocks.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let create = |cause| EngineError::Create { path: path.to_owned(), cause };
        let path = std::path::absolute(path).map_err(create)?;
        if path.to_str().is_none() {
            return Err(EngineError::NotUtf8 { path });
        }
        private_files::create_empty(&path).map_err(create)?;
        Ok(Self(Arc::new(Engine::open(path).map_err(EngineError::Open)?)))
    }

    /// Returns an empty database in memory that ends with the last clone, for tests and benchmarks.
    pub fn in_memory() -> Result<Self, EngineError> {
        Ok(Self(Arc::new(Engine::in_memory().map_err(EngineError::Open)?)))
    }

    /// Removes items whose time to live has passed, as DynamoDB does in the background, and returns how many. Requests
    /// that are waiting go first after each page of 25.
    pub async fn sweep_expired(&self) -> Result<usize, EngineError> {
        let engine = Arc::clone(&self.0);
        let sweep = tokio::task::spawn_blocking(move || engine.change(Database::sweep_ttl).flatten());
        sweep.await.map_err(|_| EngineError::Stopped)?.map_err(EngineError::Sweep)
    }

    /// Wipes every byte of removed or replaced items from the files, and returns the size of the database in bytes after
    /// that; none if nothing was written since the last time. Meanwhile reads proceed and writes wait.
    pub async fn wipe_traces(&self) -> Result<Option<u64>, EngineError> {
        let engine = Arc::clone(&self.0);
        let wiped = tokio::task::spawn_blocking(move || engine.wipe());
        Ok(wiped.await.map_err(|_| EngineError::Stopped)??)
    }
}

impl HttpConnector for EmbeddedDynamoDb {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let body = request.take_body();
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let engine = Arc::clone(&self.0);
        let answer = move || {
            // A body that is not in memory is no request of ours, and an empty one is refused as unreadable.
            let body = body.bytes().unwrap_or_default();
            let perform = |db: &Database| operations::perform(db, &target, body);
            let done =
                if operations::changes(&target) { engine.change(perform) } else { engine.run(perform) };
            done.unwrap_or_else(Reply::from)
        };
        if !self.0.has_file() {
            // Microseconds without a disk: less than the way to another thread and back.
            return HttpConnectorFuture::ready(answer().into_response());
        }
        // A durable write waits for the disk, and every call may wait for another process's transaction.
        HttpConnectorFuture::new(async move {
            let stopped = |_| Reply::from(DynoxideError::InternalServerError("shutting down".to_owned()));
            tokio::task::spawn_blocking(answer).await.unwrap_or_else(stopped).into_response()
        })
    }
}

impl HttpClient for EmbeddedDynamoDb {
    /// The settings are the timeouts of a connection, and there is none; the SDK keeps its other timeouts itself.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
