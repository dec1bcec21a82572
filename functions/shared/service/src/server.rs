//! The platform of a server: each part on this machine or elsewhere, as its configuration says.
//!
//! The table is embedded or in DynamoDB, or in what speaks like it; keys are files, or in HashiCorp Vault or AWS; mail is sent by
//! SMTP or SES, or put into files. With nothing configured everything is in `DATA_DIR`, and no network is needed.

mod opening;
mod settings;

pub use opening::{OpenError, ServerPlatform};
pub use settings::{MailBy, SecretsIn, ServerSettings, StoreIn};

#[cfg(test)]
mod tests;
