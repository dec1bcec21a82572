//! `portcullis-probe`: tries what must hold of a running deployment, and says what does not.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use portcullis_platform::{Environment, Variable};
use portcullis_probe::checks::Check;
use portcullis_probe::client::Trouble;
use portcullis_probe::people::ADDRESS;
use portcullis_probe::probe::{Options, Probe};
use portcullis_probe::target::Refused;
use secrecy::SecretString;

const TOKEN: Variable = Variable {
    name: "PORTCULLIS_PROBE_TOKEN",
    default: "",
    about: "access token of an administrator of the deployment; needed where it is not this machine",
    aliases: &[],
};
const UNUSABLE: u8 = 2;
const UNCLEAR: u8 = 3;

const AFTER_HELP: &str = "Environment:\n\
    PORTCULLIS_PROBE_TOKEN: access token of an administrator, for a deployment that is not this machine. It is sent only where \
    its signature holds under a published key\n\n\
    Exit status:\n\
    0: everything held that was tried\n\
    1: something does not hold\n\
    2: the command line cannot be used, or the deployment may not be probed; nothing was tried\n\
    3: something could not be judged, or an account could not be erased";

/// Try what must hold of a running Portcullis: accounts are made for it, and erased when it ends.
#[derive(Debug, Parser)]
#[command(name = "portcullis-probe", version, after_help = AFTER_HELP)]
struct Arguments {
    /// Where clients reach it, such as <http://127.0.0.1:8001> or <https://auth.example.com>.
    url: String,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Try this check alone; may be repeated.
    #[arg(long = "only", value_name = "CHECK")]
    only: Vec<Check>,
    /// Tabs that refresh at once.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..=500))]
    tabs: u32,
    /// Forged access tokens.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..=5000))]
    forged: u32,
    /// Pairs of wrong passwords, for a known and an unknown address.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(6..=40))]
    pairs: u32,
    /// Requests at most.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    requests: u32,
    /// Seconds the checks may take together.
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// The addresses of the accounts that are made; {} is something new each time.
    #[arg(long, default_value = ADDRESS, value_parser = address)]
    address: String,
}

/// Refuses a pattern that would have two accounts share an address.
fn address(typed: &str) -> Result<String, String> {
    let is_usable = typed.contains("{}") && typed.contains('@') && typed.len() <= 200;
    if is_usable { Ok(typed.to_owned()) } else { Err("wants the form probe-{}@example.com".to_owned()) }
}

impl Arguments {
    fn options(&self) -> Options {
        Options {
            tabs: self.tabs,
            forged: self.forged,
            pairs: self.pairs,
            rotations: 2,
            requests: self.requests,
            time: Duration::from_secs(self.seconds),
            address: self.address.clone(),
            checks: if self.only.is_empty() { Check::ALL.to_vec() } else { self.only.clone() },
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let token = Environment::of_process().text(&TOKEN).unwrap_or_default();
    let token = (!token.is_empty()).then(|| SecretString::from(token));
    match Probe::of(&arguments.url, token, arguments.options()).await {
        Ok(probe) => run(probe, arguments.json).await,
        Err(refused) => {
            eprintln!("portcullis-probe: {refused}");
            let status =
                if matches!(refused, Refused::Trouble(Trouble::NoAnswer(..))) { UNCLEAR } else { UNUSABLE };
            ExitCode::from(status)
        }
    }
}

async fn run(probe: Probe, json: bool) -> ExitCode {
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let report = probe
        .run(stop, |judged| {
            if !json {
                eprintln!("{}: {:?}", judged.check, judged.verdict);
            }
        })
        .await;
    if json {
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
    } else {
        println!("{report}");
    }
    ExitCode::from(report.status())
}
