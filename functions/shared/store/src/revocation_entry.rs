//! The record of a revocation: one session that was ended, or everything of an account that is of an earlier session
//! epoch.

use std::time::Duration;

use jiff::Timestamp;

use crate::attributes::{ItemReader, ItemWriter};
use crate::error::StoreError;
use crate::id::{AccountId, Id, Kind, SessionId};
use crate::item::{Attributes, number, text};
use crate::keys;

/// No access token may live longer.
pub const LONGEST_ACCESS_TOKEN: Duration = Duration::from_hours(24);
/// How far the clocks of two writers may be apart, and how long a write may take.
const SLACK: Duration = Duration::from_mins(1);
/// The session epoch of an account that was erased: every token is of an earlier one. The greatest number that every
/// reader of JSON has exactly (RFC 7493, section 2.2).
const AFTER_ALL: u64 = (1 << 53) - 1;

/// One entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationEntry {
    /// One session was ended.
    Session {
        /// The session that was ended.
        id: SessionId,
        /// When that happened.
        at: Timestamp,
    },
    /// Every session and token of an account that is of an earlier session epoch was revoked.
    Account {
        /// The account it is of.
        id: AccountId,
        /// The session epoch that began.
        session_epoch: u64,
        /// The session that went on.
        except: Option<SessionId>,
        /// When that happened.
        at: Timestamp,
    },
}

impl RevocationEntry {
    pub(crate) fn item(&self) -> Attributes {
        match self {
            Self::Session { id, at } => row(*at, *id),
            Self::Account { id, session_epoch, except, at } => row(*at, *id)
                .set("epoch", number(*session_epoch))
                .set_some("kept_session", except.map(|id| text(id.to_string()))),
        }
        .finish()
    }

    /// The entry of an account that is erased.
    pub(crate) fn erased(id: AccountId, at: Timestamp) -> Self {
        Self::Account { id, session_epoch: AFTER_ALL, except: None, at }
    }

    /// When it was.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Session { at, .. } | Self::Account { at, .. } => *at,
        }
    }

    pub(crate) fn read(found: Attributes) -> Result<Self, StoreError> {
        let mut reader = ItemReader::new("revocation", found);
        let key = reader.text(keys::SORT)?;
        let corrupt = || StoreError::Corrupt { record: "revocation", attribute: keys::SORT.to_owned() };
        let (at, id) = keys::revocation_parts(&key).ok_or_else(corrupt)?;
        if let Ok(id) = id.parse() {
            return Ok(Self::Session { id, at });
        }
        Ok(Self::Account {
            id: id.parse().map_err(|_| corrupt())?,
            session_epoch: reader.number("epoch")?,
            except: reader.parsed_if_any("kept_session")?,
            at,
        })
    }
}

fn row<K: Kind>(at: Timestamp, id: Id<K>) -> ItemWriter {
    ItemWriter::new(&keys::revocation(at, id)).expires(at + LONGEST_ACCESS_TOKEN + SLACK)
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;

    use super::*;

    #[test]
    fn an_entry_reads_back() {
        let at = Timestamp::from_second(1_760_000_000).unwrap();
        let id = || Id::generate(at, &SystemEntropy).unwrap();
        for entry in [
            RevocationEntry::Session { id: id(), at },
            RevocationEntry::erased(Id::generate(at, &SystemEntropy).unwrap(), at),
            RevocationEntry::Account {
                id: Id::generate(at, &SystemEntropy).unwrap(),
                session_epoch: 7,
                except: Some(id()),
                at,
            },
        ] {
            assert_eq!(RevocationEntry::read(entry.item()).unwrap(), entry);
        }
    }
}
