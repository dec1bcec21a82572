//! What is wrong with a route table, told to the person who wrote it.

use alloc::string::String;

use super::{LONGEST_MAX_AGE, MAX_ROUTES, MAX_UPSTREAMS};

/// Why a table is refused. Each message is one line and names the route to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteTableError {
    /// The text is no JSON array of routes, or a route has an unknown, missing or mistyped field.
    #[error("the route table is not a JSON array of routes: {reason}")]
    Json {
        /// What the parser met and where.
        reason: String,
    },
    /// There is none, or there are too many.
    #[error("a route table has 1 to {MAX_ROUTES} routes")]
    Count,
    /// A prefix is not plain text that every server reads alike.
    #[error(
        "route `{}`: a prefix is `/`, or segments of a-z, 0-9, `.`, `_`, `~` and `-` without a slash at the end",
        prefix.escape_debug()
    )]
    Prefix {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
    /// Two routes have one prefix.
    #[error("route `{prefix}`: is defined twice")]
    Duplicate {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
    /// The service is no word of the policy.
    #[error("route `{prefix}`: service `{}` is not a lower-case word", service.escape_debug())]
    Service {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
        /// What is written there.
        service: String,
    },
    /// There is no upstream, or there are too many.
    #[error("route `{prefix}`: has 1 to {MAX_UPSTREAMS} upstreams")]
    Upstreams {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
    /// An upstream is no origin.
    #[error("route `{prefix}`: upstream `{}` is not `https://host[:port]`, or `http://` on this machine", upstream.escape_debug())]
    Upstream {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
        /// What is written there.
        upstream: String,
    },
    /// The time limit is zero or longer than any client waits.
    #[error("route `{prefix}`: `timeout_seconds` is 1 to 300")]
    Timeout {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
    /// A route that is to close to some is open to everybody, or what was opened on it goes on.
    #[error("route `{prefix}`: `trading` is for a route that is not public and has not `keeps_sockets`")]
    Trading {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
    /// The permission is none, or stands on a public route, where no caller could have it.
    #[error("route `{prefix}`: `permission` is `resource:action`, on a route that is not public")]
    Permission {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
    /// What the sign-in of a caller has to be is nothing that exists, or stands on a public route, where nobody signs in.
    #[error(
        "route `{prefix}`: `acr` is one of aal1, aal2 and phr, `max_age` is 1 to {LONGEST_MAX_AGE}, on a route that is not public"
    )]
    Needed {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
    /// The id of the service's key is none, or one of the identity service's own.
    #[error(
        "route `{prefix}`: `proof_key` is 1 to 16 of a-z, 0-9 and `-`, and not for the service `identity`"
    )]
    ProofKey {
        /// The prefix of the route that the table is wrong about.
        prefix: String,
    },
}
