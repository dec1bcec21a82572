//! What can go wrong between an operation and its rows.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why the store did not do what it was asked. A failed condition is not among these: it is an answer, and each access
/// pattern names it in its own result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, timed out, out of reach or failing: the same call may work in a moment, and may even have happened.
    #[error("the store is unavailable while {operation}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What the SDK said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request itself was refused (permissions, a missing table, a malformed expression): an operator must be paged.
    #[error("the store refused {operation}")]
    Refused {
        /// What was being done.
        operation: &'static str,
        /// What the SDK said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row is not what this version writes.
    #[error("a {record} record has an unusable attribute {attribute}")]
    Corrupt {
        /// The kind of record.
        record: &'static str,
        /// The attribute that is missing or of another type.
        attribute: String,
    },
}

/// Error codes after which the very same request may succeed.
const PASSING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "InternalServerError",
    "ServiceUnavailable",
    "TransactionConflictException",
    "TransactionInProgressException",
    "TransactionCanceledException",
];

impl StoreError {
    /// Other writers were faster in every round: the same call may work in a moment.
    pub(crate) fn contended(operation: &'static str) -> Self {
        Self::Unavailable { operation, cause: "other writers were faster in every round".into() }
    }

    /// Sorts an SDK error into what may pass and what will not.
    pub(crate) fn from_sdk<E, R>(operation: &'static str, error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: HttpStatus + std::fmt::Debug + Send + Sync + 'static,
    {
        let passing = match &error {
            SdkError::ServiceError(service) => {
                service.raw().is_server_error()
                    || service.err().code().is_some_and(|code| PASSING.contains(&code))
            }
            SdkError::ConstructionFailure(_) => false,
            _ => true,
        };
        let cause = Box::new(error);
        if passing { Self::Unavailable { operation, cause } } else { Self::Refused { operation, cause } }
    }
}

/// The one thing asked of a raw response.
pub(crate) trait HttpStatus {
    fn is_server_error(&self) -> bool;
}

impl HttpStatus for aws_sdk_dynamodb::config::http::HttpResponse {
    fn is_server_error(&self) -> bool {
        self.status().is_server_error()
    }
}
