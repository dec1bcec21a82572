//! `portcullis`: the whole service on this machine.

use std::alloc::System;
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use portcullis_local::{Service, StartError, all_variables, log_filter, without_effect};
use portcullis_platform::{Environment, with_causes};
use portcullis_service::LocalSettings;
use tokio::signal::unix::{SignalKind, signal};
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back: passwords and broker credentials pass through the buffers of crates that know
/// nothing of secrets.
#[global_allocator]
static WIPED: ZeroAlloc<System> = ZeroAlloc(System);

/// Identity, sessions and tokens for trading platforms, in one process.
///
/// It is configured by environment variables alone.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
struct Arguments {}

/// Exit status for a configuration that cannot be used, as of a command line that cannot.
const MISCONFIGURED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::command().after_help(variables_help());
    if let Err(error) = Arguments::from_arg_matches(&command.get_matches()) {
        error.exit();
    }
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Misconfigured(error)) => {
            eprintln!("portcullis: {error}");
            ExitCode::from(MISCONFIGURED)
        }
        Err(error) => {
            eprintln!("portcullis: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), StartError> {
    let environment = Environment::of_process();
    let log_filter = log_filter(&environment)?;
    let local = LocalSettings::read(environment)?;
    // Colours are for people: in a file they are noise that no search finds its way through.
    let for_people = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(log_filter).with_ansi(for_people);
    log.with_writer(std::io::stderr).init();
    portcullis_http::log_panics_without_their_message();
    let (without_effect, check_interval) =
        (without_effect(&local.environment), local.settings.vault.check_interval);
    let public_url = local.settings.http.public_url.as_str().to_owned();
    // Registered before the service says that it is ready, so that no signal after that is lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let service = Service::start(local).await?;
    if !service.created.is_empty() {
        println!("Welcome to Portcullis. This is the first start here, so it");
        for created in &service.created {
            println!("  {created}");
        }
    }
    println!("Portcullis listens on http://{}", service.address);
    println!("  open it:   {public_url}");
    println!("  try it:    {public_url}/docs");
    println!("  its keys:  {public_url}/v1/auth/.well-known/jwks.json");
    println!("  stop it:   Ctrl-C");
    if let Some(every) = check_interval {
        println!(
            "  It asks the brokers how they are every {} s; PROVIDER_CHECK_INTERVAL=0 stops that.",
            every.as_secs()
        );
    }
    if !without_effect.is_empty() {
        println!("  Set, and without any effect here: {}", without_effect.join(", "));
    }
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        println!("Finishing the requests in flight.");
    };
    service.serve(stop).await
}

fn variables_help() -> String {
    let mut help = String::from("Environment variables:\n");
    for variable in all_variables() {
        let default = if variable.default.is_empty() { "unset" } else { variable.default };
        let _ = writeln!(help, "  {}\n      {} [default: {default}]", variable.name, variable.about);
        for alias in variable.aliases {
            let _ = writeln!(help, "      also {}, in units of {}", alias.name, alias.factor);
        }
    }
    help.push_str(
        "  SESSION_SECRET_KEY, PORTFOLIO_API_KEY_SECRET, SERVICE_TOKENS, TOKEN_SIGNING_KEY,\n  EDGE_PROOF_KEY\n      take the place of the keys in DATA_DIR when set\n",
    );
    help
}
