//! The configuration of the server, beside the settings that all programs share.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured, Variable};
use portcullis_service::ServerSettings;
use tracing_subscriber::EnvFilter;

use crate::metrics::METRICS_ADDR;
use crate::tls::{Certificates, TLS_CERT_FILE, TLS_KEY_FILE};

/// `webauthn-rs` writes errors about whatever a stranger sends: why a passkey is refused is said by `portcullis_identity`.
const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: "warn,portcullis_http=info,portcullis_local=info,webauthn_rs_core=off",
    about: "what is logged, as tracing's EnvFilter reads it",
    aliases: &[],
};
const LOG_FORMAT: Variable = Variable {
    name: "LOG_FORMAT",
    default: "text",
    about: "form of the log on the standard error: `text`, or `json` (an object on each line)",
    aliases: &[],
};
const DRAIN_SECONDS: Variable = Variable {
    name: "DRAIN_SECONDS",
    default: "0",
    about: "seconds for which requests are still taken after SIGTERM while /readyz is 503 already, so that load balancers notice, 0 to 300",
    aliases: &[],
};

/// What the process around the service is configured with.
#[derive(Debug)]
pub struct ProcessSettings {
    /// Where metrics are; `None` for nowhere.
    pub metrics: Option<SocketAddr>,
    /// For how long requests are still taken once the process is to end.
    pub drain: Duration,
    /// The certificate; `None` where a proxy in front has it.
    pub(crate) certificates: Option<Certificates>,
}

impl ProcessSettings {
    /// Returns the settings that these variables hold; fails with the first one that cannot be used.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let metrics = match environment.text(&METRICS_ADDR)?.as_str() {
            "" => None,
            _ => Some(environment.parse(&METRICS_ADDR)?),
        };
        let drain = environment.seconds(&DRAIN_SECONDS, 0..=300)?;
        Ok(Self { metrics, drain, certificates: Certificates::read(environment)? })
    }
}

/// Returns what is logged; fails with one line when the filter cannot be read.
pub fn log_filter(environment: &Environment) -> Result<EnvFilter, Misconfigured> {
    let filter = environment.text(&RUST_LOG)?;
    EnvFilter::try_new(filter).map_err(|error| Misconfigured::new(RUST_LOG.name, error.to_string()))
}

/// Returns whether log lines are JSON; fails when the variable is neither.
pub fn logs_json(environment: &Environment) -> Result<bool, Misconfigured> {
    match environment.text(&LOG_FORMAT)?.as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(Misconfigured::new(LOG_FORMAT.name, "is neither `text` nor `json`")),
    }
}

/// Returns every variable the server reads, for `--help`.
pub fn all_variables() -> impl Iterator<Item = &'static Variable> {
    let own = [&TLS_CERT_FILE, &TLS_KEY_FILE, &METRICS_ADDR, &DRAIN_SECONDS, &RUST_LOG, &LOG_FORMAT];
    ServerSettings::variables().chain(own)
}

/// What names of variables for this product, and for those it takes the place of, begin with.
const OURS: [&str; 6] = ["PORTCULLIS_", "PORTFOLIO_", "JWT_", "KITE_", "ALPACA_", "SMTP_"];
/// Variables of this program that are not among [`all_variables`]: secrets.
const SECRETS: [&str; 6] = [
    "SESSION_SECRET_KEY",
    "PORTFOLIO_API_KEY_SECRET",
    "SERVICE_TOKENS",
    "TOKEN_SIGNING_KEY",
    "EDGE_PROOF_KEY",
    "VAULT_TOKEN",
];

/// Returns the names of variables that are set as if they meant something to this program, and do not: unknown ones that look
/// like ours, and those of a part that was not chosen.
pub fn without_effect(environment: &Environment, settings: &ServerSettings) -> Vec<String> {
    let is_known = |name: &str| {
        let mut names = all_variables().flat_map(|variable| {
            std::iter::once(variable.name).chain(variable.aliases.iter().map(|alias| alias.name))
        });
        names.any(|known| known == name) || SECRETS.contains(&name)
    };
    let looks_like_ours = |name: &str| OURS.iter().any(|prefix| name.starts_with(prefix));
    let unused = settings.unused_variables();
    let has_none = |name: &&str| (looks_like_ours(name) && !is_known(name)) || unused.contains(name);
    environment.names().filter(has_none).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_variable_of_ours_and_is_none_is_named() {
        let set = [
            ("KMS_KEY_ID", "x"),
            ("SMTP_HOST", "x"),
            ("JWT_SECRET_KEY", "x"),
            ("PORTFOLIO_DEBUG", "1"),
            ("PORTFOLIO_API_KEY_SECRET", "x"),
            ("PORTFOLIO_PASSWORD_ROTATION_DAYS", "1"),
            ("KITE_API_URL", "https://x.example"),
            ("PATH", "/bin"),
            ("RUST_LOG", "warn"),
        ];
        let named = |set: &[(&'static str, &'static str)]| {
            let environment: Environment = set.iter().copied().collect();
            without_effect(&environment, &ServerSettings::read(environment.clone()).unwrap())
        };
        assert_eq!(named(&set), ["JWT_SECRET_KEY", "KMS_KEY_ID", "PORTFOLIO_DEBUG", "SMTP_HOST"]);
        let table = [("STORE", "dynamodb"), ("TABLE_NAME", "t")];
        assert!(named(&table).is_empty());
        assert_eq!(named(&table[1..]), ["TABLE_NAME"]);
    }

    #[test]
    fn a_bad_value_of_the_process_names_its_variable() {
        let of = |name: &'static str, value: &'static str| {
            let environment: Environment = [(name, value)].into_iter().collect();
            ProcessSettings::read(&environment).unwrap_err().to_string()
        };
        for (name, value) in [
            ("METRICS_ADDR", "9464"),
            ("DRAIN_SECONDS", "301"),
            ("DRAIN_SECONDS", "1000000"),
            ("TLS_KEY_FILE", "x"),
        ] {
            let error = of(name, value);
            assert!(
                error.starts_with("TLS_CERT_FILE: ") || error.starts_with(&format!("{name}: ")),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1);
        }
        assert!(logs_json(&[("LOG_FORMAT", "xml")].into_iter().collect()).is_err());
    }

    #[test]
    fn a_bad_filter_names_its_variable() {
        log_filter(&Environment::default()).unwrap();
        let error = log_filter(&[("RUST_LOG", "a=b=c")].into_iter().collect()).unwrap_err().to_string();
        assert!(error.starts_with("RUST_LOG: ") && error.lines().count() == 1, "{error}");
    }
}
