//! The vault: trading accounts, the sealed credentials in them, which services may read those, and the health of the brokers.
#![doc = include_str!("../README.md")]

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
