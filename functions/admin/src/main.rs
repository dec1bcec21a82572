//! The admin function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("admin", portcullis_admin::routes()).await
}
