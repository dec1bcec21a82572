//! Verification of codes: TOTP codes and backup codes, and the backoff after wrong ones.

use jiff::Timestamp;
use portcullis_store::{ActiveFactor, Digest, Factor};
use secrecy::{ExposeSecret, SecretString};

use super::backup_code;
use super::totp::{self, TotpSecret};
use crate::error::Error;
use crate::sign_in::attempts::BackoffPolicy;
use crate::sign_in::login::unix_seconds;

/// One million codes, two of them right at any time: after a day and a half an attacker has had some 50 attempts.
const CODE_BACKOFF: BackoffPolicy = BackoffPolicy {
    free: 5,
    first: std::time::Duration::from_secs(1),
    longest: std::time::Duration::from_hours(1),
};

/// A code as it was typed, unverified.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(from = "SecretString")]
pub struct PresentedCode(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Six digits of an authenticator app (RFC 6238).
    Totp(SecretString),
    /// A backup code in its canonical form.
    Backup(SecretString),
    /// Neither of them; it counts as a wrong code.
    Neither,
}

/// The result of checking a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// A TOTP code of this time step, which was not spent.
    Step(u64),
    /// The backup code with this digest.
    Backup(Digest),
    /// A code that was spent before. It is refused, but not counted as a failed attempt: a button pressed twice is no
    /// attack.
    Spent,
    /// A wrong code.
    Nothing,
}

impl PresentedCode {
    /// Reads what was typed; spaces do not count. Anything may be tried.
    pub fn new(typed: &SecretString) -> Self {
        let digits: SecretString = typed
            .expose_secret()
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect::<String>()
            .into();
        let text = digits.expose_secret();
        if text.len() == usize::from(totp::DIGITS) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self(Kind::Totp(digits));
        }
        Self(backup_code::canonical(typed).map_or(Kind::Neither, Kind::Backup))
    }

    /// Returns the code in its one spelling; empty for what is none.
    pub(crate) fn text(&self) -> &str {
        match &self.0 {
            Kind::Totp(code) | Kind::Backup(code) => code.expose_secret(),
            Kind::Neither => "",
        }
    }

    /// Returns whether the code is right for this copy of the factor. The decision holds only if the store then swaps
    /// the row whose copy this is.
    pub(super) fn worth(
        &self,
        secret: &TotpSecret,
        active: &ActiveFactor,
        now: Timestamp,
    ) -> Result<Worth, Error> {
        match &self.0 {
            // No app has the secret: whatever digits are shown are guessed.
            Kind::Totp(_) if active.codes_only => Ok(Worth::Nothing),
            Kind::Totp(_) => Ok(match self.step(secret, now)? {
                Some(step) if step > active.last_step => Worth::Step(step),
                Some(_) => Worth::Spent,
                None => Worth::Nothing,
            }),
            Kind::Backup(code) => {
                let digest = backup_code::digest(secret, code.expose_secret())?;
                let same =
                    |kept: &Digest| aws_lc_rs::constant_time::verify_slices_are_equal(kept, &digest).is_ok();
                // No early exit: the response time does not tell how many codes are left.
                let found = active.backup_codes.iter().fold(false, |found, kept| found | same(kept));
                Ok(if found { Worth::Backup(digest) } else { Worth::Nothing })
            }
            Kind::Neither => Ok(Worth::Nothing),
        }
    }

    /// Returns the time step of a TOTP code; `None` for a wrong code and for a backup code.
    pub(super) fn step(&self, secret: &TotpSecret, now: Timestamp) -> Result<Option<u64>, Error> {
        match &self.0 {
            Kind::Totp(code) => secret.step_of(code, unix_seconds(now)),
            Kind::Backup(_) | Kind::Neither => Ok(None),
        }
    }
}

impl From<SecretString> for PresentedCode {
    fn from(typed: SecretString) -> Self {
        Self::new(&typed)
    }
}

/// Returns [`Error::TooManyAttempts`] while the factor is throttled. The time is read from the same copy of the row
/// that the next swap is conditional on, so that parallel codes cannot slip past it.
pub(super) fn check_throttle(factor: &Factor, now: Timestamp) -> Result<(), Error> {
    match factor.blocked_until {
        Some(until) if until > now => {
            Err(Error::TooManyAttempts { retry_after: until.duration_since(now).unsigned_abs() })
        }
        _ => Ok(()),
    }
}

/// Returns the factor after one more wrong code: one failure more, and throttled once the free ones are used up.
pub(super) fn after_wrong_code(factor: &Factor, now: Timestamp) -> Factor {
    let failures = factor.failures.saturating_add(1);
    let blocked_until = CODE_BACKOFF.wait_after(failures).map(|wait| now + wait);
    Factor { failures, blocked_until, ..factor.clone() }
}

/// Returns the factor after a right code: the code is spent and the count of failures starts again.
pub(super) fn after_right_code(factor: &Factor, active: &ActiveFactor, worth: Worth) -> Factor {
    let mut active = active.clone();
    match worth {
        Worth::Step(step) => active.last_step = step,
        Worth::Backup(digest) => active.backup_codes.retain(|kept| *kept != digest),
        Worth::Spent | Worth::Nothing => {}
    }
    Factor { active: Some(active), failures: 0, blocked_until: None, ..factor.clone() }
}
