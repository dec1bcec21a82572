//! The platform traits on AWS, and the Lambda runtime around a router.
#![doc = include_str!("../README.md")]

mod connection;
mod deployment;
mod event;
mod invocation;
mod key_wrap;
mod logs;
mod mailer;
mod runtime;
pub mod secrets;
mod settings;

pub use connection::AwsConnection;
pub use deployment::with_variables_of_deployment;
pub use event::{ClientIp, UnusableEvent};
pub use invocation::Invocation;
pub use key_wrap::KmsKeyWrap;
pub use logs::{JsonLines, Measured, Measurements, NothingMeasured};
pub use mailer::SesMailer;
pub use runtime::{serve, serve_events};
pub use settings::{
    AWS_SECRET_NAME, AwsSettings, BROKER_KMS_KEY_ID, HashicorpVaultSettings, KMS_KEY_ID, MAIL_FROM,
    SecretsProvider, TABLE_NAME, VARIABLES, VAULT_VARIABLES, broker_kms_key, mail_from, required,
};
