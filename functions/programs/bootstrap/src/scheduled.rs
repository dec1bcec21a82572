//! A function that a schedule starts.

use portcullis_platform::Environment;
use portcullis_platform_aws::serve_events;
use utoipa_axum::router::OpenApiRouter;

use crate::function::{Function, NotReady};
use crate::start::{Ended, started};
use portcullis_functions::{Function as Row, JobError, JobEvent, ScheduledJob};

/// The error of an event of the scheduler.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("there are no operations to do it with")]
    NotReady(#[source] Option<NotReady>),
    #[error("doing the job")]
    Job(#[source] JobError),
}

/// Does the job as this function at each event, until Lambda ends the process.
pub(crate) async fn serve_schedule(
    row: &'static Row,
    job: ScheduledJob,
    environment: Environment,
) -> Result<(), Ended> {
    let function = started(row, environment, OpenApiRouter::default()).await?;
    serve_events(|event: JobEvent| Box::pin(run(&function, job, event))).await.map_err(Ended::RuntimeGone)
}

async fn run(function: &Function, job: ScheduledJob, event: JobEvent) -> Result<(), Failed> {
    let vault = function.operations().await.map_err(|error| Failed::NotReady(Some(error)))?;
    let vault = vault.ok_or(Failed::NotReady(None))?;
    job.run(&vault, event).await.map_err(Failed::Job)
}
