//! The connection to AWS: one HTTP connection pool, credentials and a region for the clients of all services, with
//! timeouts and retries.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use portcullis_platform::{CallTimeouts, Environment};

/// The backoff before the first retry. The SDK's default of one second would spend the whole operation on waiting.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// The certification authorities of AWS: Amazon Root CA 1 to 4 and Starfield Services Root G2, as Amazon Trust Services
/// publishes them. The bundle of the system has thirty times as many, none of which AWS would use, and reading it took
/// most of a function's start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The file of other authorities, for a proxy that stands in between; every AWS tool reads it.
const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Returns the trusted certification authorities. A bundle that cannot be read leaves none: every connection then fails
/// with a TLS error.
fn trust(environment: &Environment) -> TlsContext {
    let given = environment.raw(AWS_CA_BUNDLE).map(|file| std::fs::read(file).unwrap_or_default());
    let store = TrustStore::empty().with_pem_certificate(given.as_deref().unwrap_or(AMAZON_ROOTS));
    TlsContext::builder().with_trust_store(store).build().unwrap_or_else(|_| unreachable!("a store is given"))
}

/// The region, endpoints, credentials and connection pool of AWS. Nothing is connected or signed before the first call.
#[derive(Debug, Clone)]
pub struct AwsConnection {
    config: SdkConfig,
    http: SharedHttpClient,
}

impl AwsConnection {
    /// Returns a connection with the region, credentials and endpoints found where every AWS tool looks: the environment (`AWS_REGION`,
    /// `AWS_PROFILE`, `AWS_ENDPOINT_URL` and its forms for single services), then the profile's files.
    pub async fn of_process(timeouts: CallTimeouts) -> Self {
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .tls_context(trust(&Environment::of_process()))
            .build_https();
        let limits = TimeoutConfig::builder()
            .connect_timeout(timeouts.connect())
            .operation_attempt_timeout(timeouts.attempt())
            .operation_timeout(timeouts.call())
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(timeouts.attempts())
            .with_initial_backoff(FIRST_BACKOFF);
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .sleep_impl(TokioSleep::new())
            .timeout_config(limits)
            .retry_config(retries)
            .app_name(AppName::new("portcullis").unwrap_or_else(|_| unreachable!("letters only")))
            .load()
            .await;
        Self { config, http }
    }

    /// Returns the SDK configuration for clients of single services; its timeouts and retries are those for KMS and
    /// Secrets Manager.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Returns the ARN of whoever these credentials belong to, as AWS says; none where it does not answer. It needs no right.
    pub async fn caller_arn(&self) -> Option<String> {
        aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await.ok()?.arn
    }

    /// Returns the connection pool, for a client with timeouts of its own.
    pub fn http(&self) -> SharedHttpClient {
        self.http.clone()
    }
}
