//! The address an account is signed in with becomes another one, or goes back to an earlier one.
//!
//! The login record lies under the address, so that the row moves: it is written under the new address, under a condition
//! that nobody has it, and removed from the old one in the same transaction. The old address may be held for its account
//! for a while, in which nobody else registers it: the owner has a way back that a thief cannot block.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::accounts::{WANTED_USERNAME, username_row};
use crate::audit::AuditEvent;
use crate::challenges::{self, Challenge};
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::{AccountId, SessionId};
use crate::item::{self, Attributes, number, text, time};
use crate::keys::{self, Key};
use crate::passkeys::PASSKEYS;
use crate::passwordless::PASSWORDLESS;
use crate::revocation_entry::RevocationEntry;
use crate::transaction::Transaction;

/// In the row of an address that nobody has: the account it is held for.
const HELD_FOR: &str = "held_for";
/// In that row: until when.
const HELD_UNTIL: &str = "held_until";
/// What the row of a sign-in may have. It is moved as it was read, and not at all where one of these is another by then.
const FIELDS: [&str; 18] = [
    "account",
    "email",
    "username",
    "full_name",
    "phone",
    "roles",
    "account_status",
    "mfa_enabled",
    "mfa_enabled_at",
    "mfa_codes_only",
    PASSWORDLESS,
    PASSKEYS,
    "email_verified",
    "epoch",
    "password_changed_at",
    "password_hash",
    "keys_ended_at",
    WANTED_USERNAME,
];

/// An address that nobody has and that is kept for an account.
#[derive(Debug, Serialize, Deserialize)]
struct HeldAddress {
    held_for: AccountId,
    #[serde(with = "millisecond::required")]
    held_until: Timestamp,
}

/// A change of the address of an account.
#[derive(Debug, Clone, Copy)]
pub struct AddressMove<'a> {
    /// The account as it was read.
    pub account: &'a Account,
    /// The canonical address it gets, which counts as confirmed.
    pub to: &'a str,
    /// The session that goes on, if it is live; all others end.
    pub keep: Option<SessionId>,
    /// Whether somebody else had the account: the password is forgotten, so that another one has to be chosen by mail, and all
    /// API keys are ended.
    pub was_stolen: bool,
    /// The challenge with which the change is undone, for as long as the old address is held; `None` frees it at once.
    pub way_back: Option<&'a Challenge>,
}

/// How a change of an address ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It took place.
    Done,
    /// The new address is another account's, or held for one.
    Taken,
    /// The challenge was spent before.
    Spent,
    /// The account was changed meanwhile, or is gone.
    Outdated,
    /// The session that was to go on is over.
    SessionOver,
}

impl Store {
    /// Stores the challenge of a change of address beside the event that tells of it.
    pub async fn begin_address_change(
        &self,
        challenge: &Challenge,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let begun = Transaction::on(self).put(challenges::item(challenge)?).record(event);
        begun.write("beginning a change of address").await
    }

    /// Returns whether an account could get this canonical address now: nobody has it, and it is held for nobody else.
    pub async fn is_address_free(
        &self,
        email: &str,
        account: AccountId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(row) = self.get(&keys::credentials(email), "reading an address").await? else {
            return Ok(true);
        };
        Ok(held(row)?.is_some_and(|held| held.held_for == account || held.held_until <= now))
    }

