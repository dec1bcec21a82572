//! The trading-accounts function on Lambda.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_lambda::run("trading-accounts", portcullis_trading_accounts::routes()).await
}
