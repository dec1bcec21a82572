//! What makes a record tell if it was changed: a digest of all that it says, and a MAC that only the service can make.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use aws_sdk_dynamodb::types::AttributeValue;

use crate::digest::Digest;
use crate::item::Attributes;
use crate::keys::{FEWEST_DAY_SHARDS, MOST_DAY_SHARDS};

/// The attribute that is not part of what it seals.
pub(crate) const MAC: &str = "mac";

/// The key of the trail, how long its records are kept, and over how many partitions a day is listed.
#[derive(Debug, Clone)]
pub struct AuditSeal {
    current: hmac::Key,
    accepted: Vec<hmac::Key>,
    /// How long a record is kept.
    pub retention: Duration,
    /// Over how many partitions of the index the records of a day are spread.
    pub day_shards: u8,
}

impl AuditSeal {
    /// Seals with `current` and knows the seals of `accepted` too.
    pub fn new(current: hmac::Key, accepted: Vec<hmac::Key>, retention: Duration) -> Self {
        Self { current, accepted, retention, day_shards: FEWEST_DAY_SHARDS }
    }

    /// Returns the same for days that are spread over so many partitions; less than [`FEWEST_DAY_SHARDS`] or more than
    /// [`MOST_DAY_SHARDS`] is taken for these.
    #[must_use]
    pub fn with_day_shards(self, shards: u8) -> Self {
        Self { day_shards: shards.clamp(FEWEST_DAY_SHARDS, MOST_DAY_SHARDS), ..self }
    }

    pub(super) fn mac(&self, digest: &Digest) -> Vec<u8> {
        hmac::sign(&self.current, digest).as_ref().to_vec()
    }

    /// Whether the service wrote this item, and wrote it here.
    pub(super) fn is_intact(&self, item: &Attributes) -> bool {
        let Some(AttributeValue::B(mac)) = item.get(MAC) else { return false };
        let digest = digest_of(item);
        std::iter::once(&self.current)
            .chain(&self.accepted)
            .any(|key| hmac::verify(key, &digest, mac.as_ref()).is_ok())
    }
}

/// SHA-256 of every attribute with its name and type, in the order of their names; the key of the item is among them, so
/// that a record says where it belongs.
pub(super) fn digest_of(item: &Attributes) -> Digest {
    let mut names: Vec<&String> = item.keys().filter(|name| *name != MAC).collect();
    names.sort();
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |part: &[u8]| {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    };
    for name in names {
        add(name.as_bytes());
        match item.get(name) {
            Some(AttributeValue::S(text)) => {
                add(b"S");
                add(text.as_bytes());
            }
            Some(AttributeValue::N(number)) => {
                add(b"N");
                add(number.as_bytes());
            }
            Some(AttributeValue::B(bytes)) => {
                add(b"B");
                add(bytes.as_ref());
            }
            Some(AttributeValue::L(list)) if list.iter().all(AttributeValue::is_s) => {
                add(b"L");
                add(&(list.len() as u64).to_be_bytes());
                list.iter().filter_map(|text| text.as_s().ok()).for_each(|text| add(text.as_bytes()));
            }
            // No record has another; one that does was changed, and must not look like one that was not.
            other => {
                add(b"?");
                add(format!("{other:?}").as_bytes());
            }
        }
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{bytes, number, text, texts};

    fn seal(letter: u8) -> AuditSeal {
        AuditSeal::new(hmac::Key::new(hmac::HMAC_SHA256, &[letter; 32]), Vec::new(), Duration::ZERO)
    }

    #[test]
    fn what_was_sealed_is_intact_until_a_letter_changes() {
        let mut item = Attributes::from([("a".to_owned(), text("bc")), ("n".to_owned(), number(7))]);
        let mac = seal(1).mac(&digest_of(&item));
        item.insert(MAC.to_owned(), bytes(mac));
        assert!(seal(1).is_intact(&item));
        assert!(!seal(2).is_intact(&item), "another key");
        for (name, value) in [("a", text("bd")), ("n", text("7")), ("n", number(8)), ("new", text(""))] {
            let mut changed = item.clone();
            changed.insert(name.to_owned(), value);
            assert!(!seal(1).is_intact(&changed), "{name}");
        }
        item.remove("n");
        assert!(!seal(1).is_intact(&item));
    }

    #[test]
    fn where_a_name_ends_and_a_value_begins_is_part_of_the_digest() {
        let one = Attributes::from([("ab".to_owned(), text("c"))]);
        let other = Attributes::from([("a".to_owned(), text("bc"))]);
        assert_ne!(digest_of(&one), digest_of(&other));
        let list = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            digest_of(&Attributes::from([("a".to_owned(), texts(&words))]))
        };
        let lists = [list(&[]), list(&["bc"]), list(&["b", "c"]), list(&["c", "b"]), list(&["bc", ""])];
        let different: std::collections::BTreeSet<_> = lists.iter().collect();
        assert_eq!(different.len(), lists.len());
    }
}
