//! The platform traits on one machine: local files for keys and an embedded DynamoDB for data.
//!
//! The crate is responsible for the data folder (what lies in it, who may read it, how it comes to be), for the secrets
//! and the master key kept there, for mail (a file for each message), and for answering the AWS SDK from a SQLite file instead of from a network. It must
//! not know any table, item or account, nor which tokens its keys sign; and nothing outside it knows that the engine
//! is not DynamoDB.
//!
//! To keep one more key in the data folder, add it to `data_dir::keys`; to serve one more DynamoDB operation, add its
//! line to `dynamodb::operations`.

mod data_dir;
mod dynamodb;
mod master_key;
mod outbox;
mod private_files;
mod secrets;

pub use data_dir::{Created, DataDir, Inspected, PrepareError, Prepared};
pub use dynamodb::{EmbeddedDynamoDb, EngineError, WipeError};
pub use master_key::{LocalMasterKey, WrongKeyLength};
pub use outbox::Outbox;
pub use secrets::FileSecrets;
