//! The keys function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("keys", portcullis_keys::routes().merge(portcullis_http::healthz_routes())).await
}
