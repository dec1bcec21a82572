//! What was revoked lately, for whoever verifies access tokens without asking the store: one row for each session that
//! was ended and for each time everything of an account was, written together with the end it tells of.
//!
//! Rows lie in one partition for each hour, so that the last quarter of an hour is read with one or two queries.

use std::time::Duration;

use jiff::Timestamp;

use crate::accounts::{Account, read_account};
use crate::backoff::Rounds;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::{AccountId, SessionId};
use crate::item::{Attributes, ItemReader, ItemWriter, number, text, time};
use crate::keys;
use crate::transaction::{Refused, Transaction};

/// No access token may live longer.
pub const LONGEST_ACCESS_TOKEN: Duration = Duration::from_hours(24);
/// How far the clocks of two writers may be apart, and how long a write may take.
const SLACK: Duration = Duration::from_mins(1);
/// The epoch of an account that is gone: every token is of an earlier one. The greatest number that every reader of
/// JSON has exactly (RFC 7493, section 2.2).
const AFTER_ALL: u64 = (1 << 53) - 1;

/// One entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationEntry {
    /// One session was ended.
    Session {
        /// Which.
        id: SessionId,
        /// When.
        at: Timestamp,
    },
    /// Everything of an account that is of an earlier epoch was ended.
    Account {
        /// Whose.
        id: AccountId,
        /// The epoch that began.
        epoch: u64,
        /// The session that went on.
        except: Option<SessionId>,
        /// When.
        at: Timestamp,
    },
}

impl RevocationEntry {
    pub(crate) fn item(&self) -> Attributes {
        match self {
            Self::Session { id, at } => row(*at, &id.to_string()).set("session", text(id.to_string())),
            Self::Account { id, epoch, except, at } => row(*at, &id.to_string())
                .set("account", text(id.to_string()))
                .set("epoch", number(*epoch))
                .set_some("kept_session", except.map(|id| text(id.to_string()))),
        }
        .finish()
    }

    /// The entry of an account that is erased.
    pub(crate) fn erased(id: AccountId, at: Timestamp) -> Self {
        Self::Account { id, epoch: AFTER_ALL, except: None, at }
    }

    fn read(found: Attributes) -> Result<Self, StoreError> {
        let mut reader = ItemReader::new("revocation", found);
        let at = reader.time("at")?;
        if let Some(id) = reader.parsed_if_any("session")? {
            return Ok(Self::Session { id, at });
        }
        Ok(Self::Account {
            id: reader.parsed("account")?,
            epoch: reader.number("epoch")?,
            except: reader.parsed_if_any("kept_session")?,
            at,
        })
    }
}

fn row(at: Timestamp, id: &str) -> ItemWriter {
    ItemWriter::new(&keys::revocation(at, id)).set("at", time(at)).expires(at + LONGEST_ACCESS_TOKEN + SLACK)
}

impl Store {
    /// Everything that was revoked within this time before `now`, oldest first.
    pub async fn revocations(
        &self,
        now: Timestamp,
        within: Duration,
    ) -> Result<Vec<RevocationEntry>, StoreError> {
        let (from, to) = (now - within - SLACK, now + SLACK);
        let mut entries = Vec::new();
        for partition in keys::revocation_partitions(from, to) {
            for item in self.revocation_items(&partition, from).await? {
                entries.push(RevocationEntry::read(item)?);
            }
        }
        Ok(entries)
    }

