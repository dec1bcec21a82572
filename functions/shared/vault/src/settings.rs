//! Where brokers are, and how patient one is with them.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured, Variable};
use url::{Host, Url};

const KITE_API_URL: Variable = Variable {
    name: "KITE_API_URL",
    default: "https://api.kite.trade",
    about: "where Kite Connect answers",
    aliases: &[],
};
const KITE_LOGIN_URL: Variable = Variable {
    name: "KITE_LOGIN_URL",
    default: "https://kite.zerodha.com/connect/login",
    about: "where people log in at Kite",
    aliases: &[],
};
const ALPACA_API_URL: Variable = Variable {
    name: "ALPACA_API_URL",
    default: "https://api.alpaca.markets",
    about: "where Alpaca's live trading answers",
    aliases: &[],
};
const ALPACA_PAPER_API_URL: Variable = Variable {
    name: "ALPACA_PAPER_API_URL",
    default: "https://paper-api.alpaca.markets",
    about: "where Alpaca's paper trading answers",
    aliases: &[],
};
const PROVIDERS: Variable = Variable {
    name: "PROVIDERS",
    default: "",
    about: "names of further providers whose health is kept, separated by commas; brokers are always among them",
    aliases: &[],
};
const PROVIDER_CHECK_INTERVAL: Variable = Variable {
    name: "PROVIDER_CHECK_INTERVAL",
    default: "300",
    about: "seconds between two probes of every broker",
    aliases: &[],
};
const CREDENTIAL_MAX_AGE: Variable = Variable {
    name: "CREDENTIAL_MAX_AGE",
    default: "7776000",
    about: "seconds after which credentials are sealed anew under another data key",
    aliases: &[],
};

/// The variables read here, for `--help`.
pub const VARIABLES: &[Variable] = &[
    KITE_API_URL,
    KITE_LOGIN_URL,
    ALPACA_API_URL,
    ALPACA_PAPER_API_URL,
    PROVIDERS,
    PROVIDER_CHECK_INTERVAL,
    CREDENTIAL_MAX_AGE,
];

/// Everything the vault is told, checked.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Where brokers answer.
    pub urls: BrokerUrls,
    /// Providers beside the brokers.
    pub providers: BTreeSet<String>,
    /// Time between two probes.
    pub check_interval: Duration,
    /// How long credentials stay under one data key.
    pub credential_max_age: Duration,
}

/// Where brokers answer.
#[derive(Debug, Clone)]
pub struct BrokerUrls {
    /// Kite Connect.
    pub kite_api: Url,
    /// Kite's login page.
    pub kite_login: Url,
    /// Alpaca, live.
    pub alpaca_api: Url,
    /// Alpaca, paper.
    pub alpaca_paper_api: Url,
}

impl VaultSettings {
    /// Reads and checks every variable of [`VARIABLES`].
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        const DAY: u64 = 24 * 60 * 60;
        let names = environment.text(&PROVIDERS)?;
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let providers: BTreeSet<String> = names.map(str::to_owned).collect();
        if let Some(bad) = providers.iter().find(|name| !is_provider(name)) {
            let reason = format!("`{}` is not 1 to 32 of a-z, 0-9 and `-`", bad.escape_debug());
            return Err(Misconfigured::new(PROVIDERS.name, reason));
        }
        Ok(Self {
            urls: BrokerUrls {
                kite_api: address(environment, &KITE_API_URL)?,
                kite_login: address(environment, &KITE_LOGIN_URL)?,
                alpaca_api: address(environment, &ALPACA_API_URL)?,
                alpaca_paper_api: address(environment, &ALPACA_PAPER_API_URL)?,
            },
            providers,
            check_interval: environment.seconds(&PROVIDER_CHECK_INTERVAL, 10..=DAY)?,
            credential_max_age: environment.seconds(&CREDENTIAL_MAX_AGE, 60 * 60..=3_650 * DAY)?,
        })
    }
}

fn is_provider(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

/// Credentials travel there, so it is TLS or this machine.
fn address(environment: &Environment, variable: &Variable) -> Result<Url, Misconfigured> {
    let text = environment.text(variable)?;
    let wanted =
        || Misconfigured::new(variable.name, "must be https://…, or http://… on loopback, without a query");
    let url = Url::parse(&text).map_err(|_| wanted())?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if is_safe && is_plain && url.fragment().is_none() { Ok(url) } else { Err(wanted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<VaultSettings, String> {
        let environment = [(name, value)].into_iter().collect();
        VaultSettings::read(&environment).map_err(|error| error.to_string())
    }

    #[test]
    fn credentials_go_nowhere_in_the_clear() {
        assert!(VaultSettings::read(&Environment::default()).is_ok());
        assert!(read("KITE_API_URL", "http://127.0.0.1:9000").is_ok());
        for bad in [
            "http://api.kite.trade",
            "ftp://localhost",
            "https://u:p@x.example",
            "https://x.example?a",
            "kite",
        ] {
            assert!(read("KITE_API_URL", bad).unwrap_err().starts_with("KITE_API_URL: "), "{bad}");
        }
    }

    #[test]
    fn providers_are_plain_words() {
        assert_eq!(read("PROVIDERS", " yahoo, nse-data ,").unwrap().providers.len(), 2);
        assert!(read("PROVIDERS", "a#b").unwrap_err().starts_with("PROVIDERS: `a#b`"));
    }
}
