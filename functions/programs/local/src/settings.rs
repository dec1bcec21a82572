//! What the runner itself is told, and the whole configuration read at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use portcullis_http::{HttpSettings, PUBLIC_URL};
use portcullis_identity::IdentitySettings;
use portcullis_platform::{Environment, Misconfigured, Variable};
use portcullis_vault::VaultSettings;

const LISTEN_ADDR: Variable = Variable {
    name: "LISTEN_ADDR",
    default: "127.0.0.1:8001",
    about: "address and port to listen on",
    aliases: &[],
};
const DATA_DIR: Variable = Variable {
    name: "DATA_DIR",
    default: "./data",
    about: "folder of the database and the keys",
    aliases: &[],
};
const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: "warn,portcullis_http=info",
    about: "what is logged, as tracing's EnvFilter reads it",
    aliases: &[],
};

/// The whole configuration, checked.
#[derive(Debug)]
pub struct LocalSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the state lies.
    pub data_dir: PathBuf,
    /// What is logged.
    pub log: String,
    /// Of the HTTP surface.
    pub http: HttpSettings,
    /// Of accounts, sessions and tokens.
    pub identity: IdentitySettings,
    /// Of trading accounts and brokers.
    pub vault: VaultSettings,
    /// For the secrets it may hold.
    pub environment: Environment,
}

impl LocalSettings {
    /// Reads and checks every variable. Nothing is written.
    pub fn read(environment: Environment) -> Result<Self, Misconfigured> {
        let log = environment.text(&RUST_LOG)?;
        tracing_subscriber::EnvFilter::try_new(&log)
            .map_err(|error| Misconfigured::new(RUST_LOG.name, error.to_string()))?;
        let listen: SocketAddr = environment.parse(&LISTEN_ADDR)?;
        // Port 0 is whichever is free, and not known yet.
        let environment = match listen.port() {
            0 => environment,
            port => environment.or(PUBLIC_URL.name, format!("http://localhost:{port}")),
        };
        Ok(Self {
            listen,
            data_dir: PathBuf::from(environment.text(&DATA_DIR)?),
            log,
            http: HttpSettings::read(&environment)?,
            identity: IdentitySettings::read(&environment)?,
            vault: VaultSettings::read(&environment)?,
            environment,
        })
    }
}

/// Every variable the runner reads, for `--help`.
pub fn all_variables() -> impl Iterator<Item = &'static Variable> {
    const OWN: &[Variable] = &[LISTEN_ADDR, DATA_DIR, RUST_LOG];
    let of_parts = [portcullis_http::VARIABLES, portcullis_identity::VARIABLES];
    OWN.iter().chain(of_parts.into_iter().flatten()).chain(portcullis_vault::variables())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_usable() {
        LocalSettings::read(Environment::default()).unwrap();
    }

    #[test]
    fn another_port_is_the_one_clients_are_told_of() {
        let public_url = |given: &[(&'static str, &'static str)]| {
            let settings = LocalSettings::read(given.iter().copied().collect()).unwrap();
            settings.http.public_url.as_str().to_owned()
        };
        assert_eq!(public_url(&[("LISTEN_ADDR", "127.0.0.1:9000")]), "http://localhost:9000");
        assert_eq!(public_url(&[("LISTEN_ADDR", "127.0.0.1:0")]), "http://localhost:8001");
        let set = [("LISTEN_ADDR", "127.0.0.1:9000"), ("PUBLIC_URL", "https://auth.example.com")];
        assert_eq!(public_url(&set), "https://auth.example.com");
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        for (name, value) in [
            ("LISTEN_ADDR", "localhost"),
            ("ACCESS_TOKEN_TTL", "soon"),
            ("ARGON2_MEMORY_KIB", "1"),
            ("PUBLIC_URL", "http://example.com"),
            ("ALLOWED_ORIGINS", "*"),
            ("EMAIL_VERIFICATION", "perhaps"),
            ("PASSWORD_ROTATION_DAYS", "-1"),
            ("RATE_LIMIT", "no"),
            ("TOTP_ISSUER", "a:b"),
            ("KITE_API_URL", "http://api.kite.trade"),
            ("PROVIDERS", "No Spaces"),
            ("SERVICES", "[]"),
            ("SERVICES", r#"{"edge":["everything"]}"#),
            ("RUST_LOG", "a=b=c"),
        ] {
            let error = LocalSettings::read([(name, value)].into_iter().collect()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: ")) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn a_policy_that_names_an_unknown_role_is_refused_with_the_role() {
        let policy = r#"{"admin":{},"user":{"inherits":["wizard"]}}"#;
        let error = LocalSettings::read([("ROLE_DEFINITIONS", policy)].into_iter().collect()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ROLE_DEFINITIONS: role `user`: inherits from `wizard`, which is not defined"
        );
    }
}
