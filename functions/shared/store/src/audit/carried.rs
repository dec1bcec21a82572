//! Events that ride in the row they tell of.
//!
//! A write of several rows costs twice as much in a transaction as row by row. Where one conditional write decides what
//! happened, the event is part of that write: it is stored exactly if what it tells of is. Its record follows outside, with
//! the copy in the index and the head of the chain. Should the process be cut off in between, the row still has the event,
//! under a MAC of its own, and whoever comes upon such a row records what it carries: once, however many do.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::chain::Placed;
use super::details::AuditDetails;
use super::event::{Actor, AuditEvent};
use super::kind::AuditKind;
use super::seal::{AuditSeal, MAC, digest_of};
use crate::attributes::ItemReader;
use crate::connection::Store;
use crate::error::StoreError;
use crate::id::{AccountId, SessionId};
use crate::item::{Attributes, bytes, text, time};
use crate::keys::{self, Key, LIST_SORT, PARTITION, SORT};

/// The attribute of a row with the event it carries.
pub(crate) const CARRIED: &str = "event";

impl AuditEvent {
    /// The event as the row at this key carries it: without what the row says itself, its account and its session.
    pub(crate) fn carried_by(&self, key: &Key) -> AttributeValue {
        let mut carried = Attributes::from([
            ("id".to_owned(), text(self.id.to_string())),
            ("kind".to_owned(), text(self.kind.as_str())),
            ("at".to_owned(), time(self.at)),
            ("actor".to_owned(), text(self.actor.to_string())),
            ("request_id".to_owned(), text(&self.request_id)),
        ]);
        for (name, value) in [("ip", &self.ip), ("user_agent", &self.user_agent)] {
            if let Some(value) = value {
                carried.insert(name.to_owned(), text(value));
            }
        }
        let mac = self.seal.mac(&digest_of(&at_key(carried.clone(), key)));
        carried.insert(MAC.to_owned(), bytes(mac));
        AttributeValue::M(carried)
    }

    /// The event that a session's row carries, if it does; fails if the service did not write it there.
    pub(crate) fn in_session(
        row: &Attributes,
        (account, session): (AccountId, SessionId),
        seal: &AuditSeal,
    ) -> Result<Option<Self>, StoreError> {
        let Some(carried) = row.get(CARRIED) else { return Ok(None) };
        let corrupt = || StoreError::Corrupt { record: "session", attribute: CARRIED.to_owned() };
        let AttributeValue::M(carried) = carried else { return Err(corrupt()) };
        let sealed = at_key(carried.clone(), &keys::session(account, session));
        if !seal.is_intact(&sealed) {
            return Err(corrupt());
        }
        let mut reader = ItemReader::new("session", carried.clone());
        let kind = reader.parsed::<AuditKind>("kind")?;
        Ok(Some(Self {
            id: reader.parsed("id")?,
            seal: seal.clone(),
            signed_in_with: None,
            end: None,
            is_listed: true,
            is_carried: true,
            kind,
            at: reader.time("at")?,
            subject: account,
            actor: Actor::read(&reader.text("actor")?).ok_or_else(corrupt)?,
            outcome: kind.outcome(),
            target: None,
            service: None,
            session: Some(session),
            ip: reader.text_if_any("ip")?,
            user_agent: reader.text_if_any("user_agent")?,
            request_id: reader.text("request_id")?,
            purpose: None,
            details: AuditDetails::default(),
        }))
    }
}

fn at_key(mut carried: Attributes, key: &Key) -> Attributes {
    carried.insert(PARTITION.to_owned(), text(&key.partition));
    carried.insert(SORT.to_owned(), text(&key.sort));
    carried
}

impl Store {
    /// Records the event that a session's row carries, unless that was done.
    pub(crate) async fn record_carried(
        &self,
        row: &Attributes,
        of: (AccountId, SessionId),
        seal: &AuditSeal,
    ) -> Result<(), StoreError> {
        let Some(event) = AuditEvent::in_session(row, of, seal)? else { return Ok(()) };
        // The end first: what is recorded behind it meanwhile is in the way.
        let end = Box::pin(self.chain_end(&event.chain())).await?;
        if Box::pin(self.has_recorded(&event)).await? {
            return Ok(());
        }
        self.record(&event.behind(end)).await
    }

