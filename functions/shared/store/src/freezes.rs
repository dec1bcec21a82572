//! Freezes: rows that say that broker credentials must not be read.
//!
//! There are three kinds, and none lifts another: the owner's and the administrators' of one person lie with what that person
//! entrusted to the service for brokers, and that of everybody is one row. A freeze of one person has an entry in a list beside
//! it, written and removed together with it: the feed that the edge follows is made of that list, and the sweep finds
//! there what a request left undone. The list decides nothing about a reading.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::{AccountId, AuditId};
use crate::item::{self, Attributes, number, text, time, ttl};
use crate::keys::{self, Key};
use crate::transaction::{Outdated, Transaction, Unwritten};

/// How often a person's credentials were frozen.
const FREEZES: &str = "freezes";

/// How long a freeze of everybody is remembered when it is over: longer than any lease of a reading lives, which it ended.
pub const EVERYBODY_REMEMBERED: Duration = Duration::from_hours(1);

/// That credentials must not be read.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// When the freeze began.
    #[serde(with = "millisecond::required")]
    pub since: Timestamp,
    /// The event that told of it: tells one freeze from the next.
    pub told_by: AuditId,
    /// Until when services that cancel orders may still read sessions; `None` for a freeze that lets nobody.
    #[serde(default, with = "millisecond::optional")]
    pub cancel_until: Option<Timestamp>,
    /// When it ends by itself; `None` for one that somebody has to lift.
    #[serde(default, with = "millisecond::optional")]
    pub ends_at: Option<Timestamp>,
    /// Who stored it, as the trail names them; `None` for the owner.
    pub frozen_by: Option<String>,
    /// What an administrator gave as the reason.
    pub reason: Option<String>,
}

impl Freeze {
    /// Returns the owner's freeze that this event tells of, which lets nobody read and has no end.
    pub fn of(event: &AuditEvent) -> Self {
        let (since, told_by) = (event.at, event.id);
        Self { since, told_by, cancel_until: None, ends_at: None, frozen_by: None, reason: None }
    }

    /// Returns whether it stands at this time. A row that has ended stays until the table removes it.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| now < end)
    }

    /// Returns whether something that was begun at `begun_at` is closed by it at this time: it stands, or it began since. What was
    /// begun before a freeze does not come back when that is lifted.
    pub fn closes(&self, begun_at: Timestamp, now: Timestamp) -> bool {
        self.stands(now) || begun_at <= self.since
    }

    /// Returns whether sessions may be read in spite of it at this time, to cancel orders.
    pub fn lets_cancel(&self, now: Timestamp) -> bool {
        self.cancel_until.is_some_and(|until| now < until)
    }
}

/// Who froze one person's credentials, and who alone can lift that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freezer {
    /// The owner of the credentials, who proves it to lift that.
    Owner,
    /// An administrator, whichever of them lifts it.
    Admin,
}

/// The freezes that stand in the way of reading one person's credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freezes {
    /// Everybody's credentials are frozen.
    pub everybody: Option<Freeze>,
    /// An administrator froze this person's.
    pub by_admin: Option<Freeze>,
    /// The person froze their own.
    pub own: Option<Freeze>,
    /// When everybody's credentials were frozen last, lifted or not, as far back as [`EVERYBODY_REMEMBERED`].
    pub everybody_since: Option<Timestamp>,
}

impl Freezes {
    /// Returns whether there is one.
    pub fn any(&self) -> bool {
        self.all().next().is_some()
    }

    /// Returns those there are, the one that reaches furthest first.
    pub fn all(&self) -> impl Iterator<Item = &Freeze> {
        [&self.everybody, &self.by_admin, &self.own].into_iter().flatten()
    }

    /// Returns whether every one of them lets services read sessions at this time, to cancel orders; `false` where there is
    /// none: nothing is to be cancelled then. One that does not closes them for the others, too.
    pub fn let_cancel(&self, now: Timestamp) -> bool {
        self.any() && self.all().all(|freeze| freeze.lets_cancel(now))
    }

