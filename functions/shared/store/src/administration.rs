//! What administrators do to accounts: listing them, and changing what they may do.
//!
//! One row counts the administrators that may be used. Whatever makes one account less an administrator takes its name
//! from that row in the same transaction, on the condition that another one stays: two who demote each other meet there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use jiff::Timestamp;

use crate::accounts::{Account, AccountStatus, read_account};
use crate::audit::{AuditEvent, ChainEnd, together};
use crate::connection::Store;
use crate::error::StoreError;
use crate::guesses::forgiving;
use crate::id::AccountId;
use crate::item::{Attributes, ItemReader, number, text, texts};
use crate::keys::{self, SHARDS};
use crate::passwords::{NewPassword, replacing};
use crate::revocations::{Also, Change};
use crate::sign_ins::SignIns;
use crate::transaction::Transaction;

/// The role of administrators.
pub const ADMIN_ROLE: &str = "admin";
/// `BatchGetItem` takes this many keys.
const BATCH: usize = 100;
/// Rounds for what a batch left over.
const ROUNDS: usize = 8;
/// Whether another administrator stays when this one goes.
pub(crate) const ANOTHER_STAYS: &str =
    "attribute_not_exists(members) OR NOT contains(members, :me) OR size(members) > :one";

/// What an account may do, as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Names of roles.
    pub roles: Vec<String>,
    /// Whether it may be used.
    pub status: AccountStatus,
}

/// How a change of an account's standing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandingChange {
    /// It is as it was to be.
    Changed,
    /// It was not any more what the change was decided on.
    Outdated,
    /// Nobody would be left to administer.
    LastAdmin,
}

/// Some accounts, the newest first.
#[derive(Debug)]
pub struct AccountPage {
    /// The accounts. Read from an index: one that was just made or changed may be a moment behind.
    pub accounts: Vec<Account>,
    /// Where to go on, if there may be more.
    pub next: Option<AccountId>,
}

impl Account {
    /// Whether it counts as an administrator.
    pub fn is_active_admin(&self) -> bool {
        is_admin(&self.roles, self.status)
    }
}

fn is_admin(roles: &[String], status: AccountStatus) -> bool {
    status == AccountStatus::Active && roles.iter().any(|role| role == ADMIN_ROLE)
}

fn member(id: AccountId) -> AttributeValue {
    AttributeValue::Ss(vec![id.to_string()])
}

