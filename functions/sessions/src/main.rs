//! The sessions function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("sessions", portcullis_sessions::routes()).await
}
