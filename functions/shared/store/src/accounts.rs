//! Accounts: what a sign-in reads under the address, and what everything else reads under the id.
//!
//! The two rows carry the same account and are only ever written together, so that a sign-in needs one read and neither
//! row can be ahead of the other.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::account::{Account, read_account};
use crate::addresses;
use crate::admins::{add_admin, remove_admin};
use crate::api_keys::{ApiKey, put_api_key};
use crate::audit::{AuditEvent, ChainEnd};
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::{AccountId, SessionId};
use crate::idempotency::{self, FirstRegistration, IdempotentRequest};
use crate::item::{self, Attributes, text};
use crate::keys::{self, PEOPLE_SHARDS};
use crate::revocation_entry::RevocationEntry;
use crate::revocations::AccountChange;
use crate::transaction::{Outdated, Transaction};

/// The row of a sign-in: an account and the hash of its password.
#[derive(Debug, Clone)]
pub struct LoginRecord {
    /// The account that the record is of.
    pub account: Account,
    /// PHC string of the password; `None` until somebody who was invited has chosen one.
    pub password_hash: Option<String>,
}

/// When the username of a new account becomes its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsernameClaim {
    /// With the account.
    Now,
    /// Once the address is confirmed. Until then nothing about the username shows that the account was made; the
    /// registration is refused all the same where another account has the name.
    OnConfirmation,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The account, with an id of its own.
    pub account: Account,
    /// PHC string of the password; `None` for one that is still to be chosen.
    pub password_hash: Option<String>,
    /// When its username becomes its own.
    pub claim: UsernameClaim,
    /// An API key that is made with it or not at all, and the event that tells of it.
    pub api_key: Option<(ApiKey, AuditEvent)>,
}

impl NewAccount {
    /// The account as it stands in the table once it is made, and the username it waits for.
    fn split(&self) -> (Account, Option<&str>) {
        match self.claim {
            UsernameClaim::Now => (self.account.clone(), None),
            UsernameClaim::OnConfirmation => {
                (Account { username: None, ..self.account.clone() }, self.account.username.as_deref())
            }
        }
    }
}

/// How a registration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// The account exists now, and did not before.
    Created,
    /// This very request was carried out before, with this result.
    Repeated(FirstRegistration),
    /// The idempotency key was used for something else.
    KeyReused,
    /// This account has the address.
    EmailTaken(AccountId),
    /// Another account has the username.
    UsernameTaken,
    /// The API key that was to come with it is somebody's already.
    ApiKeyTaken,
}

/// How the change of a username ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsernameChange {
    /// It took place.
    Changed,
    /// Another account has the name.
    Taken,
    /// The account was changed meanwhile, or is gone.
    Outdated,
}

/// Changes a person makes to their own account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// A new name.
    pub name: Option<String>,
    /// A new telephone number, or none from now on.
    pub phone: Option<Option<String>>,
}

impl ProfileChange {
    /// The account as it is after the change.
    pub fn applied_to(self, mut account: Account) -> Account {
        account.name = self.name.unwrap_or(account.name);
        account.phone = self.phone.unwrap_or(account.phone);
        account
    }
}

/// In the row of a sign-in: the username of an account whose address is not confirmed.
pub(crate) const WANTED_USERNAME: &str = "wanted_username";

/// What the row of a sign-in has beside the account.
#[skip_serializing_none]
#[derive(Debug, Serialize, Deserialize)]
struct Credentials {
    password_hash: Option<String>,
    wanted_username: Option<String>,
}

/// The alias of an account under its username.
#[derive(Debug, Serialize, Deserialize)]
struct Alias {
    email: String,
    account: AccountId,
}

/// The row under the id, which lists the account too.
#[derive(Debug, Serialize)]
struct Profile<'a> {
    #[serde(flatten)]
    account: &'a Account,
    list_pk: String,
    list_sk: AccountId,
}

/// Why an account was not erased.
#[derive(Debug, Clone, Copy)]
enum Stays {
    /// It would leave no administrator.
    LastAdmin,
    /// Its address became another one since it was read.
    AddressMoved,
}

