//! Whether the trail is as it was written: every record sealed by the service, in its place, after the one it names, and
//! the last one there.
//!
//! A record that is missing is no finding once it has expired: the one after it says when that is. Whoever can write to
//! the table can take a whole chain back to how it once was, head and all, which nothing inside the table can tell.

use jiff::Timestamp;

use super::carried::CARRIED;
use super::chain::{Chain, Placed};
use super::event::AuditEvent;
use super::kind::AuditKind;
use super::seal::AuditSeal;
use crate::attributes::ItemReader;
use crate::connection::Store;
use crate::error::StoreError;
use crate::item::{Attributes, text};
use crate::keys::{self, PARTITION, SORT};

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The partition of its chain.
    pub chain: String,
    /// The number of the record in its chain.
    pub number: u64,
    /// What is wrong.
    pub what: Wrong,
}

/// What can be wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Wrong {
    /// It is not what the service wrote in this place.
    Changed,
    /// It is not there, and has not expired.
    Missing,
    /// The one before it is not the one it was written after.
    Unlinked,
    /// The head of its chain, which says that it is the last one, is not there.
    HeadMissing,
    /// The head of its chain is not what the service wrote.
    HeadChanged,
    /// A row of the account carries an event that its chain has no record of.
    Unrecorded,
}

impl Wrong {
    /// Returns the stable word for it, such as `head_missing`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many chains there are.
    pub chains: u64,
    /// How many records they have.
    pub records: u64,
    /// When the first of them was written, by what it says.
    pub first: Option<Timestamp>,
    /// When the last of them was written, by what it says.
    pub last: Option<Timestamp>,
    /// What is wrong, by chain and number.
    pub findings: Vec<Finding>,
}

/// The items of one chain as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) partition: String,
    pub(super) items: Vec<Attributes>,
    /// The first record as the account's row has it, which is the head of a chain that is no longer than that.
    pub(super) in_account: Option<Attributes>,
}

impl Store {
    /// Looks at every chain, and at what the rows of accounts and sessions say of theirs. A chain in which something seems
    /// wrong is read once more by itself, so that a record written meanwhile is none.
    pub async fn verify_audit(&self, seal: &AuditSeal, now: Timestamp) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        let mut group = Group::default();
        let mut items = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("begins_with(sk, :audit) OR sk = :profile OR attribute_exists(#event)")
            .expression_attribute_names("#event", CARRIED)
            .expression_attribute_values(":audit", text(keys::AUDIT_PREFIX))
            .expression_attribute_values(":profile", text(keys::PROFILE))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::from_sdk("reading every audit trail", error))?;
            let partition = attribute(&item, PARTITION);
            // Items of one partition come one after the other, in the order of their sort keys.
            if partition != group.partition {
                let done = std::mem::replace(&mut group, Group { partition, ..Group::default() });
                self.close(done, seal, now, &mut verified).await?;
            }
            if attribute(&item, SORT) == keys::PROFILE {
                self.check_account(item, seal, now, &mut verified).await?;
            } else if item.contains_key(CARRIED) {
                self.check_session(&item, seal, &mut verified).await?;
            } else {
                group.items.push(item);
            }
        }
        self.close(group, seal, now, &mut verified).await?;
        verified.in_order();
        Ok(verified)
    }

    async fn close(
        &self,
        mut group: Group,
        seal: &AuditSeal,
        now: Timestamp,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        if group.items.is_empty() {
            return Ok(());
        }
        verified.chains += 1;
        for item in group.items.iter().filter(|item| !item.contains_key("latest")) {
            verified.count(item);
        }
        let mut found = group.findings(seal, now);
        if !found.is_empty() {
            // Of one record alone it may be that the account's row is the head.
            group.in_account = self.first_record(&group.partition).await?;
            group.items = self.chain_items(&group.partition).await?;
            found = group.findings(seal, now);
        }
        verified.findings.extend(found);
        Ok(())
    }

    /// The first record of the chain in this partition, as the row of its account has it, if it has.
    async fn first_record(&self, partition: &str) -> Result<Option<Attributes>, StoreError> {
        let account = partition.strip_prefix(keys::TRAIL_PARTITION).and_then(|id| id.parse().ok());
        let Some(account) = account else { return Ok(None) };
        self.first_in_account(account).await
    }

    /// Every account begins with the record of its registration.
    async fn check_account(
        &self,
        row: Attributes,
        seal: &AuditSeal,
        now: Timestamp,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        let partition = attribute(&row, PARTITION);
        let chain = partition.replacen(keys::ACCOUNT_PARTITION, keys::TRAIL_PARTITION, 1);
        let made = ItemReader::new("account", row).time("created_at")?;
        let first = self.first_item(&chain).await?;
        if begins_otherwise(first.as_ref(), made, seal, now) {
            verified.chains += u64::from(first.is_none());
            verified.findings.push(Finding { chain, number: 1, what: Wrong::Missing });
        }
        Ok(())
    }

    /// What a session's row tells of is on record.
    async fn check_session(
        &self,
        row: &Attributes,
        seal: &AuditSeal,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        let mut reader = ItemReader::new("session", row.clone());
        let (account, session) = (reader.parsed("account")?, reader.parsed("session")?);
        let is_recorded = match AuditEvent::in_session(row, (account, session), seal) {
            Ok(Some(event)) => self.find_record(&event).await?.is_some(),
            Ok(None) => true,
            Err(StoreError::Corrupt { .. }) => false,
            Err(error) => return Err(error),
        };
        if !is_recorded {
            let chain = Chain::Account(account);
            let number = self.chain_end(&chain).await?.last_number();
            verified.findings.push(Finding { chain: chain.partition(), number, what: Wrong::Unrecorded });
        }
        Ok(())
    }

    async fn first_item(&self, partition: &str) -> Result<Option<Attributes>, StoreError> {
        let found = self
            .chain_query(partition)
            .limit(1)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("reading the first record of an account", error))?;
        Ok(found.items.unwrap_or_default().pop())
    }

    async fn chain_items(&self, partition: &str) -> Result<Vec<Attributes>, StoreError> {
        self.chain_query(partition)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| StoreError::from_sdk("reading an audit trail", error))
    }
}

