//! `portcullis-gateway`: the functions behind a port, configured as `portcullis` is and with the same output.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use portcullis_gateway::template::{self, Template};
use portcullis_gateway::{Deployment, Function, guard, guard_secrets, router};
use portcullis_http::HttpSettings;
use portcullis_platform::{Environment, Variable};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const LISTEN_ADDR: Variable = Variable {
    name: "LISTEN_ADDR",
    default: "127.0.0.1:8001",
    about: "address and port to listen on",
    aliases: &[],
};
const DATA_DIR: Variable = Variable {
    name: "DATA_DIR",
    default: "./data",
    about: "folder whose name the table and the secret get, and where the functions' log lies",
    aliases: &[],
};

const DEPLOYMENT: Variable = Variable {
    name: "DEPLOYMENT",
    default: "",
    about: "document that tests/deployment/stack.py wrote when it made the resources; empty for resources of the folder's own",
    aliases: &[],
};

const ENGINE: &str = "AWS_ENDPOINT_URL_DYNAMODB";
/// Where everything but the table is, and where a function finds the secrets.
const SECRETS: &str = "AWS_ENDPOINT_URL";
const OF_SECRETS: &str = "AWS_ENDPOINT_URL_SECRETS_MANAGER";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let environment = Environment::of_process();
    let listen: SocketAddr = environment.parse(&LISTEN_ADDR)?;
    let folder = std::path::absolute(PathBuf::from(environment.text(&DATA_DIR)?))?;
    std::fs::create_dir_all(&folder)?;
    let deployment = match environment.text(&DEPLOYMENT)? {
        document if document.is_empty() => Deployment::of_folder(&folder, &environment).await?,
        document => Deployment::read(Path::new(&document))?,
    };
    let engine = environment.raw(ENGINE).unwrap_or_default();
    let program = std::env::current_exe()?;
    let binaries = program.parent().unwrap_or(Path::new("."));

    let secrets = environment.raw(SECRETS).unwrap_or_default();
    let the_template = Template::read(&template::path())?;
    let shared = the_template.statements_of("ReadSecrets");
    let mut functions = Vec::new();
    let request_timeout = HttpSettings::read(&environment)?.request_timeout.as_secs();
    for mut described in the_template.functions() {
        // A test on a busy machine gives requests more time than the template would.
        described.timeout = described.timeout.max(2 * request_timeout);
        let log = folder.join("functions.log");
        let mut variables = deployment.deploy(&mut described);
        variables.push((ENGINE.to_owned(), guard(described.clone(), engine).await?));
        let secret = variables.iter().find(|(name, _)| name == "AWS_SECRET_NAME");
        let secret = secret.map(|(_, secret)| secret.clone()).unwrap_or_default();
        let guarded = guard_secrets(described.clone(), shared.clone(), secrets, &secret).await?;
        variables.push((OF_SECRETS.to_owned(), guarded));
        functions.push(Function::new(described, binaries, variables, &log).await?);
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind(listen).await?;
    println!("Portcullis listens on http://{}", listener.local_addr()?);
    println!("  stop it:   Ctrl-C");
    let service = router(&functions).into_make_service_with_connect_info::<SocketAddr>();
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    axum::serve(listener, service).with_graceful_shutdown(stop).await?;
    Ok(())
}