/// What stood in the way of a registration.
#[derive(Debug, Clone, Copy)]
enum Taken {
    Request,
    Email,
    Username,
    ApiKey,
}

impl Store {
    /// Makes an account, its address taken from this moment on, or says what stood in the way. Nothing else is ever
    /// left behind. A record of the same request counts for nothing where the account it tells of is `gone`.
    pub async fn register(
        &self,
        new: &NewAccount,
        request: Option<&IdempotentRequest>,
        gone: Option<AccountId>,
        event: &AuditEvent,
    ) -> Result<Registration, StoreError> {
        // Boxed, or every caller's future would carry all of it about.
        Box::pin(self.register_all(new, request, gone, event)).await
    }

    async fn register_all(
        &self,
        new: &NewAccount,
        request: Option<&IdempotentRequest>,
        gone: Option<AccountId>,
        event: &AuditEvent,
    ) -> Result<Registration, StoreError> {
        let (account, wanted_username) = new.split();
        let account = &account;
        let made = FirstRegistration { account: account.id, created_at: account.created_at };
        let by_email = login_row(account, new.password_hash.clone(), wanted_username.map(str::to_owned))?;
        let mut transaction = Transaction::on(self);
        // A repetition also meets the first one's address, so the request's own record takes precedence.
        if let Some(request) = request {
            let unused = idempotency::unused_but_for(gone, account.created_at);
            transaction = transaction.put_if(idempotency::item(request, made)?, unused, Taken::Request);
        }
        // Before the address: that the name is another account's is said of taken addresses, too.
        if let Some(name) = wanted_username {
            transaction = transaction.check(&keys::username(name), Condition::row_missing(), Taken::Username);
        }
        transaction =
            transaction.put_if(by_email, addresses::free_for(None, account.created_at), Taken::Email);
        // The first record of the account's chain: there is no end to read.
        let event = event.clone().behind(ChainEnd::default());
        let mut profile = profile(account)?;
        let mut first_record = None;
        if let Some((key, event_of_key)) = &new.api_key {
            transaction = put_api_key(transaction, key, Taken::ApiKey)?.record(&event).record(event_of_key);
        } else {
            // The account's row is the head of the chain as long as there is one record, and holds it as heads do. So
            // neither head nor record is part of the transaction, where they would cost twice as much.
            self.store_spread(&event).await?;
            let record = ChainEnd::default().link(&event).record;
            profile.insert("latest".to_owned(), AttributeValue::M(record.clone()));
            first_record = Some(record);
        }
        transaction = transaction.put(profile);
        if let Some(name) = &account.username {
            let alias = username_row(name, account)?;
            transaction = transaction.put_if(alias, Condition::row_missing(), Taken::Username);
        }
        if account.is_active_admin() {
            transaction = add_admin(transaction, account.id);
        }
        let Err(refused) = transaction.commit("registering an account").await? else {
            self.put_first_record(first_record).await;
            return Ok(Registration::Created);
        };
        match (refused.by, request) {
            (Taken::Request, Some(request)) => Ok(match idempotency::first(request, refused.row)? {
                Some(first) => Registration::Repeated(first),
                None => Registration::KeyReused,
            }),
            (Taken::Request, None) => Ok(Registration::KeyReused),
            (Taken::Email, _) => {
                if let Some(account) = addresses::held_for(&refused.row)? {
                    return Ok(Registration::EmailTaken(account));
                }
                let found = read_account("credentials", refused.row)?;
                // Our own row: an earlier attempt of this very call was carried out and its response lost.
                if found.id != account.id {
                    return Ok(Registration::EmailTaken(found.id));
                }
                self.put_first_record(first_record).await;
                Ok(Registration::Created)
            }
            (Taken::Username, _) => Ok(Registration::UsernameTaken),
            (Taken::ApiKey, _) => Ok(Registration::ApiKeyTaken),
        }
    }

