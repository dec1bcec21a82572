//! `manage-users`: accounts and the audit trail from the command line, beside a running service.
//!
//! It is responsible for what is typed and printed; every rule is an operation of `portcullis-identity`, so that the
//! command line can do nothing an administrator could not do over HTTP, but for being one. To add a command: a variant in
//! `arguments`, a function beside the others of its kind.

mod accounts;
mod api_keys;
mod arguments;
mod confirmation;
mod credentials;
mod dates;
mod described;
mod dry_run;
mod everybody;
mod failure;
mod freezes;
mod import;
mod listing;
mod manual;
mod operator;
mod output;
mod progress;
mod proof_keys;
mod roles;
mod secret_input;
mod service_tokens;
mod signing_keys;
mod tool;
mod trail;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use portcullis_platform::Environment;

use crate::arguments::{Arguments, AuditCommand, Command, PolicyCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::tool::Tool;

const NAME: &str = "manage-users";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    let output = Output { json: arguments.json };
    match Box::pin(run(output, arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output.fail(&failure);
            ExitCode::from(failure.status())
        }
    }
}

/// Prints `--help`, or why the command line cannot be used: as JSON where it asks for that.
fn not_understood(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if wants_json && error.use_stderr() {
        let failure = Failure::Unusable(in_one_line(&error.to_string()));
        Output { json: true }.fail(&failure);
    } else {
        // A closed pipe is none of our business.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Returns what is wrong, and what would do, without what is only for somebody who reads along.
fn in_one_line(error: &str) -> String {
    let lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let told =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    told.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

async fn run(output: Output, arguments: Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Completions { shell } => return completions(*shell),
        Command::Man => return output::bytes(&manual::page(Arguments::command())?),
        Command::Roles => return roles::list(output, &Environment::of_process()),
        Command::Policy { command: PolicyCommand::Check { file } } => return roles::check(output, file),
        _ => {}
    }
    let tool = Tool::open(arguments.table.as_deref(), arguments.operator.as_deref()).await?;
    let done = perform(&tool, output, arguments.command).await;
    tool.close().await;
    done
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut text);
    output::bytes(&text)
}

async fn perform(tool: &Tool, output: Output, command: Command) -> Result<(), Failure> {
    match command {
        Command::CreateUser(user) => accounts::create(tool, output, user).await,
        Command::InviteUser(user) => accounts::invite(tool, output, user).await,
        Command::Show { name } => described::show(tool, output, &name).await,
        Command::Find(wanted) => described::find(tool, output, wanted).await,
        Command::ListUsers(wanted) => described::list(tool, output, wanted).await,
        Command::ListSessions { name, paging } => described::sessions(tool, output, &name, &paging).await,
        Command::ListKeys { name, paging } => described::keys(tool, output, &name, &paging).await,
        Command::RevokeSessions { name, confirmed } => {
            accounts::revoke_sessions(tool, output, &name, confirmed).await
        }
        Command::RevokeAllSessions { confirmed } => everybody::revoke_sessions(tool, output, confirmed).await,
        Command::Delete { name, confirmed } => accounts::delete(tool, output, &name, confirmed).await,
        Command::VerifyEmail { name } => accounts::verify_email(tool, output, &name).await,
        Command::SendReset { name } => accounts::send_reset(tool, output, &name).await,
        Command::SetRoles { name, roles } => accounts::set_roles(tool, output, &name, roles).await,
        Command::Deactivate { name } => accounts::set_active(tool, output, &name, false).await,
        Command::Activate { name } => accounts::set_active(tool, output, &name, true).await,
        Command::Unlock { name } => accounts::unlock(tool, output, &name).await,
        Command::Freeze { name, freeze, cancel_orders } => {
            freezes::freeze(tool, output, &name, freeze, cancel_orders).await
        }
        Command::Unfreeze { name } => freezes::unfreeze(tool, output, &name).await,
        Command::FreezeEverybody { freeze, confirmed } => {
            freezes::freeze_everybody(tool, output, freeze, confirmed).await
        }
        Command::UnfreezeEverybody { confirmed } => {
            freezes::unfreeze_everybody(tool, output, confirmed).await
        }
        Command::ResetMfa { name, confirmed } => accounts::reset_mfa(tool, output, &name, confirmed).await,
        Command::RotatePassword { name, password } => {
            accounts::rotate_password(tool, output, &name, password).await
        }
        Command::SetApiKey { name, key } => api_keys::set(tool, output, &name, key).await,
        Command::RotateApiKey { name } => api_keys::rotate(tool, output, &name).await,
        Command::Import { file, format, dry_run } => import::run(tool, output, &file, format, dry_run).await,
        Command::Export { with_hashes } => accounts::export(tool, output, with_hashes).await,
        Command::RotateCredentials { before } => credentials::rotate(tool, output, before).await,
        Command::WithdrawKey { kid, confirmed } => {
            signing_keys::withdraw(tool, output, &kid, confirmed).await
        }
        Command::ProofKey { service, ids } => proof_keys::print(tool, output, &service, &ids).await,
        Command::ServiceTokens { command } => service_tokens::perform(tool, output, command).await,
        Command::Audit { command } => audit(tool, output, command).await,
        // Carried out before anything was opened.
        Command::Completions { .. } | Command::Man | Command::Roles | Command::Policy { .. } => Ok(()),
    }
}

async fn audit(tool: &Tool, output: Output, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify => trail::verify(tool, output).await,
        AuditCommand::Search(wanted) => trail::search(tool, output, wanted).await,
        AuditCommand::Export(period) => trail::export(tool, output, &period).await,
    }
}
