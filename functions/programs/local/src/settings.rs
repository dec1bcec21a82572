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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_names_its_variable() {
        log_filter(&Environment::default()).unwrap();
        let error = log_filter(&[("RUST_LOG", "a=b=c")].into_iter().collect()).unwrap_err().to_string();
        assert!(error.starts_with("RUST_LOG: ") && error.lines().count() == 1, "{error}");
    }
}