    /// Writes the first record of an account that stands. One that fails is logged: the account's row has it, and the next
    /// event of the account writes it.
    async fn put_first_record(&self, record: Option<Attributes>) {
        let Some(record) = record else { return };
        if let Err(error) = self.put_new(record, "recording a registration").await {
            tracing::warn!(%error, "the record of a registration is missing until the next event");
        }
    }

    /// Returns the login record of this canonical address; `None` if no account has it.
    pub async fn login_record_by_email(&self, email: &str) -> Result<Option<LoginRecord>, StoreError> {
        let found = self.get(&keys::credentials(email), "reading credentials").await?;
        found.and_then(addresses::login_row_of).map(read_login_record).transpose()
    }

    /// Returns the login record of this canonical username; `None` if no account has it.
    pub async fn login_record_by_username(&self, name: &str) -> Result<Option<LoginRecord>, StoreError> {
        match self.address_of_username(name).await? {
            Some(email) => self.login_record_by_email(&email).await,
            None => Ok(None),
        }
    }

    /// The canonical address behind this canonical username.
    pub async fn address_of_username(&self, name: &str) -> Result<Option<String>, StoreError> {
        let alias = self.get(&keys::username(name), "reading a username").await?;
        alias.map(|alias| Ok(item::read::<Alias>("username", alias)?.email)).transpose()
    }

    /// The account of this id.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let found = self.get(&keys::profile(id), "reading an account").await?;
        found.map(|found| read_account("account", found)).transpose()
    }

    /// Replaces a password hash by one of the same password. Returns whether the old one was still there.
    pub async fn replace_password_hash(&self, email: &str, old: &str, new: &str) -> Result<bool, StoreError> {
        let update = Update::new().set("password_hash", text(new));
        let seen = Condition::equals("password_hash", text(old));
        let replaced =
            self.update_if(&keys::credentials(email), update, seen, "replacing a password hash").await?;
        Ok(replaced.is_ok())
    }

    /// The username that the account of this address gets once the address is confirmed.
    pub(crate) async fn wanted_username(&self, account: &Account) -> Result<Option<String>, StoreError> {
        // A confirmed address has nothing left to wait for.
        if account.email_verified {
            return Ok(None);
        }
        let found = self.get(&keys::credentials(&account.email), "reading credentials").await?;
        Ok(item::read::<Credentials>("credentials", found.unwrap_or_default())?.wanted_username)
    }

    /// Changes the profile. Returns whether the account was still there.
    pub async fn change_profile(
        &self,
        account: &Account,
        change: &ProfileChange,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut update = Update::new();
        if let Some(name) = &change.name {
            update = update.set("full_name", text(name));
        }
        match &change.phone {
            Some(Some(phone)) => update = update.set("phone", text(phone)),
            Some(None) => update = update.remove("phone"),
            None => {}
        }
        if update.is_empty() {
            return Ok(true);
        }
        // The address may have become another one since the account was read.
        let as_read = Condition::equals("email", text(&account.email));
        let committed = Transaction::on(self)
            .update_if(&keys::profile(account.id), update.clone(), as_read.clone(), Outdated)
            .update_if(&keys::credentials(&account.email), update, as_read, Outdated)
            .record(event)
            .commit("changing a profile")
            .await?;
        Ok(committed.is_ok())
    }

    /// Gives an account that has an address another username. Returns whether the name was free, and the account as it was
    /// read; its sessions go on.
    pub async fn change_username(
        &self,
        account: &Account,
        name: &str,
        event: &AuditEvent,
    ) -> Result<UsernameChange, StoreError> {
        let change = AccountChange {
            in_both: Update::new().set("username", text(name)),
            as_seen: Some(has_username(account)),
            ..AccountChange::default()
        };
        let mut transaction = Transaction::on(self)
            .put_if(username_row(name, account)?, Condition::row_missing(), UsernameChange::Taken)
            .keep_epoch(account, change, UsernameChange::Outdated);
        if let Some(before) = &account.username {
            transaction = transaction.delete(&keys::username(before));
        }
        transaction.record(event).commit_as(UsernameChange::Changed, "changing a username").await
    }

    /// Removes the account and frees its address and username; every session of it is dead from this moment on. The
    /// audit trail stays until it expires. Returns whether it did: an administrator goes only while `another` stays, and an
    /// account only while it has the address it was read with. It is
    /// asked for in the session `asking` where its owner does; `signed_out` tells the chain of sign-ins, where it ends those
    /// that are on their way.
    pub async fn erase(
        &self,
        account: &Account,
        asking: Option<SessionId>,
        another: Option<AccountId>,
        event: &AuditEvent,
        signed_out: &AuditEvent,
    ) -> Result<bool, StoreError> {
        // Should this fail half-way, the person can ask again: their session goes with the account, and not before.
        self.delete_rows_beside(account.id, asking).await?;
        let mut transaction = Transaction::on(self)
            .delete(&keys::credentials(&account.email))
            // Of an account that was erased before there is no row.
            .delete_if(&keys::profile(account.id), has_address_or_is_gone(account), Stays::AddressMoved)
            .delete(&keys::factor(account.id))
            .put(RevocationEntry::erased(account.id, event.at).item())
            .forget_freezes(account.id)
            .delete(&keys::freeze_count(account.id))
            .delete(&keys::open_approvals(account.id))
            .record(event)
            .record(signed_out);
        if let Some(asking) = asking {
            transaction = transaction.delete(&keys::session(account.id, asking));
        }
        if let Some(name) = &account.username {
            transaction = transaction.delete(&keys::username(name));
        }
        // The other administrator may have gone meanwhile.
        let transaction = remove_admin(transaction, account.id, another, Stays::LastAdmin);
        if transaction.commit("erasing an account").await?.is_err() {
            return Ok(false);
        }
        // Once more: what was written beside the living profile since the rows were listed. Whatever comes from here on
        // finds no profile, or the end of the account in its chain of sign-ins. The account is gone, so that nobody
        // could ask again.
        if let Err(error) = self.delete_rows_beside(account.id, asking).await {
            tracing::error!(%error, account = %account.id, "rows of an erased account may be left");
        }
        Ok(true)
    }

    /// Removes the rows of an account that have no condition on each other, all but the session `keep`.
    async fn delete_rows_beside(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
    ) -> Result<(), StoreError> {
        self.delete_other_sessions(account, keep).await?;
        self.delete_api_keys(account).await?;
        self.delete_passkeys(account).await?;
        self.delete_approvals(account).await?;
        self.delete_reading_leases(account).await?;
        self.delete_trading_accounts(account).await
    }
}