    /// Returns until when they do; `None` where one does not, or there is none.
    pub fn cancel_until(&self) -> Option<Timestamp> {
        let all: Option<Vec<Timestamp>> = self.all().map(|freeze| freeze.cancel_until).collect();
        all?.into_iter().min()
    }

    fn of_person(&self, freezer: Freezer) -> Option<&Freeze> {
        match freezer {
            Freezer::Owner => self.own.as_ref(),
            Freezer::Admin => self.by_admin.as_ref(),
        }
    }

    /// Returns the freeze of this kind that this event told of, if it still stands.
    pub fn told_by(&self, freezer: Freezer, event: AuditId) -> Option<&Freeze> {
        self.of_person(freezer).filter(|freeze| freeze.told_by == event)
    }
}

/// Everything that is frozen, as the list has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frozen {
    /// Whether everybody is.
    pub everybody: bool,
    /// The people who are, each at least once.
    pub people: Vec<AccountId>,
    /// Whether there are more people than were asked for.
    pub is_cut: bool,
}

/// A freeze of one person that something is left to be done for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedFreeze {
    /// Whose credentials are frozen.
    pub owner: AccountId,
    /// Who froze them.
    pub freezer: Freezer,
    /// The event that told of it.
    pub told_by: AuditId,
}

/// The entry of a freeze of one person in the list.
#[skip_serializing_none]
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    account: AccountId,
    told_by: AuditId,
    #[serde(default, with = "millisecond::optional")]
    ends_at: Option<Timestamp>,
    /// From when on the sweep does what is left; `None` where nothing is.
    #[serde(default, with = "millisecond::optional")]
    due_at: Option<Timestamp>,
}

impl Store {
    /// Returns the person's own freeze.
    pub async fn freeze(&self, owner: AccountId) -> Result<Option<Freeze>, StoreError> {
        self.get(&keys::freeze(owner), "reading a freeze").await?.map(read).transpose()
    }

    /// Returns the freezes that stand at this time for one person, read with one request beside another: those of the person,
    /// and that of everybody.
    pub async fn freezes(&self, owner: AccountId, now: Timestamp) -> Result<Freezes, StoreError> {
        let (of_person, everybody) =
            tokio::try_join!(self.freezes_of(owner), self.last_freeze_of_everybody())?;
        let (own, by_admin) = of_person;
        let everybody_since = everybody.as_ref().map(|freeze| freeze.since);
        let standing = |freeze: Option<Freeze>| freeze.filter(|freeze| freeze.stands(now));
        let [everybody, by_admin, own] = [everybody, by_admin, own].map(standing);
        Ok(Freezes { everybody, by_admin, own, everybody_since })
    }

