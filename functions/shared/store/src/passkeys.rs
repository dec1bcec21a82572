//! Passkeys: one row among all that are a person's, and one that names the owner of a credential.
//!
//! What makes an assertion count is decided in the write that follows from it: that its ceremony was not finished before, and
//! that the signature counter of the passkey rose. So a challenge is worth one effect however many requests show it at once,
//! whether they reach one instance or many.

use std::convert::Infallible;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as, skip_serializing_none};

use crate::account::Account;
use crate::audit::AuditEvent;
use crate::challenge_kind::ChallengeKind;
use crate::challenges::Challenge;
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::{AccountId, PasskeyId};
use crate::item::{self, Attributes, number, text, time};
use crate::keys::{self, Key};
use crate::passwordless::PASSWORDLESS;
use crate::sessions::{NewSession, new_item};
use crate::transaction::{Refused, Transaction};

/// Passkeys that one account may have.
pub const MOST_PASSKEYS: u64 = 20;

/// In both rows of an account: how many passkeys it has.
pub(crate) const PASSKEYS: &str = "passkeys";

/// A passkey as the table has it.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// The id that its owner and the API know it by.
    #[serde(rename = "passkey")]
    pub id: PasskeyId,
    /// The account it signs in to.
    pub account: AccountId,
    /// What its owner calls it.
    #[serde(rename = "passkey_name")]
    pub name: String,
    /// The id that its authenticator gave it.
    #[serde_as(as = "Bytes")]
    pub credential_id: Vec<u8>,
    /// Its public key, as a `COSE_Key` in CBOR.
    #[serde_as(as = "Bytes")]
    pub public_key: Vec<u8>,
    /// What its authenticator knows the account by: random, and the same for all passkeys of an account.
    #[serde_as(as = "Bytes")]
    pub user_handle: Vec<u8>,
    /// The highest signature counter it has shown; 0 for an authenticator that does not count.
    pub sign_count: u32,
    /// Whether it may be copied to other devices. It never changes.
    pub backup_eligible: bool,
    /// Whether it has been copied, as it last said.
    pub backed_up: bool,
    /// How its authenticator can be reached, as the browser said: `internal`, `hybrid`, `usb` and so on.
    pub transports: Vec<String>,
    /// The model of its authenticator, as it said itself and nobody has proved.
    #[serde_as(as = "Bytes")]
    pub aaguid: [u8; 16],
    /// When it was made.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// When it was last used.
    #[serde(default, with = "millisecond::optional")]
    pub last_used_at: Option<Timestamp>,
}

/// The row under the digest of a credential's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyOwner {
    /// The account that owns it.
    pub account: AccountId,
    /// Which of its passkeys it is.
    pub passkey: PasskeyId,
    /// The name that the owner's sign-ins were recorded under when it was made. It saves a sign-in a round: where the account
    /// has another address by now, the account says so.
    pub email: String,
}

/// A ceremony whose challenge is spent: what is left of it until its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentCeremony {
    /// What it was for.
    pub kind: ChallengeKind,
    /// Digest of its token.
    pub digest: Digest,
    /// When its token is worth nothing in any case.
    pub expires_at: Timestamp,
}

/// An assertion that was verified, and what its write has to change and to spend.
#[derive(Debug, Clone)]
pub struct PasskeyUse {
    /// The passkey as it was read.
    pub passkey: Passkey,
    /// The signature counter in the assertion.
    pub sign_count: u32,
    /// Whether the passkey has been copied, as the assertion says.
    pub backed_up: bool,
    /// The ceremony that the assertion finishes.
    pub ceremony: SpentCeremony,
    /// When it was used.
    pub at: Timestamp,
}

/// How the enrolment of a passkey ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyEnrolment {
    /// It exists now.
    Added,
    /// The ceremony was finished before.
    CeremonySpent,
    /// Its credential is somebody's already.
    Taken,
    /// The account has as many as it may have.
    TooMany,
    /// The account has another address by now, or is gone.
    AccountChanged,
}

/// How the use of a passkey ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyOutcome {
    /// What it was used for is done.
    Done,
    /// The ceremony was finished before.
    CeremonySpent,
    /// Another use showed the same or a higher counter meanwhile.
    CounterFell,
    /// The passkey was removed meanwhile.
    Removed,
}

/// How the removal of a passkey ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyRemoval {
    /// It is gone.
    Removed,
    /// There was none.
    Unknown,
    /// It is the last one, and one is to stay.
    LastOne,
    /// The account has another address by now, or is gone.
    AccountChanged,
}

/// What a sign-in by a passkey leads to.
#[derive(Debug)]
pub enum PasskeySignIn<'a> {
    /// The session that begins.
    Session(&'a NewSession),
    /// Another challenge first: a password that is too old.
    Challenge(&'a Challenge),
}

/// Why the use of a passkey did not count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NotUsed {
    CeremonySpent,
    PasskeyChanged,
}

