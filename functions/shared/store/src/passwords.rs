//! Passwords replaced by others, and addresses shown to be their owner's. Every replacement raises the account's epoch,
//! so that nothing issued under the old password outlives it.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::accounts::Account;
use crate::audit::AuditEvent;
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::item::{text, time};
use crate::keys;
use crate::revocations::{Also, Change};
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
        let transaction = replacing(Transaction::on(self), account, new, Some(old), false, Some(keep))
            .take_along(account, keep)
            .record(event);
        let committed = transaction.commit("changing a password").await?;
        Ok(if committed.is_ok() { PasswordChange::Changed } else { PasswordChange::Outdated })
    }

    /// Finishes a challenge whose token came by mail: the password is replaced, the address thereby confirmed, and
    /// every session over.
    pub async fn reset_password(
        &self,
        challenge: &Challenge,
        account: &Account,
        new: &NewPassword,
        event: &AuditEvent,
    ) -> Result<Finished, StoreError> {
        let transaction = replacing(Transaction::on(self), account, new, None, true, None)
            .delete_present(&keys::challenge(challenge.kind, &challenge.digest))
            .record(event);
        let committed = transaction.commit("resetting a password").await?;
        Ok(if committed.is_ok() { Finished::Done } else { Finished::Spent })
    }

    /// Finishes a challenge of a sign-in with a password that is too old, whose hash is `old`: it is replaced, every
    /// session over, and this one begun.
    pub async fn rotate_password(
        &self,
        challenge: &Challenge,
        account: &Account,
        old: &str,
        new: &NewPassword,
        session: &NewSession,
        events: &[AuditEvent],
    ) -> Result<Finished, StoreError> {
        let transaction = replacing(Transaction::on(self), account, new, Some(old), false, None)
            .delete_present(&keys::challenge(challenge.kind, &challenge.digest))
            .put(new_item(session));
        let transaction = events.iter().fold(transaction, Transaction::record);
        let committed = transaction.commit("rotating a password").await?;
        Ok(if committed.is_ok() { Finished::Done } else { Finished::Spent })
    }

    /// Finishes a challenge whose token came by mail: the address is its owner's.
    pub async fn confirm_address(
        &self,
        challenge: &Challenge,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<Finished, StoreError> {
        let in_both = Change {
            set: ", email_verified = :yes",
            values: [(":yes".to_owned(), AttributeValue::Bool(true))].into(),
            ..Change::default()
        };
        let transaction = Transaction::on(self)
            .keep_epoch(account, &Also { in_both, ..Also::default() })
            .delete_present(&keys::challenge(challenge.kind, &challenge.digest))
            .record(event);
        let committed = transaction.commit("confirming an address").await?;
        Ok(if committed.is_ok() { Finished::Done } else { Finished::Spent })
    }
}

/// Another password for an account that is still of the epoch it was read in: of two replacements that race, one is late.
/// Everything that was issued under the old one ends, but for a session to keep.
pub(crate) fn replacing<'a>(
    transaction: Transaction<'a>,
    account: &Account,
    new: &NewPassword,
    old: Option<&str>,
    confirms_address: bool,
    keep: Option<SessionId>,
) -> Transaction<'a> {
    let mut in_both = Change {
        set: ", password_changed_at = :changed_at",
        values: [(":changed_at".to_owned(), time(new.at))].into(),
        ..Change::default()
    };
    if confirms_address {
        in_both.set = ", password_changed_at = :changed_at, email_verified = :yes";
        in_both.values.insert(":yes".to_owned(), AttributeValue::Bool(true));
    }
    let mut in_credentials = Change {
        set: ", password_hash = :hash",
        values: [(":hash".to_owned(), text(&new.hash))].into(),
        ..Change::default()
    };
    if let Some(old) = old {
        in_credentials.condition = " AND password_hash = :old";
        in_credentials.values.insert(":old".to_owned(), text(old));
    }
    transaction.raise_epoch(account, &Also { in_both, in_credentials }, keep, new.at)
}
