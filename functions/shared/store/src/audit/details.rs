//! What an event changed, where its kind alone does not say it. Each particular is an attribute of its own in the record
//! and so under its MAC.

use crate::api_keys::ApiKey;
use crate::attributes::ItemReader;
use crate::error::StoreError;
use crate::item::{Attributes, number, text, texts};

const ROLES_BEFORE: &str = "roles_before";
const ROLES_AFTER: &str = "roles_after";
const KEY_NAME: &str = "key_name";
const SCOPES: &str = "scopes";
const REQUEST: &str = "request";
const REASON: &str = "reason";
const UNTIL: &str = "until";
const DURING_FREEZE: &str = "during_freeze";
const CANCELLED: &str = "cancelled";
const FAILED: &str = "failed";
const LEASE: &str = "lease";

/// Particulars of an event; those its kind does not have are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditDetails {
    /// The roles that were replaced.
    pub roles_before: Option<Vec<String>>,
    /// The roles in their place.
    pub roles_after: Option<Vec<String>>,
    /// The name of the API key, as its owner chose it.
    pub key_name: Option<String>,
    /// The scopes of the API key, as `resource:action`.
    pub scopes: Option<Vec<String>>,
    /// The request that was refused: its method and the pattern of its path.
    pub request: Option<String>,
    /// The stable word for why it was refused, or for what became of orders; of a mark and of a freeze, what its
    /// administrator wrote.
    pub reason: Option<String>,
    /// When what it tells of ends by itself (RFC 3339).
    pub until: Option<String>,
    /// Whether it was allowed in spite of a freeze, to cancel orders.
    pub during_freeze: bool,
    /// How many orders were cancelled, and how many could not be.
    pub orders: Option<(u32, u32)>,
    /// The lease that the reading was in; of the first one in it, `until` is its end.
    pub lease: Option<String>,
}

impl AuditDetails {
    /// Returns the particulars of a change of roles.
    pub fn of_roles(before: &[String], after: &[String]) -> Self {
        Self { roles_before: Some(before.to_vec()), roles_after: Some(after.to_vec()), ..Self::default() }
    }

    /// Returns the particulars of an API key.
    pub fn of_key(key: &ApiKey) -> Self {
        Self { key_name: Some(key.name.clone()), scopes: Some(key.scopes.clone()), ..Self::default() }
    }

    /// Returns the attributes of a record; what is `None` has none.
    pub(super) fn attributes(&self) -> Attributes {
        let lists =
            [(ROLES_BEFORE, &self.roles_before), (ROLES_AFTER, &self.roles_after), (SCOPES, &self.scopes)];
        let words = [
            (KEY_NAME, &self.key_name),
            (REQUEST, &self.request),
            (REASON, &self.reason),
            (UNTIL, &self.until),
            (LEASE, &self.lease),
        ];
        let lists = lists.into_iter().filter_map(|(name, list)| Some((name, texts(list.as_ref()?))));
        let words = words.into_iter().filter_map(|(name, word)| Some((name, text(word.as_ref()?))));
        let during_freeze = self.during_freeze.then(|| (DURING_FREEZE, number(1_u64)));
        let counts = self
            .orders
            .into_iter()
            .flat_map(|(cancelled, failed)| [(CANCELLED, number(cancelled)), (FAILED, number(failed))]);
        let numbers = during_freeze.into_iter().chain(counts);
        lists.chain(words).chain(numbers).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns the particulars in a record; fails if one has another type.
    pub(super) fn read(reader: &mut ItemReader) -> Result<Self, StoreError> {
        Ok(Self {
            roles_before: reader.texts_if_any(ROLES_BEFORE)?,
            roles_after: reader.texts_if_any(ROLES_AFTER)?,
            key_name: reader.text_if_any(KEY_NAME)?,
            scopes: reader.texts_if_any(SCOPES)?,
            request: reader.text_if_any(REQUEST)?,
            reason: reader.text_if_any(REASON)?,
            until: reader.text_if_any(UNTIL)?,
            during_freeze: reader.number_if_any(DURING_FREEZE)?.is_some(),
            orders: match (reader.number_if_any(CANCELLED)?, reader.number_if_any(FAILED)?) {
                (Some(cancelled), Some(failed)) => Some((count(cancelled), count(failed))),
                _ => None,
            },
            lease: reader.text_if_any(LEASE)?,
        })
    }
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_is_no_attribute() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let roles = AuditDetails::of_roles(&[], &words(&["trader", "viewer"]));
        let refused = AuditDetails {
            request: Some("GET /v1/admin/users".to_owned()),
            reason: Some("forbidden".to_owned()),
            ..AuditDetails::default()
        };
        let key = AuditDetails {
            key_name: Some("nightly".to_owned()),
            scopes: Some(words(&["a:b"])),
            ..AuditDetails::default()
        };
        let cancelled = AuditDetails { orders: Some((97, 3)), ..AuditDetails::default() };
        let frozen = AuditDetails {
            until: Some("2026-11-30T12:00:00Z".to_owned()),
            during_freeze: true,
            lease: Some("lse_0".to_owned()),
            ..AuditDetails::default()
        };
        for details in [roles, refused, key, cancelled, frozen] {
            let mut reader = ItemReader::new("audit", details.attributes());
            assert_eq!(AuditDetails::read(&mut reader).unwrap(), details);
        }
        assert_eq!(AuditDetails::default().attributes(), Attributes::new());
    }
}
