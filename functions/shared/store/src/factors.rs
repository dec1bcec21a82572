//! The second factor of a person: one row, replaced as a whole and only if it has not been replaced since it was read.
//!
//! Whatever is decided about a code is decided on a copy of the row and counts once the copy that follows from it has
//! taken the row's place. So a time step or a backup code is spent once however many requests show it at once, and a
//! wrong code cannot hide behind others that are sent beside it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as, skip_serializing_none, with_prefix};

use crate::account::Account;
use crate::audit::AuditEvent;
use crate::backoff::{Contended, Round, until_settled};
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::AccountId;
use crate::item::{self, Attributes, number, text, time};
use crate::keys;
use crate::sessions::{NewSession, new_item, taken_back};
use crate::transaction::Transaction;

/// A secret under a data key of its own, and that key under the master key. In a row, the names of both attributes begin
/// with the name of the secret.
#[serde_as]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// The wrapped data key.
    #[serde_as(as = "Bytes")]
    #[serde(rename = "key")]
    pub wrapped_key: Vec<u8>,
    /// The secret under the data key.
    #[serde_as(as = "Bytes")]
    #[serde(rename = "secret")]
    pub ciphertext: Vec<u8>,
}

with_prefix!(active "active_");
with_prefix!(pending "pending_");

/// A factor that is asked for.
#[serde_as]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFactor {
    /// The secret codes are made from.
    #[serde(flatten, with = "active")]
    pub secret: SealedSecret,
    /// The last time step a code was accepted for; none up to it is accepted again.
    pub last_step: u64,
    /// Digests of the backup codes that are left.
    #[serde_as(as = "Vec<Bytes>")]
    pub backup_codes: Vec<Digest>,
    /// Whether no app has the secret, which then makes nothing but the digests of backup codes: they are the way back of
    /// somebody whose factor is a passkey.
    #[serde(default, skip_serializing_if = "is_false")]
    pub codes_only: bool,
}

/// Rows of factors with an app do not speak of it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(codes_only: &bool) -> bool {
    !*codes_only
}

/// A factor that was set up and not yet proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingFactor {
    /// The secret codes will be made from.
    #[serde(flatten, with = "pending")]
    pub secret: SealedSecret,
    /// When it is too late to prove it.
    #[serde(rename = "pending_expires_at", with = "millisecond::required")]
    pub expires_at: Timestamp,
}

/// Everything about a person's second factor.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// How often the row was replaced; 0 while there is none.
    #[serde(rename = "row_version")]
    pub version: u64,
    /// What is asked for.
    #[serde(skip)]
    pub active: Option<ActiveFactor>,
    /// What may be asked for soon.
    #[serde(skip)]
    pub pending: Option<PendingFactor>,
    /// Wrong codes since the last right one, over all sign-ins.
    pub failures: u64,
    /// No code is looked at before this.
    #[serde(default, with = "millisecond::optional")]
    pub blocked_until: Option<Timestamp>,
    /// Challenges that were finished and whose time is not over, by their digest: when it is, in milliseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spent: BTreeMap<String, i64>,
}

impl Factor {
    /// Returns whether this challenge was finished before. It holds for the version that this is a copy of.
    pub fn has_spent(&self, challenge: &Challenge) -> bool {
        self.spent.contains_key(&name_of(challenge))
    }

    /// Returns what takes this factor's place when it is switched on anew or off: nothing of it stays but its version and
    /// the challenges that were finished.
    #[must_use]
    pub fn replaced_by(&self, active: Option<ActiveFactor>) -> Self {
        Self { version: self.version, active, spent: self.spent.clone(), ..Self::default() }
    }

    /// The factor once this challenge is finished, without those whose time is over.
    pub(crate) fn after_challenge(&self, challenge: &Challenge, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.spent.retain(|_, expires| *expires > now.as_millisecond());
        next.spent.insert(name_of(challenge), challenge.expires_at.as_millisecond());
        next
    }
}

/// Half of its digest is enough to tell a challenge from others.
fn name_of(challenge: &Challenge) -> String {
    hex::encode(challenge.digest.get(..16).unwrap_or_default())
}

/// How the replacement of a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorSwap {
    /// It took place.
    Swapped,
    /// Another writer replaced the row first: what was decided was decided on an old copy.
    Outdated,
    /// The account is gone.
    AccountGone,
}

impl FactorSwap {
    /// Returns the end of a round: settled, also where the account is gone, unless the row was outdated.
    pub fn round(self) -> Round<Self> {
        if self == Self::Outdated { Round::Raced } else { Round::Settled(self) }
    }
}

