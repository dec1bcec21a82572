//! Scheduled jobs: on AWS a schedule starts a function for each job, locally a task repeats it.

use portcullis_vault::{Error, Vault};

/// A job that runs on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledJob {
    /// Probe every broker and count the outcome.
    CheckProviders,
    /// Re-encrypt the broker credentials that have been under one data key for longer than `CREDENTIAL_MAX_AGE` allows.
    ReencryptCredentials,
}

impl ScheduledJob {
    /// Runs the job once. A broker that does not respond is an outcome and no error; fails when the store or the key
    /// service does, and what was done until then stays done.
    pub async fn run(self, vault: &Vault) -> Result<(), Error> {
        match self {
            Self::CheckProviders => vault.providers.probe_all().await,
            Self::ReencryptCredentials => {
                let reencrypted = vault.reencrypt_old().await?;
                tracing::warn!(?reencrypted, "credentials were encrypted anew");
            }
        }
        Ok(())
    }
}