/// Whether the chain of an account that was made then, with this first item, does not begin with the record of the
/// registration, although that has not expired.
pub(super) fn begins_otherwise(
    first: Option<&Attributes>,
    made: Timestamp,
    seal: &AuditSeal,
    now: Timestamp,
) -> bool {
    let is_other = |item: &Attributes| {
        attribute(item, SORT) == keys::audit("", 1).sort
            && attribute(item, "kind") != AuditKind::AccountRegistered.as_str()
    };
    made + seal.retention > now && first.is_none_or(is_other)
}

impl Verified {
    /// Counts a record. One that is damaged may say no time; it is a finding by itself.
    fn count(&mut self, item: &Attributes) {
        self.records += 1;
        let Ok(at) = ItemReader::new("audit", item.clone()).time("at") else { return };
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(Some(at));
    }

    /// A record that is missing may have been missed by its chain and by its account.
    fn in_order(&mut self) {
        self.findings.sort_by(|one, other| (&one.chain, one.number).cmp(&(&other.chain, other.number)));
        self.findings.dedup();
    }
}

impl Group {
    pub(super) fn findings(&self, seal: &AuditSeal, now: Timestamp) -> Vec<Finding> {
        let now_seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let mut findings = Vec::new();
        let mut wrong = |number, what| {
            findings.push(Finding { chain: self.partition.clone(), number, what });
        };
        let mut before: Option<Placed> = None;
        // Of a chain that is no longer than that, the account's row is the head.
        let mut head = None;
        for item in &self.items {
            if attribute(item, SORT) == keys::AUDIT_HEAD {
                head = Some(Placed::of_head(item.clone()).ok().filter(|placed| seal.is_intact(&placed.item)));
                continue;
            }
            let place = attribute(item, SORT);
            let place = place.strip_prefix(keys::AUDIT_PREFIX).and_then(|digits| digits.parse().ok());
            let placed = Placed::of(item.clone()).ok().filter(|_| seal.is_intact(item));
            let Some(placed) = placed else {
                let number = place.unwrap_or(0);
                wrong(number, Wrong::Changed);
                // What it was is not known, and neither is whether the next one was written after it.
                before = None;
                if let Ok(changed) = Placed::of(item.clone()) {
                    before = Some(Placed { number, ..changed });
                }
                continue;
            };
            let mut reader = ItemReader::new("audit", item.clone());
            let (previous, previous_expires) = (reader.digest("prev"), reader.number("prev_ttl"));
            let follows = before.as_ref().is_some_and(|before| before.number + 1 == placed.number);
            if follows {
                let is_linked =
                    before.as_ref().is_some_and(|before| previous.as_ref().ok() == Some(&before.digest));
                let was_wiped = previous.as_ref().is_ok_and(|previous| *previous == [0; 32]);
                if !is_linked && !was_wiped {
                    wrong(placed.number, Wrong::Unlinked);
                }
            } else if placed.number > 1 && previous_expires.is_ok_and(|expires| expires > now_seconds) {
                wrong(placed.number - 1, Wrong::Missing);
            }
            before = Some(placed);
        }
        let last = before.as_ref().map_or(0, |last| last.number);
        if let (None, Some(first)) = (&head, self.in_account.as_ref().filter(|_| last <= 1)) {
            head = Some(Placed::of(first.clone()).ok().filter(|placed| seal.is_intact(&placed.item)));
        }
        match head {
            Some(Some(head)) if head.number > last && head.expires > now_seconds => {
                wrong(head.number, Wrong::Missing);
            }
            Some(None) => wrong(last, Wrong::HeadChanged),
            None if before.is_some_and(|last| last.expires > now_seconds) => wrong(last, Wrong::HeadMissing),
            _ => {}
        }
        findings
    }
}

fn attribute(item: &Attributes, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}
