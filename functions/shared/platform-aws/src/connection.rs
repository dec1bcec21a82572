//! The way to AWS: one pool of connections, credentials and a region for all its services.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use portcullis_platform::Environment;

/// The SDK sets none of these beyond connecting, and a hanging call would hold its request until API Gateway gives up.
const CONNECT: Duration = Duration::from_millis(300);
const ATTEMPT: Duration = Duration::from_secs(1);
const OPERATION: Duration = Duration::from_millis(2_500);
const ATTEMPTS: u32 = 3;
/// The SDK's default of one second would spend the whole operation on waiting.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// The certification authorities of AWS: Amazon Root CA 1 to 4 and Starfield Services Root G2, as Amazon Trust Services
/// publishes them. The bundle of the system has thirty times as many, none of which AWS would use, and reading it took
/// most of a function's start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The file of other authorities, for a proxy that stands in between; every AWS tool reads it.
const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// A bundle that cannot be read trusts nobody: every connection fails, and says so.
fn trust(environment: &Environment) -> TlsContext {
    let given = environment.raw(AWS_CA_BUNDLE).map(|file| std::fs::read(file).unwrap_or_default());
    let store = TrustStore::empty().with_pem_certificate(given.as_deref().unwrap_or(AMAZON_ROOTS));
    TlsContext::builder().with_trust_store(store).build().unwrap_or_else(|_| unreachable!("a store is given"))
}

/// Where AWS is and as whom it is asked. Nothing is connected or signed before the first call.
#[derive(Debug, Clone)]
pub struct AwsConnection {
    config: SdkConfig,
    http: SharedHttpClient,
}

impl AwsConnection {
    /// Finds region, credentials and endpoints where every AWS tool does: the environment (`AWS_REGION`,
    /// `AWS_PROFILE`, `AWS_ENDPOINT_URL` and its forms for single services), then the profile's files.
    pub async fn of_process() -> Self {
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .tls_context(trust(&Environment::of_process()))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(OPERATION)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF);
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .sleep_impl(TokioSleep::new())
            .timeout_config(timeouts)
            .retry_config(retries)
            .app_name(AppName::new("portcullis").unwrap_or_else(|_| unreachable!("letters only")))
            .load()
            .await;
        Self { config, http }
    }

    /// For clients of single services; timeouts and retries are those for KMS and Secrets Manager.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The pool itself, for a client with timeouts of its own.
    pub fn http(&self) -> SharedHttpClient {
        self.http.clone()
    }
}
