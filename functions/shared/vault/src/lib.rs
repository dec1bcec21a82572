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
mod verification;

use std::sync::Arc;
use std::time::Duration;

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
pub use verification::Verification;

pub use portcullis_store::{TradingAccountId, TradingAccountStatus};

use portcullis_identity::{Identity, Origin};
use portcullis_platform::{BrokerHttp, KeyWrap};
use portcullis_store::{AccountId, AuditEvent, AuditKind, Store, TradingAccountId as Id};

/// Everything an operation needs; made once at the start and shared by all requests.
#[derive(Debug)]
pub struct Vault {
    /// People, their sessions and factors, and the services.
    pub identity: Arc<Identity>,
    /// Who keeps the master key of credentials.
    pub key_wrap: Arc<dyn KeyWrap>,
    /// The brokers and how they are.
    pub providers: Arc<Providers>,
    /// How long credentials stay under one data key.
    pub credential_max_age: Duration,
}

impl Vault {
    /// The vault beside these operations.
    pub fn new(
        identity: Arc<Identity>,
        key_wrap: Arc<dyn KeyWrap>,
        http: Arc<dyn BrokerHttp>,
        settings: &VaultSettings,
    ) -> Self {
        let providers = Providers {
            store: identity.store.clone(),
            clock: Arc::clone(&identity.clock),
            entropy: Arc::clone(&identity.entropy),
            brokers: Brokers::new(http, settings.brokers.clone()),
            others: settings.providers.clone(),
        };
        let credential_max_age = settings.credential_max_age;
        Self { identity, key_wrap, providers: Arc::new(providers), credential_max_age }
    }

    fn store(&self) -> &Store {
        &self.identity.store
    }

    fn brokers(&self) -> &Brokers {
        &self.providers.brokers
    }

    /// An event of now about one trading account.
    fn event(
        &self,
        kind: AuditKind,
        owner: AccountId,
        id: Option<Id>,
        origin: &Origin,
    ) -> Result<AuditEvent, Error> {
        let mut event = self.identity.audit_event(kind, owner, origin)?;
        event.target = id.map(|id| id.to_string());
        Ok(event)
    }
}
