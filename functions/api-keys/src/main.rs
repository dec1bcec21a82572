//! The api-keys function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("api-keys", portcullis_api_keys::routes()).await
}
