//! `resource:action`, as something to ask for and as something to grant.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::is_word;

/// Stands for every word in a half of a grant.
const ANY: &str = "*";

/// One action on one kind of resource, as a caller needs it. It has no wildcard, so no caller can ask for "anything".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    resource: String,
    action: String,
}

/// What a role gives: a permission either half of which may be `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    resource: String,
    action: String,
}

/// Why a text is no permission or grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// There is not exactly one colon.
    #[error("a permission is written `resource:action`")]
    Shape,
    /// The part before the colon is not a word.
    #[error("the resource is not a lower-case word")]
    Resource,
    /// The part after the colon is not a word.
    #[error("the action is not a lower-case word")]
    Action,
}

impl Permission {
    /// A permission from its halves.
    pub fn new(resource: &str, action: &str) -> Result<Self, PermissionError> {
        if !is_word(resource) {
            return Err(PermissionError::Resource);
        }
        if !is_word(action) {
            return Err(PermissionError::Action);
        }
        Ok(Self { resource: resource.to_owned(), action: action.to_owned() })
    }

    /// What is acted on.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// What is done to it.
    pub fn action(&self) -> &str {
        &self.action
    }
}

impl Grant {
    /// Whether this grant gives that permission.
    pub fn covers(&self, permission: &Permission) -> bool {
        let fits = |half: &str, word: &str| half == ANY || half == word;
        fits(&self.resource, &permission.resource) && fits(&self.action, &permission.action)
    }

    /// Whether this grant gives anything on that resource.
    pub fn concerns(&self, resource: &str) -> bool {
        self.resource == ANY || self.resource == resource
    }

    /// What both grants give, if they give anything together.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let both = |one: &String, two: &String| match (one.as_str(), two.as_str()) {
            (ANY, _) => Some(two.clone()),
            (_, ANY) => Some(one.clone()),
            (one_word, two_word) => (one_word == two_word).then(|| one.clone()),
        };
        Some(Self {
            resource: both(&self.resource, &other.resource)?,
            action: both(&self.action, &other.action)?,
        })
    }

    /// Whether this grant gives all that the other gives.
    pub fn contains(&self, other: &Self) -> bool {
        self.intersection(other).as_ref() == Some(other)
    }

    /// What is acted on; `*` for everything.
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let (resource, action) = halves(text)?;
        Self::new(resource, action)
    }
}

impl FromStr for Grant {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let (resource, action) = halves(text)?;
        if resource != ANY && !is_word(resource) {
            return Err(PermissionError::Resource);
        }
        if action != ANY && !is_word(action) {
            return Err(PermissionError::Action);
        }
        Ok(Self { resource: resource.to_owned(), action: action.to_owned() })
    }
}

fn halves(text: &str) -> Result<(&str, &str), PermissionError> {
    text.split_once(':').filter(|(_, action)| !action.contains(':')).ok_or(PermissionError::Shape)
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.action)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_permission_reads_back_as_itself() {
        for text in ["orders:place", "trading-account:read_own", "a:b", "v2:x9"] {
            assert_eq!(text.parse::<Permission>().unwrap().to_string(), text);
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_wrong_half_is_named() {
        use PermissionError::{Action, Resource, Shape};
        let long = format!("a:{}", "b".repeat(65));
        for (text, error) in [
            ("", Shape),
            ("orders", Shape),
            ("orders:place:now", Shape),
            (":", Resource),
            (":place", Resource),
            ("orders:", Action),
            ("Orders:place", Resource),
            ("orders: place", Action),
            ("orders:place ", Action),
            ("ordérs:place", Resource),
            ("2fa:enable", Resource),
            ("orders:pl*", Action),
            ("**:place", Resource),
            ("orders:place\n", Action),
            (&long, Action),
        ] {
            assert_eq!(text.parse::<Permission>(), Err(error), "{text:?}");
            assert_eq!(text.parse::<Grant>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_wildcard_can_be_granted_but_not_asked_for() {
        for (text, error) in [
            ("*:*", PermissionError::Resource),
            ("*:a", PermissionError::Resource),
            ("a:*", PermissionError::Action),
        ] {
            assert_eq!(text.parse::<Permission>(), Err(error));
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn two_grants_give_together_what_each_gives_alone() {
        let grant = |text: &str| text.parse::<Grant>().unwrap();
        for (one, other, both) in [
            ("orders:place", "orders:place", Some("orders:place")),
            ("orders:*", "orders:place", Some("orders:place")),
            ("orders:*", "*:read", Some("orders:read")),
            ("*:*", "*:read", Some("*:read")),
            ("orders:place", "orders:cancel", None),
            ("orders:*", "accounts:*", None),
        ] {
            let (one, other) = (grant(one), grant(other));
            assert_eq!(one.intersection(&other), both.map(grant));
            assert_eq!(other.intersection(&one), both.map(grant));
        }
        assert!(grant("orders:*").contains(&grant("orders:place")));
        assert!(!grant("orders:place").contains(&grant("orders:*")));
        assert!(!grant("orders:*").contains(&grant("*:place")));
    }

    #[test]
    fn a_grant_concerns_one_resource_or_all() {
        let concerns = |grant: &str, resource: &str| grant.parse::<Grant>().unwrap().concerns(resource);
        assert!(concerns("orders:place", "orders") && concerns("*:read", "orders"));
        assert!(!concerns("order:*", "orders") && !concerns("accounts:orders", "orders"));
    }

    #[test]
    fn a_wildcard_covers_one_half() {
        let covers = |grant: &str, permission: &str| {
            grant.parse::<Grant>().unwrap().covers(&permission.parse().unwrap())
        };
        assert!(covers("orders:place", "orders:place"));
        assert!(!covers("orders:place", "orders:cancel"));
        assert!(!covers("order:place", "orders:place"), "a prefix is another word");
        assert!(covers("orders:*", "orders:cancel"));
        assert!(!covers("orders:*", "accounts:cancel"));
        assert!(covers("*:read", "orders:read"));
        assert!(!covers("*:read", "orders:place"));
        assert!(covers("*:*", "anything:whatever"));
    }
}