/// Takes an account from the administrators, if another one stays.
pub(crate) fn leaving(transaction: Transaction<'_>, id: AccountId) -> Transaction<'_> {
    let values = Attributes::from([
        (":members".to_owned(), member(id)),
        (":me".to_owned(), text(id.to_string())),
        (":one".to_owned(), number(1)),
    ]);
    transaction.update_if(&keys::admins(), "DELETE members :members", ANOTHER_STAYS, values)
}

/// Counts an account among the administrators.
pub(crate) fn joining(transaction: Transaction<'_>, id: AccountId) -> Transaction<'_> {
    let values = Attributes::from([(":members".to_owned(), member(id))]);
    let always = "attribute_exists(pk) OR attribute_not_exists(pk)";
    transaction.update_if(&keys::admins(), "ADD members :members", always, values)
}

impl Store {
    /// Gives an account another standing, if it still has the one that was seen. Where the status changes, everything
    /// that was issued before is dead from this moment on.
    pub async fn change_standing(
        &self,
        seen: &Account,
        next: &Standing,
        event: &AuditEvent,
    ) -> Result<StandingChange, StoreError> {
        let change = Change {
            set: ", #roles = :roles, account_status = :status",
            condition: " AND #roles = :seen_roles AND account_status = :seen_status",
            values: [
                (":seen_roles".to_owned(), texts(&seen.roles)),
                (":seen_status".to_owned(), text(seen.status.as_str())),
                (":roles".to_owned(), texts(&next.roles)),
                (":status".to_owned(), text(next.status.as_str())),
            ]
            .into(),
        };
        let also = Also { in_both: change, ..Also::default() };
        let transaction = Transaction::on(self);
        let transaction = if seen.status == next.status {
            transaction.keep_epoch(seen, &also)
        } else {
            transaction.raise_epoch(seen, &also, None, event.at)
        };
        let mut transaction = transaction.record(event);
        let admins = transaction.place();
        transaction = match (seen.is_active_admin(), is_admin(&next.roles, next.status)) {
            (true, false) => leaving(transaction, seen.id),
            (false, true) => joining(transaction, seen.id),
            _ => transaction,
        };
        Ok(match transaction.commit("changing what an account may do").await? {
            Ok(()) => StandingChange::Changed,
            Err(failed) if failed.at(admins) => StandingChange::LastAdmin,
            Err(_) => StandingChange::Outdated,
        })
    }

    /// Whether this account is the only administrator left.
    pub(crate) async fn is_last_admin(&self, id: AccountId) -> Result<bool, StoreError> {
        let Some(found) = self.get(&keys::admins(), "counting administrators").await? else {
            return Ok(false);
        };
        Ok(match found.get("members") {
            Some(AttributeValue::Ss(members)) => members.len() == 1 && members.contains(&id.to_string()),
            _ => false,
        })
    }

    /// Accounts after the one called `after`, newest first.
    pub async fn accounts(&self, limit: usize, after: Option<AccountId>) -> Result<AccountPage, StoreError> {
        // Everything an id can be is between these.
        const LOW: &str = "usr_";
        const HIGH: &str = "usr_g";
        let high = after.map_or_else(|| HIGH.to_owned(), |id| id.to_string());
        let shards = (0..SHARDS).map(|shard| self.accounts_of(keys::people(shard), LOW, &high, limit));
        let mut accounts: Vec<Account> = together(shards.collect()).await?.into_iter().flatten().collect();
        accounts.sort_by_key(|account| std::cmp::Reverse(account.id.to_string()));
        let is_over = accounts.len() <= limit;
        accounts.truncate(limit);
        Ok(AccountPage { next: accounts.last().filter(|_| !is_over).map(|last| last.id), accounts })
    }

    /// At most one more than `limit`.
    async fn accounts_of(
        &self,
        partition: String,
        low: &str,
        high: &str,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let (mut accounts, mut start) = (Vec::new(), None);
        loop {
            let page = self.listing_page(&partition, low, high, start).await?;
            for item in page.items.unwrap_or_default() {
                let account = read_account(&mut ItemReader::new("account", item))?;
                if account.id.to_string() != high {
                    accounts.push(account);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || accounts.len() > limit {
                return Ok(accounts);
            }
        }
    }

    /// When each of these people last signed in, in the same order.
    pub async fn last_logins(&self, accounts: &[Account]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        const OPERATION: &str = "reading last sign-ins";
        let row = |account: &Account| keys::audit_head(&keys::sign_ins(&account.email));
        let mut found: HashMap<String, SignIns> = HashMap::new();
        for batch in accounts.chunks(BATCH) {
            let mut asked: Vec<Attributes> = batch.iter().map(|account| row(account).attributes()).collect();
            for round in 0.. {
                if asked.is_empty() {
                    break;
                }
                if round == ROUNDS {
                    let cause = "keys were left unprocessed again and again".into();
                    return Err(StoreError::Unavailable { operation: OPERATION, cause });
                }
                let keys = KeysAndAttributes::builder().set_keys(Some(asked)).build();
                let mut answer = self
                    .client
                    .batch_get_item()
                    .set_request_items(keys.ok().map(|keys| [(self.table.clone(), keys)].into()))
                    .send()
                    .await
                    .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
                let items = answer.responses.as_mut().and_then(|tables| tables.remove(&self.table));
                for item in items.unwrap_or_default() {
                    let partition = item.get(keys::PARTITION).and_then(|key| key.as_s().ok()).cloned();
                    found.insert(partition.unwrap_or_default(), ChainEnd::of(vec![item])?.sign_ins());
                }
                let left = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table));
                asked = left.map(|left| left.keys).unwrap_or_default();
            }
        }
        let last_login = |account: &Account| {
            found.remove(&row(account).partition)?.since(account.created_at).last_login_at
        };
        Ok(accounts.iter().map(last_login).collect())
    }

    /// Sets every count of wrong passwords of an account back, with the event that tells of it, one of its sign-ins.
    /// `confirmations` is the name under which the others are counted.
    pub async fn unlock_account(&self, confirmations: &str, event: &AuditEvent) -> Result<(), StoreError> {
        let transaction = forgiving(Transaction::on(self), confirmations, event.at).record(event);
        let committed = transaction.commit("unlocking an account").await?;
        debug_assert!(committed.is_ok(), "no condition was given");
        Ok(())
    }

    /// Replaces a password as an administrator does: everything that was issued before is dead from this moment on. Says
    /// whether the account was still there.
    pub async fn override_password(
        &self,
        account: &Account,
        password_hash: &str,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let new = NewPassword { hash: password_hash.to_owned(), at: event.at };
        let make = |account: &Account| {
            replacing(Transaction::on(self), account, &new, None, false, None).record(event)
        };
        Ok(self.commit_raise(account, "replacing a password", make).await?.is_ok())
    }
}
