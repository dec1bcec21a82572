//! Passwords replaced by others, and addresses shown to be their owner's. Every replacement raises the account's epoch,
//! so that nothing issued under the old password outlives it.

use jiff::Timestamp;

use crate::accounts::Account;
use crate::audit::AuditEvent;
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::item::{Attributes, number, text, time};
use crate::keys;
use crate::revocations::RevocationEntry;
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
        let one = Attributes::from([(":one".to_owned(), number(1))]);
        let live = "attribute_exists(pk) AND attribute_not_exists(revoked_at)";
        let transaction = replacing(Transaction::on(self), account, new, Some(old), false, Some(keep))
            .update_if(&keys::session(account.id, keep), "ADD epoch :one", live, one)
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
        let seen = Attributes::from([
            (":yes".to_owned(), aws_sdk_dynamodb::types::AttributeValue::Bool(true)),
            (":epoch".to_owned(), number(account.epoch)),
        ]);
        let mut transaction = Transaction::on(self);
        for key in [keys::profile(account.id), keys::credentials(&account.email)] {
            transaction =
                transaction.update_if(&key, "SET email_verified = :yes", "epoch = :epoch", seen.clone());
        }
        let transaction =
            transaction.delete_present(&keys::challenge(challenge.kind, &challenge.digest)).record(event);
        let committed = transaction.commit("confirming an address").await?;
        Ok(if committed.is_ok() { Finished::Done } else { Finished::Spent })
    }
}

/// Both rows of the account, if it is still of the epoch it was read in: of two replacements that race, one is late.
/// And the entry of the feed that tells whoever verifies tokens.
pub(crate) fn replacing<'a>(
    transaction: Transaction<'a>,
    account: &Account,
    new: &NewPassword,
    old: Option<&str>,
    confirms_address: bool,
    keep: Option<SessionId>,
) -> Transaction<'a> {
    let mut shared = Attributes::from([
        (":at".to_owned(), time(new.at)),
        (":one".to_owned(), number(1)),
        (":epoch".to_owned(), number(account.epoch)),
    ]);
    let mut set = String::from("password_changed_at = :at");
    if confirms_address {
        set.push_str(", email_verified = :yes");
        shared.insert(":yes".to_owned(), aws_sdk_dynamodb::types::AttributeValue::Bool(true));
    }
    let mut of_credentials = shared.clone();
    of_credentials.insert(":hash".to_owned(), text(&new.hash));
    let mut unchanged = String::from("epoch = :epoch");
    if let Some(old) = old {
        unchanged.push_str(" AND password_hash = :old");
        of_credentials.insert(":old".to_owned(), text(old));
    }
    transaction
        .update_if(
            &keys::credentials(&account.email),
            &format!("SET password_hash = :hash, {set} ADD epoch :one"),
            &unchanged,
            of_credentials,
        )
        .update_if(&keys::profile(account.id), &format!("SET {set} ADD epoch :one"), "epoch = :epoch", shared)
        .put(
            RevocationEntry::Account { id: account.id, epoch: account.epoch + 1, except: keep, at: new.at }
                .item(),
        )
}
