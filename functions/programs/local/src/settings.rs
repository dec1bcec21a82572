//! The configuration of the local service, beside the settings that all programs share.

use portcullis_platform::{Environment, Misconfigured, Variable};
use portcullis_service::LocalSettings;
use tracing_subscriber::EnvFilter;

const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: "warn,portcullis_http=info",
    about: "what is logged, as tracing's EnvFilter reads it",
    aliases: &[],
};

/// Returns what is logged; fails with one line when the filter cannot be read.
pub fn log_filter(environment: &Environment) -> Result<EnvFilter, Misconfigured> {
    let filter = environment.text(&RUST_LOG)?;
    EnvFilter::try_new(filter).map_err(|error| Misconfigured::new(RUST_LOG.name, error.to_string()))
}

/// Returns every variable the local service reads, for `--help`.
pub fn all_variables() -> impl Iterator<Item = &'static Variable> {
    LocalSettings::variables().chain([&RUST_LOG])
}

/// What names of variables for this product, and for those it takes the place of, begin with.
const OURS: [&str; 5] = ["PORTCULLIS_", "PORTFOLIO_", "JWT_", "KITE_", "ALPACA_"];
/// Variables of the functions on AWS.
const OF_FUNCTIONS: [&str; 8] = [
    "TABLE_NAME",
    "KMS_KEY_ID",
    "BROKER_KMS_KEY_ID",
    "MAIL_FROM",
    "SECRETS_PROVIDER",
    "AWS_SECRET_NAME",
    "VAULT_SECRET_PATH",
    "VAULT_VERIFY",
];
/// Variables of this program that are not among [`all_variables`]: secrets, and what the tests run it with.
const SECRETS: [&str; 5] = [
    "SESSION_SECRET_KEY",
    "PORTFOLIO_API_KEY_SECRET",
    "SERVICE_TOKENS",
    "TOKEN_SIGNING_KEY",
    "EDGE_PROOF_KEY",
];

/// Returns the names of variables that are set as if they meant something to this program, and do not.
pub fn without_effect(environment: &Environment) -> Vec<String> {
    let is_known = |name: &str| {
        let mut names = all_variables().flat_map(|variable| {
            std::iter::once(variable.name).chain(variable.aliases.iter().map(|alias| alias.name))
        });
        names.any(|known| known == name) || SECRETS.contains(&name)
    };
    let looks_like_ours =
        |name: &str| OURS.iter().any(|prefix| name.starts_with(prefix)) || OF_FUNCTIONS.contains(&name);
    environment.names().filter(|name| looks_like_ours(name) && !is_known(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_variable_of_ours_and_is_none_is_named() {
        let set = [
            ("SECRETS_PROVIDER", "vault"),
            ("JWT_SECRET_KEY", "x"),
            ("PORTFOLIO_DEBUG", "1"),
            ("PORTFOLIO_API_KEY_SECRET", "x"),
            ("PORTFOLIO_PASSWORD_ROTATION_DAYS", "1"),
            ("KITE_API_URL", "https://x.example"),
            ("PATH", "/bin"),
            ("RUST_LOG", "warn"),
        ];
        let named = without_effect(&set.into_iter().collect());
        assert_eq!(named, ["JWT_SECRET_KEY", "PORTFOLIO_DEBUG", "SECRETS_PROVIDER"]);
    }

    #[test]
    fn a_bad_filter_names_its_variable() {
        log_filter(&Environment::default()).unwrap();
        let error = log_filter(&[("RUST_LOG", "a=b=c")].into_iter().collect()).unwrap_err().to_string();
        assert!(error.starts_with("RUST_LOG: ") && error.lines().count() == 1, "{error}");
    }
}
