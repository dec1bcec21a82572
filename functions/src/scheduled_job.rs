//! Scheduled jobs: on AWS a schedule starts a function for each job, locally a task repeats it.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_vault::{Error, Finished, Told, Vault};
use serde::Deserialize;

/// How long a run of the re-encryption begins with one more account: a minute less than Lambda lets the function run.
const REENCRYPTION_RUN: Duration = Duration::from_mins(14);

/// A job that runs on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledJob {
    /// Probe every broker and count the outcome.
    CheckProviders,
    /// End the sessions at brokers that freezes have left.
    FinishFreezes,
    /// Re-encrypt the broker credentials that have been under one data key for longer than `CREDENTIAL_MAX_AGE` allows, or
    /// what is left of them.
    ReencryptCredentials,
    /// Write to the owners of sessions at brokers that end soon, or have ended.
    TellOfSessions,
    /// Ask the service for its keys where clients reach it.
    ReachPublicUrl,
}

/// What a job is started with. A schedule says nothing; an operator who starts a job by hand may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct JobEvent {
    /// For [`ScheduledJob::ReencryptCredentials`]: re-encrypt everything that was encrypted before this time.
    pub before: Option<Timestamp>,
}

/// The error of a job, with its causes.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

impl ScheduledJob {
    /// Returns the name of the job, that of its function.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CheckProviders => "provider-check",
            Self::FinishFreezes => "freeze-sweep",
            Self::ReencryptCredentials => "credential-rotation",
            Self::TellOfSessions => "session-news",
            Self::ReachPublicUrl => "canary",
        }
    }

    /// Runs the job once, unless another run of it is going. A broker that does not respond is an outcome and no error;
    /// fails when the store or the key service does, and what was done until then stays done. The service that is not
    /// reached is an error.
    pub async fn run(self, vault: &Vault, event: JobEvent) -> Result<(), JobError> {
        match self {
            Self::CheckProviders => check_providers(vault).await?,
            Self::FinishFreezes => finish_freezes(vault).await?,
            Self::ReencryptCredentials => reencrypt_credentials(vault, event).await?,
            Self::TellOfSessions => tell_of_sessions(vault).await?,
            // It writes nothing, and may run as often as it likes.
            Self::ReachPublicUrl => vault.reach_public_url().await?,
        }
        Ok(())
    }
}

/// A minute is far more than a probe of every broker takes.
async fn check_providers(vault: &Vault) -> Result<(), Error> {
    let checked = vault.alone(ScheduledJob::CheckProviders.name(), Duration::from_mins(1), async {
        vault.providers.probe_all().await;
        Ok(())
    });
    told(checked.await?, ScheduledJob::CheckProviders.name());
    Ok(())
}

/// A run has less than a minute, or the next one would find it at work.
async fn finish_freezes(vault: &Vault) -> Result<(), Error> {
    let finished = vault.alone("freeze-sweep", Duration::from_mins(1), Box::pin(vault.finish_freezes()));
    if let Some(finished) =
        told(finished.await?, "freeze-sweep").filter(|finished| *finished != Finished::default())
    {
        tracing::warn!(?finished, "sessions that freezes have left were ended");
    }
    Ok(())
}

/// A run has less than a minute. Two at once would send nothing twice; they would only be in each other's way.
async fn tell_of_sessions(vault: &Vault) -> Result<(), Error> {
    let name = ScheduledJob::TellOfSessions.name();
    let told_of = vault.alone(name, Duration::from_mins(1), Box::pin(vault.tell_of_sessions())).await?;
    if let Some(sent) = told(told_of, name).filter(|sent| *sent != Told::default()) {
        tracing::info!(?sent, "letters about sessions at brokers were sent");
    }
    Ok(())
}

/// A minute longer than Lambda lets a function run: whoever holds the lease then is dead.
async fn reencrypt_credentials(vault: &Vault, event: JobEvent) -> Result<(), Error> {
    let longest = Duration::from_mins(16);
    let work = async {
        let until = vault.identity.clock.now() + REENCRYPTION_RUN;
        vault.reencrypt_due(event.before, until).await
    };
    let reencrypted = vault.alone(ScheduledJob::ReencryptCredentials.name(), longest, Box::pin(work)).await?;
    if let Some(Some(reencrypted)) = told(reencrypted, ScheduledJob::ReencryptCredentials.name()) {
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
