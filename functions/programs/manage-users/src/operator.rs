//! Who runs the command, for the audit trail: never nobody.

use portcullis_identity::{Operator, without_unprintable};
use portcullis_platform::Environment;

use crate::failure::Failure;

/// The longest name that the trail takes: an ARN fits.
const LONGEST: usize = 256;
/// Where a Unix system says who runs a process, and who that is.
const OWN_PROCESS: &str = "/proc/self";
const USERS: &str = "/etc/passwd";

/// Returns the operator: the name that was given, else the caller's ARN, else the user of the operating system, before
/// `sudo` if there was one. Fails when nobody knows.
pub(crate) fn named(
    given: Option<&str>,
    arn: Option<String>,
    environment: &Environment,
) -> Result<Operator, Failure> {
    let of_environment = || {
        let names = ["SUDO_USER", "USER", "LOGNAME"];
        names.into_iter().find_map(|name| environment.raw(name)).map(str::to_owned)
    };
    let given = given.map(str::to_owned);
    [given, arn]
        .into_iter()
        .chain([of_environment(), user_of_process()])
        .flatten()
        .find_map(|name| plain(&name))
        .map_or_else(
            || Err(Failure::Unusable("nobody knows who runs this: say --as NAME".to_owned())),
            |name| Ok(Operator::CommandLine(name)),
        )
}

/// Returns the name as the trail has it; none for one that is nothing but what cannot be seen.
fn plain(name: &str) -> Option<String> {
    let plain: String = without_unprintable(name.trim()).take(LONGEST).collect();
    (!plain.is_empty()).then_some(plain)
}

#[cfg(unix)]
fn user_of_process() -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let id = std::fs::metadata(OWN_PROCESS).ok()?.uid().to_string();
    let users = std::fs::read_to_string(USERS).unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(id.as_str())).then(|| name.to_owned())
    });
    Some(name.unwrap_or_else(|| format!("uid {id}")))
}

#[cfg(not(unix))]
fn user_of_process() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_runs_it_has_a_name() {
        let named = |given: Option<&str>, arn: Option<&str>, variables: &[(&str, &str)]| {
            let environment = variables
                .iter()
                .fold(Environment::default(), |environment, (name, value)| environment.with(name, value));
            match named(given, arn.map(str::to_owned), &environment).unwrap() {
                Operator::CommandLine(name) => name,
                other @ Operator::Admin(_) => panic!("{other:?}"),
            }
        };
        let both = [("SUDO_USER", "asha"), ("USER", "root")];
        assert_eq!(named(Some("on-call"), Some("arn:aws:iam::1:user/a"), &both), "on-call");
        assert_eq!(named(None, Some("arn:aws:iam::1:user/a"), &both), "arn:aws:iam::1:user/a");
        assert_eq!(named(None, None, &both), "asha");
        assert_eq!(named(None, None, &[("USER", "bela")]), "bela");
        assert_eq!(named(Some(" \n"), None, &[("USER", "be\u{1b}\u{202e}la")]), "bela");
        assert_ne!(named(None, None, &[]), "unknown");
        assert_eq!(named(Some(&"x".repeat(1_000_000)), None, &[]).len(), LONGEST);
    }
}
