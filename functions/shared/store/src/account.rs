//! The record of an account, which both of its rows carry, and who counts as an administrator.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::error::StoreError;
use crate::id::AccountId;
use crate::item::{self, Attributes};

/// The role of administrators.
pub(crate) const ADMIN_ROLE: &str = "admin";

/// A person's account.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own in the rows")]
pub struct Account {
    /// The account's id.
    #[serde(rename = "account")]
    pub id: AccountId,
    /// What the login record lies under; unique. The canonical address, or for an account without one the name that
    /// [`Account::name_without_address`] makes of its username: ask [`Account::address`] for an address.
    pub email: String,
    /// Second login name, canonical; unique.
    pub username: Option<String>,
    /// What the person is called.
    #[serde(rename = "full_name")]
    pub name: String,
    /// Telephone number as given.
    pub phone: Option<String>,
    /// Names of roles in the policy.
    pub roles: Vec<String>,
    /// Whether the account may be used.
    #[serde(rename = "account_status")]
    pub status: AccountStatus,
    /// Whether a second factor is asked for.
    pub mfa_enabled: bool,
    /// Whether that factor has no authenticator app: its backup codes are the only codes that there are.
    #[serde(rename = "mfa_codes_only", default, skip_serializing_if = "is_false")]
    pub mfa_has_codes_only: bool,
    /// Whether its owner removed the password: passkeys sign in, and a link in a mail with a code is the way back.
    #[serde(rename = "passwordless", default, skip_serializing_if = "is_false")]
    pub is_passwordless: bool,
    /// How many passkeys it has. Both rows say so, so that a sign-in knows without another read.
    #[serde(default, skip_serializing_if = "is_none")]
    pub passkeys: u64,
    /// Whether the address was shown to be the person's.
    pub email_verified: bool,
    /// The session epoch: sessions of an earlier one have ended.
    #[serde(rename = "epoch")]
    pub session_epoch: u64,
    /// When the password was chosen.
    #[serde(with = "millisecond::required")]
    pub password_changed_at: Timestamp,
    /// When the account was made.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// When the second factor was enabled that is asked for; `None` where none is, or it was before this was noted.
    #[serde(default, with = "millisecond::optional")]
    pub mfa_enabled_at: Option<Timestamp>,
    /// When all of its API keys were ended: those made until then open nothing.
    #[serde(default, with = "millisecond::optional")]
    pub keys_ended_at: Option<Timestamp>,
}

/// Whether an account may be used.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AccountStatus {
    /// The account may be used.
    Active,
    /// An administrator switched it off.
    Disabled,
}

/// Rows of accounts that never had a passkey do not name them.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(passkeys: &u64) -> bool {
    *passkeys == 0
}

/// Rows of accounts that have an app, or a password, do not say so.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(is_special: &bool) -> bool {
    !*is_special
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

    /// Returns whether a key made at this time was ended with all others.
    pub fn has_ended_keys_of(&self, made: Timestamp) -> bool {
        self.keys_ended_at.is_some_and(|ended| made <= ended)
    }

    /// Whether it counts as an administrator.
    pub fn is_active_admin(&self) -> bool {
        is_admin(&self.roles, self.status)
    }
}

pub(crate) fn is_admin(roles: &[String], status: AccountStatus) -> bool {
    status == AccountStatus::Active && roles.iter().any(|role| role == ADMIN_ROLE)
}

/// Returns the account in one of its rows.
pub(crate) fn read_account(record: &'static str, mut row: Attributes) -> Result<Account, StoreError> {
    // Rows of before the time of the choice was noted have the password they were made with.
    if let (None, Some(made)) = (row.get("password_changed_at"), row.get("created_at").cloned()) {
        row.insert("password_changed_at".to_owned(), made);
    }
    item::read(record, row)
}
