//! The process environment: every variable the product reads is declared, documented and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// One environment variable, declared as a constant by the crate that reads it and listed by `--help`.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The name of the environment variable.
    pub name: &'static str,
    /// The value used when the variable is unset, written as it would be set; empty when there is no default.
    pub default: &'static str,
    /// The description that `--help` prints: one line, with the unit.
    pub about: &'static str,
    /// Older names, and names used by other products, that are accepted too.
    pub aliases: &'static [Alias],
}

/// Another name under which a variable is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    /// The accepted alternative name.
    pub name: &'static str,
    /// The factor from the alias's unit to the variable's: 60 for an alias in minutes of a variable in seconds.
    pub factor: u64,
}

/// The error for a configuration value that cannot be used; its text is the one line printed to the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct Misconfigured {
    /// The variable to change.
    pub variable: &'static str,
    /// What is wrong and which values are accepted. Never contains a secret.
    pub reason: String,
}

impl Misconfigured {
    /// Returns the error for one variable.
    pub fn new(variable: &'static str, reason: impl Into<String>) -> Self {
        Self { variable, reason: reason.into() }
    }
}

/// A snapshot of the environment. It may hold secrets, so it does not print its values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Environment {
    /// Returns the environment of this process. Values that are not UTF-8 are left out: no variable of the product may
    /// have one.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Returns the text of a variable: its own value, an alias's, or the default. An empty value counts as unset. Fails
    /// when two of its names are set to different values, or an alias cannot be converted.
    pub fn text(&self, variable: &Variable) -> Result<String, Misconfigured> {
        Ok(self.given(variable)?.unwrap_or_else(|| variable.default.to_owned()))
    }

    /// Returns the environment with this variable set, replacing its value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns the variable parsed as a `T`; fails when it does not parse. The default is parsed too, so that a bad
    /// default fails in the first test.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&self, variable: &Variable) -> Result<T, Misconfigured> {
        let text = self.text(variable)?;
        text.parse().map_err(|error| {
            Misconfigured::new(variable.name, format!("`{}` is not usable: {error}", shown(&text)))
        })
    }

    /// Returns the variable as a whole number; fails when it is none, or outside `range`.
    pub fn number(&self, variable: &Variable, range: RangeInclusive<u64>) -> Result<u64, Misconfigured> {
        let text = self.text(variable)?;
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            Misconfigured::new(
                variable.name,
                format!("`{}` is not a whole number from {low} to {high}", shown(&text)),
            )
        })
    }

    /// Returns the variable as a duration; fails when it is no whole number of seconds inside `range`.
    pub fn seconds(
        &self,
        variable: &Variable,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, Misconfigured> {
        self.number(variable, range).map(Duration::from_secs)
    }

    /// Returns a value by its bare name, for secrets, which have no default and no alias; none when unset or empty.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the names of all variables that are set, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str())
    }

    /// Returns the environment in which this variable has the value if it was unset or empty.
    #[must_use]
    pub fn or(mut self, name: &str, value: impl Into<String>) -> Self {
        if self.raw(name).is_none() {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }

    fn given(&self, variable: &Variable) -> Result<Option<String>, Misconfigured> {
        let mut found = self.raw(variable.name).map(|value| (variable.name, value.trim().to_owned()));
        for alias in variable.aliases {
            let Some(value) = self.raw(alias.name) else { continue };
            let value = scaled(value.trim(), alias)?;
            match &found {
                Some((name, first)) if *first != value => {
                    let reason = format!("says {value} where {name} says {first}; set only one of them");
                    return Err(Misconfigured::new(alias.name, reason));
                }
                _ => found = Some((alias.name, value)),
            }
        }
        Ok(found.map(|(_, value)| value))
    }
}

fn scaled(value: &str, alias: &Alias) -> Result<String, Misconfigured> {
    if alias.factor == 1 {
        return Ok(value.to_owned());
    }
    let number = value.parse::<u64>().ok().and_then(|number| number.checked_mul(alias.factor));
    number.map(|number| number.to_string()).ok_or_else(|| {
        Misconfigured::new(alias.name, format!("`{}` is not a usable whole number", shown(value)))
    })
}

/// Returns the value escaped and truncated, fit to be quoted in a one-line error.
fn shown(value: &str) -> String {
    const MOST: usize = 60;
    let mut text: String = value.chars().take(MOST).flat_map(char::escape_default).collect();
    if value.chars().count() > MOST {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Variable = Variable {
        name: "ACCESS_TOKEN_TTL",
        default: "900",
        about: "seconds",
        aliases: &[
            Alias { name: "ACCESS_TOKEN_EXPIRE_MINUTES", factor: 60 },
            Alias { name: "GATEWAY_TOKEN_TTL_SECONDS", factor: 1 },
        ],
    };

    fn seconds(pairs: &[(&str, &str)]) -> Result<u64, String> {
        let environment: Environment = pairs.iter().copied().collect();
        environment.number(&TTL, 1..=86_400).map_err(|error| error.to_string())
    }

    #[test]
    fn absent_and_empty_mean_the_default() {
        assert_eq!(seconds(&[]), Ok(900));
        assert_eq!(seconds(&[("ACCESS_TOKEN_TTL", "")]), Ok(900));
    }

    #[test]
    fn an_alias_is_converted_to_the_unit_of_the_variable() {
        assert_eq!(seconds(&[("ACCESS_TOKEN_EXPIRE_MINUTES", "5")]), Ok(300));
        assert_eq!(seconds(&[("GATEWAY_TOKEN_TTL_SECONDS", " 60 ")]), Ok(60));
    }

    #[test]
    fn two_names_may_agree_but_not_differ() {
        assert_eq!(seconds(&[("ACCESS_TOKEN_TTL", "300"), ("ACCESS_TOKEN_EXPIRE_MINUTES", "5")]), Ok(300));
        assert_eq!(
            seconds(&[("ACCESS_TOKEN_TTL", "900"), ("ACCESS_TOKEN_EXPIRE_MINUTES", "5")]),
            Err(
                "ACCESS_TOKEN_EXPIRE_MINUTES: says 300 where ACCESS_TOKEN_TTL says 900; set only one of them"
                    .into()
            )
        );
    }

    #[test]
    fn a_bad_number_is_named_with_what_would_do() {
        for bad in ["soon", "-1", "0", "86401", "1e3", "9\n9"] {
            let error = seconds(&[("ACCESS_TOKEN_TTL", bad)]).unwrap_err();
            assert!(error.starts_with("ACCESS_TOKEN_TTL: `"), "{error}");
            assert!(error.ends_with("is not a whole number from 1 to 86400"), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }

    #[test]
    fn values_are_not_printed() {
        let environment: Environment = [("SESSION_SECRET_KEY", "hunter2hunter2")].into_iter().collect();
        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}
