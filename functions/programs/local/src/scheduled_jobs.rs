//! The scheduled jobs of a server: on AWS a schedule starts a function for each of these.
//!
//! Every instance looks when a job is due, and a lease in the table decides which of them does it.

use std::sync::Arc;
use std::time::Duration;

use portcullis_functions::{JobEvent, ScheduledJob};
use portcullis_platform::with_causes;
use tokio::task::JoinSet;

use crate::current::Current;
use crate::metrics::Metrics;

/// How often is looked whether credentials are due to be encrypted anew, or some are left of the run before.
const REENCRYPT_EVERY: Duration = Duration::from_mins(15);

/// How often is looked whether a freeze has left sessions at brokers.
const FINISH_FREEZES_EVERY: Duration = Duration::from_mins(1);

/// How often is looked whether somebody is to be told of the end of a session at a broker.
const TELL_OF_SESSIONS_EVERY: Duration = Duration::from_mins(1);

/// The scheduled jobs and how often they run.
#[derive(Debug)]
pub(crate) struct ScheduledJobs {
    pub(crate) current: Arc<Current>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) check_interval: Option<Duration>,
}

impl ScheduledJobs {
    /// Starts the jobs, which end when what it returns is dropped: another instance does them then. None runs at the start, so
    /// that a service that is only tried out sends no request to a broker.
    pub(crate) fn start(self) -> JoinSet<()> {
        let jobs = Arc::new(self);
        let mut running = JoinSet::new();
        if let Some(every) = jobs.check_interval {
            running.spawn(Arc::clone(&jobs).repeat(ScheduledJob::CheckProviders, every));
        }
        running.spawn(Arc::clone(&jobs).repeat(ScheduledJob::FinishFreezes, FINISH_FREEZES_EVERY));
        running.spawn(Arc::clone(&jobs).repeat(ScheduledJob::TellOfSessions, TELL_OF_SESSIONS_EVERY));
        running.spawn(jobs.repeat(ScheduledJob::ReencryptCredentials, REENCRYPT_EVERY));
        running
    }

    async fn repeat(self: Arc<Self>, job: ScheduledJob, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let outcome = self.turn(job, every).await;
            self.metrics.count_turn(job.name(), outcome);
        }
    }

    /// Does the job if it is this instance's turn, and returns what became of it.
    async fn turn(&self, job: ScheduledJob, every: Duration) -> &'static str {
        let vault = self.current.vault();
        let done = match vault.take_turn(job.name(), every).await {
            Ok(false) => return "elsewhere",
            Ok(true) => job.run(&vault, JobEvent::default()).await,
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(()) => "done",
            Err(error) => {
                let error = with_causes(error.as_ref());
                tracing::warn!(error, ?job, "a scheduled job failed; it is tried again when it is due next");
                "failed"
            }
        }
    }
}
