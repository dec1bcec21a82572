//! When brokers end sessions: the rules, as data. Each broker's file names the document that it took its rule from.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// India has had one offset and no summer time since 1945.
const INDIA: Offset = Offset::constant(5);
const HALF_HOUR_MORE: i64 = 30;

/// When a broker ends a session that begins now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// At the next time of day like this in India, holidays or not.
    InIndiaAt(Time),
    /// So long after it began.
    After(Duration),
    /// When the token, a JWT, says itself, and no later than so long after it began.
    AsTokenSays {
        /// The longest that is believed, and what holds for a token that does not say it.
        at_most: Duration,
    },
}

impl Expiry {
    /// Returns when a session ends that begins `now` with this token.
    pub(super) fn of(self, now: Timestamp, token: &SecretString) -> Timestamp {
        match self {
            Self::InIndiaAt(time) => next_in_india(time, now),
            Self::After(lasts) => now + lasts,
            Self::AsTokenSays { at_most } => {
                let latest = now + at_most;
                expiry_claim(token).map_or(latest, |said| said.min(latest))
            }
        }
    }
}

/// Returns the next time of day like this in India.
fn next_in_india(time: Time, now: Timestamp) -> Timestamp {
    let india = TimeZone::fixed(INDIA.saturating_add(Span::new().minutes(HALF_HOUR_MORE)));
    let there = now.to_zoned(india.clone());
    let day = if there.time() < time {
        there.date()
    } else {
        there.date().tomorrow().unwrap_or_else(|_| there.date())
    };
    day.to_datetime(time).to_zoned(india).map_or(now, |end| end.timestamp())
}

/// Returns what a JWT says of its own end; `None` where it is none, or does not. The signature is the broker's affair: the
/// token came from the broker itself, over TLS, and nobody is let in by what it says.
fn expiry_claim(token: &SecretString) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = token.expose_secret().split('.').nth(1)?;
    let claims = BASE64URL.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.exp).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn end(rule: Expiry, now: &str, token: &str) -> String {
        rule.of(now.parse().unwrap(), &token.into()).to_string()
    }

    fn jwt(claims: &str) -> String {
        format!("{}.{}.c2ln", BASE64URL.encode("{}"), BASE64URL.encode(claims))
    }

    #[test]
    fn a_time_of_day_in_india_is_the_next_one() {
        let six = Expiry::InIndiaAt(time(6, 0, 0, 0));
        assert_eq!(end(six, "2026-11-21T05:00:00Z", ""), "2026-11-22T00:30:00Z");
        assert_eq!(end(six, "2026-11-22T00:29:59.999Z", ""), "2026-11-22T00:30:00Z");
        assert_eq!(end(six, "2026-11-22T00:30:00Z", ""), "2026-11-23T00:30:00Z");
        assert_eq!(end(six, "2026-12-31T20:00:00Z", ""), "2027-01-01T00:30:00Z");
        // Upstox' own examples: made at 8 p.m. on a Tuesday, and at 2.30 a.m. on the Wednesday.
        let half_past_three = Expiry::InIndiaAt(time(3, 30, 0, 0));
        for made in ["2026-11-24T14:30:00Z", "2026-11-24T21:00:00Z"] {
            assert_eq!(end(half_past_three, made, ""), "2026-11-24T22:00:00Z");
        }
    }

    #[test]
    fn a_token_is_believed_up_to_a_limit() {
        let rule = Expiry::AsTokenSays { at_most: DAY };
        let now = "2026-11-21T05:00:00Z";
        let tomorrow = "2026-11-22T05:00:00Z";
        // 2026-11-22T00:30:00Z
        assert_eq!(end(rule, now, &jwt(r#"{"exp":1795307400}"#)), "2026-11-22T00:30:00Z");
        for unusable in [&jwt(r#"{"exp":4102444800}"#), &jwt("{}"), &jwt(r#"{"exp":"x"}"#), "opaque", "a.%.c"]
        {
            assert_eq!(end(rule, now, unusable), tomorrow, "{unusable}");
        }
        assert_eq!(end(Expiry::After(DAY), now, ""), tomorrow);
    }
}