    /// Carries out a change of address with its challenge, which is spent by it. Every session ends but the one that is to
    /// go on.
    pub async fn move_address(
        &self,
        moving: &AddressMove<'_>,
        challenge: &Challenge,
        event: &AuditEvent,
    ) -> Result<Moved, StoreError> {
        let (before, at) = (moving.account, event.at);
        let from = keys::credentials(&before.email);
        let Some(row) = self.get(&from, "reading credentials").await? else { return Ok(Moved::Outdated) };
        let after = Account {
            email: moving.to.to_owned(),
            email_verified: true,
            session_epoch: before.session_epoch + 1,
            keys_ended_at: if moving.was_stolen { Some(at) } else { before.keys_ended_at },
            ..before.clone()
        };
        let unchanged = unchanged(&row).and(Condition::equals("epoch", number(before.session_epoch)));
        let free = free_for(Some(before.id), at);
        let entry = RevocationEntry::Account {
            id: before.id,
            session_epoch: after.session_epoch,
            except: moving.keep,
            at,
        };
        let mut transaction = Transaction::on(self).spend(challenge, Moved::Spent);
        transaction = match moving.way_back {
            Some(way_back) => transaction
                .put_if(held_row(&from, before.id, way_back.expires_at)?, unchanged, Moved::Outdated)
                .put(challenges::item(way_back)?),
            None => transaction.delete_if(&from, unchanged, Moved::Outdated),
        };
        transaction = transaction
            .put_if(moved_row(row, &after, moving.was_stolen), free, Moved::Taken)
            .update_if(&keys::profile(before.id), in_profile(&after), is_as_read(before), Moved::Outdated)
            .put(entry.item());
        if let Some(name) = &before.username {
            let own = Condition::equals("account", text(before.id.to_string()));
            transaction = transaction.put_if(username_row(name, &after)?, own, Moved::Outdated);
        }
        if let Some(session) = moving.keep {
            transaction = transaction.take_along(before, session, Moved::SessionOver);
        }
        transaction.record(event).commit_as(Moved::Done, "changing an address").await
    }
}

/// The condition that an address may be given to this account, or to a new one: no row, or one that holds it for the account
/// or no longer.
pub(crate) fn free_for(account: Option<AccountId>, now: Timestamp) -> Condition {
    let free = Condition::row_missing().or(Condition::at_most(HELD_UNTIL, time(now)));
    match account {
        Some(account) => free.or(Condition::equals(HELD_FOR, text(account.to_string()))),
        None => free,
    }
}

/// Returns the row of a sign-in that stands under an address; `None` where the address is only held for an account.
pub(crate) fn login_row_of(row: Attributes) -> Option<Attributes> {
    (!row.contains_key(HELD_FOR)).then_some(row)
}

/// Returns the account that an address is held for; `None` where the row is one of a sign-in.
pub(crate) fn held_for(row: &Attributes) -> Result<Option<AccountId>, StoreError> {
    Ok(held(row.clone())?.map(|held| held.held_for))
}

fn held(row: Attributes) -> Result<Option<HeldAddress>, StoreError> {
    if row.contains_key(HELD_FOR) { item::read("held address", row).map(Some) } else { Ok(None) }
}

fn held_row(key: &Key, account: AccountId, until: Timestamp) -> Result<Attributes, StoreError> {
    item::expiring_item(key, &HeldAddress { held_for: account, held_until: until }, until)
}

/// The row is what it was when it was read.
fn unchanged(row: &Attributes) -> Condition {
    let as_read = FIELDS.map(|name| match row.get(name) {
        Some(value) => Condition::equals(name, value.clone()),
        None => Condition::Missing(name),
    });
    Condition::All(as_read.to_vec())
}

fn is_as_read(account: &Account) -> Condition {
    Condition::equals("epoch", number(account.session_epoch))
        .and(Condition::equals("email", text(&account.email)))
}

/// The row of a sign-in under its new address.
fn moved_row(mut row: Attributes, after: &Account, was_stolen: bool) -> Attributes {
    row.extend(keys::credentials(&after.email).attributes());
    row.insert("email".to_owned(), text(&after.email));
    row.insert("email_verified".to_owned(), AttributeValue::Bool(true));
    row.insert("epoch".to_owned(), number(after.session_epoch));
    // It waited for the address that is left.
    row.remove(WANTED_USERNAME);
    if was_stolen {
        row.remove("password_hash");
    }
    if let Some(ended) = after.keys_ended_at {
        row.insert("keys_ended_at".to_owned(), time(ended));
    }
    row
}

fn in_profile(after: &Account) -> Update {
    let update = Update::new()
        .set("email", text(&after.email))
        .set("email_verified", AttributeValue::Bool(true))
        .set("epoch", number(after.session_epoch));
    match after.keys_ended_at {
        Some(ended) => update.set("keys_ended_at", time(ended)),
        None => update,
    }
}
