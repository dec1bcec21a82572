//! Who is calling where a person and a program are both welcome, and what they may do.

use std::collections::BTreeSet;

use portcullis_store::{Account, ApiKey};
use portcullis_verifier::policy::{Grant, Permission, Policy};

use crate::access::caller::Caller;
use crate::error::Error;

/// What no API key may ever do, whatever its owner may: a key must not make or widen keys, change factors or passwords,
/// or end sessions.
const NEVER_WITH_A_KEY: [&str; 4] = ["api-key", "mfa", "password", "session"];

/// A program with somebody's API key.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// The owner's account as it is now.
    pub account: Account,
    /// The key.
    pub key: ApiKey,
    /// What it may do at most.
    pub scopes: Vec<Grant>,
}

/// A person with a session, or a program with a key.
#[derive(Debug, Clone)]
pub enum Principal {
    /// The person.
    Person(Box<Caller>),
    /// The program.
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
    /// The key is not made for it.
    OutsideScopes,
    /// It wants a person.
    #[strum(serialize = "never_with_api_key")]
    NeverWithAKey,
}

impl Decision {
    /// Whether it may be done.
    pub fn is_allowed(self) -> bool {
        self == Self::Granted
    }

    /// Returns the stable word for it, such as `outside_scopes`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn into_result(self) -> Result<(), Error> {
        match self {
            Self::Granted => Ok(()),
            Self::NotGrantedByRoles => Err(Error::Forbidden("The account's roles do not permit this.")),
            Self::OutsideScopes => Err(Error::Forbidden("The API key's scopes do not permit this.")),
            Self::NeverWithAKey => Err(Error::Forbidden("This cannot be done with an API key.")),
        }
    }
}

impl Caller {
    /// An error unless the person's roles permit this.
    pub fn require(&self, policy: &Policy, resource: &str, action: &str) -> Result<(), Error> {
        by_roles(&self.account, policy, &named(resource, action)?).into_result()
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
    /// Whose account it is.
    pub fn account(&self) -> &Account {
        match self {
            Self::Person(caller) => &caller.account,
            Self::Key(holder) => &holder.account,
        }
    }

    /// Whether this may be done.
    pub fn decide(&self, policy: &Policy, permission: &Permission) -> Decision {
        match (by_roles(self.account(), policy, permission), self) {
            (Decision::Granted, Self::Key(holder)) => holder.by_scopes(permission),
            (decision, _) => decision,
        }
    }

    /// An error unless this may be done.
    pub fn require(&self, policy: &Policy, resource: &str, action: &str) -> Result<(), Error> {
        self.decide(policy, &named(resource, action)?).into_result()
    }

    /// An error for a program whose key does not let it do this. A person may always do it to themselves, whatever their
    /// roles: an account without any must still be able to look at itself.
    pub fn require_as_key(&self, policy: &Policy, resource: &str, action: &str) -> Result<(), Error> {
        match self {
            Self::Person(_) => Ok(()),
            Self::Key(_) => self.require(policy, resource, action),
        }
    }

    /// Their account, for an answer.
    pub fn into_account(self) -> Account {
        match self {
            Self::Person(caller) => caller.account,
            Self::Key(holder) => holder.account,
        }
    }

    /// All that may be done: what the roles grant, and for a program only as far as its scopes reach.
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

/// A permission that the product itself asks for.
fn named(resource: &str, action: &str) -> Result<Permission, Error> {
    Permission::new(resource, action)
        .map_err(|_| Error::Internal("a permission of the product is no permission"))
}

/// Whether a key may have this at all.
pub(crate) fn is_for_keys(grant: &Grant) -> bool {
    !NEVER_WITH_A_KEY.contains(&grant.resource())
}
