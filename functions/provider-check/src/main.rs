//! The provider-check function on Lambda, called by a schedule.

use std::process::ExitCode;

use portcullis_lambda::{Chore, run_scheduled};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run_scheduled("provider-check", Chore::CheckProviders).await
}
