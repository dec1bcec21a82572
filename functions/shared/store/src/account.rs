//! The record of an account, which both of its rows carry, and who counts as an administrator.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::error::StoreError;
use crate::id::AccountId;
use crate::item::{ItemReader, ItemWriter, number, text, texts, time};
use crate::keys::Key;

/// The role of administrators.
pub(crate) const ADMIN_ROLE: &str = "admin";
/// A person's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's id.
    pub id: AccountId,
    /// What the login record lies under; unique. The canonical address, or for an account without one the name that
    /// [`Account::name_without_address`] makes of its username: ask [`Account::address`] for an address.
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
    /// The session epoch: sessions of an earlier one have ended.
    pub session_epoch: u64,
    /// When the password was chosen.
    pub password_changed_at: Timestamp,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum AccountStatus {
    /// It may.
    Active,
    /// An administrator switched it off.
    Disabled,
}

impl AccountStatus {
    /// Returns the word in records and responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Account {
    /// Whether it has the role of administrators.
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role == ADMIN_ROLE)
    }

    /// Returns what takes the place of the address in an account that has none. Neither an address nor a username is
    /// ever spelt like it: it has no `@`, and a username has no colon.
    pub fn name_without_address(username: &str) -> String {
        format!("name:{username}")
    }

    /// Returns the canonical address; `None` for an account whose owner signs in with the username alone.
    pub fn address(&self) -> Option<&str> {
        Some(self.email.as_str()).filter(|name| name.contains('@'))
    }

    /// Returns the name its owner knows it by: the address, or else the username.
    pub fn shown_name(&self) -> &str {
        self.address().or(self.username.as_deref()).unwrap_or(&self.email)
    }

    /// Whether it has an address that was not shown to be its owner's yet.
    pub fn has_unconfirmed_address(&self) -> bool {
        self.address().is_some() && !self.email_verified
    }

    /// Whether it counts as an administrator.
    pub fn is_active_admin(&self) -> bool {
        is_admin(&self.roles, self.status)
    }
}

pub(crate) fn is_admin(roles: &[String], status: AccountStatus) -> bool {
    status == AccountStatus::Active && roles.iter().any(|role| role == ADMIN_ROLE)
}

pub(crate) fn write_account(account: &Account, key: &Key) -> ItemWriter {
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
        .set("epoch", number(account.session_epoch))
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
        session_epoch: reader.number("epoch")?,
        // Rows of before the time of the choice was noted have the password they were made with.
        password_changed_at: reader.time_if_any("password_changed_at")?.unwrap_or(created_at),
        created_at,
    })
}
