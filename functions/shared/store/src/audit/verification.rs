//! Whether the trail is as it was written: every record sealed by the service, in its place, after the one it names, and
//! the last one there.
//!
//! A record that is missing is no finding once it has expired: the one after it says when that is. Whoever can write to
//! the table can take a whole chain back to how it once was, head and all, which nothing inside the table can tell.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::carried::CARRIED;
use super::chain::Placed;
use super::kind::AuditKind;
use super::seal::AuditSeal;
use crate::attributes::ItemReader;
use crate::connection::Store;
use crate::error::StoreError;
use crate::item::{Attributes, text};
use crate::keys::{self, LIST_SORT, PARTITION, SORT};

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
    /// Chains.
    pub chains: u64,
    /// Records.
    pub records: u64,
    /// When the first of them was written, by what it says.
    pub first: Option<Timestamp>,
    /// When the last of them was written, by what it says.
    pub last: Option<Timestamp>,
    /// What is wrong, by chain and number.
    pub findings: Vec<Finding>,
}

/// The items of one chain as far as they were read, and what its account's other rows say of it.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) partition: String,
    pub(super) items: Vec<Attributes>,
    /// When the account in the same partition was made.
    pub(super) account_made: Option<Timestamp>,
    /// The first record, as the account's row has it.
    pub(super) in_account: Option<Attributes>,
    /// The ids of events that sessions carry.
    pub(super) carried: Vec<AttributeValue>,
}

impl Store {
    /// Looks at every chain. A chain in which something seems wrong is read once more by itself, so that a record written
    /// meanwhile is none.
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
            // Items of one partition come one after the other, in the order of their sort keys.
            let partition = attribute(&item, PARTITION);
            if partition != group.partition {
                let done = std::mem::replace(&mut group, Group { partition, ..Group::default() });
                self.close(done, seal, now, &mut verified).await?;
            }
            group.take(item)?;
        }
        self.close(group, seal, now, &mut verified).await?;
        Ok(verified)
    }

    async fn close(
        &self,
        group: Group,
        seal: &AuditSeal,
        now: Timestamp,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        if group.items.is_empty() && group.account_made.is_none() && group.carried.is_empty() {
            return Ok(());
        }
        verified.chains += 1;
        for item in group.items.iter().filter(|item| !item.contains_key("latest")) {
            verified.count(item);
        }
        let mut found = group.findings(seal, now);
        if !found.is_empty() {
            let again = Group { items: self.chain_items(&group.partition).await?, ..group };
            found = again.findings(seal, now);
        }
        verified.findings.extend(found);
        Ok(())
    }

    async fn chain_items(&self, partition: &str) -> Result<Vec<Attributes>, StoreError> {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":prefix", text(keys::AUDIT_PREFIX))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| StoreError::from_sdk("reading an audit trail", error))
    }
}

impl Verified {
    /// Counts a record. One that is damaged may say no time; it is a finding by itself.
    fn count(&mut self, item: &Attributes) {
        self.records += 1;
        let Ok(at) = ItemReader::new("audit", item.clone()).time("at") else { return };
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(Some(at));
    }
}

impl Group {
    fn take(&mut self, item: Attributes) -> Result<(), StoreError> {
        let sort = attribute(&item, SORT);
        if sort == keys::PROFILE {
            self.in_account = item.get("latest").and_then(|record| record.as_m().ok()).cloned();
            self.account_made = Some(ItemReader::new("account", item).time("created_at")?);
        } else if let Some(AttributeValue::M(carried)) = item.get(CARRIED) {
            self.carried.extend(carried.get("id").cloned());
        } else {
            self.items.push(item);
        }
        Ok(())
    }

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
        for id in &self.carried {
            if !self.items.iter().any(|item| item.get(LIST_SORT) == Some(id)) {
                wrong(last, Wrong::Unrecorded);
            }
        }
        match head {
            Some(Some(head)) if head.number > last && head.expires > now_seconds => {
                wrong(head.number, Wrong::Missing);
            }
            Some(None) => wrong(last, Wrong::HeadChanged),
            None if before.is_some_and(|last| last.expires > now_seconds) => wrong(last, Wrong::HeadMissing),
            _ => {}
        }
        // Every account begins with the record of its registration.
        let must_begin = self.account_made.is_some_and(|made| made + seal.retention > now);
        let begins_otherwise = |item: &Attributes| {
            attribute(item, SORT) == keys::audit("", 1).sort
                && attribute(item, "kind") != AuditKind::AccountRegistered.as_str()
        };
        if must_begin && (self.items.is_empty() || self.items.iter().any(begins_otherwise)) {
            wrong(1, Wrong::Missing);
        }
        findings.sort_by_key(|finding| finding.number);
        findings.dedup();
        findings
    }
}

fn attribute(item: &Attributes, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}
