//! Validation errors: which value of a request cannot be accepted, and what would be.

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;

/// Why a text is not a valid value of its type: what would be valid, in plain words. Never the text itself, which may
/// be a password.
///
/// As an error of serde it can be told from all others by [`InvalidValue::PREFIX`], so that a client gets these words
/// and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue(Cow<'static, str>);

impl InvalidValue {
    /// The prefix of its message.
    pub const PREFIX: &'static str = "unacceptable value: ";

    /// Returns an error with these words, which must not quote the value.
    pub fn new(detail: impl Into<Cow<'static, str>>) -> Self {
        Self(detail.into())
    }

    /// Returns the error of an operation that was given this value for a field.
    pub fn of(self, field: Field) -> Error {
        Error::Invalid(InvalidField { field, detail: self.0.into_owned() })
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

impl std::error::Error for InvalidValue {}

/// A field whose value an operation can refuse; displayed under the name that requests know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    /// An API key that an operator chose.
    ApiKey,
    /// What is to be approved.
    AuthorizationDetails,
    /// The name of the broker.
    Broker,
    /// The token of a ceremony of passkeys.
    CeremonyToken,
    /// A code of the second factor.
    Code,
    /// What an authenticator made.
    Credential,
    /// The e-mail address of an account.
    Email,
    /// When an API key ends.
    ExpiresAt,
    /// The duration of a mark, or of an approval.
    ExpiresIn,
    /// The name of a person or of an API key.
    Name,
    /// The telephone number of a person.
    Phone,
    /// What a service reads credentials for.
    Purpose,
    /// Why something was done.
    Reason,
    /// The roles of an account.
    Roles,
    /// The scopes of an API key.
    Scopes,
    /// What a login at a broker leads back with beside its code.
    State,
    /// The username of an account.
    Username,
}

/// One value of a request that cannot be accepted as things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidField {
    /// The field that holds the value.
    pub field: Field,
    /// What is wrong with it and what would do; never the value itself.
    pub detail: String,
}

impl InvalidField {
    pub(crate) fn new(field: Field, detail: impl Into<String>) -> Self {
        Self { field, detail: detail.into() }
    }
}

/// Lets these types be read from a request: as a string, by the rules of their `parse`.
macro_rules! read_by_parsing {
    ($($name:ident),+) => {
        $(impl TryFrom<String> for $name {
            type Error = $crate::invalid::InvalidValue;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        })+
    };
}
pub(crate) use read_by_parsing;
