//! The vault: trading accounts, their encrypted credentials, the release of those to services, and the health of brokers.
#![doc = include_str!("../README.md")]

mod account_fields;
mod accounts;
pub mod brokers;
mod context;
mod credential_verification;
mod credentials;
mod error;
mod freezing;
mod length_prefixed;
mod marking;
mod opening;
mod providers;
mod reading;
mod reencryption;
mod reencryption_sweep;
mod scheduled;
mod settings;
mod vault;

pub use account_fields::{BrokerUser, Label, Purpose};
pub use accounts::{AccountChange, NewTradingAccount, TradingAccount};
pub use brokers::{BrokerError, Brokers};
pub use credential_verification::Verification;
pub use credentials::{BrokerToken, Credentials, SessionCredentials};
pub use error::Error;
pub use freezing::{Frozen, FrozenAccount, SessionEnd};
pub use marking::{Mark, end_of};
pub use providers::{Health, HealthStatus, Outcome, Providers};
pub use reading::ReleasedCredentials;
pub use reencryption::Reencrypted;
pub use reencryption_sweep::Reencryption;
pub use scheduled::NotReached;
pub use settings::{VaultSettings, variables};
pub use vault::Vault;

pub use portcullis_store::{Freeze, TradingAccountId, TradingAccountStatus};
