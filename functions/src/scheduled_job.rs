//! What the service does without being asked: on AWS a schedule starts a function for each job, locally a task repeats it.

use portcullis_vault::{Error, Vault};

/// One job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledJob {
    /// Ask every broker whether it answers, and count the outcome.
    CheckProviders,
    /// Encrypt broker credentials anew that have been under one data key for longer than `CREDENTIAL_MAX_AGE` allows.
    ReencryptCredentials,
}

impl ScheduledJob {
    /// Does the job once. A broker that does not answer is an outcome and no error; fails when the store or the key
    /// service does, and what was done until then stays done.
    pub async fn run(self, vault: &Vault) -> Result<(), Error> {
        match self {
            Self::CheckProviders => vault.providers.probe_all().await,
            Self::ReencryptCredentials => {
                let resealed = vault.reseal_old().await?;
                tracing::warn!(?resealed, "credentials were encrypted anew");
            }
        }
        Ok(())
    }
}
