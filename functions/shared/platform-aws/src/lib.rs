//! The platform traits on AWS, and the Lambda runtime around a router.
//!
//! The crate is responsible for reaching AWS (one connection pool, every timeout set), for data keys from KMS, for
//! mail through SES, for secrets from Secrets Manager or HashiCorp Vault and how long an old value may be used, for turning an event of API
//! Gateway into a request and back, and for logs and metrics as CloudWatch reads them. It must not know any route,
//! account or table: whoever puts a function together hands it a service that answers requests.
//!
//! To read secrets from one more place, implement [`secrets::Source`]; to measure one more thing, name it in
//! [`Measurements`].

mod connection;
mod event;
mod invocation;
mod key_wrap;
mod logs;
mod mailer;
mod runtime;
pub mod secrets;
mod settings;

pub use connection::AwsConnection;
pub use event::{ClientIp, UnusableEvent};
pub use invocation::Invocation;
pub use key_wrap::KmsKeyWrap;
pub use logs::{JsonLines, Measured, Measurements, NothingMeasured};
pub use mailer::SesMailer;
pub use runtime::{serve, serve_events};
pub use settings::{AwsSettings, SecretsProvider, VARIABLES, VaultSettings};
