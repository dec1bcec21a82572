//! One function on AWS Lambda: the bootstrap serves the row of [`FUNCTIONS`] that Lambda's `_HANDLER` names.
//!
//! This module starts a function (an error that no retry can fix stops it with a line that names it; a dependency that is
//! only unavailable makes it respond 503 until it is back) and takes up rotated secrets while it runs.

mod function;
mod key_rotation;
mod log;
mod requests;
mod scheduled;
mod start;

use std::process::ExitCode;

use portcullis_platform::Environment;

use self::start::Ended;
use crate::table::{FUNCTIONS, Function, Work};

/// Set by Lambda from the `Handler` of the function's resource.
const HANDLER: &str = "_HANDLER";

/// Does the work of the function that `_HANDLER` names until Lambda ends the process. Returns a failure when there is no
/// such function, when its configuration cannot be used, and when the Runtime API is gone; the log says which.
pub async fn run() -> ExitCode {
    let environment = Environment::of_process();
    let handler = environment.raw(HANDLER).unwrap_or_default();
    let Some(function) = Function::named(handler) else {
        let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
        eprintln!(
            "bootstrap: {HANDLER} is `{handler}`, which is no function; the functions are {}",
            names.join(", ")
        );
        return ExitCode::FAILURE;
    };
    let served = match function.work {
        Work::Requests(routes) => {
            Box::pin(requests::serve_requests(function.name, routes(), environment)).await
        }
        Work::Scheduled(job) => Box::pin(scheduled::serve_schedule(function.name, job, environment)).await,
        Work::KeyRotation => Box::pin(key_rotation::serve_rotations(function.name, environment)).await,
    };
    let Err(error) = served else { return ExitCode::SUCCESS };
    match error {
        Ended::RuntimeGone(error) => tracing::error!(error, "the Runtime API is gone"),
        error => log::error("the function cannot start", &error),
    }
    ExitCode::FAILURE
}
