//! The audit function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("audit", portcullis_audit::routes()).await
}
