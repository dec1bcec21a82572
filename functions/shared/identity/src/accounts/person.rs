//! Names of people and devices, usernames and telephone numbers: short, printable text.

use crate::invalid::{InvalidValue, read_by_parsing};
use crate::printable::printable;

/// The name of a person: 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct PersonName(pub(crate) String);

impl PersonName {
    /// Returns the name as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is the name of an account.
    pub fn is(&self, name: &str) -> bool {
        self.0 == name
    }

    /// Returns the name without the space around it; fails if nothing of it can be seen, or it is too long or has a
    /// character that cannot be seen.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        printable(typed, 100).map(Self)
    }
}

/// A telephone number as its owner writes it: up to 32 digits, spaces and `+-().`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct PhoneNumber(pub(crate) String);

impl PhoneNumber {
    /// Returns the number; fails if it has other characters, or no digit.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        let number = printable(typed, 32)?;
        let allowed =
            number.chars().all(|character| character.is_ascii_digit() || " +-().".contains(character));
        if allowed && number.chars().any(|character| character.is_ascii_digit()) {
            Ok(Self(number))
        } else {
            Err(InvalidValue::new("a telephone number has digits, spaces and + - ( ) . only"))
        }
    }
}

/// The name a user gives a device: 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct DeviceName(pub(crate) String);

impl DeviceName {
    /// Returns the name without the space around it; fails if nothing of it can be seen, or it is too long or has a
    /// character that cannot be seen.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        printable(typed, 100).map(Self)
    }
}

/// A second name to sign in with: 3 to 32 of `a-z 0-9 . _ -`, beginning with a letter. It never looks like an address.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Username(pub(crate) String);

impl Username {
    /// Returns the username as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the username in lower case; fails if it has another form.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        let name = typed.trim().to_ascii_lowercase();
        let allowed = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "._-".contains(character)
        };
        let begins_well = name.starts_with(|character: char| character.is_ascii_lowercase());
        if (3..=32).contains(&name.len()) && begins_well && name.chars().all(allowed) {
            Ok(Self(name))
        } else {
            Err(InvalidValue::new("3 to 32 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter"))
        }
    }
}

read_by_parsing!(PersonName, PhoneNumber, DeviceName, Username);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_around_a_name_does_not_count_and_control_characters_do_not_pass() {
        assert_eq!(PersonName::parse("  Asha Rao ").unwrap().0, "Asha Rao");
        for typed in ["", "  ", "a\nb", "a\0b", &"x".repeat(101)] {
            assert!(PersonName::parse(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn a_username_is_no_address_and_no_key() {
        assert_eq!(Username::parse("Asha.Rao").unwrap().0, "asha.rao");
        for typed in ["ab", "a@b.example", "asha#CRED", "1asha", "\u{212A}ate", "a b c"] {
            assert!(Username::parse(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn telephone_numbers() {
        assert!(PhoneNumber::parse("+91 (0) 98765-43210").is_ok());
        for typed in ["call me", "+-", "", &"1".repeat(33)] {
            assert!(PhoneNumber::parse(typed).is_err(), "{typed:?}");
        }
    }
}