impl Store {
    /// Adds a passkey to an account beside the event that tells of it, and spends the ceremony it was made in.
    pub async fn add_passkey(
        &self,
        passkey: &Passkey,
        account: &Account,
        ceremony: &SpentCeremony,
        event: &AuditEvent,
    ) -> Result<PasskeyEnrolment, StoreError> {
        let room = Condition::HasRoom(PASSKEYS.to_owned(), number(MOST_PASSKEYS));
        let (spent, taken) = (PasskeyEnrolment::CeremonySpent, PasskeyEnrolment::Taken);
        Transaction::on(self)
            .make_passkey(passkey, account, ceremony, (spent, taken))?
            .update_if(
                &keys::profile(account.id),
                counted(1),
                room.and(has_address(account)),
                PasskeyEnrolment::TooMany,
            )
            .update_if(
                &keys::credentials(&account.email),
                counted(1),
                has_address(account),
                PasskeyEnrolment::AccountChanged,
            )
            .record(event)
            .commit("adding a passkey")
            .await
            .map(|committed| match committed {
                Ok(()) => PasskeyEnrolment::Added,
                Err(Refused { by: PasskeyEnrolment::TooMany, row })
                    if row.get("email") != Some(&text(&account.email)) =>
                {
                    PasskeyEnrolment::AccountChanged
                }
                Err(refused) => refused.by,
            })
    }

    /// Passkeys of an account, newest first: no more than [`MOST_PASSKEYS`].
    pub async fn passkeys(&self, account: AccountId) -> Result<Vec<Passkey>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :passkeys AND begins_with(sk, :prefix)")
            .expression_attribute_values(":passkeys", text(keys::passkeys(account)))
            .expression_attribute_values(":prefix", text(keys::PASSKEY_PREFIX))
            .scan_index_forward(false)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(row) = pages.next().await {
            found.push(read(row.map_err(|error| StoreError::from_sdk("listing passkeys", error))?)?);
        }
        Ok(found)
    }

    /// One passkey of an account.
    pub async fn passkey(&self, account: AccountId, id: PasskeyId) -> Result<Option<Passkey>, StoreError> {
        self.get(&keys::passkey(account, id), "reading a passkey").await?.map(read).transpose()
    }

    /// Whose credential this is.
    pub async fn passkey_owner(&self, credential_id: &[u8]) -> Result<Option<PasskeyOwner>, StoreError> {
        let found = self.get(&keys::passkey_owner(credential_id), "reading the owner of a passkey").await?;
        found.map(|found| item::read("passkey owner", found)).transpose()
    }

    /// Begins the session, or the challenge, that an assertion leads to, in the write that spends its ceremony, with the event
    /// that tells of it.
    pub async fn sign_in_by_passkey(
        &self,
        used: &PasskeyUse,
        leads_to: PasskeySignIn<'_>,
        event: &AuditEvent,
    ) -> Result<PasskeyOutcome, StoreError> {
        let begun = match leads_to {
            PasskeySignIn::Session(session) => new_item(session)?,
            PasskeySignIn::Challenge(challenge) => crate::challenges::item(challenge)?,
        };
        // With the head in it: a row more in the transaction, and a round less for the person.
        let transaction =
            Transaction::on(self).use_passkey(used, |refusal| refusal)?.put(begun).record_with_head(event);
        Ok(outcome(transaction.commit("signing in by a passkey").await?))
    }

    /// Spends the ceremony of an assertion that confirms one operation, with the event that tells of it.
    pub async fn confirm_by_passkey(
        &self,
        used: &PasskeyUse,
        event: &AuditEvent,
    ) -> Result<PasskeyOutcome, StoreError> {
        let transaction = Transaction::on(self).use_passkey(used, |refusal| refusal)?.record(event);
        Ok(outcome(transaction.commit("confirming by a passkey").await?))
    }

    /// Gives a passkey another name, with the event that tells of it. Returns whether it was there.
    pub async fn rename_passkey(
        &self,
        account: AccountId,
        id: PasskeyId,
        name: &str,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let update = Update::new().set("passkey_name", text(name));
        let renamed = Transaction::on(self)
            .update_if(&keys::passkey(account, id), update, Condition::row_exists(), ())
            .record(event)
            .commit("renaming a passkey")
            .await?;
        Ok(renamed.is_ok())
    }

    /// Removes a passkey, with the event that tells of it, unless it is the last one and `keeps_one`, or the account has
    /// no password. Of two that are removed
    /// side by side one stays.
    pub async fn remove_passkey(
        &self,
        passkey: &Passkey,
        account: &Account,
        keeps_one: bool,
        event: &AuditEvent,
    ) -> Result<PasskeyRemoval, StoreError> {
        let (profile, credentials) = (keys::profile(account.id), keys::credentials(&account.email));
        let there = Condition::row_exists();
        let as_read = has_address(account);
        let another = Condition::at_least(PASSKEYS, number(2_u64));
        // Asked of the row as it is when the write arrives: a password that is removed beside it is gone by then, or its
        // removal finds no passkey any more.
        let enough = if keeps_one { another } else { another.or(Condition::Missing(PASSWORDLESS)) };
        let enough = enough.and(as_read.clone());
        let committed = Transaction::on(self)
            .delete_if(&keys::passkey(passkey.account, passkey.id), there, PasskeyRemoval::Unknown)
            .delete(&keys::passkey_owner(&passkey.credential_id))
            .update_if(&profile, counted(-1), enough, PasskeyRemoval::LastOne)
            .update_if(&credentials, counted(-1), as_read, PasskeyRemoval::AccountChanged)
            .record(event)
            .commit("removing a passkey")
            .await?;
        Ok(match committed {
            Ok(()) => PasskeyRemoval::Removed,
            Err(Refused { by: PasskeyRemoval::LastOne, row })
                if row.get("email") != Some(&text(&account.email)) =>
            {
                PasskeyRemoval::AccountChanged
            }
            Err(refused) => refused.by,
        })
    }

    /// Removes every passkey of an account that is erased.
    pub(crate) async fn delete_passkeys(&self, account: AccountId) -> Result<(), StoreError> {
        let found = self.passkeys(account).await?;
        if found.is_empty() {
            return Ok(());
        }
        let transaction = found.iter().fold(Transaction::<Infallible>::on(self), |transaction, passkey| {
            transaction
                .delete(&keys::passkey(account, passkey.id))
                .delete(&keys::passkey_owner(&passkey.credential_id))
        });
        transaction.write("removing passkeys").await
    }
}