/// How a sign-in by a code ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorSignIn {
    /// The session began, the code is spent, and so is the challenge.
    Started,
    /// Another writer replaced the row first: what was decided was decided on an old copy.
    Outdated,
    /// The challenge was finished before.
    ChallengeSpent,
}

impl Store {
    /// A person's second factor as it is now.
    pub async fn factor(&self, account: AccountId) -> Result<Factor, StoreError> {
        let found = self.get(&keys::factor(account), "reading a second factor").await?;
        found.map_or_else(|| Ok(Factor::default()), read)
    }

    /// Decides on a person's second factor as it is now, as often as it takes until no other decision came between: of
    /// codes that are shown side by side each is judged on what the one before it left. `decide` gets the factor and
    /// writes what follows from it with [`Store::swap_factor`] and its like, whose outcome is a [`Round`].
    ///
    /// Returns what `decide` settled on; fails as it does, or where other writers were faster in every round.
    pub async fn change_factor<T, E, F>(
        &self,
        account: AccountId,
        decide: impl Fn(Factor) -> F,
    ) -> Result<T, E>
    where
        E: From<StoreError> + From<Contended>,
        F: Future<Output = Result<Round<T>, E>>,
    {
        let decide = &decide;
        until_settled(|| async move { decide(self.factor(account).await?).await }).await
    }

    /// Replaces the row by `next` if its version is still that of `next`, with the event that tells of it.
    pub async fn swap_factor(
        &self,
        account: AccountId,
        next: &Factor,
        event: &AuditEvent,
    ) -> Result<FactorSwap, StoreError> {
        let mut transaction = replacing(Transaction::on(self), account, next, FactorSwap::Outdated)?;
        // The first row of a factor must not be left without an account. A row that is there says that the account is: an
        // erasure removes both together.
        if next.version == 0 {
            let there = Condition::row_exists();
            transaction = transaction.check(&keys::profile(account), there, FactorSwap::AccountGone);
        }
        transaction.record(event).commit_as(FactorSwap::Swapped, "replacing a second factor").await
    }

    /// The same, and from now on a sign-in asks for a code exactly if `next` is active.
    pub async fn switch_factor(
        &self,
        account: &Account,
        next: &Factor,
        event: &AuditEvent,
    ) -> Result<FactorSwap, StoreError> {
        let update = switched(next.active.as_ref(), event.at);
        let mut transaction = replacing(Transaction::on(self), account.id, next, FactorSwap::Outdated)?;
        for key in [keys::profile(account.id), keys::credentials(&account.email)] {
            // Its address may have become another one since the account was read.
            let as_read = Condition::equals("email", text(&account.email));
            transaction = transaction.update_if(&key, update.clone(), as_read, FactorSwap::AccountGone);
        }
        transaction.record(event).commit_as(FactorSwap::Swapped, "switching a second factor").await
    }

    /// Finishes a challenge: spends the code and the challenge, in the row of the factor, with the event that tells of it,
    /// both or neither, so that a failing store costs no code.
    ///
    /// The session is written before and by itself, which costs half as much: nobody knows its token until all this is
    /// done. It is the same for every attempt to finish the challenge, so that one after a failure leaves no second session,
    /// and is taken back where the code was spent on another challenge. It is never written over one that has begun.
    pub async fn sign_in_by_factor(
        &self,
        challenge: &Challenge,
        next: &Factor,
        session: &NewSession,
        event: &AuditEvent,
    ) -> Result<FactorSignIn, StoreError> {
        const OPERATION: &str = "signing in by a code";
        if next.has_spent(challenge) {
            return Ok(FactorSignIn::ChallengeSpent);
        }
        let not_begun = Condition::equals("gen", number(0_u64)).and(Condition::Missing("revoked_at"));
        let not_begun = Condition::row_missing().or(not_begun);
        if self.put_if(new_item(session)?, not_begun.clone(), OPERATION).await?.is_err() {
            return Ok(FactorSignIn::ChallengeSpent);
        }
        let next = next.after_challenge(challenge, event.at);
        let committed = replacing(Transaction::on(self), challenge.account, &next, FactorSignIn::Outdated)?
            .record(event)
            .commit(OPERATION)
            .await?;
        let Err(refused) = committed else { return Ok(FactorSignIn::Started) };
        // What another attempt finished meanwhile is its session.
        if !refused.row.is_empty() && read(refused.row)?.has_spent(challenge) {
            return Ok(FactorSignIn::ChallengeSpent);
        }
        drop(self.put_if(taken_back(session, event.at)?, not_begun, OPERATION).await?);
        Ok(refused.by)
    }

