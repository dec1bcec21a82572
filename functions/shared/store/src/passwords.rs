//! Passwords replaced by others, and addresses shown to be their owner's. Every replacement raises the account's
//! session epoch, so that nothing issued under the old password outlives it.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::account::Account;
use crate::accounts::{WANTED_USERNAME, username_row};
use crate::audit::AuditEvent;
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::SessionId;
use crate::item::{text, time};
use crate::passwordless::PASSWORDLESS;
use crate::revocations::AccountChange;
use crate::sessions::{NewSession, new_item};
use crate::transaction::Transaction;

/// A password that was chosen.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// Its PHC string.
    pub hash: String,
    /// When it was chosen.
    pub at: Timestamp,
}

/// How the change of a password ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordChange {
    /// It took place.
    Changed,
    /// The password was another one already, the session over, or the account gone.
    Outdated,
}

/// How the finish of a challenge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It took place, and the challenge is spent.
    Done,
    /// The challenge was spent before, or what it was begun with is not so any more.
    Spent,
}

/// How one try to confirm an address ended.
#[derive(Debug, Clone, Copy)]
enum Confirmation {
    Done,
    Spent,
    UsernameTaken,
}

impl Store {
    /// Replaces the password whose hash is `old`. Every session ends but `keep`, which must be live.
    pub async fn change_password(
        &self,
        account: &Account,
        old: &str,
        new: &NewPassword,
        keep: SessionId,
        event: &AuditEvent,
    ) -> Result<PasswordChange, StoreError> {
        let change = Replacement::by(new).of(old).change();
        Transaction::on(self)
            .raise_session_epoch(account, change, Some(keep), new.at, PasswordChange::Outdated)
            .take_along(account, keep, PasswordChange::Outdated)
            .record(event)
            .commit_as(PasswordChange::Changed, "changing a password")
            .await
    }

    /// Finishes a challenge whose token came by mail: the password is replaced, the address thereby confirmed, and
    /// every session over; all API keys, too, where that is wanted.
    pub async fn reset_password(
        &self,
        challenge: &Challenge,
        account: &Account,
        new: &NewPassword,
        ends_api_keys: bool,
        event: &AuditEvent,
    ) -> Result<Finished, StoreError> {
        let mut change = Replacement::by(new).confirming_the_address().change();
        if ends_api_keys {
            change.in_both = change.in_both.set("keys_ended_at", time(new.at));
        }
        self.commit_confirmation(account, change, "resetting a password", |transaction, change| {
            transaction
                .raise_session_epoch(account, change, None, new.at, Confirmation::Spent)
                .spend(challenge, Confirmation::Spent)
                .record(event)
        })
        .await
    }

    /// Finishes a challenge of a sign-in with a password that is too old, whose hash is `old`: it is replaced, every
    /// session over, and this one begun, if one may begin.
    pub async fn rotate_password(
        &self,
        challenge: &Challenge,
        account: &Account,
        old: &str,
        new: &NewPassword,
        session: Option<&NewSession>,
        events: &[AuditEvent],
    ) -> Result<Finished, StoreError> {
        let change = Replacement::by(new).of(old).change();
        let mut transaction = Transaction::on(self)
            .raise_session_epoch(account, change, None, new.at, Finished::Spent)
            .spend(challenge, Finished::Spent);
        if let Some(session) = session {
            transaction = transaction.put(new_item(session)?);
        }
        let transaction = events.iter().fold(transaction, Transaction::record);
        transaction.commit_as(Finished::Done, "rotating a password").await
    }

    /// Finishes a challenge whose token came by mail: the address is its owner's.
    pub async fn confirm_address(
        &self,
        challenge: &Challenge,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<Finished, StoreError> {
        let in_both = Update::new().set("email_verified", AttributeValue::Bool(true));
        let change = AccountChange { in_both, ..AccountChange::default() };
        self.commit_confirmation(account, change, "confirming an address", |transaction, change| {
            transaction
                .keep_epoch(account, change, Confirmation::Spent)
                .spend(challenge, Confirmation::Spent)
                .record(event)
        })
        .await
    }

    /// Takes an address as confirmed, because an operator vouches for it. Returns `Spent` where the account is gone or its
    /// session epoch was raised meanwhile.
    pub async fn vouch_for_address(
        &self,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<Finished, StoreError> {
        let in_both = Update::new().set("email_verified", AttributeValue::Bool(true));
        let change = AccountChange { in_both, ..AccountChange::default() };
        self.commit_confirmation(account, change, "vouching for an address", |transaction, change| {
            transaction.keep_epoch(account, change, Confirmation::Spent).record(event)
        })
        .await
    }

    /// Commits what confirms an address. The username that waited for it becomes the account's in the same transaction;
    /// one that another account has by now is given up, so that nobody's link is worth nothing because of a name.
    async fn commit_confirmation<'a>(
        &'a self,
        account: &Account,
        change: AccountChange,
        operation: &'static str,
        finish: impl Fn(Transaction<'a, Confirmation>, AccountChange) -> Transaction<'a, Confirmation>,
    ) -> Result<Finished, StoreError> {
        let wanted = self.wanted_username(account).await?;
        for is_free in [true, false] {
            let (mut change, mut transaction) = (change.clone(), Transaction::on(self));
            if let Some(name) = &wanted {
                change.in_credentials = change.in_credentials.remove(WANTED_USERNAME);
                if is_free {
                    change.in_both = change.in_both.set("username", text(name));
                    let (row, free) = (username_row(name, account)?, Condition::row_missing());
                    transaction = transaction.put_if(row, free, Confirmation::UsernameTaken);
                }
            }
            match finish(transaction, change).commit_as(Confirmation::Done, operation).await? {
                Confirmation::Done => return Ok(Finished::Done),
                Confirmation::Spent => return Ok(Finished::Spent),
                Confirmation::UsernameTaken => {}
            }
        }
        Ok(Finished::Spent)
    }
}

/// Another password for an account that is still of the session epoch it was read in: of two replacements that race,
/// the epoch lets one through. Everything that was issued under the old password ends with it.
#[derive(Debug)]
pub(crate) struct Replacement<'a> {
    new: &'a NewPassword,
    old: Option<&'a str>,
    confirms_address: bool,
}

impl<'a> Replacement<'a> {
    /// Of whatever password is there.
    pub(crate) fn by(new: &'a NewPassword) -> Self {
        Self { new, old: None, confirms_address: false }
    }

    /// Of the password with this hash alone.
    fn of(self, old: &'a str) -> Self {
        Self { old: Some(old), ..self }
    }

    /// By a person who thereby showed that the address is theirs.
    fn confirming_the_address(self) -> Self {
        Self { confirms_address: true, ..self }
    }

    /// Returns what it changes in the rows of the account.
    pub(crate) fn change(self) -> AccountChange {
        let mut in_both = Update::new().set("password_changed_at", time(self.new.at)).remove(PASSWORDLESS);
        if self.confirms_address {
            in_both = in_both.set("email_verified", AttributeValue::Bool(true));
        }
        AccountChange {
            in_both,
            in_credentials: Update::new().set("password_hash", text(&self.new.hash)),
            password_as_seen: self.old.map(|old| Condition::equals("password_hash", text(old))),
            ..AccountChange::default()
        }
    }
}
