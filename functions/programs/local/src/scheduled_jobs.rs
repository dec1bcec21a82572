//! The scheduled jobs of the local service: on AWS a schedule starts a function for each of these.

use std::sync::Arc;
use std::time::Duration;

use portcullis_functions::{JobEvent, ScheduledJob};
use portcullis_vault::Vault;

/// How often is looked whether credentials are due to be encrypted anew, or some are left of the run before.
const REENCRYPT_EVERY: Duration = Duration::from_mins(15);

/// The scheduled jobs and how often they run.
#[derive(Debug)]
pub(crate) struct ScheduledJobs {
    vault: Arc<Vault>,
    check_interval: Option<Duration>,
}

impl ScheduledJobs {
    /// Returns the jobs, none of which runs yet.
    pub(crate) fn new(vault: Arc<Vault>, check_interval: Option<Duration>) -> Self {
        Self { vault, check_interval }
    }

    /// Starts the jobs, which end with the process. None runs at the start, so that a service that is only tried out sends
    /// no request to a broker.
    pub(crate) fn start(self) {
        let Self { vault, check_interval } = self;
        if let Some(every) = check_interval {
            tokio::spawn(repeat(Arc::clone(&vault), ScheduledJob::CheckProviders, every));
        }
        tokio::spawn(repeat(vault, ScheduledJob::ReencryptCredentials, REENCRYPT_EVERY));
    }
}

async fn repeat(vault: Arc<Vault>, job: ScheduledJob, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = job.run(&vault, JobEvent::default()).await {
            tracing::warn!(%error, ?job, "a scheduled job failed; it is tried again when it is due next");
        }
    }
}
