//! The one client of DynamoDB, and how long anything may take.

use std::time::Duration;

use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    AppName, BehaviorVersion, Builder, Config, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_async::rt::sleep::TokioSleep;
use portcullis_platform::CallTimeouts;

use crate::days::StoredDays;

/// The SDK's default of one second would spend the whole operation on waiting.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Tries a write of one item again when a transaction was about to write the same item; the SDK does not by
/// itself. What becomes of a transaction that meets another is decided where transactions are sent.
fn conflicts<E>() -> AwsErrorCodeClassifier<E>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    AwsErrorCodeClassifier::builder().transient_errors(&["TransactionConflictException"][..]).build()
}

/// A client configuration with every timeout and the retry limits set; the caller adds where and as whom to connect.
pub fn client_config(timeouts: CallTimeouts) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .sleep_impl(TokioSleep::new())
        .app_name(AppName::new("portcullis").unwrap_or_else(|_| unreachable!("letters only")))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(timeouts.connect())
                .operation_attempt_timeout(timeouts.attempt())
                .operation_timeout(timeouts.call())
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(timeouts.attempts())
                .with_initial_backoff(FIRST_BACKOFF),
        )
        .retry_classifier(conflicts::<PutItemError>())
        .retry_classifier(conflicts::<UpdateItemError>())
        .retry_classifier(conflicts::<DeleteItemError>())
        // Answers here are small and never streamed; the attempt timeout already covers a slow body.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// The table and the way to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) stored_days: StoredDays,
}

impl Store {
    /// The table of this name behind a client.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), stored_days: StoredDays::default() }
    }

    /// The table of this name, reached as this configuration says; [`client_config`] begins one.
    pub fn connect(config: Builder, table: impl Into<String>) -> Self {
        Self::new(Client::from_conf(config.build()), table)
    }

    /// The table of this name in an engine that lives inside the process and therefore asks for no credentials.
    pub fn in_process(engine: SharedHttpClient, table: impl Into<String>, timeouts: CallTimeouts) -> Self {
        let config = client_config(timeouts)
            .http_client(engine)
            .region(Region::from_static("local"))
            .endpoint_url("http://in-process")
            .allow_no_auth()
            .build();
        Self::new(Client::from_conf(config), table)
    }
}
