//! How records hang together.
//!
//! An account has two chains: one of its sign-ins, which lies under the address so that a sign-in can read its end before
//! it knows whose account it is (`sign_ins` says what its records carry), and one of everything else. A record carries its number, the SHA-256 of the record
//! before it and when that one expires, and is written where no record of its number stands yet: so racing events
//! queue up, and the chain has no branches. Beside the records lies the chain's head, a copy of the last record: it
//! proves that the last record is there, and gives it back if it is not.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as};

use super::event::AuditEvent;
use super::kind::AuditKind;
use super::seal::{MAC, digest_of};
use crate::attributes::{ItemReader, ItemWriter};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::AccountId;
use crate::item::{Attributes, bytes, number, text, time, ttl};
use crate::keys::{self, Key, LIST_PARTITION, LIST_SORT, TTL};
use crate::sign_ins::SignIns;

/// What stands in for the record before the first one.
const NOTHING: Digest = [0; 32];
/// For a record before this one that must be there however old it is, in Unix seconds.
const NEVER: u64 = 253_402_300_799;

/// One of the chains that records form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chain {
    /// What happened to an account, sign-ins apart.
    Account(AccountId),
    /// Sign-ins under a name.
    SignIns(String),
}

impl Chain {
    pub(crate) fn partition(&self) -> String {
        match self {
            Self::Account(account) => keys::trail(*account),
            Self::SignIns(name) => keys::sign_ins(name),
        }
    }
}

/// A record with what its successor needs to know of it.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) number: u64,
    pub(super) digest: Digest,
    /// In Unix seconds.
    pub(super) expires: u64,
    pub(super) sign_ins: SignIns,
    pub(super) item: Attributes,
}

impl Placed {
    pub(super) fn of(item: Attributes) -> Result<Self, StoreError> {
        let mut reader = ItemReader::new("audit", item.clone());
        Ok(Self {
            number: reader.number("seq")?,
            expires: reader.number(TTL)?,
            sign_ins: SignIns::read(&mut reader)?,
            digest: digest_of(&item),
            item,
        })
    }

    /// Whether it is the registration that an account's chain begins with.
    fn begins_an_account(&self) -> bool {
        let registered = AttributeValue::S(AuditKind::AccountRegistered.as_str().to_owned());
        self.number == 1 && self.item.get("kind") == Some(&registered)
    }

    /// The record inside a head, or inside the row of an account.
    pub(super) fn of_head(mut head: Attributes) -> Result<Self, StoreError> {
        match head.remove("latest") {
            Some(AttributeValue::M(record)) => Self::of(record),
            _ => Err(StoreError::Corrupt { record: "audit head", attribute: "latest".to_owned() }),
        }
    }
}

/// Where a chain ends, as it was read.
#[derive(Debug, Clone, Default)]
pub struct ChainEnd {
    pub(super) last: Option<Placed>,
    pub(super) head: Option<Placed>,
    /// When the row of the head expires, in Unix seconds; 0 for one that does not, and where there is none.
    head_expires: u64,
    /// Whether the head has a row of its own.
    has_head_row: bool,
}

/// Where a chain ended, as the row of something else keeps it: as much as it takes to put a record behind it.
#[serde_as]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrailEnd {
    number: u64,
    #[serde_as(as = "Bytes")]
    digest: Digest,
    /// In Unix seconds.
    expires: u64,
}

impl From<TrailEnd> for ChainEnd {
    fn from(TrailEnd { number, digest, expires }: TrailEnd) -> Self {
        let last =
            Placed { number, digest, expires, sign_ins: SignIns::default(), item: Attributes::default() };
        Self { last: Some(last.clone()), head: Some(last), head_expires: expires, has_head_row: true }
    }
}

