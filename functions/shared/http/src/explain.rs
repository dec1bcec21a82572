//! What to say about a field that cannot be used.
//!
//! serde's own messages quote the value (`invalid type: string "hunter2"`), which may be a password, and name our
//! types. So only messages of a known shape are put into words, each in our own; the rest get one general sentence.

use std::borrow::Cow;

use serde_path_to_error::{Path, Segment};

use portcullis_identity::InvalidValue;

use crate::FieldError;

/// The longest part of an unknown name that is repeated.
const LONGEST_NAME: usize = 64;

/// Returns where the fault of a body is and what would do.
pub(crate) fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let pointer = pointer(error.path());
    let message = error.inner().to_string();
    if let Some(field) = quoted_name(&message, "missing field `") {
        return FieldError::new(format!("{pointer}/{}", escape(field)), "is required");
    }
    if message.starts_with("unknown field `") {
        return FieldError::new(pointer, "there is no such member");
    }
    FieldError::new(pointer, wanted(&message))
}

/// Returns the JSON Pointer (RFC 6901) for the way serde went.
pub(crate) fn pointer(path: &Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            // The name of a member that is not known is the client's own, and as long as it likes.
            Segment::Map { key } => {
                Some(format!("/{}", escape(&key.chars().take(LONGEST_NAME).collect::<String>())))
            }
            // A variant is a choice of type, not a step into the document.
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// RFC 6901 section 3.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Returns the name that serde put between backticks after these words.
pub(crate) fn quoted_name<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.strip_prefix(words)?.split_once('`').map(|(name, _)| name)
}

fn wanted(message: &str) -> Cow<'static, str> {
    if let Some(detail) = message.strip_prefix(InvalidValue::PREFIX) {
        // Our own types put what would do into words, and never repeat the value.
        return Cow::Owned(before_position(detail).to_owned());
    }
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

pub(crate) const GENERAL: &str = "is not a usable value";

/// What serde says it wanted: the text after the *last* "expected", since the quoted value before it can contain the
/// word too.
fn expected(message: &str) -> Option<&str> {
    const SHAPES: [&str; 4] = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"];
    let known = SHAPES.iter().any(|shape| message.starts_with(shape));
    let (_, expected) = message.rsplit_once(", expected ").filter(|_| known)?;
    Some(before_position(expected))
}

/// Returns the message without the place that `serde_json` adds to it.
fn before_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portcullis_identity::{Email, Password, Username};
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

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what it does not know matters")]
    struct Strict {
        #[serde(default)]
        known: bool,
    }

    #[test]
    fn a_member_that_is_not_known_is_named_and_no_more_than_the_beginning_of_its_name() {
        let unknown = |name: &str| told::<Vec<Strict>>(&format!(r#"[{{"{name}":1}}]"#));
        assert_eq!(unknown("a/b"), owned("/0/a~1b", "there is no such member"));
        let (pointer, _) = unknown(&"x".repeat(10_000));
        assert_eq!(pointer, format!("/0/{}", "x".repeat(LONGEST_NAME)));
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

    /// A body as routes have them, whose types check what they hold.
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what is refused matters")]
    struct Checked {
        email: Email,
        password: Password,
        username: Option<Username>,
    }

    #[test]
    fn what_a_type_of_ours_refuses_is_told_in_its_own_words_at_its_own_place() {
        let named = |body: &str| told::<Checked>(body);
        assert_eq!(
            named(r#"{"email":"hunter2","password":"x"}"#),
            owned("/email", "an address has the form name@example.com")
        );
        assert_eq!(
            named("{\n\"email\":\"a@b.example\",\"password\":\"x\",\"username\":\"hunter2 at line 1\"}"),
            owned("/username", "3 to 32 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter")
        );
        assert_eq!(named(r#"{"email":7,"password":"x"}"#), owned("/email", "must be a string"));
        assert_eq!(
            named(r#"{"email":"a@b.example","password":["x"]}"#),
            owned("/password", "must be a string")
        );
        assert_eq!(named(r#"{"email":"a@b.example"}"#), owned("/password", "is required"));
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
