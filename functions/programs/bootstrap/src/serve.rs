//! Which function this process is.

use std::process::ExitCode;

use portcullis_functions::{FUNCTIONS, Function, Work};
use portcullis_platform::Environment;

use crate::start::Ended;
use crate::{log, pages, requests, rotation_events, scheduled};

/// Set by Lambda from the `Handler` of the function's resource.
const HANDLER: &str = "_HANDLER";

/// Does the work of the function that `_HANDLER` names until Lambda ends the process. Returns a failure when there is no
/// such function, when its configuration cannot be used, and when the Runtime API is gone; the log says which.
pub async fn serve() -> ExitCode {
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
        Work::Requests(routes) => Box::pin(requests::serve_requests(function, routes(), environment)).await,
        Work::Pages(of) => Box::pin(pages::serve_pages(function.name, of, environment)).await,
        Work::Scheduled(job) => Box::pin(scheduled::serve_schedule(function, job, environment)).await,
        Work::KeyRotation => Box::pin(rotation_events::serve_rotations(function.name, environment)).await,
    };
    let Err(error) = served else { return ExitCode::SUCCESS };
    match error {
        Ended::RuntimeGone(error) => tracing::error!(error, "the Runtime API is gone"),
        error => log::error("the function cannot start", &error),
    }
    ExitCode::FAILURE
}
