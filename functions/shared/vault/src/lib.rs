//! The vault: trading accounts, the sealed credentials in them, who may read those, and how the brokers are.
//!
//! Credentials are sealed the moment they arrive and opened for two reasons only: a service with a right to them asks,
//! or the broker is asked on the owner's behalf. Every opening leaves an event in the owner's audit trail before
//! anything is released, and nothing in the clear is kept. The crate knows no HTTP surface and no cloud; brokers are
//! reached through `platform::BrokerHttp`.
//!
//! To add a broker: a file in `brokers/` that implements [`Broker`](brokers::Broker) and says what it has to be told, and its
//! name in the list beside the others.

mod account_fields;
mod accounts;
pub mod brokers;
mod context;
mod credentials;
mod error;
mod freezing;
mod marking;
mod opening;
mod parts;
mod providers;
mod reading;
mod resealing;
mod settings;
mod vault;
mod verification;

pub use account_fields::{BrokerUser, Label, Purpose};
pub use accounts::{AccountChange, LinkRequest, TradingAccount};
pub use brokers::{BrokerError, Brokers};
pub use credentials::{BrokerToken, Credentials, SessionCredentials};
pub use error::Error;
pub use freezing::{Frozen, FrozenAccount, SessionEnd};
pub use marking::Mark;
pub use providers::{Health, HealthStatus, Outcome, Providers};
pub use reading::ReleasedCredentials;
pub use resealing::{Resealed, Resealing};
pub use settings::{VaultSettings, variables};
pub use vault::Vault;
pub use verification::Verification;

pub use portcullis_store::{TradingAccountId, TradingAccountStatus};
