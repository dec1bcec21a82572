//! The password function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("password", portcullis_password::routes()).await
}
