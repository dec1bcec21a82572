//! The value that all operations of this crate are methods of.

use std::sync::Arc;
use std::time::Duration;

use portcullis_identity::{ClientContext, Identity};
use portcullis_platform::{BrokerHttp, KeyWrap};
use portcullis_store::{AccountId, AuditEvent, AuditKind, Store, TradingAccountId};

use crate::brokers::Brokers;
use crate::error::Error;
use crate::providers::Providers;
use crate::settings::VaultSettings;

/// Everything an operation needs; made once at the start and shared by all requests.
#[derive(Debug)]
pub struct Vault {
    /// People, their sessions and factors, and the services.
    pub identity: Arc<Identity>,
    /// The provider of the master key of credentials.
    pub key_wrap: Arc<dyn KeyWrap>,
    /// The brokers and other providers, with their health.
    pub providers: Arc<Providers>,
    /// The client for requests to brokers, and to the service itself from outside.
    pub http: Arc<dyn BrokerHttp>,
    /// How long credentials may stay under one data key.
    pub credential_max_age: Duration,
    /// How long a reading is a lease; zero for not at all.
    pub credential_lease: Duration,
    /// How long after a freeze services may read sessions to cancel orders.
    pub cancel_grace: Duration,
}

impl Vault {
    /// Returns a vault on the store, clock and keys of these identity operations.
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
            brokers: Brokers::new(Arc::clone(&http), settings.brokers.clone()),
            others: settings.providers.clone(),
        };
        let VaultSettings { credential_max_age, credential_lease, cancel_grace, .. } = *settings;
        let providers = Arc::new(providers);
        Self { identity, key_wrap, providers, http, credential_max_age, credential_lease, cancel_grace }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.identity.store
    }

    /// Returns whether a provider is a broker at which trading accounts can be linked.
    pub fn is_broker(&self, provider: &str) -> bool {
        self.brokers().get(provider).is_some()
    }

    pub(crate) fn brokers(&self) -> &Brokers {
        &self.providers.brokers
    }

    /// Returns an event with the time of now about one trading account; fails when there is no entropy for its id.
    pub(crate) fn event(
        &self,
        kind: AuditKind,
        owner: AccountId,
        id: Option<TradingAccountId>,
        origin: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        let mut event = self.identity.audit_event(kind, owner, origin)?;
        event.target = id.map(|id| id.to_string());
        Ok(event)
    }
}
