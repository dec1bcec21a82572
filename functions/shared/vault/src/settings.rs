//! The vault's configuration. Each broker declares and reads its own variables.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured, Variable};
use portcullis_store::EVERYBODY_REMEMBERED;

use crate::brokers::{self, Broker};

const PROVIDERS: Variable = Variable {
    name: "PROVIDERS",
    default: "",
    about: "names of providers beside the brokers to keep health counters for, separated by commas",
    aliases: &[],
};
const PROVIDER_CHECK_INTERVAL: Variable = Variable {
    name: "PROVIDER_CHECK_INTERVAL",
    default: "300",
    about: "seconds between two probes of every broker, 10 to 86400; 0 for none",
    aliases: &[],
};
const CREDENTIAL_MAX_AGE: Variable = Variable {
    name: "CREDENTIAL_MAX_AGE",
    default: "7776000",
    about: "seconds after which credentials are re-encrypted under a new data key",
    aliases: &[],
};

const FREEZE_CANCEL_GRACE: Variable = Variable {
    name: "FREEZE_CANCEL_GRACE",
    default: "20",
    about: "seconds after a freeze in which services may read sessions to cancel orders, 0 to 120; 0 for none",
    aliases: &[],
};

const CREDENTIAL_LEASE_TTL: Variable = Variable {
    name: "CREDENTIAL_LEASE_TTL",
    default: "300",
    about: "seconds for which a service that reads credentials again needs no decryption by the master key, 0 to 3600; 0 for none",
    aliases: &[],
};

const OWN: &[Variable] =
    &[PROVIDERS, PROVIDER_CHECK_INTERVAL, CREDENTIAL_MAX_AGE, CREDENTIAL_LEASE_TTL, FREEZE_CANCEL_GRACE];

/// Returns every variable that the vault and its brokers read, for `--help`.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    brokers::variables().chain(OWN)
}

/// The vault's configuration, checked.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// The brokers, each with its addresses.
    pub brokers: Vec<Arc<dyn Broker>>,
    /// Providers beside the brokers.
    pub providers: BTreeSet<String>,
    /// Time between two probes; `None` where brokers are not to be asked.
    pub check_interval: Option<Duration>,
    /// How long credentials stay under one data key.
    pub credential_max_age: Duration,
    /// How long a reading is a lease; zero for not at all.
    pub credential_lease: Duration,
    /// How long after a freeze services may read sessions to cancel orders; zero for not at all.
    pub cancel_grace: Duration,
}

impl VaultSettings {
    /// Returns the configuration that [`variables`] hold; fails with the first variable that cannot be used.
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
            brokers: brokers::read(environment)?,
            providers,
            check_interval: match environment.text(&PROVIDER_CHECK_INTERVAL)?.as_str() {
                "0" => None,
                _ => Some(environment.seconds(&PROVIDER_CHECK_INTERVAL, 10..=DAY)?),
            },
            credential_max_age: environment.seconds(&CREDENTIAL_MAX_AGE, 60 * 60..=3_650 * DAY)?,
            credential_lease: environment
                .seconds(&CREDENTIAL_LEASE_TTL, 0..=EVERYBODY_REMEMBERED.as_secs())?,
            cancel_grace: environment.seconds(&FREEZE_CANCEL_GRACE, 0..=120)?,
        })
    }
}

fn is_provider(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
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
    fn brokers_are_asked_every_so_often_or_never() {
        let interval =
            |text: &str| read("PROVIDER_CHECK_INTERVAL", text).map(|settings| settings.check_interval);
        assert_eq!(interval(""), Ok(Some(Duration::from_mins(5))));
        assert_eq!(interval("0"), Ok(None));
        assert!(interval("9").unwrap_err().starts_with("PROVIDER_CHECK_INTERVAL: "));
    }

    #[test]
    fn a_grace_is_two_minutes_at_most() {
        let grace = |text: &str| read("FREEZE_CANCEL_GRACE", text).map(|settings| settings.cancel_grace);
        assert_eq!(grace(""), Ok(Duration::from_secs(20)));
        assert_eq!((grace("0"), grace("120")), (Ok(Duration::ZERO), Ok(Duration::from_mins(2))));
        for bad in ["121", "1000000", "-1", "20s"] {
            assert!(grace(bad).unwrap_err().starts_with("FREEZE_CANCEL_GRACE: "), "{bad}");
        }
    }

    #[test]
    fn a_lease_is_an_hour_at_most() {
        let lease = |text: &str| read("CREDENTIAL_LEASE_TTL", text).map(|settings| settings.credential_lease);
        assert_eq!(lease(""), Ok(Duration::from_mins(5)));
        assert_eq!((lease("0"), lease("3600")), (Ok(Duration::ZERO), Ok(Duration::from_hours(1))));
        for bad in ["3601", "1000000", "-1", "5m"] {
            assert!(lease(bad).unwrap_err().starts_with("CREDENTIAL_LEASE_TTL: "), "{bad}");
        }
    }

    #[test]
    fn providers_are_plain_words() {
        assert_eq!(read("PROVIDERS", " yahoo, nse-data ,").unwrap().providers.len(), 2);
        assert!(read("PROVIDERS", "a#b").unwrap_err().starts_with("PROVIDERS: `a#b`"));
    }
}
