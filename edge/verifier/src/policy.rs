//! Which roles exist and what they allow.
//!
//! One document, `ROLE_DEFINITIONS`, is read by the functions and by the edge: a JSON object of roles, each with
//! `inherits`, `permissions`, `services` and `requires`, all optional. `requires` is an object with the `acr` that its
//! holders must have proved themselves with, and with `healthy_provider`, the permissions that are granted only while the
//! provider they are meant for is healthy: `{"requires": {"acr": "aal2", "healthy_provider": ["trading:order"]}}`. Its
//! `approval` lists when an order needs a person's approval ([`ApprovalRule`]). What a role allows is worked out once, while
//! the document is read; a bad one stops the start with a [`PolicyError`] that names the offending role.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

mod approval;
mod document;
mod error;
mod hours;
mod inheritance;
mod permission;

pub use approval::{ApprovalMistake, ApprovalNeed, ApprovalRule, Asked, MAX_APPROVAL_RULES};
pub use error::PolicyError;
pub use permission::{Grant, Permission, PermissionError};

use crate::Assurance;

/// The document that ships.
const DEFAULT_DOCUMENT: &str = include_str!("default_policy.json");

/// Roles a deployment cannot do without: the one registration gives, and the one that can give others.
const REQUIRED_ROLES: [&str; 2] = ["user", "admin"];

/// Stands for every service in a role's `services`.
const EVERY_SERVICE: &str = "*";

/// Roles and what they allow in effect. A role the policy does not know allows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// In the order of the names.
    roles: Vec<(String, Effective)>,
}

/// What one role allows, with all it inherits, each grant and service once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Effective {
    grants: Vec<Grant>,
    services: Vec<String>,
    required: Assurance,
    /// What is granted only while the provider it is meant for is healthy.
    with_healthy_provider: Vec<Grant>,
    /// When its orders need an approval; a rule is there as often as it is written.
    approval: Vec<Arc<ApprovalRule>>,
}

impl Policy {
    /// Reads and checks a document.
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        let document = document::parse(json)?;
        for role in REQUIRED_ROLES {
            if document.find(role).is_none() {
                return Err(PolicyError::MissingRole { role });
            }
        }
        Ok(Self { roles: inheritance::resolve(&document)? })
    }

    /// The names of all roles, in order.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is such a role.
    pub fn knows(&self, role: &str) -> bool {
        self.find(role).is_some()
    }

    /// All that the roles grant together, inherited grants included, in order.
    pub fn permissions(&self, roles: &[impl AsRef<str>]) -> BTreeSet<&Grant> {
        self.effective(roles).flat_map(|role| &role.grants).collect()
    }

    /// The services the roles open together; `*` among them stands for every service.
    pub fn services(&self, roles: &[impl AsRef<str>]) -> BTreeSet<&str> {
        self.effective(roles).flat_map(|role| &role.services).map(String::as_str).collect()
    }

    /// Whether one of the roles grants this.
    pub fn allows(&self, roles: &[impl AsRef<str>], permission: &Permission) -> bool {
        self.effective(roles).any(|role| role.grants.iter().any(|grant| grant.covers(permission)))
    }

    /// Whether one of the roles opens this service.
    pub fn allows_service(&self, roles: &[impl AsRef<str>], service: &str) -> bool {
        let opens = |name: &String| name == service || name == EVERY_SERVICE;
        self.effective(roles).any(|role| role.services.iter().any(opens))
    }

    /// How surely somebody with these roles must have proved who they are: the highest need of any of them, or of any they
    /// inherit from.
    pub fn required(&self, roles: &[impl AsRef<str>]) -> Assurance {
        self.effective(roles).map(|role| role.required).max().unwrap_or_default()
    }

    /// Whether somebody with these roles has this permission only while the provider it is meant for is healthy. One of the
    /// roles that asks for it is enough. Who decides knows the health of providers; the edge does not.
    pub fn needs_healthy_provider(&self, roles: &[impl AsRef<str>], permission: &Permission) -> bool {
        self.effective(roles)
            .any(|role| role.with_healthy_provider.iter().any(|grant| grant.covers(permission)))
    }

    /// The permissions that these roles give only while the provider they are meant for is healthy, in order.
    pub fn with_healthy_provider(&self, roles: &[impl AsRef<str>]) -> BTreeSet<&Grant> {
        self.effective(roles).flat_map(|role| &role.with_healthy_provider).collect()
    }

    /// Which orders of somebody with these roles need a person's approval: the greatest need of any rule of any of them, or of
    /// any they inherit from.
    pub fn approval_need(&self, roles: &[impl AsRef<str>], asked: &Asked<'_>) -> ApprovalNeed {
        self.approval_rules(roles).map(|rule| rule.need(asked)).min().unwrap_or(ApprovalNeed::Never)
    }

    /// The rules by which orders of somebody with these roles need an approval, as they were written, some maybe twice.
    pub fn approval_rules(&self, roles: &[impl AsRef<str>]) -> impl Iterator<Item = &ApprovalRule> {
        self.effective(roles).flat_map(|role| &role.approval).map(Arc::as_ref)
    }

    fn effective(&self, roles: &[impl AsRef<str>]) -> impl Iterator<Item = &Effective> {
        roles.iter().filter_map(|role| self.find(role.as_ref()))
    }

    fn find(&self, role: &str) -> Option<&Effective> {
        let place = self.roles.binary_search_by(|(name, _)| name.as_str().cmp(role)).ok()?;
        self.roles.get(place).map(|(_, effective)| effective)
    }
}

impl Default for Policy {
    #[expect(clippy::panic, reason = "the document is a constant, and a test reads it")]
    fn default() -> Self {
        match Self::parse(DEFAULT_DOCUMENT) {
            Ok(policy) => policy,
            Err(error) => panic!("the policy that ships is not sound: {error}"),
        }
    }
}

/// Words of a policy: one to 64 lower-case letters, digits, `_` or `-`, a letter first. They end up in headers, lists
/// and logs, where nothing else may be mistaken for part of them.
pub fn is_word(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests;