impl<R> Transaction<'_, R> {
    /// Makes a passkey of the account, unless the ceremony it was made in was finished before or its credential is somebody's
    /// already. Its caller counts it in both rows of the account.
    pub(crate) fn make_passkey(
        self,
        passkey: &Passkey,
        account: &Account,
        ceremony: &SpentCeremony,
        (is_spent, is_taken): (R, R),
    ) -> Result<Self, StoreError> {
        let key = keys::passkey(passkey.account, passkey.id);
        let owner =
            PasskeyOwner { account: passkey.account, passkey: passkey.id, email: account.email.clone() };
        let owner = item::item(&keys::passkey_owner(&passkey.credential_id), &owner)?;
        Ok(self
            .put_if(spent(ceremony)?, Condition::row_missing(), is_spent)
            .put_if(owner, Condition::row_missing(), is_taken)
            .put(item::item(&key, passkey)?))
    }

    /// Makes all of this transaction depend on an assertion: its ceremony is spent by it, and of two that show one ceremony one
    /// is refused; and the passkey is used by it, if it is still there and its counter rose. `refused` names what that means.
    pub(crate) fn use_passkey(
        self,
        used: &PasskeyUse,
        refused: impl Fn(NotUsed) -> R,
    ) -> Result<Self, StoreError> {
        let Passkey { account, id, .. } = used.passkey;
        let update = Update::new()
            .set("sign_count", number(used.sign_count))
            .set("backed_up", AttributeValue::Bool(used.backed_up))
            .set("last_used_at", time(used.at));
        Ok(self
            .put_if(spent(&used.ceremony)?, Condition::row_missing(), refused(NotUsed::CeremonySpent))
            .update_if(
                &keys::passkey(account, id),
                update,
                counter_rises_to(used.sign_count),
                refused(NotUsed::PasskeyChanged),
            ))
    }
}

fn outcome(committed: Result<(), Refused<NotUsed>>) -> PasskeyOutcome {
    match committed {
        Ok(()) => PasskeyOutcome::Done,
        Err(Refused { by: NotUsed::CeremonySpent, .. }) => PasskeyOutcome::CeremonySpent,
        // The counter of a row that is there is what the condition was about.
        Err(Refused { by: NotUsed::PasskeyChanged, row }) if row.is_empty() => PasskeyOutcome::Removed,
        Err(Refused { by: NotUsed::PasskeyChanged, .. }) => PasskeyOutcome::CounterFell,
    }
}

/// The passkey is there, and has not shown this counter or a higher one (WebAuthn Level 3, section 7.2, step 22). Zero is what
/// an authenticator shows that does not count; one that has counted never shows it again.
fn counter_rises_to(counter: u32) -> Condition {
    match counter {
        0 => Condition::equals("sign_count", number(0_u32)),
        counter => Condition::below("sign_count", number(counter)),
    }
}

fn spent(ceremony: &SpentCeremony) -> Result<Attributes, StoreError> {
    #[derive(Serialize)]
    struct Spent {
        #[serde(with = "millisecond::required")]
        expires_at: Timestamp,
    }
    let key: Key = keys::challenge(ceremony.kind, &ceremony.digest);
    item::expiring_item(&key, &Spent { expires_at: ceremony.expires_at }, ceremony.expires_at)
}

fn counted(more: i8) -> Update {
    Update::new().add(PASSKEYS, number(more))
}

/// Returns the update of a row of an account that gets its first passkey along with something else.
pub(crate) fn one_passkey_more(update: Update) -> Update {
    update.add(PASSKEYS, number(1_u8))
}

/// The account is there, and has the address that it was read with.
fn has_address(account: &Account) -> Condition {
    Condition::equals("email", text(&account.email))
}

fn read(row: Attributes) -> Result<Passkey, StoreError> {
    item::read("passkey", row)
}
