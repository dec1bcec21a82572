//! What is done of itself: in the cloud a schedule calls a function for each of these.

use std::sync::Arc;
use std::time::Duration;

use portcullis_vault::Vault;

/// Whether credentials are due to be sealed anew is looked at this often.
const RESEAL_EVERY: Duration = Duration::from_hours(24);

/// The tasks beside the requests.
#[derive(Debug)]
pub(crate) struct Chores {
    vault: Arc<Vault>,
    check_interval: Duration,
}

impl Chores {
    pub(crate) fn new(vault: Arc<Vault>, check_interval: Duration) -> Self {
        Self { vault, check_interval }
    }

    /// Begins them; they end with the process. None is due at the start: a service that is only tried asks no broker.
    pub(crate) fn begin(self) {
        let Self { vault, check_interval } = self;
        tokio::spawn(check_providers(Arc::clone(&vault), check_interval));
        tokio::spawn(reseal(vault));
    }
}

async fn check_providers(vault: Arc<Vault>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        vault.providers.probe_all().await;
    }
}

async fn reseal(vault: Arc<Vault>) {
    loop {
        tokio::time::sleep(RESEAL_EVERY).await;
        if let Err(error) = vault.reseal_old().await {
            tracing::warn!(%error, "credentials were not sealed anew");
        }
    }
}