/// What is written to make a chain longer by one record.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) record: Attributes,
    pub(crate) head: HeadUpdate,
    /// Whether the head has no row yet. It is written before the record then, or with it: a record without a head is one
    /// whose head was removed.
    pub(crate) begins_head: bool,
    /// The record before, where only the head had it.
    pub(crate) restored: Option<Attributes>,
}

/// How the head is brought up to a record.
#[derive(Debug)]
pub(crate) struct HeadUpdate {
    pub(crate) key: Key,
    pub(crate) update: Update,
    /// Only ever forward: a slower writer does not take the head back.
    pub(crate) is_behind: Condition,
}

impl HeadUpdate {
    /// One that is behind every head.
    pub(super) fn to_nothing(key: Key) -> Self {
        Self::to(key, 0, Update::new())
    }

    /// The head is kept as long as the record that is kept longest, which may be one before this: of a name that somebody
    /// had, records are kept longer than those of guesses behind them.
    fn new(event: &AuditEvent, sequence: u64, record: Attributes, is_kept: bool, kept_until: u64) -> Self {
        let update = Update::new().set("latest", AttributeValue::M(record));
        let expires = match ttl(event.at + event.seal.retention) {
            AttributeValue::N(own) => number(kept_until.max(own.parse().unwrap_or(0))),
            other => other,
        };
        let update = if is_kept { update.remove(TTL) } else { update.set(TTL, expires) };
        Self::to(keys::audit_head(&event.chain().partition()), sequence, update)
    }

    fn to(key: Key, sequence: u64, update: Update) -> Self {
        let update = update.set("seq", number(sequence));
        let is_behind = Condition::row_missing().or(Condition::below("seq", number(sequence)));
        Self { key, update, is_behind }
    }
}

impl ChainEnd {
    /// Of items in the order of their numbers, the last first; a head, where there is one, comes before all.
    pub(crate) fn of(items: Vec<Attributes>) -> Result<Self, StoreError> {
        let mut end = Self::default();
        for item in items {
            if item.contains_key("latest") {
                end.has_head_row = true;
                end.head_expires =
                    ItemReader::new("audit head", item.clone()).number_if_any(TTL)?.unwrap_or(0);
                end.head = Some(Placed::of_head(item)?);
            } else if end.last.is_none() {
                end.last = Some(Placed::of(item)?);
            }
        }
        Ok(end)
    }

    /// The end as a record tells it that was in the way.
    pub(crate) fn after(record: Attributes) -> Result<Self, StoreError> {
        let last = Placed::of(record)?;
        Ok(Self { head: Some(last.clone()), last: Some(last), ..Self::default() })
    }

    /// The end once this record stands behind it.
    pub(crate) fn grown_by(&self, record: Attributes) -> Result<Self, StoreError> {
        let Self { head_expires, has_head_row, .. } = *self;
        Ok(Self { head_expires, has_head_row, ..Self::after(record)? })
    }

    /// The end of a chain whose first record is in the row of the account it begins.
    pub(crate) fn in_account(record: Attributes) -> Result<Self, StoreError> {
        Ok(Self { head: Some(Placed::of(record)?), ..Self::default() })
    }

    /// Where the chain ends once this event stands behind this end, and no other came before it.
    pub(crate) fn after_record_of(&self, event: &AuditEvent) -> Option<TrailEnd> {
        let Placed { number, digest, expires, .. } = Placed::of(self.link(event).record).ok()?;
        Some(TrailEnd { number, digest, expires })
    }