    /// Whether the chain of an event has its record, in its place from now on at the latest.
    pub(crate) async fn has_recorded(&self, event: &AuditEvent) -> Result<bool, StoreError> {
        match self.find_record(event).await? {
            None => Ok(false),
            Some(Found::InPlace) => Ok(true),
            Some(Found::InHead(record)) => {
                let put = self.put_new(record.clone(), "restoring a record").await?;
                Ok(put.map_or_else(|in_the_way| in_the_way == record, |()| true))
            }
        }
    }

    /// Where the chain of an event has its record.
    pub(super) async fn find_record(&self, event: &AuditEvent) -> Result<Option<Found>, StoreError> {
        let id = text(event.id.to_string());
        let mut pages = self
            .chain_query(&event.chain().partition())
            .scan_index_forward(false)
            .limit(25)
            .into_paginator()
            .send();
        let mut in_head = None;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::from_sdk("looking for a record", error))?;
            for item in page.items.unwrap_or_default() {
                if item.contains_key("latest") {
                    let last = Placed::of_head(item)?.item;
                    in_head = (last.get(LIST_SORT) == Some(&id)).then_some(Found::InHead(last));
                } else if item.get(LIST_SORT) == Some(&id) {
                    return Ok(Some(Found::InPlace));
                } else if is_before(item, event.at)? {
                    return Ok(in_head);
                }
            }
        }
        Ok(in_head)
    }
}

/// Where a record was found.
#[derive(Debug)]
pub(super) enum Found {
    /// In its place in the chain.
    InPlace,
    /// In the head of the chain alone: whoever wrote it was cut off before the record.
    InHead(Attributes),
}

/// Whether a record is older than anything that was written after an event, by any clock.
fn is_before(record: Attributes, at: Timestamp) -> Result<bool, StoreError> {
    const CLOCKS: std::time::Duration = std::time::Duration::from_mins(5);
    Ok(ItemReader::new("audit", record).time("at")? < at - CLOCKS)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use portcullis_platform::SystemEntropy;

    use super::*;
    use crate::id::Id;

    fn seal(letter: u8) -> AuditSeal {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[letter; 32]);
        AuditSeal::new(key, Vec::new(), std::time::Duration::from_hours(1))
    }

    #[test]
    fn an_event_is_read_from_the_row_it_was_written_into_and_from_no_other() {
        let at = Timestamp::from_second(1_760_000_000).unwrap();
        let of: (AccountId, SessionId) =
            (Id::generate(at, &SystemEntropy).unwrap(), Id::generate(at, &SystemEntropy).unwrap());
        let other: SessionId = Id::generate(at, &SystemEntropy).unwrap();
        for actor in [Actor::Themselves, Actor::Admin(of.0), Actor::Service("edge".to_owned())] {
            let mut event =
                AuditEvent::new(AuditKind::RefreshTokenReuse, of.0, at, &seal(1), &SystemEntropy).unwrap();
            (event.actor, event.session, event.ip) = (actor, Some(of.1), Some("192.0.2.1".to_owned()));
            let carried = event.carried_by(&keys::session(of.0, of.1));
            let row = Attributes::from([(CARRIED.to_owned(), carried.clone())]);
            let read = AuditEvent::in_session(&row, of, &seal(1)).unwrap().unwrap();
            assert!(read.is_carried);
            assert_eq!((read.id, read.kind, read.at), (event.id, event.kind, event.at));
            assert_eq!((read.actor, read.outcome, read.ip), (event.actor, event.outcome, event.ip));
            assert_eq!((read.subject, read.session), (event.subject, event.session));
            // Another row, another key, another word.
            assert!(AuditEvent::in_session(&row, (of.0, other), &seal(1)).is_err());
            assert!(AuditEvent::in_session(&row, of, &seal(2)).is_err());
            let AttributeValue::M(mut forged) = carried else { panic!("a map") };
            forged.insert("actor".to_owned(), text("anonymous"));
            let row = Attributes::from([(CARRIED.to_owned(), AttributeValue::M(forged))]);
            assert!(AuditEvent::in_session(&row, of, &seal(1)).is_err());
        }
        assert!(AuditEvent::in_session(&Attributes::new(), of, &seal(1)).unwrap().is_none());
    }
}
