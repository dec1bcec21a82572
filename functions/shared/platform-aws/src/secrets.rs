//! The product's secrets in the cloud: one document by name, read from its keeper and kept for a while.

mod cache;
mod document;
mod manager;
mod vault;

pub use cache::CachedSecrets;
pub use document::{Document, Entry, Malformed};
pub use manager::SecretsManager;
pub use vault::{Vault, VaultUnusable};

use std::fmt::Debug;

use async_trait::async_trait;

/// What a keeper of secrets holds at this moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The document in force.
    pub current: Document,
    /// The one before it: whatever it made is still accepted.
    pub previous: Option<Document>,
    /// Names this state of both; another one means that something changed.
    pub version: String,
}

/// A keeper of secrets.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// Asks the keeper, every time.
    async fn read(&self) -> Result<Snapshot, SourceError>;
}

/// Why a keeper gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such secret, or it may not be read: somebody has to do something about it.
    #[error("the secret {0} cannot be read")]
    Missing(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is one, and it is not what it should be.
    #[error("the secret {0} cannot be used")]
    Malformed(String, #[source] Malformed),
    /// The keeper did not answer; the same call may work later.
    #[error("the keeper of the secret {0} is unavailable")]
    Unavailable(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}
