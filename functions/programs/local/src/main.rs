//! `portcullis`: the whole service in one process.

use std::alloc::System;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use portcullis_local::{
    CountedEvents, Metrics, ProcessSettings, Service, StartError, Unhealthy, all_variables, check_health,
    log_filter, logs_json, without_effect,
};
use portcullis_platform::{Environment, Misconfigured, SystemEntropy, with_causes};
use portcullis_platform_embedded::{DataDir, Place, PrepareError};
use portcullis_service::{ServerSettings, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back: passwords and broker credentials pass through the buffers of crates that know
/// nothing of secrets.
#[global_allocator]
static WIPED: ZeroAlloc<System> = ZeroAlloc(System);

/// Identity, sessions and tokens for trading platforms, in one process.
///
/// Without a command it serves. It is configured by environment variables alone.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask the server with this configuration on this machine whether it lives.
    Healthcheck,
    /// Make the keys that a folder lacks, for `KEYS_DIR` of several servers.
    MakeKeys {
        /// The folder, which is made where there is none.
        folder: PathBuf,
    },
}

/// Exit status for a configuration that cannot be used, as of a command line that cannot.
const MISCONFIGURED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::command().after_help(variables_help());
    let arguments = match Arguments::from_arg_matches(&command.get_matches()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let environment = Environment::of_process();
    let done = match arguments.command {
        None => Box::pin(serve(environment)).await,
        Some(Command::Healthcheck) => check_health(&environment).await.map_err(Failed::from),
        Some(Command::MakeKeys { folder }) => make_keys(&environment, &folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Misconfigured(error)) => {
            eprintln!("portcullis: {error}");
            ExitCode::from(MISCONFIGURED)
        }
        Err(Failed::Other(error)) => {
            eprintln!("portcullis: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
enum Failed {
    Misconfigured(Misconfigured),
    Other(Box<dyn std::error::Error>),
}

impl From<Misconfigured> for Failed {
    fn from(error: Misconfigured) -> Self {
        Self::Misconfigured(error)
    }
}

impl From<StartError> for Failed {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Misconfigured(error) => Self::Misconfigured(error),
            error => Self::Other(error.into()),
        }
    }
}

impl From<Unhealthy> for Failed {
    fn from(error: Unhealthy) -> Self {
        match error {
            Unhealthy::Misconfigured(error) => Self::Misconfigured(error),
            error => Self::Other(error.into()),
        }
    }
}

impl From<PrepareError> for Failed {
    fn from(error: PrepareError) -> Self {
        Self::Other(error.into())
    }
}

async fn serve(environment: Environment) -> Result<(), Failed> {
    let log = (log_filter(&environment)?, logs_json(&environment)?);
    let process = ProcessSettings::read(&environment)?;
    let server = ServerSettings::read(environment)?;
    let metrics = Metrics::new();
    start_log(log, Arc::clone(&metrics));
    let words = Welcome::of(&server);
    // Registered before the service says that it is ready, so that no signal after that is lost.
    let signals = |kind| signal(kind).map_err(StartError::from);
    let (mut interrupt, mut terminate) =
        (signals(SignalKind::interrupt())?, signals(SignalKind::terminate())?);
    let (mut again, mut once_more) = (signals(SignalKind::interrupt())?, signals(SignalKind::terminate())?);
    let service = Service::start(server, process, metrics).await?;
    words.say(&service);
    let stop = async move {
        either(&mut interrupt, &mut terminate).await;
        // Whoever read this may be gone, and the end is orderly all the same.
        let _ = writeln!(std::io::stdout(), "Finishing the requests in flight.");
    };
    // The second signal of either kind: the first one reaches these two listeners as well.
    let hurry = async move {
        either(&mut again, &mut once_more).await;
        either(&mut again, &mut once_more).await;
    };
    Ok(service.serve(stop, hurry).await?)
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn start_log((filter, as_json): (EnvFilter, bool), metrics: Arc<Metrics>) {
    // Colours are for people: in a file they are noise that no search finds its way through.
    let for_people = std::io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(for_people && !as_json).with_writer(std::io::stderr);
    let lines = if as_json { lines.json().boxed() } else { lines.boxed() };
    // What is counted does not depend on what is logged.
    let counted = CountedEvents(metrics).with_filter(LevelFilter::WARN);
    Registry::default().with(lines.with_filter(filter)).with(counted).init();
    portcullis_http::log_panics_without_their_message();
}

fn make_keys(environment: &Environment, folder: &std::path::Path) -> Result<(), Failed> {
    let settings = Settings::read(environment)?;
    let place = Place::of_keys(folder);
    let inspected = DataDir::inspect_place(place, environment, Arc::new(SystemEntropy))?;
    for created in inspected.prepare(settings.identity.services.names())?.created {
        println!("{created}");
    }
    Ok(())
}

/// What is said at the start.
struct Welcome {
    public_url: String,
    check_interval: Option<std::time::Duration>,
    without_effect: Vec<String>,
}

impl Welcome {
    fn of(server: &ServerSettings) -> Self {
        Self {
            public_url: server.settings.http.public_url.as_str().to_owned(),
            check_interval: server.settings.vault.check_interval,
            without_effect: without_effect(&server.environment, server),
        }
    }

    fn say(&self, service: &Service) {
        let Self { public_url, check_interval, without_effect } = self;
        if !service.created.is_empty() {
            println!("Welcome to Portcullis. This is the first start here, so it");
            for created in &service.created {
                println!("  {created}");
            }
        }
        println!("Portcullis listens on {}://{}", service.scheme(), service.address);
        println!("  open it:   {public_url}");
        println!("  try it:    {public_url}/docs");
        println!("  its keys:  {public_url}/v1/auth/.well-known/jwks.json");
        if let Some(address) = service.metrics_address {
            println!("  metrics:   http://{address}/metrics");
        }
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
    }
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
        "  SESSION_SECRET_KEY, PORTFOLIO_API_KEY_SECRET, SERVICE_TOKENS, TOKEN_SIGNING_KEY,\n  EDGE_PROOF_KEY\n      take the place of the keys in files when set\n  VAULT_TOKEN\n      is shown to Vault, for SECRETS_PROVIDER=vault\n",
    );
    help
}
