//! Accounts: what a sign-in reads under the address, and what everything else reads under the id.
//!
//! The two rows carry the same account and are only ever written together, so that a sign-in needs one read and neither
//! row can be ahead of the other.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::administration::{joining, leaving};
use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::{StoreError, is_failed_condition};
use crate::id::{AccountId, SessionId};
use crate::idempotency::{self, FirstRegistration, IdempotentRequest};
use crate::item::{Attributes, ItemReader, ItemWriter, text, texts, time, ttl};
use crate::keys::{self, Key, LIST_PARTITION, LIST_SORT, SHARDS};
use crate::revocations::RevocationEntry;
use crate::transaction::Transaction;

/// A person's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's id.
    pub id: AccountId,
    /// Canonical address; unique.
    pub email: String,
    /// Second login name, canonical; unique.
    pub username: Option<String>,
    /// What the person is called.
    pub name: String,
    /// Telephone number as given.
    pub phone: Option<String>,
    /// Names of roles in the policy.
    pub roles: Vec<String>,
    /// Whether the account may be used.
    pub status: AccountStatus,
    /// Whether a second factor is asked for.
    pub mfa_enabled: bool,
    /// Whether the address was shown to be the person's.
    pub email_verified: bool,
    /// Sessions of an older epoch are dead.
    pub epoch: u64,
    /// When the password was chosen.
    pub password_changed_at: Timestamp,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may.
    Active,
    /// Somebody switched it off.
    Disabled,
}

impl AccountStatus {
    /// The word in records and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

impl std::str::FromStr for AccountStatus {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

/// All that a sign-in needs.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub account: Account,
    /// PHC string of the password.
    pub password_hash: String,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The account, with an id of its own.
    pub account: Account,
    /// PHC string of the password.
    pub password_hash: String,
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
    /// Another account has the address.
    EmailTaken,
    /// Another account has the username.
    UsernameTaken,
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

impl Store {
    /// Makes an account, its address and username taken from this moment on, or says what stood in the way. Nothing
    /// else is ever left behind.
    pub async fn register(
        &self,
        new: &NewAccount,
        request: Option<&IdempotentRequest>,
        event: &AuditEvent,
    ) -> Result<Registration, StoreError> {
        let account = &new.account;
        let made = FirstRegistration { account: account.id, created_at: account.created_at };
        let by_email = write_account(account, &keys::credentials(&account.email))
            .set("password_hash", text(&new.password_hash))
            .finish();
        let mut transaction = Transaction::on(self)
            .put_if(by_email, "attribute_not_exists(pk)", Attributes::new())
            .put(profile(account))
            .record(event);
        let mut places = 3;
        let mut place_of = |present: bool| {
            let place = present.then_some(places);
            places += usize::from(present);
            place
        };
        let username_place = place_of(account.username.is_some());
        let request_place = place_of(request.is_some());
        if let Some(name) = &account.username {
            let alias = ItemWriter::new(&keys::username(name))
                .set("email", text(&account.email))
                .set("account", text(account.id.to_string()))
                .finish();
            transaction = transaction.put_if(alias, "attribute_not_exists(pk)", Attributes::new());
        }
        if let Some(request) = request {
            let now = Attributes::from([(":now".to_owned(), time(account.created_at))]);
            transaction = transaction.put_if(idempotency::item(request, made), idempotency::UNUSED, now);
        }

        if account.is_active_admin() {
            transaction = joining(transaction, account.id);
        }

        let Err(mut failed) = transaction.commit("registering an account").await? else {
            return Ok(Registration::Created);
        };
        // A repetition also meets the first one's address, so the request's own record is asked first.
        if let (Some(request), Some(found)) = (request, request_place.and_then(|place| failed.take(place))) {
            return Ok(match idempotency::first(request, found)? {
                Some(first) => Registration::Repeated(first),
                None => Registration::KeyReused,
            });
        }
        match failed.take(0) {
            // Our own row: an earlier attempt of this very call was carried out and its answer lost.
            Some(found)
                if read_account(&mut ItemReader::new("credentials", found.clone()))?.id == account.id =>
            {
                Ok(Registration::Created)
            }
            Some(_) => Ok(Registration::EmailTaken),
            None => {
                debug_assert!(username_place.is_some_and(|place| failed.take(place).is_some()));
                Ok(Registration::UsernameTaken)
            }
        }
    }

    /// What a sign-in under this canonical address needs.
    pub async fn credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let found = self.get(&keys::credentials(email), "reading credentials").await?;
        found.map(|found| read_credentials(ItemReader::new("credentials", found))).transpose()
    }

    /// What a sign-in under this canonical username needs.
    pub async fn credentials_by_username(&self, name: &str) -> Result<Option<Credentials>, StoreError> {
        match self.address_of_username(name).await? {
            Some(email) => self.credentials_by_email(&email).await,
            None => Ok(None),
        }
    }

    /// The canonical address behind this canonical username.
    pub async fn address_of_username(&self, name: &str) -> Result<Option<String>, StoreError> {
        let alias = self.get(&keys::username(name), "reading a username").await?;
        alias.map(|alias| ItemReader::new("username", alias).text("email")).transpose()
    }

    /// The account of this id.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let found = self.get(&keys::profile(id), "reading an account").await?;
        found.map(|found| read_account(&mut ItemReader::new("account", found))).transpose()
    }

