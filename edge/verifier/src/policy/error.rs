//! What is wrong with a policy document, told to the person who wrote it.

use alloc::string::String;

use super::{ApprovalMistake, PermissionError};

/// Why a policy document is refused. Each message is one line and names the role to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is no JSON object of roles; no single role is to blame.
    #[error("the policy is not a JSON object of roles: {reason}")]
    Json {
        /// What the parser met and where.
        reason: String,
    },
    /// A role's name is not a lower-case word.
    #[error("role `{}`: a name is 1 to 64 of a-z, 0-9, `_` and `-`, a letter first", role.escape_debug())]
    Name {
        /// The role that the document is wrong about.
        role: String,
    },
    /// A role is defined twice.
    #[error("role `{role}`: is defined twice")]
    Duplicate {
        /// The role that the document is wrong about.
        role: String,
    },
    /// A role's definition has an unknown field, a field twice, or a value of another type.
    #[error("role `{role}`: {reason}")]
    Definition {
        /// The role that the document is wrong about.
        role: String,
        /// What the parser met and where.
        reason: String,
    },
    /// A role inherits from one that is not defined.
    #[error("role `{role}`: inherits from `{}`, which is not defined", parent.escape_debug())]
    UnknownParent {
        /// The role that the document is wrong about.
        role: String,
        /// The one it names.
        parent: String,
    },
    /// A role inherits from itself in the end.
    #[error("role `{role}`: inherits from itself: {path}")]
    Cycle {
        /// The role that the document is wrong about.
        role: String,
        /// The way around, as `a → b → a`.
        path: String,
    },
    /// A role grants something that is no permission.
    #[error("role `{role}`: permission `{}`", permission.escape_debug())]
    Permission {
        /// The role that the document is wrong about.
        role: String,
        /// What is written there.
        permission: String,
        /// What is wrong with it.
        #[source]
        cause: PermissionError,
    },
    /// A role opens something that is no service's name.
    #[error("role `{role}`: service `{}` is neither a lower-case word nor `*`", service.escape_debug())]
    Service {
        /// The role that the document is wrong about.
        role: String,
        /// What is written there.
        service: String,
    },
    /// A role requires a way of proving oneself that does not exist.
    #[error("role `{role}`: requires `acr` `{}`, which is none of aal1, aal2 and phr", acr.escape_debug())]
    Requirement {
        /// The role that the document is wrong about.
        role: String,
        /// What is written there.
        acr: String,
    },
    /// A rule of a role about approvals cannot be used.
    #[error("role `{role}`: `approval`: {mistake}")]
    Approval {
        /// The role that the document is wrong about.
        role: String,
        /// What is wrong with it.
        mistake: ApprovalMistake,
    },
    /// A role requires something, and says not what.
    #[error(
        "role `{role}`: requires neither an `acr` nor a `healthy_provider` nor an `approval`; leave `requires` out"
    )]
    NothingRequired {
        /// The role that the document is wrong about.
        role: String,
    },
    /// A role the product needs is not defined.
    #[error("role `{role}`: is needed but not defined")]
    MissingRole {
        /// The role that the document is wrong about.
        role: &'static str,
    },
}
