//! Callers of routes that accept both an access token and an API key, and what they are allowed to do.

use std::collections::BTreeSet;

use portcullis_store::{Account, ApiKey};
use portcullis_verifier::policy::{Grant, Permission, Policy};
use portcullis_verifier::route::Needed;

use crate::access::caller::Caller;
use crate::error::Error;

/// Resources no API key may ever act on, whatever its owner may: a key must not create or widen keys, change factors or
/// passwords, or end sessions.
const NEVER_WITH_A_KEY: [&str; 4] = ["api-key", "mfa", "password", "session"];

/// A program that authenticated with an API key.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// The owner's account as it is now.
    pub account: Account,
    /// The API key that was presented.
    pub key: ApiKey,
    /// What it may do at most.
    pub scopes: Vec<Grant>,
}

/// A person with a session, or a program with a key.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A person, by the access token of a session.
    Person(Box<Caller>),
    /// A program, by an API key.
    Key(Box<KeyHolder>),
}

/// Whether something may be done, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Decision {
    /// A role of the account grants it, and the key's scopes do not stand in the way.
    Granted,
    /// No role of the account grants it.
    NotGrantedByRoles,
    /// The scopes of the key do not include it.
    OutsideScopes,
    /// It requires an access token.
    #[strum(serialize = "never_with_api_key")]
    NeverWithAKey,
    /// A role of the account requires a stronger sign-in than that of the session.
    InsufficientUserAuthentication,
    /// The policy grants it only while the provider it is meant for is healthy, and the provider is not.
    ProviderUnavailable,
    /// The policy wants the order approved by the person whose account it is.
    ApprovalRequired,
}

impl Decision {
    /// Returns whether the request is allowed.
    pub fn is_allowed(self) -> bool {
        self == Self::Granted
    }

    /// Returns the stable word for it, such as `outside_scopes`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn into_result(self, roles: &[String], policy: &Policy) -> Result<(), Error> {
        match self {
            Self::InsufficientUserAuthentication => {
                let acr = Some(policy.required(roles));
                Err(Error::InsufficientAuthentication(Needed { acr, max_age: None }))
            }
            Self::Granted => Ok(()),
            Self::NotGrantedByRoles => Err(Error::Forbidden("The account's roles do not permit this.")),
            Self::OutsideScopes => Err(Error::Forbidden("The API key's scopes do not permit this.")),
            Self::NeverWithAKey => Err(Error::Forbidden("This cannot be done with an API key.")),
            Self::ProviderUnavailable => Err(Error::Forbidden("The provider is not healthy.")),
            Self::ApprovalRequired => Err(Error::Forbidden("The order is to be approved first.")),
        }
    }
}

impl Caller {
    /// Returns [`Error::Forbidden`] unless the user's roles grant this, and [`Error::InsufficientAuthentication`] where they
    /// require a stronger sign-in.
    pub fn require(&self, policy: &Policy, resource: &str, action: &str) -> Result<(), Error> {
        self.decide(policy, &named(resource, action)?).into_result(&self.account.roles, policy)
    }

    fn decide(&self, policy: &Policy, permission: &Permission) -> Decision {
        match by_roles(&self.account, policy, permission) {
            Decision::Granted if self.check_roles_met(policy).is_err() => {
                Decision::InsufficientUserAuthentication
            }
            decision => decision,
        }
    }
}

impl KeyHolder {
    fn by_scopes(&self, permission: &Permission) -> Decision {
        if NEVER_WITH_A_KEY.contains(&permission.resource()) {
            Decision::NeverWithAKey
        } else if self.scopes.iter().any(|scope| scope.covers(permission)) {
            Decision::Granted
        } else {
            Decision::OutsideScopes
        }
    }
}

impl Principal {
    /// Returns the account of the user or of the key's owner.
    pub fn account(&self) -> &Account {
        match self {
            Self::Person(caller) => &caller.account,
            Self::Key(holder) => &holder.account,
        }
    }

    /// Returns the decision on a permission, with the reason of a refusal.
    pub fn decide(&self, policy: &Policy, permission: &Permission) -> Decision {
        match self {
            Self::Person(caller) => caller.decide(policy, permission),
            Self::Key(holder) => match by_roles(&holder.account, policy, permission) {
                Decision::Granted => holder.by_scopes(permission),
                decision => decision,
            },
        }
    }

    /// Returns [`Error::Forbidden`] unless this is allowed.
    pub fn require(&self, policy: &Policy, resource: &str, action: &str) -> Result<(), Error> {
        self.decide(policy, &named(resource, action)?).into_result(&self.account().roles, policy)
    }

    /// Returns [`Error::Forbidden`] for an API key that does not allow this. A signed-in user may always do it to their
    /// own account: one without any role must still be able to read itself.
    pub fn require_as_key(&self, policy: &Policy, resource: &str, action: &str) -> Result<(), Error> {
        match self {
            Self::Person(_) => Ok(()),
            Self::Key(_) => self.require(policy, resource, action),
        }
    }

    /// Returns the account, by value.
    pub fn into_account(self) -> Account {
        match self {
            Self::Person(caller) => caller.account,
            Self::Key(holder) => holder.account,
        }
    }

    /// Returns all that is allowed: what the roles grant, limited to the scopes of an API key.
    pub fn permissions(&self, policy: &Policy) -> BTreeSet<Grant> {
        let granted = policy.permissions(&self.account().roles);
        match self {
            Self::Person(_) => granted.into_iter().cloned().collect(),
            Self::Key(holder) => {
                let within = |grant: &Grant| {
                    holder.scopes.iter().filter_map(|scope| scope.intersection(grant)).collect::<Vec<_>>()
                };
                granted.into_iter().flat_map(within).filter(is_for_keys).collect()
            }
        }
    }
}

fn by_roles(account: &Account, policy: &Policy, permission: &Permission) -> Decision {
    if policy.allows(&account.roles, permission) { Decision::Granted } else { Decision::NotGrantedByRoles }
}

/// Returns a permission the product itself requires; fails only if its name is malformed.
fn named(resource: &str, action: &str) -> Result<Permission, Error> {
    Permission::new(resource, action)
        .map_err(|_| Error::Internal("a permission of the product is no permission"))
}

/// Returns whether an API key may have this grant.
pub(crate) fn is_for_keys(grant: &Grant) -> bool {
    !NEVER_WITH_A_KEY.contains(&grant.resource())
}
