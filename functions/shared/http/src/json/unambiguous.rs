//! Whether a text is JSON that can be read in one way only.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::{Code, Problem};

/// Accepts one JSON document in UTF-8 whose objects name each key once. Nesting deeper than the parser's limit of 128
/// is refused like any other fault of the text.
pub(super) fn check(bytes: &[u8]) -> Result<(), Problem> {
    let malformed = Problem::new(Code::MalformedJson);
    match serde_json::from_slice::<Unambiguous>(bytes) {
        Ok(_) => Ok(()),
        // The visitor takes every value, so the only thing it complains about itself is a repeated key.
        Err(error) if error.is_data() => {
            Err(malformed.with_detail("An object in the body names the same key twice."))
        }
        Err(_) => Err(malformed),
    }
}

/// Any JSON value, forgotten as it is read.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        // The keys are compared as they read, not as they are spelled: `"\u0061"` is `"a"`.
        let mut seen = BTreeSet::<String>::new();
        while let Some(key) = map.next_key()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("repeated key"));
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self, A::Error> {
        while values.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..5).prop_map(Value::from_iter),
            ]
        })
    }

    /// The text with every character written as an escape.
    fn escaped(key: &str) -> String {
        key.encode_utf16().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"))
    }

    proptest! {
        #[test]
        fn whatever_serde_json_writes_is_unambiguous(document in documents()) {
            prop_assert!(check(document.to_string().as_bytes()).is_ok());
        }

        #[test]
        fn a_key_and_its_escaped_spelling_are_the_same_key(key in any::<String>(), inner in documents()) {
            let plain = Value::from(key.as_str());
            let text = format!("[{{{plain}:{inner},\"{}\":0}}]", escaped(&key));
            prop_assert!(check(text.as_bytes()).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