    /// Returns the owner's own freeze and that of an administrator, ended or not.
    async fn freezes_of(&self, owner: AccountId) -> Result<(Option<Freeze>, Option<Freeze>), StoreError> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :owner AND begins_with(sk, :prefix)")
            .expression_attribute_values(":owner", text(keys::vault(owner)))
            .expression_attribute_values(":prefix", text(keys::FREEZE_PREFIX))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("reading freezes", error))?;
        let (mut own, mut by_admin) = (None, None);
        for row in found.items.unwrap_or_default() {
            let is_own = row.get(keys::SORT) == Some(&text(keys::freeze(owner).sort));
            *(if is_own { &mut own } else { &mut by_admin }) = Some(read(row)?);
        }
        Ok((own, by_admin))
    }

    /// Returns how often a person's credentials were frozen so far, by whomever.
    pub async fn freeze_count(&self, owner: AccountId) -> Result<u64, StoreError> {
        #[derive(Deserialize)]
        struct Count {
            freezes: u64,
        }
        let key = keys::freeze_count(owner);
        let found = self.get(&key, "reading how often credentials were frozen").await?;
        found.map_or(Ok(0), |found| Ok(item::read::<Count>("count of freezes", found)?.freezes))
    }

    /// Returns the freeze of everybody that stands at this time.
    pub async fn freeze_of_everybody(&self, now: Timestamp) -> Result<Option<Freeze>, StoreError> {
        Ok(self.last_freeze_of_everybody().await?.filter(|freeze| freeze.stands(now)))
    }

    /// Returns the last freeze of everybody, over or not, as far back as [`EVERYBODY_REMEMBERED`].
    pub async fn last_freeze_of_everybody(&self) -> Result<Option<Freeze>, StoreError> {
        self.get(&keys::frozen_everybody(), "reading the freeze of everybody").await?.map(read).transpose()
    }

    /// Stops every reading of a person's credentials, stopped before or not, in one write with the events that tell of it.
    /// From `due_at` on the sweep looks whether something is left to be done. Returns what is yet to be written behind it
    /// and holds nothing up, or `None` where the person's account is gone.
    pub async fn put_freeze(
        &self,
        (owner, freezer): (AccountId, Freezer),
        freeze: &Freeze,
        due_at: Option<Timestamp>,
        events: &[AuditEvent],
    ) -> Result<Option<Unwritten<'_>>, StoreError> {
        let entry = Entry { account: owner, told_by: freeze.told_by, ends_at: freeze.ends_at, due_at };
        let transaction = Transaction::on(self)
            .check(&keys::profile(owner), Condition::row_exists(), Outdated)
            .put(ending_item(&key(owner, freezer), freeze, freeze.ends_at)?)
            .put(ending_item(&keys::frozen_person(owner, freezer), &entry, freeze.ends_at)?)
            // It is never taken back: what was asked for before this freeze is not good for anything when it is lifted.
            .update(&keys::freeze_count(owner), Update::new().add(FREEZES, number(1)));
        let transaction = events.iter().fold(transaction, Transaction::record);
        Ok(transaction.commit_first("freezing credentials").await?.ok())
    }

    /// Stops every reading of everybody's credentials, with the event that tells of it.
    pub async fn freeze_everybody(&self, freeze: &Freeze, event: &AuditEvent) -> Result<(), StoreError> {
        Transaction::on(self)
            .put(ending_item(
                &keys::frozen_everybody(),
                freeze,
                freeze.ends_at.map(|end| end + EVERYBODY_REMEMBERED),
            )?)
            .record(event)
            .write("freezing everybody's credentials")
            .await
    }

    /// Allows a person's credentials to be read again, if they are still stopped by this very freeze: a request to lift one
    /// that arrives late lifts none that came after it. Returns whether it did.
    pub async fn lift_freeze(
        &self,
        (owner, freezer): (AccountId, Freezer),
        freeze: &Freeze,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let committed = Transaction::on(self)
            .delete_if(&key(owner, freezer), the_same(freeze.told_by), Outdated)
            .delete(&keys::frozen_person(owner, freezer))
            .record(event)
            .commit("unfreezing credentials")
            .await?;
        Ok(committed.is_ok())
    }

    /// The same for the freeze of everybody. Its row stays for a while, as that of a freeze that is over.
    pub async fn unfreeze_everybody(&self, freeze: &Freeze, event: &AuditEvent) -> Result<bool, StoreError> {
        let stands = Condition::Missing("ends_at").or(Condition::Compare("ends_at", ">", time(event.at)));
        let over =
            Update::new().set("ends_at", time(event.at)).set(keys::TTL, ttl(event.at + EVERYBODY_REMEMBERED));
        let committed = Transaction::on(self)
            .update_if(&keys::frozen_everybody(), over, the_same(freeze.told_by).and(stands), Outdated)
            .record(event)
            .commit("unfreezing everybody's credentials")
            .await?;
        Ok(committed.is_ok())
    }

    /// Notes that nothing is left to be done for a freeze, unless another one took its place.
    pub async fn settle_freeze(&self, freeze: &UnfinishedFreeze) -> Result<(), StoreError> {
        let key = keys::frozen_person(freeze.owner, freeze.freezer);
        let update = Update::new().remove("due_at");
        self.update_if(&key, update, the_same(freeze.told_by), "settling a freeze").await.map(drop)
    }

    /// Has the sweep look at a freeze again at this time, unless another one took its place.
    pub async fn postpone_freeze(
        &self,
        freeze: &UnfinishedFreeze,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let key = keys::frozen_person(freeze.owner, freeze.freezer);
        let update = Update::new().set("due_at", time(until));
        self.update_if(&key, update, the_same(freeze.told_by), "postponing a freeze").await.map(drop)
    }

    /// Returns what is frozen at this time; of people, `limit` at most: those that administrators froze, then others by the
    /// age of their accounts.
    pub async fn frozen(&self, now: Timestamp, limit: usize) -> Result<Frozen, StoreError> {
        let mut frozen = Frozen::default();
        let mut rows = self.listed_freezes().into_paginator().items().send();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| StoreError::from_sdk("listing freezes", error))?;
            if row.get(keys::SORT) == Some(&text(keys::frozen_everybody().sort)) {
                frozen.everybody = read(row)?.stands(now);
                continue;
            }
            let entry = read_entry(row)?;
            if entry.ends_at.is_some_and(|end| end <= now) {
                continue;
            }
            if frozen.people.len() == limit {
                frozen.is_cut = true;
                break;
            }
            frozen.people.push(entry.account);
        }
        Ok(frozen)
    }

    /// Returns the freezes of which something is left to be done at this time, `limit` at most.
    pub async fn unfinished_freezes(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<UnfinishedFreeze>, StoreError> {
        let mut rows = self
            .listed_freezes()
            .filter_expression("due_at <= :now")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| StoreError::from_sdk("listing freezes", error))?;
            let by_admin = |sort: &String| sort.starts_with(keys::FROZEN_BY_ADMIN);
            let is_admins = row.get(keys::SORT).and_then(|sort| sort.as_s().ok()).is_some_and(by_admin);
            let freezer = if is_admins { Freezer::Admin } else { Freezer::Owner };
            let Entry { account: owner, told_by, .. } = read_entry(row)?;
            found.push(UnfinishedFreeze { owner, freezer, told_by });
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    fn listed_freezes(&self) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :list")
            .expression_attribute_values(":list", text(keys::FROZEN))
            .consistent_read(true)
    }
}

