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
mod leases;
mod length_prefixed;
mod login_state;
mod marking;
mod opening;
mod postbacks;
mod provider_history;
mod providers;
mod reading;
mod reencryption;
mod reencryption_sweep;
mod scheduled;
mod session_news;
mod settings;
mod vault;

pub use account_fields::{BrokerUser, FreezeReason, Label, OrderIps, Purpose};
pub use accounts::{AccountChange, NewTradingAccount, TradingAccount};
pub use brokers::{BrokerError, Brokers};
pub use credential_verification::Verification;
pub use credentials::{BrokerToken, Credentials, LoginCode, SessionCredentials};
pub use error::Error;
pub use freezing::{Cancelled, Finished, Frozen, FrozenAccount, OperatorFreeze, Orders, SessionEnd};
pub use leases::Lease;
pub use login_state::LoginState;
pub use marking::{Mark, end_of};
pub use postbacks::{Checksum, OrderId, OrderTime, Postback};
pub use provider_history::ProviderSpan;
pub use providers::{Health, HealthStatus, Outcome, Providers};
pub use reading::ReleasedCredentials;
pub use reencryption::Reencrypted;
pub use reencryption_sweep::Reencryption;
pub use scheduled::NotReached;
pub use session_news::Told;
pub use settings::{VaultSettings, variables};
pub use vault::Vault;

pub use portcullis_store::{Freeze, Freezes, LeaseKind, TradingAccountId, TradingAccountStatus};
