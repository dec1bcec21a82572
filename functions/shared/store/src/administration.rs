//! What administrators do to accounts: listing them, and changing what they may do.
//!
//! One row lists the administrators that may be used (`admins`). Whatever makes one account less an administrator takes
//! its name from that row in the same transaction, on the condition that another one stays: two who demote each other
//! meet there.

use std::cmp::Reverse;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use jiff::Timestamp;

use crate::account::{Account, AccountStatus, is_admin, read_account};
use crate::admins::{add_admin, remove_admin};
use crate::attempts::forgiving;
use crate::audit::{AuditEvent, ChainEnd, of_shards};
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::AccountId;
use crate::item::{Attributes, text, texts};
use crate::keys::{self, PEOPLE_SHARDS};
use crate::passwords::{NewPassword, Replacement};
use crate::revocations::{AccountChange, Raise};
use crate::sign_ins::SignIns;
use crate::transaction::Transaction;

/// `BatchGetItem` takes this many keys.
const BATCH: usize = 100;
/// Rounds for what a batch left over.
const ROUNDS: usize = 8;
/// The roles and the status an account shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolesAndStatus {
    /// Names of roles.
    pub roles: Vec<String>,
    /// Enabled or disabled.
    pub status: AccountStatus,
}

impl RolesAndStatus {
    /// Whether an account with these counts as an administrator.
    pub fn is_active_admin(&self) -> bool {
        is_admin(&self.roles, self.status)
    }
}

/// The result of a change of roles and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolesAndStatusChange {
    /// The change was written.
    Changed,
    /// The account was changed since it was read; decide again.
    Outdated,
    /// Refused: the administrator who was to stay is none any more, or there was none.
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

impl Store {
    /// Writes other roles and status, on the condition that the account still has the ones that were read, with the
    /// events that tell of it. A change of status raises the session epoch in the same transaction, which ends everything
    /// issued before. Where it makes one administrator less, `another` must be one still.
    pub async fn change_roles_and_status(
        &self,
        seen: &Account,
        next: &RolesAndStatus,
        another: Option<AccountId>,
        events: &[AuditEvent],
    ) -> Result<RolesAndStatusChange, StoreError> {
        let set =
            Update::new().set("roles", texts(&next.roles)).set("account_status", text(next.status.as_str()));
        let as_seen = Condition::equals("roles", texts(&seen.roles))
            .and(Condition::equals("account_status", text(seen.status.as_str())));
        let change = AccountChange { in_both: set, as_seen: Some(as_seen), ..AccountChange::default() };
        let mut transaction = Transaction::on(self);
        // That no administrator would be left is said even where the account is not what it was either.
        transaction = match (seen.is_active_admin(), next.is_active_admin()) {
            (true, false) => remove_admin(transaction, seen.id, another, RolesAndStatusChange::LastAdmin),
            (false, true) => add_admin(transaction, seen.id),
            _ => transaction,
        };
        transaction = if seen.status == next.status {
            transaction.keep_epoch(seen, change, RolesAndStatusChange::Outdated)
        } else {
            let at = events.first().map_or(seen.created_at, |event| event.at);
            transaction.raise_session_epoch(seen, change, None, at, RolesAndStatusChange::Outdated)
        };
        let operation = "changing what an account may do";
        let transaction = events.iter().fold(transaction, Transaction::record);
        transaction.commit_as(RolesAndStatusChange::Changed, operation).await
    }

    /// Accounts after the one called `after`, newest first.
    pub async fn accounts(&self, limit: usize, after: Option<AccountId>) -> Result<AccountPage, StoreError> {
        let shards = of_shards(0..PEOPLE_SHARDS, |shard| self.accounts_of(keys::people(shard), after, limit));
        let mut accounts: Vec<Account> = shards.await?.into_iter().flatten().collect();
        accounts.sort_by_key(|account| Reverse(account.id));
        let is_over = accounts.len() <= limit;
        accounts.truncate(limit);
        Ok(AccountPage { next: accounts.last().filter(|_| !is_over).map(|last| last.id), accounts })
    }

    /// At most one more than `limit`.
    async fn accounts_of(
        &self,
        partition: String,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        // Everything an id can be is between these.
        const LOW: &str = "usr_";
        const HIGH: &str = "usr_g";
        let high = after.map_or_else(|| HIGH.to_owned(), |id| id.to_string());
        let (mut accounts, mut start) = (Vec::new(), None);
        loop {
            let page = self.listing_page(&partition, LOW, &high, start).await?;
            for item in page.items.unwrap_or_default() {
                let account = read_account("account", item)?;
                // A range of a query includes its ends.
                if Some(account.id) != after {
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
        forgiving(Transaction::on(self), confirmations, event.at)
            .record(event)
            .write("unlocking an account")
            .await
    }

    /// Replaces a password as an administrator does: everything that was issued before is dead from this moment on.
    /// Says whether the account was still there.
    pub async fn override_password(
        &self,
        account: &Account,
        password_hash: &str,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let new = NewPassword { hash: password_hash.to_owned(), at: event.at };
        let make = |account: &Account| {
            let raised = Replacement::by(&new).change();
            Transaction::on(self)
                .raise_session_epoch(account, raised, None, event.at, Raise::AccountChanged)
                .record(event)
        };
        Ok(self.commit_raise(account, "replacing a password", make).await?.is_ok())
    }
}