    /// Every row of a partition, from this time on.
    async fn revocation_items(
        &self,
        partition: &str,
        from: Timestamp,
    ) -> Result<Vec<Attributes>, StoreError> {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :hour AND sk >= :from")
            .expression_attribute_values(":hour", text(partition))
            .expression_attribute_values(":from", text(keys::revocation(from, "").sort))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| StoreError::from_sdk("reading revocations", error))
    }

    /// Commits what [`Transaction::raise_epoch`] begins. The profile row decides the race: where another writer raised the
    /// session epoch meanwhile, the transaction is made anew for the account as that row says it is now, so that the
    /// feed names the epoch that really began.
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
                Err(Refused { by: Raise::AccountChanged, row }) if !row.is_empty() => {
                    account = read_account(&mut ItemReader::new("account", row))?;
                }
                Err(refused) => return Ok(Err(refused.by)),
            }
            if !rounds.again().await {
                return Err(StoreError::contended(operation));
            }
        }
    }
}

/// Why the session epoch of an account was not raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raise {
    /// The account is of another epoch by now, or gone.
    AccountChanged,
    /// The session that was to go on is over.
    SessionOver,
}

/// What more is changed in the two rows of an account, and on what more condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountChange {
    pub(crate) in_both: Update,
    /// What both rows must say besides the epoch.
    pub(crate) as_seen: Option<Condition>,
    /// In the row with the password alone.
    pub(crate) in_credentials: Update,
    /// What that row must say besides.
    pub(crate) password_as_seen: Option<Condition>,
}

impl<R: Clone> Transaction<'_, R> {
    /// Ends everything that was issued to an account, and tells of it. Refuses with `outdated`, and the profile's row,
    /// where the account is not of this epoch any more.
    pub(crate) fn raise_epoch(
        self,
        account: &Account,
        change: AccountChange,
        except: Option<SessionId>,
        at: Timestamp,
        outdated: R,
    ) -> Self {
        let epoch = account.epoch + 1;
        let entry = RevocationEntry::Account { id: account.id, epoch, except, at };
        self.set_epoch(account, epoch, change, outdated).put(entry.item())
    }

    /// Changes both rows of an account that is still of this epoch, which goes on; refuses with `outdated` otherwise.
    pub(crate) fn keep_epoch(self, account: &Account, change: AccountChange, outdated: R) -> Self {
        self.set_epoch(account, account.epoch, change, outdated)
    }

    fn set_epoch(self, account: &Account, epoch: u64, change: AccountChange, outdated: R) -> Self {
        let update = Update::new().set("epoch", number(epoch)).and(change.in_both);
        let seen = and_if_any(Condition::equals("epoch", number(account.epoch)), change.as_seen);
        let in_credentials = update.clone().and(change.in_credentials);
        let password_seen = and_if_any(seen.clone(), change.password_as_seen);
        self.update_if(&keys::profile(account.id), update, seen, outdated.clone()).update_if(
            &keys::credentials(&account.email),
            in_credentials,
            password_seen,
            outdated,
        )
    }

    /// Takes a session of the account's present epoch along into the one that [`Transaction::raise_epoch`] begins.
    /// Refuses with `over` unless it is live.
    pub(crate) fn take_along(self, account: &Account, session: SessionId, over: R) -> Self {
        let update = Update::new().set("epoch", number(account.epoch + 1));
        let live = Condition::equals("epoch", number(account.epoch)).and(Condition::Missing("revoked_at"));
        self.update_if(&keys::session(account.id, session), update, live, over)
    }
}

fn and_if_any(condition: Condition, more: Option<Condition>) -> Condition {
    match more {
        Some(more) => condition.and(more),
        None => condition,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;

    use super::*;
    use crate::id::Id;

    #[test]
    fn an_entry_reads_back() {
        let at = Timestamp::from_second(1_760_000_000).unwrap();
        let id = || Id::generate(at, &SystemEntropy).unwrap();
        for entry in [
            RevocationEntry::Session { id: id(), at },
            RevocationEntry::erased(Id::generate(at, &SystemEntropy).unwrap(), at),
            RevocationEntry::Account {
                id: Id::generate(at, &SystemEntropy).unwrap(),
                epoch: 7,
                except: Some(id()),
                at,
            },
        ] {
            assert_eq!(RevocationEntry::read(entry.item()).unwrap(), entry);
        }
    }
}
