//! The revocation feed, for verifiers of access tokens that do not ask the store: one row for each session that
//! was ended and for each time everything of an account was, written together with the end it tells of.
//!
//! Rows lie in a few partitions for each hour, because one takes no more than 500 of them a second, and sort by time, so that
//! any span of time is read with a query for each partition.

use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use crate::account::Account;
use crate::backoff::Rounds;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::SessionId;
use crate::item::{number, text};
use crate::keys;
use crate::revocation_entry::RevocationEntry;
use crate::transaction::{Refused, Transaction};

/// A part of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPage {
    /// What was revoked, oldest first.
    pub entries: Vec<RevocationEntry>,
    /// Everything before this is in it.
    pub until: Timestamp,
}

impl Store {
    /// Returns what was revoked from `from` until before `until`, or until an earlier time where that is more than `limit`
    /// entries. Whoever reads a span again to which nothing was added gets the same. Fails when the table does.
    pub async fn revocations(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<RevocationPage, StoreError> {
        let partitions = keys::revocation_partitions(from, until).collect::<Vec<_>>();
        // Ids fall on shards by chance: one has not twice its share unless there is little of all.
        let share = (limit / usize::from(keys::REVOCATION_SHARDS) * 2).max(1);
        let shards = try_join_all(
            partitions.iter().map(|partition| self.revocation_shard(partition, from, until, share)),
        )
        .await?;
        let until = shards.iter().map(|shard| shard.until).min().unwrap_or(until);
        let entries = shards.into_iter().flat_map(|shard| shard.entries).collect();
        Ok(RevocationPage { entries, until }.cut(from, limit))
    }

    /// The entries of one partition, a little more than `limit` of them at most.
    async fn revocation_shard(
        &self,
        partition: &str,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<RevocationPage, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":shard", text(partition))
            .expression_attribute_values(":from", text(keys::revocations_from(from)))
            // No row has a sort key without an id, so that the end is not part of it.
            .expression_attribute_values(":until", text(keys::revocations_from(until)))
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut entries = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::from_sdk("reading revocations", error))?;
            for item in page.items.unwrap_or_default() {
                entries.push(RevocationEntry::read(item)?);
            }
            if entries.len() > limit {
                break;
            }
        }
        Ok(RevocationPage { entries, until }.cut(from, limit))
    }

    /// Commits what [`Transaction::raise_session_epoch`] begins. The profile row decides the race: where another writer
    /// raised the session epoch meanwhile, the transaction is made anew for the account as it is after a pause, so that
    /// the feed names the session epoch that really began.
    pub(crate) async fn commit_raise<'a>(
        &'a self,
        account: &Account,
        operation: &'static str,
        make: impl Fn(&Account) -> Transaction<'a, Raise>,
    ) -> Result<Result<(), Raise>, StoreError> {
        let mut account = account.clone();
        let mut rounds = Rounds::begin();
        loop {
            match make(&account).commit(operation).await? {
                Ok(()) => return Ok(Ok(())),
                Err(Refused { by: Raise::AccountChanged, row }) if !row.is_empty() => {}
                Err(refused) => return Ok(Err(refused.by)),
            }
            if !rounds.again().await {
                return Err(StoreError::contended(operation));
            }
            // Not the row that was in the way: it is as old as the pause by now.
            let Some(now) = self.account(account.id).await? else { return Ok(Err(Raise::AccountChanged)) };
            account = now;
        }
    }
}

impl RevocationPage {
    /// Leaves no more than `limit` entries and whole milliseconds, one at least.
    fn cut(mut self, from: Timestamp, limit: usize) -> Self {
        let millisecond = Duration::from_millis(1);
        self.entries.sort_by_key(RevocationEntry::at);
        if let Some(over) = self.entries.get(limit) {
            self.until = self.until.min(over.at().max(from + millisecond));
        }
        self.entries.retain(|entry| entry.at() < self.until);
        self
    }
}

/// Why the session epoch of an account was not raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raise {
    /// The account is of another session epoch by now, or gone.
    AccountChanged,
    /// The session that was to go on is over.
    SessionOver,
}

/// What more is changed in the two rows of an account, and on what more condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountChange {
    pub(crate) in_both: Update,
    /// What both rows must say besides the session epoch.
    pub(crate) as_seen: Option<Condition>,
    /// In the row with the password alone.
    pub(crate) in_credentials: Update,
    /// What that row must say besides.
    pub(crate) password_as_seen: Option<Condition>,
}

impl<R: Clone> Transaction<'_, R> {
    /// Ends everything that was issued to an account, and tells of it. Refuses with `outdated`, and the profile's row,
    /// where the account is not of this session epoch any more.
    pub(crate) fn raise_session_epoch(
        self,
        account: &Account,
        change: AccountChange,
        except: Option<SessionId>,
        at: Timestamp,
        outdated: R,
    ) -> Self {
        let session_epoch = account.session_epoch + 1;
        let entry = RevocationEntry::Account { id: account.id, session_epoch, except, at };
        self.set_session_epoch(account, session_epoch, change, outdated).put(entry.item())
    }

    /// Changes both rows of an account that is still of this session epoch, which goes on; refuses with `outdated`
    /// otherwise.
    pub(crate) fn keep_epoch(self, account: &Account, change: AccountChange, outdated: R) -> Self {
        self.set_session_epoch(account, account.session_epoch, change, outdated)
    }

    fn set_session_epoch(
        self,
        account: &Account,
        session_epoch: u64,
        change: AccountChange,
        outdated: R,
    ) -> Self {
        let update = Update::new().set("epoch", number(session_epoch)).and(change.in_both);
        let seen = and_if_any(Condition::equals("epoch", number(account.session_epoch)), change.as_seen);
        let in_credentials = update.clone().and(change.in_credentials);
        let password_seen = and_if_any(seen.clone(), change.password_as_seen);
        self.update_if(&keys::profile(account.id), update, seen, outdated.clone()).update_if(
            &keys::credentials(&account.email),
            in_credentials,
            password_seen,
            outdated,
        )
    }

    /// Takes a session of the account's present session epoch along into the one that
    /// [`Transaction::raise_session_epoch`] begins. Refuses with `over` unless it is live.
    pub(crate) fn take_along(self, account: &Account, session: SessionId, over: R) -> Self {
        let update = Update::new().set("epoch", number(account.session_epoch + 1));
        let live =
            Condition::equals("epoch", number(account.session_epoch)).and(Condition::Missing("revoked_at"));
        self.update_if(&keys::session(account.id, session), update, live, over)
    }
}

fn and_if_any(condition: Condition, more: Option<Condition>) -> Condition {
    match more {
        Some(more) => condition.and(more),
        None => condition,
    }
}
