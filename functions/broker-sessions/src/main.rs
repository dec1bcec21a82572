//! The broker-sessions function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("broker-sessions", portcullis_broker_sessions::routes()).await
}
