//! The second factor of a person: one row, replaced as a whole and only if it has not been replaced since it was read.
//!
//! Whatever is decided about a code is decided on a copy of the row and counts once the copy that follows from it has
//! taken the row's place. So a time step or a backup code is spent once however many requests show it at once, and a
//! wrong code cannot hide behind others that are sent beside it.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::account::Account;
use crate::audit::AuditEvent;
use crate::backoff::{Contended, Round, until_settled};
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::AccountId;
use crate::item::{Attributes, ItemReader, ItemWriter, bytes, digests, number, time};
use crate::keys;
use crate::sessions::{NewSession, new_item};
use crate::transaction::Transaction;

/// A secret under a data key of its own, and that key under the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The wrapped data key.
    pub wrapped_key: Vec<u8>,
    /// The secret under the data key.
    pub ciphertext: Vec<u8>,
}

/// A factor that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveFactor {
    /// The secret codes are made from.
    pub secret: SealedSecret,
    /// The last time step a code was accepted for; none up to it is accepted again.
    pub last_step: u64,
    /// Digests of the backup codes that are left.
    pub backup_codes: Vec<Digest>,
}

/// A factor that was set up and not yet proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFactor {
    /// The secret codes will be made from.
    pub secret: SealedSecret,
    /// When it is too late to prove it.
    pub expires_at: Timestamp,
}

/// Everything about a person's second factor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Factor {
    /// How often the row was replaced; 0 while there is none.
    pub version: u64,
    /// What is asked for.
    pub active: Option<ActiveFactor>,
    /// What may be asked for soon.
    pub pending: Option<PendingFactor>,
    /// Wrong codes since the last right one, over all sign-ins.
    pub failures: u64,
    /// No code is looked at before this.
    pub blocked_until: Option<Timestamp>,
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
        let mut transaction = replacing(Transaction::on(self), account, next, FactorSwap::Outdated);
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
        let update = Update::new().set("mfa_enabled", AttributeValue::Bool(next.active.is_some()));
        let mut transaction = replacing(Transaction::on(self), account.id, next, FactorSwap::Outdated);
        for key in [keys::profile(account.id), keys::credentials(&account.email)] {
            let there = Condition::row_exists();
            transaction = transaction.update_if(&key, update.clone(), there, FactorSwap::AccountGone);
        }
        transaction.record(event).commit_as(FactorSwap::Swapped, "switching a second factor").await
    }

    /// Finishes a challenge: spends the code, ends the challenge and begins the session, all or nothing, so that a
    /// failing store costs no code.
    pub async fn sign_in_by_factor(
        &self,
        challenge: &Challenge,
        next: &Factor,
        session: &NewSession,
        event: &AuditEvent,
    ) -> Result<FactorSignIn, StoreError> {
        replacing(Transaction::on(self), challenge.account, next, FactorSignIn::Outdated)
            .spend(challenge, FactorSignIn::ChallengeSpent)
            .put(new_item(session))
            .record(event)
            .commit_as(FactorSignIn::Started, "signing in by a code")
            .await
    }

    /// The same where the code leads to another challenge instead of to a session.
    pub async fn continue_by_factor(
        &self,
        challenge: &Challenge,
        next: &Factor,
        continued: &Challenge,
        event: &AuditEvent,
    ) -> Result<FactorSignIn, StoreError> {
        replacing(Transaction::on(self), challenge.account, next, FactorSignIn::Outdated)
            .spend(challenge, FactorSignIn::ChallengeSpent)
            .put(crate::challenges::item(continued))
            .record(event)
            .commit_as(FactorSignIn::Started, "going on by a code")
            .await
    }
}

/// Replaces the row if its version is still that of `next`: of two decisions on the same copy one is outdated.
fn replacing<'a, R>(
    transaction: Transaction<'a, R>,
    account: AccountId,
    next: &Factor,
    outdated: R,
) -> Transaction<'a, R> {
    let seen = match next.version {
        0 => Condition::row_missing(),
        version => Condition::equals("row_version", number(version)),
    };
    transaction.put_if(item(account, next), seen, outdated)
}

fn item(account: AccountId, next: &Factor) -> Attributes {
    let mut writer = ItemWriter::new(&keys::factor(account))
        .set("row_version", number(next.version + 1))
        .set("failures", number(next.failures))
        .set_some("blocked_until", next.blocked_until.map(time));
    if let Some(active) = &next.active {
        writer = secret(writer, "active", &active.secret)
            .set("last_step", number(active.last_step))
            .set("backup_codes", digests(&active.backup_codes));
    }
    if let Some(pending) = &next.pending {
        writer =
            secret(writer, "pending", &pending.secret).set("pending_expires_at", time(pending.expires_at));
    }
    writer.finish()
}

/// Writes a sealed secret under two attributes of this name.
pub(crate) fn secret(writer: ItemWriter, name: &str, sealed: &SealedSecret) -> ItemWriter {
    writer
        .set(&format!("{name}_key"), bytes(sealed.wrapped_key.clone()))
        .set(&format!("{name}_secret"), bytes(sealed.ciphertext.clone()))
}

fn read(found: Attributes) -> Result<Factor, StoreError> {
    let mut reader = ItemReader::new("second factor", found);
    let active = match read_secret(&mut reader, "active")? {
        Some(secret) => Some(ActiveFactor {
            secret,
            last_step: reader.number("last_step")?,
            backup_codes: reader.digests("backup_codes")?,
        }),
        None => None,
    };
    let pending = match read_secret(&mut reader, "pending")? {
        Some(secret) => Some(PendingFactor { secret, expires_at: reader.time("pending_expires_at")? }),
        None => None,
    };
    Ok(Factor {
        version: reader.number("row_version")?,
        active,
        pending,
        failures: reader.number("failures")?,
        blocked_until: reader.time_if_any("blocked_until")?,
    })
}

/// Reads what [`secret`] wrote, if it is there.
pub(crate) fn read_secret(reader: &mut ItemReader, name: &str) -> Result<Option<SealedSecret>, StoreError> {
    match reader.bytes_if_any(&format!("{name}_key"))? {
        Some(wrapped_key) => {
            Ok(Some(SealedSecret { wrapped_key, ciphertext: reader.bytes(&format!("{name}_secret"))? }))
        }
        None => Ok(None),
    }
}