    /// The same where the code leads to another challenge instead of to a session.
    pub async fn continue_by_factor(
        &self,
        challenge: &Challenge,
        next: &Factor,
        continued: &Challenge,
        event: &AuditEvent,
    ) -> Result<FactorSignIn, StoreError> {
        if next.has_spent(challenge) {
            return Ok(FactorSignIn::ChallengeSpent);
        }
        let next = next.after_challenge(challenge, event.at);
        replacing(Transaction::on(self), challenge.account, &next, FactorSignIn::Outdated)?
            .put(crate::challenges::item(continued)?)
            .record(event)
            .commit_as(FactorSignIn::Started, "going on by a code")
            .await
    }
}

/// Returns the update of both rows of an account whose factor is this one from now on.
pub(crate) fn switched(active: Option<&ActiveFactor>, at: Timestamp) -> Update {
    const CODES_ONLY: &str = "mfa_codes_only";
    let update = Update::new().set("mfa_enabled", AttributeValue::Bool(active.is_some()));
    match active {
        Some(ActiveFactor { codes_only: true, .. }) => {
            update.set("mfa_enabled_at", time(at)).set(CODES_ONLY, AttributeValue::Bool(true))
        }
        Some(_) => update.set("mfa_enabled_at", time(at)).remove(CODES_ONLY),
        None => update.remove("mfa_enabled_at").remove(CODES_ONLY),
    }
}

/// Replaces the row if its version is still that of `next`: of two decisions on the same copy one is outdated.
pub(crate) fn replacing<'a, R>(
    transaction: Transaction<'a, R>,
    account: AccountId,
    next: &Factor,
    outdated: R,
) -> Result<Transaction<'a, R>, StoreError> {
    let seen = match next.version {
        0 => Condition::row_missing(),
        version => Condition::equals("row_version", number(version)),
    };
    Ok(transaction.put_if(row(account, next)?, seen, outdated))
}

/// The row that takes the place of the one `next` was decided on.
fn row(account: AccountId, next: &Factor) -> Result<Attributes, StoreError> {
    let key = keys::factor(account);
    let mut row = item::item(&key, &Factor { version: next.version + 1, ..next.clone() })?;
    if let Some(active) = &next.active {
        row.extend(item::item(&key, active)?);
    }
    if let Some(pending) = &next.pending {
        row.extend(item::item(&key, pending)?);
    }
    Ok(row)
}

fn read(row: Attributes) -> Result<Factor, StoreError> {
    const RECORD: &str = "second factor";
    // By its attributes and not by whether it can be read: a row that is damaged must not be one without a factor.
    let has = |prefix: &str| row.keys().any(|name| name.starts_with(prefix));
    Ok(Factor {
        active: has("active_").then(|| item::read(RECORD, row.clone())).transpose()?,
        pending: has("pending_").then(|| item::read(RECORD, row.clone())).transpose()?,
        ..item::read(RECORD, row)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(byte: u8) -> SealedSecret {
        SealedSecret { wrapped_key: vec![byte; 3], ciphertext: vec![byte; 4] }
    }

    fn factor() -> Factor {
        Factor {
            version: 4,
            active: Some(ActiveFactor {
                secret: sealed(1),
                last_step: 9,
                backup_codes: vec![[7; 32]],
                codes_only: false,
            }),
            pending: Some(PendingFactor { secret: sealed(2), expires_at: Timestamp::UNIX_EPOCH }),
            failures: 0,
            blocked_until: None,
            spent: BTreeMap::from([("00".to_owned(), 7)]),
        }
    }

    fn written() -> Attributes {
        let account = AccountId::derived([1; 16]);
        row(account, &Factor { version: 3, ..factor() }).unwrap()
    }

    #[test]
    fn a_factor_reads_back() {
        assert_eq!(read(written()).unwrap(), factor());
        for without in ["active", "pending"] {
            let mut next = factor();
            match without {
                "active" => next.active = None,
                _ => next.pending = None,
            }
            let row = row(AccountId::derived([1; 16]), &Factor { version: 3, ..next.clone() }).unwrap();
            assert_eq!(read(row).unwrap(), next);
        }
    }

    #[test]
    fn a_damaged_factor_is_an_error_and_not_an_account_without_one() {
        for name in
            ["active_key", "active_secret", "last_step", "backup_codes", "pending_key", "pending_expires_at"]
        {
            let mut damaged = written();
            damaged.remove(name);
            assert!(matches!(read(damaged.clone()), Err(StoreError::Corrupt { .. })), "without {name}");
            damaged.insert(name.to_owned(), AttributeValue::Bool(true));
            assert!(matches!(read(damaged), Err(StoreError::Corrupt { .. })), "{name} of another type");
        }
    }
}
