//! The platform traits on one machine: local files for keys and an embedded DynamoDB for data.
#![doc = include_str!("../README.md")]

mod data_dir;
mod dynamodb;
mod master_key;
mod outbox;
mod private_files;
mod secrets;

pub use data_dir::{Created, DataDir, FileKeys, Inspected, KeysIn, Place, PrepareError, Prepared};
pub use dynamodb::{EmbeddedDynamoDb, EngineError, WipeError};
pub use master_key::{LocalMasterKey, WrongKeyLength};
pub use outbox::Outbox;
pub use secrets::FileSecrets;
