//! Fields of trading accounts and of requests for them, checked when they are parsed.

use portcullis_identity::{InvalidValue, printable};

/// The owner's user id at the broker: 1 to 64 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct BrokerUser(pub(crate) String);

impl BrokerUser {
    /// Returns the user id without the space around it; fails when it is not 1 to 64 visible ASCII characters.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        let text = typed.trim();
        if (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("1 to 64 visible ASCII characters are needed"))
    }
}

/// The owner's label for an account: 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Label(pub(crate) String);

impl Label {
    /// Returns the label without the space around it; fails when it is not 1 to 100 printable characters.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        printable(typed, 100).map(Self)
    }
}

/// The purpose for which a service reads credentials, as it is in the audit trail: 1 to 64 of `a-z 0-9 . _ : -`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Purpose(pub(crate) String);

impl Purpose {
    /// Returns the purpose of a service that named none.
    pub fn unspecified() -> Self {
        Self("unspecified".to_owned())
    }

    /// Returns the purpose; fails when it has other characters than those, or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._:-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("1 to 64 of a-z, 0-9, `.`, `_`, `:` and `-` are needed"))
    }
}

macro_rules! read_by_parsing {
    ($($name:ident),+) => {
        $(impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::parse(&text)
            }
        })+
    };
}

read_by_parsing!(BrokerUser, Label, Purpose);
