//! How surely a person proved who they are: the values of `acr`, in their order.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// An authentication context class (`acr`), the weakest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", from = "String")]
pub enum Assurance {
    /// One factor: a password.
    #[default]
    Aal1,
    /// A password and a code (NIST SP 800-63B-4, AAL2).
    Aal2,
    /// Resistant to phishing: a passkey with user verification (the Extended Authentication Profile of OIDC).
    Phr,
}

impl Assurance {
    /// Every value, the weakest first.
    pub const ALL: [Self; 3] = [Self::Aal1, Self::Aal2, Self::Phr];

    /// Returns what these methods of authentication (RFC 8176) amount to together.
    pub fn of_methods(methods: &[impl AsRef<str>]) -> Self {
        let has = |name: &str| methods.iter().any(|method| method.as_ref() == name);
        match () {
            // A key alone shows who holds the device; only the user's verification shows who the person is.
            () if (has("hwk") || has("swk")) && has("user") => Self::Phr,
            () if has("otp") => Self::Aal2,
            () => Self::Aal1,
        }
    }

    /// Returns the value with this name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assurance| assurance.as_str() == name)
    }

    /// Returns the name in tokens, policies and challenges.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Phr => "phr",
        }
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is not known here counts as the weakest: an issuer may be newer than whoever verifies its tokens.
impl From<String> for Assurance {
    fn from(name: String) -> Self {
        Self::named(&name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_amount_to_the_strongest_they_make_together() {
        for (methods, expected) in [
            (&[][..], Assurance::Aal1),
            (&["pwd"], Assurance::Aal1),
            (&["user"], Assurance::Aal1),
            (&["hwk"], Assurance::Aal1),
            (&["otp"], Assurance::Aal2),
            (&["pwd", "otp"], Assurance::Aal2),
            (&["hwk", "user"], Assurance::Phr),
            (&["user", "swk"], Assurance::Phr),
            (&["pwd", "otp", "hwk", "user"], Assurance::Phr),
        ] {
            assert_eq!(Assurance::of_methods(methods), expected, "{methods:?}");
        }
    }

    #[test]
    fn names_are_ordered_and_read_as_they_are_written() {
        assert!(Assurance::ALL.is_sorted());
        for assurance in Assurance::ALL {
            assert_eq!(Assurance::named(assurance.as_str()), Some(assurance));
            assert_eq!(serde_json::to_value(assurance).unwrap(), assurance.as_str());
        }
        assert_eq!(Assurance::named("aal3"), None);
        assert_eq!(serde_json::from_str::<Assurance>("\"aal3\"").unwrap(), Assurance::Aal1);
    }
}
