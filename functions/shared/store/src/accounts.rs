//! Accounts: what a sign-in reads under the address, and what everything else reads under the id.
//!
//! The two rows carry the same account and are only ever written together, so that a sign-in needs one read and neither
//! row can be ahead of the other.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use jiff::Timestamp;

use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::StoreError;
use crate::id::AccountId;
use crate::idempotency::{self, FirstRegistration, IdempotentRequest};
use crate::item::{Attributes, ItemReader, ItemWriter, text, texts, time};
use crate::keys::{self, Key};
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
            .put(write_account(account, &keys::profile(account.id)).finish())
            .put(event.item());
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
        let Some(alias) = self.get(&keys::username(name), "reading a username").await? else {
            return Ok(None);
        };
        let email = ItemReader::new("username", alias).text("email")?;
        self.credentials_by_email(&email).await
    }

    /// The account of this id.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let found = self.get(&keys::profile(id), "reading an account").await?;
        found.map(|found| read_account(&mut ItemReader::new("account", found))).transpose()
    }

    /// When the person last signed in.
    pub async fn last_login(&self, id: AccountId) -> Result<Option<Timestamp>, StoreError> {
        let found = self.get(&keys::last_login(id), "reading the last sign-in").await?;
        found.map(|found| ItemReader::new("last login", found).time("at")).transpose()
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
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
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
        Ok(transaction.put(event.item()).commit("changing a profile").await?.is_ok())
    }

    /// Switches an account on or off. Every session it had is dead from this moment on. Says whether the account was
    /// still there.
    pub async fn set_status(
        &self,
        account: &Account,
        status: AccountStatus,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let also = (", account_status = :status", &[(":status", text(status.as_str()))][..]);
        let make = |account: &Account| {
            Transaction::on(self).raise_epoch(account, also, None, event.at).put(event.item())
        };
        Ok(self.commit_raise(account, "switching an account on or off", make).await?.is_ok())
    }

    /// Removes the account and frees its address and username; every session of it is dead from this moment on. The
    /// audit trail stays until it expires.
    pub async fn erase(&self, account: &Account, event: &AuditEvent) -> Result<(), StoreError> {
        // The sessions go first: should this fail half-way, the person can still sign in and ask again.
        self.delete_sessions(account.id).await?;
        self.delete_api_keys(account.id).await?;
        self.delete_trading_accounts(account.id).await?;
        let mut transaction = Transaction::on(self)
            .delete(&keys::credentials(&account.email))
            .delete(&keys::profile(account.id))
            .delete(&keys::last_login(account.id))
            .delete(&keys::factor(account.id))
            .put(RevocationEntry::erased(account.id, event.at).item())
            .delete(&keys::freeze(account.id))
            .put(event.item());
        if let Some(name) = &account.username {
            transaction = transaction.delete(&keys::username(name));
        }
        let committed = transaction.commit("erasing an account").await?;
        debug_assert!(committed.is_ok(), "no condition was given");
        Ok(())
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

fn write_account(account: &Account, key: &Key) -> ItemWriter {
    ItemWriter::new(key)
        .set("account", text(account.id.to_string()))
        .set("email", text(&account.email))
        .set_some("username", account.username.as_deref().map(text))
        .set("full_name", text(&account.name))
        .set_some("phone", account.phone.as_deref().map(text))
        .set("roles", texts(&account.roles))
        .set("account_status", text(account.status.as_str()))
        .set("mfa_enabled", aws_sdk_dynamodb::types::AttributeValue::Bool(account.mfa_enabled))
        .set("email_verified", aws_sdk_dynamodb::types::AttributeValue::Bool(account.email_verified))
        .set("epoch", crate::item::number(account.epoch))
        .set("created_at", time(account.created_at))
}

pub(crate) fn read_account(reader: &mut ItemReader) -> Result<Account, StoreError> {
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
        created_at: reader.time("created_at")?,
    })
}

fn read_credentials(mut reader: ItemReader) -> Result<Credentials, StoreError> {
    Ok(Credentials { account: read_account(&mut reader)?, password_hash: reader.text("password_hash")? })
}
