//! Accounts without a password: how one is taken away and set again by a passkey, and the way back when the passkeys are lost.
//!
//! A password goes only while a passkey stays and backup codes are there, and the last passkey goes only while a password is
//! there. Both are conditions on the row of the profile, so that of two writes that would take the last two ways in one is refused.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::account::Account;
use crate::audit::AuditEvent;
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::factors::{Factor, replacing, switched};
use crate::id::SessionId;
use crate::item::{number, time};
use crate::passkeys::{NotUsed, PASSKEYS, PasskeyUse};
use crate::passwords::{NewPassword, Replacement};
use crate::revocations::AccountChange;
use crate::transaction::Transaction;

/// In both rows of an account whose owner removed the password.
pub(crate) const PASSWORDLESS: &str = "passwordless";

/// How a change of a password that a passkey proves ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyRule {
    /// It took place, and every other session is over.
    Done,
    /// The ceremony of the passkey was finished before.
    CeremonySpent,
    /// The passkey was removed, or showed the same or a higher counter meanwhile.
    PasskeyChanged,
    /// The factor was replaced since it was read.
    FactorOutdated,
    /// The account is not as it was read any more, or the session is over.
    Outdated,
}

/// Who changes a password by a passkey, and in which session, which goes on.
#[derive(Debug, Clone, Copy)]
pub struct PasswordByPasskey<'a> {
    /// The account as it was read.
    pub account: &'a Account,
    /// The passkey that proves who they are.
    pub used: &'a PasskeyUse,
    /// The session that goes on.
    pub keep: SessionId,
}

/// What takes the place of what was lost, after a link in a mail and a code.
#[derive(Debug, Clone, Copy)]
pub struct AccountRecovery<'a> {
    /// The challenge whose token came by mail.
    pub link: &'a Challenge,
    /// The account as it was read.
    pub account: &'a Account,
    /// The factor once the code is spent.
    pub next: &'a Factor,
    /// The password that was chosen, where one was.
    pub new: Option<&'a NewPassword>,
    /// When it happens.
    pub at: Timestamp,
}

/// How a recovery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// Link and code are spent, and everything of the account has ended.
    Done,
    /// Another writer replaced the factor first: the code is to be judged again.
    FactorOutdated,
    /// The link was spent before, or the account is not as it was read any more.
    Spent,
}

impl Store {
    /// Removes the password of an account. `codes` is the factor that is switched on with it, where there is none; otherwise
    /// one has to be on. Every session ends but the one it happens in.
    pub async fn remove_password(
        &self,
        by: &PasswordByPasskey<'_>,
        codes: Option<&Factor>,
        event: &AuditEvent,
    ) -> Result<PasskeyRule, StoreError> {
        let mut change = AccountChange {
            in_both: Update::new()
                .set(PASSWORDLESS, AttributeValue::Bool(true))
                .set("password_changed_at", time(by.used.at)),
            in_credentials: Update::new().remove("password_hash"),
            ..AccountChange::default()
        };
        let has_passkey = Condition::at_least(PASSKEYS, number(1_u64));
        let mut transaction = Transaction::on(self);
        if let Some(next) = codes {
            transaction = replacing(transaction, by.account.id, next, PasskeyRule::FactorOutdated)?;
            change.in_both = change.in_both.and(switched(next.active.as_ref(), by.used.at));
            change.as_seen = Some(has_passkey);
        } else {
            let has_codes = Condition::equals("mfa_enabled", AttributeValue::Bool(true));
            change.as_seen = Some(has_passkey.and(has_codes));
        }
        changing(transaction, by, change, event)?.commit_as(PasskeyRule::Done, "removing a password").await
    }

    /// Sets the password of an account that has none. Every session ends but the one it happens in.
    pub async fn set_password(
        &self,
        by: &PasswordByPasskey<'_>,
        new: &NewPassword,
        event: &AuditEvent,
    ) -> Result<PasskeyRule, StoreError> {
        let mut change = Replacement::by(new).change();
        change.as_seen = Some(Condition::Exists(PASSWORDLESS));
        changing(Transaction::on(self), by, change, event)?
            .commit_as(PasskeyRule::Done, "setting a password")
            .await
    }

    /// Ends everything of an account without a password, sessions and API keys, by a link and a code, which are spent; and
    /// sets a password where one was chosen.
    pub async fn recover_account(
        &self,
        recovery: &AccountRecovery<'_>,
        event: &AuditEvent,
    ) -> Result<Recovered, StoreError> {
        let AccountRecovery { link, account, next, new, at } = *recovery;
        let mut change = new.map(|new| Replacement::by(new).change()).unwrap_or_default();
        change.in_both =
            change.in_both.set("email_verified", AttributeValue::Bool(true)).set("keys_ended_at", time(at));
        change.as_seen = Some(Condition::Exists(PASSWORDLESS));
        replacing(Transaction::on(self), account.id, next, Recovered::FactorOutdated)?
            .raise_session_epoch(account, change, None, at, Recovered::Spent)
            .spend(link, Recovered::Spent)
            .record(event)
            .commit_as(Recovered::Done, "recovering an account")
            .await
    }
}

fn changing<'a>(
    transaction: Transaction<'a, PasskeyRule>,
    by: &PasswordByPasskey<'_>,
    change: AccountChange,
    event: &AuditEvent,
) -> Result<Transaction<'a, PasskeyRule>, StoreError> {
    let transaction = transaction.use_passkey(by.used, |refused| match refused {
        NotUsed::CeremonySpent => PasskeyRule::CeremonySpent,
        NotUsed::PasskeyChanged => PasskeyRule::PasskeyChanged,
    })?;
    Ok(transaction
        .raise_session_epoch(by.account, change, Some(by.keep), by.used.at, PasskeyRule::Outdated)
        .take_along(by.account, by.keep, PasskeyRule::Outdated)
        .record(event))
}
