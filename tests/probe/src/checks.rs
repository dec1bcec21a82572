//! The properties, one module each. A check makes its own people, so that no check depends on another.

mod codes;
mod enumeration;
mod forged;
mod lockout;
mod races;
mod replays;
mod rotation;
mod tabs;

use clap::ValueEnum;
use serde_json::json;

use crate::client::{Ask, Trouble};
use crate::probe::Probe;
use crate::report::Finding;

/// A property that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// Tabs of a browser that refresh at once.
    Tabs,
    /// Access tokens that nobody issued, many of them.
    Forged,
    /// Refreshes without a pause, through several rotations.
    Rotation,
    /// What the time of a refusal tells.
    Enumeration,
    /// Strangers who guess.
    Lockout,
    /// What was used once.
    Replays,
    /// What may happen once, many times at once.
    Races,
}

impl Check {
    /// All of them, in the order they are tried: those that fail sign-ins come last, since a client address may only fail so
    /// often.
    pub const ALL: [Self; 7] = [
        Self::Tabs,
        Self::Forged,
        Self::Rotation,
        Self::Replays,
        Self::Races,
        Self::Enumeration,
        Self::Lockout,
    ];

    /// Returns the name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tabs => "tabs",
            Self::Forged => "forged",
            Self::Rotation => "rotation",
            Self::Enumeration => "enumeration",
            Self::Lockout => "lockout",
            Self::Replays => "replays",
            Self::Races => "races",
        }
    }

    /// Returns what has to hold.
    pub fn about(self) -> &'static str {
        match self {
            Self::Tabs => "tabs that refresh at once all stay signed in, with one token",
            Self::Forged => "a flood of forged access tokens is refused, and shuts nobody out",
            Self::Rotation => "refreshes under load are never refused, never branch, and their tokens verify",
            Self::Enumeration => "a known address is refused like an unknown one, in words and in time",
            Self::Lockout => "guessing is throttled, and does not keep the owner out",
            Self::Replays => "what was used, signed out or replaced opens nothing any more",
            Self::Races => "what may happen once happens once, however many ask at the same time",
        }
    }

    /// Tries it; fails when it cannot be tried.
    pub async fn try_on(self, probe: &Probe) -> Result<Finding, Trouble> {
        match self {
            Self::Tabs => tabs::check(probe).await,
            Self::Forged => forged::check(probe).await,
            Self::Rotation => rotation::check(probe).await,
            Self::Enumeration => enumeration::check(probe).await,
            Self::Lockout => lockout::check(probe).await,
            Self::Replays => replays::check(probe).await,
            Self::Races => races::check(probe).await,
        }
    }
}

/// Returns a sign-out of this refresh token.
fn sign_out(token: &str) -> Ask {
    Ask::post("/v1/auth/logout", json!({"refresh_token": token}))
}

/// Returns whole milliseconds, as figures have them.
fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
