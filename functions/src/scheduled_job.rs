//! Scheduled jobs: on AWS a schedule starts a function for each job, locally a task repeats it.

use std::time::Duration;

use portcullis_vault::{Error, Vault};

/// A job that runs on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledJob {
    /// Probe every broker and count the outcome.
    CheckProviders,
    /// Re-encrypt the broker credentials that have been under one data key for longer than `CREDENTIAL_MAX_AGE` allows.
    ReencryptCredentials,
    /// Ask the service for its keys where clients reach it.
    ReachPublicUrl,
}

/// The error of a job, with its causes.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

impl ScheduledJob {
    /// Runs the job once, unless another run of it is going. A broker that does not respond is an outcome and no error;
    /// fails when the store or the key service does, and what was done until then stays done. The service that is not
    /// reached is an error.
    pub async fn run(self, vault: &Vault) -> Result<(), JobError> {
        match self {
            Self::CheckProviders => check_providers(vault).await?,
            Self::ReencryptCredentials => reencrypt_credentials(vault).await?,
            // It writes nothing, and may run as often as it likes.
            Self::ReachPublicUrl => vault.reach_public_url().await?,
        }
        Ok(())
    }
}

/// A minute is far more than a probe of every broker takes.
async fn check_providers(vault: &Vault) -> Result<(), Error> {
    let checked = vault.alone("provider-check", Duration::from_mins(1), async {
        vault.providers.probe_all().await;
        Ok(())
    });
    told(checked.await?, "provider-check");
    Ok(())
}

/// A minute longer than Lambda lets a function run: whoever holds the lease then is dead.
async fn reencrypt_credentials(vault: &Vault) -> Result<(), Error> {
    let longest = Duration::from_mins(16);
    let reencrypted = vault.alone("credential-rotation", longest, Box::pin(vault.reencrypt_old())).await?;
    if let Some(reencrypted) = told(reencrypted, "credential-rotation") {
        tracing::warn!(?reencrypted, "credentials were encrypted anew");
    }
    Ok(())
}

/// Returns what the run did, and logs that there was nothing for it to do where another one is doing it.
fn told<T>(done: Option<T>, job: &str) -> Option<T> {
    if done.is_none() {
        tracing::warn!(job, "another run is doing it");
    }
    done
}
