//! A JSON value that means the same to every reader: no name twice in an object, at no depth. Numbers are known to be there and
//! nothing more: what is decided on here is none.
//!
//! For what is read seldom and has few members: rules of a policy, an order, an answer. What serde derives for a type of its own
//! is ten times as large, and the edge travels.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value with its parts, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrictValue {
    /// The word `null`.
    Null,
    /// A number, whatever it is.
    Number,
    /// `true` or `false`.
    Flag(bool),
    /// A text, its escapes resolved.
    Text(String),
    /// The items of a list.
    List(Vec<Self>),
    /// The members of an object.
    Object(Vec<(String, Self)>),
}

impl StrictValue {
    /// Reads a value; `None` if it is none, in UTF-8 and nothing more, or an object in it has a name twice.
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_str(core::str::from_utf8(json).ok()?).ok()
    }

    /// Returns a member of an object; `None` for what is no object, has no such member, or has `null` there.
    pub fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
            .filter(|value| **value != Self::Null)
    }

    /// Returns the text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the texts of a list; `None` if it is none, or not of texts alone.
    pub fn as_texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::List(items) => items.iter().map(Self::as_text).collect(),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = StrictValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without duplicate names")
    }
    fn visit_unit<E>(self) -> Result<StrictValue, E> {
        Ok(StrictValue::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<StrictValue, E> {
        Ok(StrictValue::Flag(flag))
    }
    fn visit_i64<E>(self, _: i64) -> Result<StrictValue, E> {
        Ok(StrictValue::Number)
    }
    fn visit_u64<E>(self, _: u64) -> Result<StrictValue, E> {
        Ok(StrictValue::Number)
    }
    fn visit_f64<E>(self, _: f64) -> Result<StrictValue, E> {
        Ok(StrictValue::Number)
    }
    fn visit_str<E>(self, text: &str) -> Result<StrictValue, E> {
        Ok(StrictValue::Text(text.to_string()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<StrictValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(StrictValue::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StrictValue, A::Error> {
        let mut members: Vec<(String, StrictValue)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a name occurs twice"));
            }
            members.push((name, map.next_value()?));
        }
        Ok(StrictValue::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_parts_and_one_reading() {
        let value =
            StrictValue::parse(br#" {"a": ["b", "\u0063"], "d": {"e": true}, "f": null, "g": -1.5e3} "#)
                .unwrap();
        assert_eq!(value.member("a").and_then(StrictValue::as_texts), Some(vec!["b", "c"]));
        assert_eq!(value.member("d").and_then(|d| d.member("e")), Some(&StrictValue::Flag(true)));
        assert_eq!((value.member("f"), value.member("h"), value.as_text()), (None, None, None));
        assert_eq!(value.member("g"), Some(&StrictValue::Number));
        let mixed = StrictValue::parse(br#"["a", 1]"#).unwrap();
        assert_eq!((mixed.as_texts(), mixed.member("a")), (None, None));
        for bad in [
            &b""[..],
            b"{",
            br#"{"a":1,"a":1}"#,
            br#"[{"a":1,"\u0061":1}]"#,
            b"{} {}",
            b"\"\xff\"",
            b"\xef\xbb\xbf{}",
        ] {
            assert_eq!(StrictValue::parse(bad), None, "{}", bad.escape_ascii());
        }
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        assert_eq!(StrictValue::parse(deep.as_bytes()), None, "no stack is spent on it");
    }
}
