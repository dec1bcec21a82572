//! Why an operation returns an error instead of its result.

use std::time::Duration;

use portcullis_identity::{Field, InvalidField};
use portcullis_platform::{EntropyUnavailable, KeyWrapError};
use portcullis_store::{Contended, StoreError};

use crate::brokers::BrokerError;

/// Why an operation was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller may not do this, or a value cannot be accepted: an error that is not the vault's own.
    #[error(transparent)]
    Identity(#[from] portcullis_identity::Error),
    /// The person has as many trading accounts as one may have.
    #[error("too many trading accounts")]
    TooManyTradingAccounts,
    /// The owner, or an administrator, froze the credentials.
    #[error("credentials are frozen")]
    Frozen,
    /// No freeze stands by which orders were to be cancelled.
    #[error("no orders are to be cancelled")]
    NothingToCancel,
    /// The trading account is disabled, or its owner's account is.
    #[error("the trading account is disabled")]
    Disabled,
    /// A ciphertext does not decrypt where it is stored. The caller learns no more than that.
    #[error("sealed credentials do not open")]
    Unreadable,
    /// The service may read sessions alone, and there is none.
    #[error("there is no broker session")]
    NoBrokerSession,
    /// The broker has no sessions of its own.
    #[error("the broker has no sessions")]
    SessionsUnknown,
    /// The service exceeded the rate at which it may read.
    #[error("a service reads too often")]
    TooManyReads {
        /// How long to wait before the next request.
        retry_after: Duration,
    },
    /// The broker refused, or did not respond.
    #[error("the broker refused")]
    Broker {
        /// Advice for the owner.
        advice: String,
        /// The kind of refusal.
        #[source]
        cause: BrokerError,
    },
}

impl Error {
    pub(crate) fn invalid(field: Field, detail: impl Into<String>) -> Self {
        Self::Identity(portcullis_identity::Error::Invalid(InvalidField { field, detail: detail.into() }))
    }

    pub(crate) fn not_found() -> Self {
        Self::Identity(portcullis_identity::Error::NotFound)
    }

    pub(crate) fn contended() -> Self {
        Contended.into()
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Identity(error.into())
    }
}

impl From<Contended> for Error {
    fn from(error: Contended) -> Self {
        Self::Identity(error.into())
    }
}

impl From<EntropyUnavailable> for Error {
    fn from(error: EntropyUnavailable) -> Self {
        Self::Identity(error.into())
    }
}

impl From<KeyWrapError> for Error {
    fn from(error: KeyWrapError) -> Self {
        Self::Identity(error.into())
    }
}
