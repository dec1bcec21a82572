//! The product's secrets in the cloud: one document of secrets by name, read from a provider and cached.

mod cache;
mod document;
mod hashicorp_vault;
mod manager;

pub use cache::CachedSecrets;
pub use document::{Document, Entry, Malformed};
pub use hashicorp_vault::{HashicorpVault, HashicorpVaultUnusable};
pub use manager::SecretsManager;
pub(crate) use manager::source_error;

use std::fmt::Debug;

use async_trait::async_trait;

/// The versions of the document that a provider holds at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The current document.
    pub current: Document,
    /// The document before it, if any: what was signed or digested with its secrets is still accepted.
    pub previous: Option<Document>,
    /// The version of both documents together: it changes whenever one of them does.
    pub version: String,
}

/// A provider of the document of secrets.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// Returns the document as it is now, with a request to the provider at every call; fails when the secret is missing
    /// or malformed, and when the provider is unavailable.
    async fn read(&self) -> Result<Snapshot, SourceError>;
}

/// The error when a provider returns no usable document.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The secret does not exist, or may not be read; an operator has to act, and a retry fails again.
    #[error("the secret {0} cannot be read")]
    Missing(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The secret exists and is not a document of secrets.
    #[error("the secret {0} cannot be used")]
    Malformed(String, #[source] Malformed),
    /// The provider did not respond; a retry may succeed.
    #[error("the provider of the secret {0} is unavailable")]
    Unavailable(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}
