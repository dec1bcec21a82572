//! `manage-users`: accounts and the audit trail from the command line, beside a running service.
//!
//! It is responsible for what is typed and printed; every rule is an operation of `portcullis-identity`, so that the
//! command line can do nothing an administrator could not do over HTTP, but for being one. To add a command: a variant in
//! `arguments`, a function beside the others of its kind.

mod accounts;
mod api_keys;
mod arguments;
mod credentials;
mod failure;
mod import;
mod output;
mod secret_input;
mod tool;
mod trail;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, AuditCommand, Command};
use crate::failure::Failure;
use crate::output::Output;
use crate::tool::Tool;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match Box::pin(run(arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("manage-users: {}", failure.text());
            ExitCode::from(failure.status())
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = Output { json: arguments.json };
    let tool = Tool::open(arguments.table.as_deref()).await?;
    let done = perform(&tool, output, arguments.command).await;
    tool.close().await;
    done
}

async fn perform(tool: &Tool, output: Output, command: Command) -> Result<(), Failure> {
    match command {
        Command::CreateUser(user) => accounts::create(tool, output, user).await,
        Command::InviteUser(user) => accounts::invite(tool, output, user).await,
        Command::ListUsers => accounts::list(tool, output).await,
        Command::SetRoles { name, roles } => accounts::set_roles(tool, output, &name, roles).await,
        Command::Deactivate { name } => accounts::set_active(tool, output, &name, false).await,
        Command::Activate { name } => accounts::set_active(tool, output, &name, true).await,
        Command::Unlock { name } => accounts::unlock(tool, output, &name).await,
        Command::ResetMfa { name } => accounts::reset_mfa(tool, output, &name).await,
        Command::RotatePassword { name } => accounts::rotate_password(tool, output, &name).await,
        Command::SetApiKey { name, api_key } => api_keys::set(tool, output, &name, api_key).await,
        Command::RotateApiKey { name } => api_keys::rotate(tool, output, &name).await,
        Command::Import { file, format } => import::run(tool, output, &file, format).await,
        Command::Export { with_hashes } => accounts::export(tool, with_hashes).await,
        Command::RotateCredentials { before } => credentials::rotate(tool, output, before).await,
        Command::Audit { command: AuditCommand::Verify } => trail::verify(tool, output).await,
        Command::Audit { command: AuditCommand::Export { from, to } } => trail::export(tool, from, to).await,
    }
}
