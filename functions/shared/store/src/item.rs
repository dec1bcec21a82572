//! Items: records of the store as attributes and back, through serde, and the attributes that expressions are made of.
//!
//! The records of the audit trail are taken apart by hand: the MAC of a record covers its item as it stands, whatever it
//! holds.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use serde_dynamo::Deserializer;

use crate::error::StoreError;
use crate::keys::{Key, TTL};

/// What DynamoDB calls an item.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// Returns the item of a record at its key; fails for what has no form as attributes.
pub(crate) fn item(key: &Key, record: &impl Serialize) -> Result<Attributes, StoreError> {
    let written: Result<Attributes, _> = serde_dynamo::to_item(record);
    let mut item = written.map_err(|cause| StoreError::Refused {
        operation: "putting an item together",
        cause: cause.into(),
    })?;
    item.extend(key.attributes());
    Ok(item)
}

/// Returns the same for a record that DynamoDB removes once it has expired.
pub(crate) fn expiring_item(
    key: &Key,
    record: &impl Serialize,
    expires_at: Timestamp,
) -> Result<Attributes, StoreError> {
    let mut item = item(key, record)?;
    item.insert(TTL.to_owned(), ttl(expires_at));
    Ok(item)
}

/// Returns the record in an item; fails with the name of an attribute that is missing or of another type. Attributes that
/// the record has no field for are left out.
pub(crate) fn read<R: DeserializeOwned>(record: &'static str, item: Attributes) -> Result<R, StoreError> {
    let item = Deserializer::from_attribute_value(AttributeValue::M(item).into());
    serde_path_to_error::deserialize(item).map_err(|error| {
        // Where an attribute is missing the path ends before it. What else serde says may hold what the row holds.
        let missing = error.inner().to_string();
        let missing = missing.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        let attribute = missing.map_or_else(|| error.path().to_string(), str::to_owned);
        StoreError::Corrupt { record, attribute }
    })
}

/// Reads a list of times in Unix milliseconds, as a field of a record.
pub(crate) fn read_times<'de, D: serde::Deserializer<'de>>(list: D) -> Result<Vec<Timestamp>, D::Error> {
    let times = Vec::<i64>::deserialize(list)?;
    times.into_iter().map(|at| Timestamp::from_millisecond(at).map_err(D::Error::custom)).collect()
}

/// A text attribute value.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute value.
pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// A time as Unix milliseconds.
pub(crate) fn time(value: Timestamp) -> AttributeValue {
    number(value.as_millisecond())
}

/// A binary attribute value.
pub(crate) fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// A list of texts.
pub(crate) fn texts(values: &[String]) -> AttributeValue {
    AttributeValue::L(values.iter().map(text).collect())
}

/// When DynamoDB may remove the item, in Unix seconds, rounded up: the item must not go before it has expired.
pub(crate) fn ttl(expires_at: Timestamp) -> AttributeValue {
    number(expires_at.as_second() + 1)
}

#[cfg(test)]
mod tests {
    use serde_with::{Bytes, serde_as};

    use super::*;

    #[serde_as]
    #[derive(Debug, Serialize, Deserialize)]
    struct Record {
        name: String,
        #[serde_as(as = "Bytes")]
        digest: [u8; 2],
        note: Option<String>,
        #[serde(flatten)]
        part: Part,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Part {
        count: u64,
    }

    fn row() -> Attributes {
        Attributes::from([
            ("name".to_owned(), text("asha")),
            ("digest".to_owned(), bytes([7, 8])),
            ("count".to_owned(), number(3)),
            ("expires_ttl".to_owned(), number(9)),
        ])
    }

    /// What is said of a row with this attribute in place of its own.
    fn said(name: &str, value: Option<AttributeValue>) -> String {
        let mut row = row();
        row.remove(name);
        row.extend(value.map(|value| (name.to_owned(), value)));
        read::<Record>("test", row).map_or_else(|error| error.to_string(), |record| format!("{record:?}"))
    }

    #[test]
    fn what_cannot_be_read_is_named_and_not_shown() {
        assert!(said("note", None).contains("count: 3"));
        for name in ["name", "digest", "count"] {
            assert_eq!(said(name, None), format!("a test record has an unusable attribute {name}"));
        }
        for (name, value) in [("name", number(12_345)), ("digest", bytes([1; 3])), ("note", number(12_345))] {
            assert_eq!(said(name, Some(value)), format!("a test record has an unusable attribute {name}"));
        }
        for value in [text("12345"), AttributeValue::N("-12345".to_owned()), bytes([1])] {
            let said = said("count", Some(value));
            assert!(said.starts_with("a test record has an unusable attribute"), "{said}");
            assert!(!said.contains("12345"), "{said}");
        }
    }
}
