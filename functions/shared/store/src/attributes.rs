//! Items that are put together and taken apart by hand, attribute by attribute: those of the audit trail, whose MAC covers
//! an item as it stands, and of what has part of itself in its key.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::error::StoreError;
use crate::item::{Attributes, ttl};
use crate::keys::{Key, TTL};

/// An item being put together.
#[derive(Debug)]
pub(crate) struct ItemWriter(Attributes);

impl ItemWriter {
    pub(crate) fn new(key: &Key) -> Self {
        Self(key.attributes())
    }

    pub(crate) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn set_some(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    pub(crate) fn expires(self, at: Timestamp) -> Self {
        self.set(TTL, ttl(at))
    }

    pub(crate) fn finish(self) -> Attributes {
        self.0
    }
}

/// An item being taken apart; whatever is missing or of another type is reported by name.
#[derive(Debug)]
pub(crate) struct ItemReader {
    record: &'static str,
    attributes: Attributes,
}

impl ItemReader {
    pub(crate) fn new(record: &'static str, attributes: Attributes) -> Self {
        Self { record, attributes }
    }

    fn corrupt(&self, attribute: &str) -> StoreError {
        StoreError::Corrupt { record: self.record, attribute: attribute.to_owned() }
    }

    fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(name))
    }

    /// An attribute that may be missing; of another type it is an error.
    fn optional<T>(
        &mut self,
        name: &str,
        convert: impl FnOnce(AttributeValue) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.attributes.remove(name) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| self.corrupt(name)),
        }
    }

    /// What comes after `prefix` in the names of the attributes that begin with it.
    pub(crate) fn names_after(&self, prefix: &str) -> Vec<String> {
        self.attributes.keys().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    pub(crate) fn text_if_any(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        self.optional(name, into_text)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, StoreError> {
        let value = self.text_if_any(name)?;
        self.required(name, value)
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, StoreError> {
        let value = self.text(name)?.parse().ok();
        self.required(name, value)
    }

    pub(crate) fn parsed_if_any<T: std::str::FromStr>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let value = self.text_if_any(name)?;
        value.map(|text| text.parse().map_err(|_| self.corrupt(name))).transpose()
    }

    pub(crate) fn number_if_any(&mut self, name: &str) -> Result<Option<u64>, StoreError> {
        self.optional(name, |value| into_number(value)?.parse().ok())
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<u64, StoreError> {
        let value = self.number_if_any(name)?;
        self.required(name, value)
    }

    pub(crate) fn time_if_any(&mut self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        self.optional(name, |value| Timestamp::from_millisecond(into_number(value)?.parse().ok()?).ok())
    }

    pub(crate) fn time(&mut self, name: &str) -> Result<Timestamp, StoreError> {
        let value = self.time_if_any(name)?;
        self.required(name, value)
    }

    pub(crate) fn bytes_if_any(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.optional(name, |value| match value {
            AttributeValue::B(blob) => Some(blob.into_inner()),
            _ => None,
        })
    }

    pub(crate) fn digest_if_any(&mut self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        self.bytes_if_any(name)?.map(|bytes| bytes.try_into().map_err(|_| self.corrupt(name))).transpose()
    }

    pub(crate) fn digest(&mut self, name: &str) -> Result<[u8; 32], StoreError> {
        let value = self.digest_if_any(name)?;
        self.required(name, value)
    }

    pub(crate) fn texts_if_any(&mut self, name: &str) -> Result<Option<Vec<String>>, StoreError> {
        self.optional(name, |value| match value {
            AttributeValue::L(values) => values.into_iter().map(into_text).collect(),
            _ => None,
        })
    }
}

fn into_text(value: AttributeValue) -> Option<String> {
    match value {
        AttributeValue::S(text) => Some(text),
        _ => None,
    }
}

fn into_number(value: AttributeValue) -> Option<String> {
    match value {
        AttributeValue::N(digits) => Some(digits),
        _ => None,
    }
}
