//! Which service a path belongs to, and who gets there.
//!
//! The table is a JSON array, the routes in any order; the longest prefix that fits counts:
//! `[{"prefix": "/v1/portfolio", "service": "portfolio", "upstreams": ["https://portfolio.internal.example"]}]`.
//! What a path means is decided once, here, on the very text that is forwarded: a path that another reader (one that
//! decodes, merges slashes, resolves dots or ignores case) could take for one of another route is refused, not repaired.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

mod document;
mod error;
mod path;
#[cfg(test)]
mod tests;

pub use error::RouteTableError;

use crate::Assurance;
use crate::policy::Permission;

/// The longest path that is looked at.
pub const MAX_PATH_BYTES: usize = 4096;

/// The most routes a table may have.
pub const MAX_ROUTES: usize = 256;

/// The longest `max_age` of a route, in seconds: a day.
pub const LONGEST_MAX_AGE: u32 = 86_400;

/// The most upstreams a route may have.
pub const MAX_UPSTREAMS: usize = 4;

/// Returns whether nobody on the way can read what is sent to an absolute URL: it is `https`, or of this machine, where tests and
/// `wrangler dev` have no certificate.
pub fn is_encrypted_or_local(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => authority.split(':').next(),
    };
    // What stands before an `@` is no host.
    !authority.contains('@') && matches!(host, Some("localhost" | "127.0.0.1" | "::1"))
}

/// Every route, the longest prefix first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTable {
    routes: Vec<Route>,
}

/// Where the requests under one prefix go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is written by itself, and none excludes another")]
pub struct Route {
    prefix: String,
    service: String,
    upstreams: Vec<String>,
    public: bool,
    critical: bool,
    trading: bool,
    keeps_sockets: bool,
    idempotency_keys: bool,
    timeout_seconds: Option<u32>,
    permission: Option<Permission>,
    proof_key: String,
    needed: Needed,
}

/// How a caller must have signed in (RFC 9470): how surely, and how long ago at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needed {
    /// The weakest `acr` that does.
    pub acr: Option<Assurance>,
    /// The greatest age of `auth_time` that does, in seconds.
    pub max_age: Option<u32>,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Astray {
    /// No route has a prefix of it.
    #[error("no route has this path")]
    Unknown,
    /// It has more than one reading.
    #[error("the path has more than one reading")]
    Ambiguous,
}

impl RouteTable {
    /// Reads and checks a table.
    pub fn parse(json: &str) -> Result<Self, RouteTableError> {
        Ok(Self { routes: document::parse(json)? })
    }

    /// The route of a path (without its query) as it came in the request.
    pub fn find(&self, path: &str) -> Result<&Route, Astray> {
        let other_reading = path::most_lenient_reading(path).ok_or(Astray::Ambiguous)?;
        let route = self.longest(path);
        let same = match &other_reading {
            None => true,
            Some(text) => self.longest(text).map(|other| &other.prefix) == route.map(|route| &route.prefix),
        };
        if same { route.ok_or(Astray::Unknown) } else { Err(Astray::Ambiguous) }
    }

    /// Every route, the longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    fn longest(&self, path: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.covers(path))
    }
}

impl Route {
    /// What the paths begin with: `/`, or whole segments without a slash at the end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The service a role must open, as [`crate::policy::Policy::allows_service`] knows it.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Origins to forward to, in the order they are tried.
    pub fn upstreams(&self) -> &[String] {
        &self.upstreams
    }

    /// Whether anybody gets there, without a token.
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// Whether it closes while it is unknown what has been revoked.
    pub fn is_critical(&self) -> bool {
        self.critical
    }

    /// Whether it closes to those whose broker credentials are frozen. Such a route is critical, too: while nobody can tell, it
    /// is closed.
    pub fn is_trading(&self) -> bool {
        self.trading
    }

    /// Whether an open WebSocket goes on when the credential that opened it has ended.
    pub fn keeps_sockets(&self) -> bool {
        self.keeps_sockets
    }

    /// Whether the service answers a request whose `Idempotency-Key` it has seen as it did the first time, and does nothing
    /// twice: such a request may bring once more the approval that was spent for it.
    pub fn honours_idempotency_keys(&self) -> bool {
        self.idempotency_keys
    }

    /// How long an upstream may take to begin its response, if not as long as elsewhere.
    pub fn timeout_seconds(&self) -> Option<u32> {
        self.timeout_seconds
    }

    /// What a caller must be permitted besides the service, if the route asks for more.
    pub fn permission(&self) -> Option<&Permission> {
        self.permission.as_ref()
    }

    /// How a caller must have signed in.
    pub fn needed(&self) -> Needed {
        self.needed
    }

    /// The id of the service's key under which the edge proves what it forwards.
    pub fn proof_key(&self) -> &str {
        &self.proof_key
    }

    /// Whether the prefix ends where a segment of the path ends: `/port` does not cover `/portfolio`.
    fn covers(&self, path: &str) -> bool {
        self.prefix == "/"
            || path.strip_prefix(&self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Needed {
    /// Whether anybody does who may use the route at all.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Whether a sign-in of this assurance does, whose last proof was given at `auth_time`, at `now`, both in Unix seconds.
    pub fn is_met(self, acr: Assurance, auth_time: u64, now: u64) -> bool {
        self.acr.is_none_or(|needed| acr >= needed)
            && self.max_age.is_none_or(|seconds| now.saturating_sub(auth_time) <= u64::from(seconds))
    }
}

/// The parameters of the challenge that asks for it (RFC 9470 section 3), each with a comma before it.
impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(acr) = self.acr {
            write!(f, ", acr_values=\"{acr}\"")?;
        }
        match self.max_age {
            Some(seconds) => write!(f, ", max_age=\"{seconds}\""),
            None => Ok(()),
        }
    }
}