    /// The number of the last record that stands in its place; 0 where none does.
    pub(crate) fn last_number(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.number)
    }

    /// Whether nothing of the chain was found.
    pub(crate) fn is_nothing(&self) -> bool {
        self.last.is_none() && self.head.is_none()
    }

    /// Whether the last record is of this very event: an earlier attempt wrote it, and its answer was lost.
    pub(crate) fn is(&self, event: &AuditEvent) -> bool {
        let id = AttributeValue::S(event.id.to_string());
        self.last.as_ref().is_some_and(|last| last.item.get(LIST_SORT) == Some(&id))
    }

    /// What is known of sign-ins at the end of their chain.
    pub fn sign_ins(&self) -> SignIns {
        let end = if self.is_head_ahead() { &self.head } else { &self.last };
        end.as_ref().map(|end| end.sign_ins.clone()).unwrap_or_default()
    }

    fn is_head_ahead(&self) -> bool {
        let number_of = |placed: &Option<Placed>| placed.as_ref().map_or(0, |placed| placed.number);
        number_of(&self.head) > number_of(&self.last)
    }

    pub(crate) fn link(&self, event: &AuditEvent) -> Link {
        let now = u64::try_from(event.at.as_second()).unwrap_or(0);
        let is_ahead = self.is_head_ahead();
        let (number, previous, expires, restored) = match (&self.last, &self.head) {
            (None, None) => (1, NOTHING, 0, None),
            // The last record is gone too early, or its writer was cut off: the head gives it back.
            (_, Some(head)) if is_ahead && head.expires > now => {
                (head.number + 1, head.digest, head.expires, Some(head.item.clone()))
            }
            (_, Some(head)) if is_ahead => (head.number + 1, NOTHING, head.expires, None),
            (Some(last), Some(_)) => (last.number + 1, last.digest, last.expires, None),
            // Expired like the last record, and gone before it.
            (Some(last), None) if last.expires <= now => (last.number + 1, last.digest, last.expires, None),
            // The account's own row is the head of a chain that is not longer than its registration.
            (Some(last), None) if last.begins_an_account() => {
                (last.number + 1, last.digest, last.expires, None)
            }
            // The head was removed. The number left out keeps telling.
            (Some(last), None) => (last.number + 2, NOTHING, NEVER, None),
            (None, Some(_)) => unreachable!("a head without a record is ahead of it"),
        };
        let step = event.signed_in_with.as_ref().map(|(_, step)| step);
        let sign_ins = step.map(|step| self.sign_ins().after(step, event.at)).unwrap_or_default();
        let record = record(event, number, &previous, expires, &sign_ins);
        // The last login is to be known longer than records are kept.
        let is_kept = sign_ins.last_login_at.is_some();
        let head = HeadUpdate::new(event, number, record.clone(), is_kept, self.head_expires);
        Link { record, head, begins_head: !self.has_head_row, restored }
    }
}

fn record(
    event: &AuditEvent,
    sequence: u64,
    previous: &Digest,
    expires: u64,
    sign_ins: &SignIns,
) -> Attributes {
    let partition = event.chain().partition();
    let mut record = ItemWriter::new(&keys::audit(&partition, sequence))
        .set("seq", number(sequence))
        .set("prev", bytes(*previous))
        .set("prev_ttl", number(expires))
        .set_some(LIST_PARTITION, event.is_listed.then(|| text(keys::day(event.id, event.seal.day_shards))))
        .set(LIST_SORT, text(event.id.to_string()))
        .set("kind", text(event.kind.as_str()))
        .set("at", time(event.at))
        .set("account", text(event.subject.to_string()))
        .set("actor", text(event.actor.to_string()))
        .set("outcome", text(event.outcome.as_str()))
        .set_some("target", event.target.as_deref().map(text))
        .set_some("service", event.service.as_deref().map(text))
        .set_some("purpose", event.purpose.as_deref().map(text))
        .set_some("session_id", event.session.map(|id| text(id.to_string())))
        .set_some("ip", event.ip.as_deref().map(text))
        .set_some("user_agent", event.user_agent.as_deref().map(text))
        .set("request_id", text(&event.request_id))
        .expires(event.at + event.seal.retention)
        .finish();
    record.extend(sign_ins.attributes());
    record.extend(event.details.attributes());
    let mac = event.seal.mac(&digest_of(&record));
    record.insert(MAC.to_owned(), bytes(mac));
    record
}