impl<R> Transaction<'_, R> {
    /// Refuses with `frozen` while the person's credentials are, at this time. The freeze of everybody is not looked at: every
    /// transaction would meet every other one at its row.
    pub(crate) fn unless_frozen(self, owner: AccountId, now: Timestamp, frozen: R) -> Self
    where
        R: Clone,
    {
        let is_over = Condition::row_missing().or(Condition::at_most("ends_at", time(now)));
        self.check(&keys::freeze(owner), Condition::row_missing(), frozen.clone()).check(
            &keys::freeze_by_admin(owner),
            is_over,
            frozen,
        )
    }

    /// Removes every freeze of a person, with its entry in the list.
    pub(crate) fn forget_freezes(self, owner: AccountId) -> Self {
        [Freezer::Owner, Freezer::Admin].into_iter().fold(self, |transaction, freezer| {
            transaction.delete(&key(owner, freezer)).delete(&keys::frozen_person(owner, freezer))
        })
    }
}

/// The person's credentials were frozen so often and not once more.
pub(crate) fn frozen_as_often(freezes: u64) -> Condition {
    match freezes {
        0 => Condition::row_missing(),
        freezes => Condition::equals(FREEZES, number(freezes)),
    }
}

fn key(owner: AccountId, freezer: Freezer) -> Key {
    match freezer {
        Freezer::Owner => keys::freeze(owner),
        Freezer::Admin => keys::freeze_by_admin(owner),
    }
}

fn the_same(told_by: AuditId) -> Condition {
    Condition::equals("told_by", text(told_by.to_string()))
}

fn ending_item(
    key: &Key,
    record: &impl Serialize,
    ends_at: Option<Timestamp>,
) -> Result<Attributes, StoreError> {
    match ends_at {
        Some(end) => item::expiring_item(key, record, end),
        None => item::item(key, record),
    }
}

fn read(row: Attributes) -> Result<Freeze, StoreError> {
    item::read("freeze", row)
}

fn read_entry(row: Attributes) -> Result<Entry, StoreError> {
    item::read("entry of a freeze", row)
}
