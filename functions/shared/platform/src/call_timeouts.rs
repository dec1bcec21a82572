//! The timeouts of calls to the services that keep the state: the table, the secrets and the master key.

use std::time::Duration;

use crate::{Environment, Misconfigured, Variable};

/// The variable that [`CallTimeouts::read`] reads.
pub const CALL_TIMEOUT_MS: Variable = Variable {
    name: "CALL_TIMEOUT_MS",
    default: "800",
    about: "milliseconds that one attempt of a call to the table, the secrets or KMS may take, 100 to 60000; a call has three attempts",
    aliases: &[],
};

/// The first attempt and two retries.
const MAX_ATTEMPTS: u32 = 3;
/// What the backoffs between the attempts take together.
const BACKOFFS: Duration = Duration::from_millis(100);

/// How long calls may take. The SDK limits nothing beyond connecting, and a call that hangs would hold its request until
/// API Gateway gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTimeouts {
    attempt: Duration,
}

impl CallTimeouts {
    /// Returns the timeouts that follow from this one of an attempt.
    pub const fn of_attempt(attempt: Duration) -> Self {
        Self { attempt }
    }

    /// Returns the timeouts that `CALL_TIMEOUT_MS` makes; fails when it is no number in its range.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let attempt = environment.number(&CALL_TIMEOUT_MS, 100..=60_000)?;
        Ok(Self::of_attempt(Duration::from_millis(attempt)))
    }

    /// Returns the timeout of connecting.
    pub fn connect(self) -> Duration {
        self.attempt * 3 / 8
    }

    /// Returns the timeout of one attempt.
    pub fn attempt(self) -> Duration {
        self.attempt
    }

    /// Returns how many attempts there are.
    pub fn attempts(self) -> u32 {
        MAX_ATTEMPTS
    }

    /// Returns the timeout of all attempts with the backoffs between them.
    pub fn call(self) -> Duration {
        self.attempt * MAX_ATTEMPTS + BACKOFFS
    }
}

impl Default for CallTimeouts {
    /// Returns those of the variable's default.
    fn default() -> Self {
        Self::of_attempt(Duration::from_millis(800))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_follow_from_the_timeout_of_an_attempt() {
        let timeouts = CallTimeouts::read(&Environment::default()).unwrap();
        assert_eq!(timeouts, CallTimeouts::default());
        let millis = |duration: Duration| duration.as_millis();
        assert_eq!((millis(timeouts.connect()), millis(timeouts.call())), (300, 2_500));
        let of = |text: &str| CallTimeouts::read(&[(CALL_TIMEOUT_MS.name, text)].into_iter().collect());
        assert_eq!(of("60000").unwrap().attempt(), Duration::from_mins(1));
        for bad in ["99", "60001", "0.8", "1s"] {
            assert_eq!(of(bad).unwrap_err().variable, CALL_TIMEOUT_MS.name, "{bad}");
        }
    }
}