fn has_username(account: &Account) -> Condition {
    match &account.username {
        Some(name) => Condition::equals("username", text(name)),
        None => Condition::Missing("username"),
    }
}

fn has_address_or_is_gone(account: &Account) -> Condition {
    Condition::equals("email", text(&account.email)).or(Condition::row_missing())
}

/// The alias of an account under its username.
pub(crate) fn username_row(name: &str, account: &Account) -> Result<Attributes, StoreError> {
    let alias = Alias { email: account.email.clone(), account: account.id };
    item::item(&keys::username(name), &alias)
}

fn profile(account: &Account) -> Result<Attributes, StoreError> {
    let list_pk = keys::people(account.id.shard(u16::from(PEOPLE_SHARDS)));
    item::item(&keys::profile(account.id), &Profile { account, list_pk, list_sk: account.id })
}

/// The row of a sign-in.
fn login_row(
    account: &Account,
    password_hash: Option<String>,
    wanted_username: Option<String>,
) -> Result<Attributes, StoreError> {
    let key = keys::credentials(&account.email);
    let mut row = item::item(&key, account)?;
    row.extend(item::item(&key, &Credentials { password_hash, wanted_username })?);
    Ok(row)
}

fn read_login_record(row: Attributes) -> Result<LoginRecord, StoreError> {
    let Credentials { password_hash, .. } = item::read("credentials", row.clone())?;
    Ok(LoginRecord { account: read_account("credentials", row)?, password_hash })
}
