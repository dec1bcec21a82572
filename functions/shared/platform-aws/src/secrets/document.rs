//! A JSON object of secrets by name. Each is a text, or an object with the previous and next versions beside the current.
//!
//! ```json
//! {"SESSION_SECRET_KEY": "…", "TOKEN_SIGNING_KEY": {"current": "…", "next": "…", "previous": "…"}}
//! ```
//!
//! `next` is accepted and published as soon as it is there, one whole rotation before it becomes the current version.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_platform::{SecretName, SecretPurpose, SecretVersions};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The secrets of a deployment, by name.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Document(pub BTreeMap<String, Entry>);

/// One secret: its current version, and those before and after it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The version that signs, digests and encrypts now.
    pub current: SecretString,
    /// The version that becomes current at the next rotation.
    pub next: Option<SecretString>,
    /// The version that was current before the last rotation.
    pub previous: Option<SecretString>,
}

/// The error for a text that is not a document of secrets.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it is no JSON object of texts, or of objects with a `current` text")]
pub struct Malformed;

impl Document {
    /// Returns the document in a JSON text; fails when it is malformed. The error quotes nothing of it.
    pub fn parse(text: &SecretString) -> Result<Self, Malformed> {
        serde_json::from_str(text.expose_secret()).map_err(|_| Malformed)
    }

    /// Returns the document as the JSON that [`parse`](Self::parse) reads.
    pub fn to_json(&self) -> SecretString {
        let mut entries = serde_json::Map::new();
        for (name, entry) in &self.0 {
            let places = [("current", Some(&entry.current)), ("next", entry.next.as_ref())];
            let places = places.into_iter().chain([("previous", entry.previous.as_ref())]);
            let texts =
                places.filter_map(|(place, secret)| Some((place.to_owned(), secret?.expose_secret().into())));
            entries.insert(name.clone(), texts.collect::<serde_json::Map<_, _>>().into());
        }
        serde_json::Value::from(entries).to_string().into()
    }

    /// Returns the part of the document that is of this purpose.
    #[must_use]
    pub fn of_purpose(&self, purpose: SecretPurpose) -> Self {
        let is_part = |(name, _): &(&String, &Entry)| SecretPurpose::of(name) == purpose;
        let part = self.0.iter().filter(is_part);
        Self(part.map(|(name, entry)| (name.clone(), entry.clone())).collect())
    }

    /// Returns the versions of one secret that are valid now, `before` being the document this one replaced; none when
    /// the document has no such secret.
    pub fn versions(&self, name: SecretName, before: Option<&Self>) -> Option<SecretVersions> {
        let entry = self.0.get(name.as_str())?;
        // Tokens of services carry their own past: a service has two of them, and a third would be one too many.
        // The public keys are a list of all that are valid.
        let is_whole = matches!(name, SecretName::ServiceTokens | SecretName::TokenVerificationKeys);
        let before = before.filter(|_| !is_whole);
        let before = before.and_then(|document| document.0.get(name.as_str())).map(|entry| &entry.current);
        let mut accepted: Vec<&SecretString> = Vec::new();
        for other in [entry.next.as_ref(), entry.previous.as_ref(), before].into_iter().flatten() {
            // One key twice would be published twice. These are all ours: no one measures this comparison.
            let is_new = |known: &SecretString| known.expose_secret() != other.expose_secret();
            if is_new(&entry.current) && accepted.iter().all(|known| is_new(known)) {
                accepted.push(other);
            }
        }
        let accepted = accepted.into_iter().map(bytes).collect();
        Some(SecretVersions { current: bytes(&entry.current), accepted })
    }
}

fn bytes(text: &SecretString) -> SecretSlice<u8> {
    SecretSlice::from(text.expose_secret().trim().as_bytes().to_vec())
}

/// By hand, because serde's untagged enums buffer what they try in a copy that is never wiped.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or an object with a `current` text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        Ok(Entry { current: text.into(), next: None, previous: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let (mut current, mut next, mut previous) = (None, None, None);
        while let Some(name) = map.next_key::<String>()? {
            let place = match name.as_str() {
                "current" => &mut current,
                "next" => &mut next,
                "previous" => &mut previous,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if place.replace(map.next_value::<SecretString>()?).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Entry { current: current.ok_or_else(|| A::Error::missing_field("current"))?, next, previous })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(&text.into()).unwrap()
    }

    fn versions(text: &str, before: Option<&str>) -> Vec<String> {
        let before = before.map(document);
        let versions = document(text).versions(SecretName::SessionSecretKey, before.as_ref()).unwrap();
        std::iter::once(versions.current)
            .chain(versions.accepted)
            .map(|secret| String::from_utf8(secret.expose_secret().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn a_text_is_the_current_version_and_its_line_end_is_no_part_of_it() {
        assert_eq!(versions(r#"{"SESSION_SECRET_KEY": " a\n"}"#, None), ["a"]);
    }

    #[test]
    fn next_previous_and_the_document_before_are_accepted_each_once() {
        let rotated = r#"{"SESSION_SECRET_KEY": {"current": "b", "next": "c", "previous": "a"}}"#;
        assert_eq!(versions(rotated, None), ["b", "c", "a"]);
        assert_eq!(versions(rotated, Some(r#"{"SESSION_SECRET_KEY": "a"}"#)), ["b", "c", "a"]);
        assert_eq!(versions(rotated, Some(r#"{"SESSION_SECRET_KEY": "z"}"#)), ["b", "c", "a", "z"]);
        let replaced_by_hand = r#"{"SESSION_SECRET_KEY": "new"}"#;
        assert_eq!(versions(replaced_by_hand, Some(rotated)), ["new", "b"]);
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let text =
            r#"{"SESSION_SECRET_KEY":{"current":"b","next":"c","previous":"a"},"X":{"current":"\"\n"}}"#;
        assert_eq!(document(document(text).to_json().expose_secret()).to_json().expose_secret(), text);
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        assert!(document("{}").versions(SecretName::TokenSigningKey, None).is_none());
    }

    #[test]
    fn anything_else_is_refused_without_a_word_of_its_content() {
        for bad in [
            "",
            "[]",
            "\"hunter2\"",
            r#"{"A": 1}"#,
            r#"{"A": {}}"#,
            r#"{"A": {"next": "hunter2"}}"#,
            r#"{"A": {"current": "hunter2", "current": "b"}}"#,
            r#"{"A": ["hunter2"]}"#,
        ] {
            let error = Document::parse(&bad.into()).unwrap_err();
            assert!(!format!("{error}{error:?}").contains("hunter2"), "{bad}");
        }
    }
}