    /// Replaces a password hash by one of the same password. Says whether the old one was still there.
    pub async fn replace_password_hash(&self, email: &str, old: &str, new: &str) -> Result<bool, StoreError> {
        let replaced = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::credentials(email).attributes()))
            .update_expression("SET password_hash = :new")
            .condition_expression("password_hash = :old")
            .expression_attribute_values(":new", text(new))
            .expression_attribute_values(":old", text(old))
            .send()
            .await;
        match replaced {
            Ok(_) => Ok(true),
            Err(error) if is_failed_condition(&error) => Ok(false),
            Err(error) => Err(StoreError::from_sdk("replacing a password hash", error)),
        }
    }

    /// Changes the profile. Says whether the account was still there.
    pub async fn change_profile(
        &self,
        account: &Account,
        change: &ProfileChange,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let mut set = Vec::new();
        let mut remove = Vec::new();
        let mut values = Attributes::new();
        if let Some(name) = &change.name {
            // `name` is a reserved word of the expression language; the attribute has another one.
            set.push("full_name = :name");
            values.insert(":name".to_owned(), text(name));
        }
        match &change.phone {
            Some(Some(phone)) => {
                set.push("phone = :phone");
                values.insert(":phone".to_owned(), text(phone));
            }
            Some(None) => remove.push("phone"),
            None => {}
        }
        if set.is_empty() && remove.is_empty() {
            return Ok(true);
        }
        let clause = |word: &str, parts: &[&str]| match parts {
            [] => String::new(),
            parts => format!("{word} {}", parts.join(", ")),
        };
        let update = format!("{} {}", clause("SET", &set), clause("REMOVE", &remove));
        let both = [keys::profile(account.id), keys::credentials(&account.email)];
        let transaction = both.iter().fold(Transaction::on(self), |transaction, key| {
            transaction.update_if(key, update.trim(), "attribute_exists(pk)", values.clone())
        });
        Ok(transaction.record(event).commit("changing a profile").await?.is_ok())
    }

    /// Removes the account and frees its address and username; every session of it is dead from this moment on. The
    /// audit trail stays until it expires. Says whether it did: the last administrator stays. It is asked for in the
    /// session `asking`.
    pub async fn erase(
        &self,
        account: &Account,
        asking: SessionId,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        if self.is_last_admin(account.id).await? {
            return Ok(false);
        }
        // Should this fail half-way, the person can ask again: their session goes with the account, and not before.
        self.delete_other_sessions(account.id, asking).await?;
        self.delete_api_keys(account.id).await?;
        self.delete_trading_accounts(account.id).await?;
        self.let_sign_ins_expire(account, event).await?;
        let mut transaction = Transaction::on(self)
            .delete(&keys::credentials(&account.email))
            .delete(&keys::profile(account.id))
            .delete(&keys::session(account.id, asking))
            .delete(&keys::factor(account.id))
            .put(RevocationEntry::erased(account.id, event.at).item())
            .delete(&keys::freeze(account.id))
            .record(event);
        if let Some(name) = &account.username {
            transaction = transaction.delete(&keys::username(name));
        }
        // Another administrator may have gone meanwhile.
        Ok(leaving(transaction, account.id).commit("erasing an account").await?.is_ok())
    }

    /// What is known of sign-ins expires like their records from now on; one more sign-in keeps it again.
    async fn let_sign_ins_expire(&self, account: &Account, event: &AuditEvent) -> Result<(), StoreError> {
        let key = keys::audit_head(&keys::sign_ins(&account.email));
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression("SET expires_ttl = :ttl")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":ttl", ttl(event.at + event.seal.retention))
            .send()
            .await;
        match updated {
            Err(error) if !is_failed_condition(&error) => {
                Err(StoreError::from_sdk("letting sign-ins expire", error))
            }
            _ => Ok(()),
        }
    }

    /// One item, strongly consistent: every reader here decides something.
    pub(crate) async fn get(
        &self,
        key: &Key,
        operation: &'static str,
    ) -> Result<Option<Attributes>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(operation, error))?;
        Ok(answer.item)
    }
}

/// The row under the id, which lists the account too.
fn profile(account: &Account) -> Attributes {
    write_account(account, &keys::profile(account.id))
        .set(LIST_PARTITION, text(keys::people(account.id.shard(u16::from(SHARDS)))))
        .set(LIST_SORT, text(account.id.to_string()))
        .finish()
}

fn write_account(account: &Account, key: &Key) -> ItemWriter {
    ItemWriter::new(key)
        .set("account", text(account.id.to_string()))
        .set("email", text(&account.email))
        .set_some("username", account.username.as_deref().map(text))
        .set("full_name", text(&account.name))
        .set_some("phone", account.phone.as_deref().map(text))
        .set("roles", texts(&account.roles))
        .set("account_status", text(account.status.as_str()))
        .set("mfa_enabled", AttributeValue::Bool(account.mfa_enabled))
        .set("email_verified", AttributeValue::Bool(account.email_verified))
        .set("epoch", crate::item::number(account.epoch))
        .set("password_changed_at", time(account.password_changed_at))
        .set("created_at", time(account.created_at))
}

pub(crate) fn read_account(reader: &mut ItemReader) -> Result<Account, StoreError> {
    let created_at = reader.time("created_at")?;
    Ok(Account {
        id: reader.parsed("account")?,
        email: reader.text("email")?,
        username: reader.text_if_any("username")?,
        name: reader.text("full_name")?,
        phone: reader.text_if_any("phone")?,
        roles: reader.texts("roles")?,
        status: reader.parsed("account_status")?,
        mfa_enabled: reader.flag("mfa_enabled")?,
        email_verified: reader.flag("email_verified")?,
        epoch: reader.number("epoch")?,
        // Rows of before the time of the choice was noted have the password they were made with.
        password_changed_at: reader.time_if_any("password_changed_at")?.unwrap_or(created_at),
        created_at,
    })
}

fn read_credentials(mut reader: ItemReader) -> Result<Credentials, StoreError> {
    Ok(Credentials { account: read_account(&mut reader)?, password_hash: reader.text("password_hash")? })
}
