//! What to say about a field that cannot be used.
//!
//! serde's own messages quote the value (`invalid type: string "hunter2"`), which may be a password, and name our
//! types. So only messages of a known shape are put into words, each in our own; the rest get one general sentence.

use std::borrow::Cow;

use serde_path_to_error::{Path, Segment};

use crate::FieldError;

/// Where the fault is and what would do.
pub(super) fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let pointer = pointer(error.path());
    let message = error.inner().to_string();
    if let Some(field) = missing_field(&message) {
        return FieldError::new(format!("{pointer}/{}", escape(field)), "is required");
    }
    FieldError::new(pointer, wanted(&message))
}

/// A JSON Pointer (RFC 6901) for the way serde went.
fn pointer(path: &Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", escape(key))),
            // A variant is a choice of type, not a step into the document.
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// RFC 6901 section 3.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split_once('`').map(|(field, _)| field)
}

fn wanted(message: &str) -> Cow<'static, str> {
    let Some(expected) = expected(message) else { return Cow::Borrowed(GENERAL) };
    if message.starts_with("unknown variant `") {
        // The variants are named by our own types; the value stands before them, and is left out.
        return Cow::Owned(format!("must be {expected}"));
    }
    Cow::Borrowed(match expected {
        "a string" | "a borrowed string" => "must be a string",
        "a boolean" => "must be true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" => {
            "must be a whole number in range"
        }
        "f32" | "f64" => "must be a number",
        "a sequence" => "must be an array",
        "a map" => "must be an object",
        kind if kind.starts_with("struct ") => "must be an object",
        _ => GENERAL,
    })
}

const GENERAL: &str = "is not a usable value";

/// What serde says it wanted: the text after the *last* "expected", since the quoted value before it can contain the
/// word too.
fn expected(message: &str) -> Option<&str> {
    const SHAPES: [&str; 4] = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"];
    let known = SHAPES.iter().any(|shape| message.starts_with(shape));
    let (_, expected) = message.rsplit_once(", expected ").filter(|_| known)?;
    Some(expected.rsplit_once(" at line ").map_or(expected, |(expected, _)| expected))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::{DeserializeOwned, Error};

    use super::*;

    fn told<T: DeserializeOwned>(text: &str) -> (String, String) {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err().expect("an error");
        let error = explain(&error);
        (error.pointer, error.detail.into_owned())
    }

    fn owned(pointer: &str, detail: &str) -> (String, String) {
        (pointer.to_owned(), detail.to_owned())
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Delivery {
        Body,
        Cookie,
    }

    /// A type whose author was careless.
    #[derive(Debug)]
    struct Careless;

    impl<'de> Deserialize<'de> for Careless {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let value = String::deserialize(deserializer)?;
            Err(D::Error::custom(format!("cannot use {value}, expected {value}")))
        }
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the way to a field matters")]
    struct Nested {
        #[serde(rename = "a/b~c")]
        odd: u8,
        list: Vec<String>,
    }

    #[test]
    fn the_pointer_leads_to_the_value_through_arrays_objects_and_odd_names() {
        assert_eq!(
            told::<Vec<Nested>>(r#"[{"a/b~c":-1}]"#),
            owned("/0/a~1b~0c", "must be a whole number in range")
        );
        assert_eq!(told::<Nested>(r#"{"list":["x",2]}"#), owned("/list/1", "must be a string"));
        assert_eq!(told::<Nested>(r#"{"list":[]}"#), owned("/a~1b~0c", "is required"));
        assert_eq!(told::<Nested>(r#""hunter2""#), owned("", "must be an object"));
        assert_eq!(told::<BTreeMap<String, bool>>(r#"{"x":1}"#), owned("/x", "must be true or false"));
    }

    #[test]
    fn a_choice_is_told_its_alternatives_and_not_what_it_said() {
        let told = told::<Delivery>(r#""hunter2`, expected `hunter2""#);
        assert_eq!(told, owned("", "must be `body` or `cookie`"));
    }

    #[test]
    fn an_unknown_kind_of_message_is_not_passed_on() {
        assert_eq!(told::<Careless>(r#""hunter2""#), owned("", GENERAL));
        assert_eq!(told::<std::net::IpAddr>(r#""hunter2""#), owned("", GENERAL));
        // serde's words for these name types of Rust, which mean nothing to a client.
        assert_eq!(told::<char>("1"), owned("", GENERAL));
        assert_eq!(told::<(u8, u8)>("1"), owned("", GENERAL));
    }

    #[test]
    fn no_complaint_about_a_common_type_repeats_the_value() {
        let values =
            [r#""hunter2""#, r#"["hunter2"]"#, r#"{"hunter2":"hunter2"}"#, "424242", "-424242.5", "null"];
        for value in values {
            let complaints = [
                serde_error::<bool>(value),
                serde_error::<u8>(value),
                serde_error::<f32>(value),
                serde_error::<String>(value),
                serde_error::<Vec<u8>>(value),
                serde_error::<Delivery>(value),
                serde_error::<char>(value),
                serde_error::<(u8, u8)>(value),
            ];
            for complaint in complaints.into_iter().flatten() {
                assert!(!complaint.contains("hunter2") && !complaint.contains("424242"), "{complaint}");
            }
        }
    }

    fn serde_error<T: DeserializeOwned>(text: &str) -> Option<String> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
        Some(explain(&error).detail.into_owned())
    }
}
