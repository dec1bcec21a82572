//! Requests that may be repeated: the first one's effect is remembered for a day.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as};

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::id::AccountId;
use crate::item::{Attributes, expiring_item, read, text, time};
use crate::keys;
use crate::transaction::Transaction;

/// How long a repetition gets the first answer.
pub(crate) const REMEMBERED: Duration = Duration::from_hours(24);

/// A keyed digest of a request's body: equal for a repetition, and useless to a reader of the table.
pub type Fingerprint = [u8; 32];

/// What a client called its request, digested, and what it asked for.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    /// Digest of the client's `Idempotency-Key`.
    pub key_digest: String,
    /// Digest of what was asked for.
    pub fingerprint: Fingerprint,
}

/// What the first of several equal registrations made or, with `created_at` of its own, found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstRegistration {
    /// The account that the first request made or found.
    pub account: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Store {
    /// Remembers a registration that made nothing because the address has the account `found`, as one that made an
    /// account is remembered in the same transaction: whether a key was used before must not tell which it was. Returns
    /// whether the key is this request's, from now on or since an earlier one with the same body.
    pub async fn remember_registration(
        &self,
        request: &IdempotentRequest,
        found: FirstRegistration,
    ) -> Result<bool, StoreError> {
        let row = item(request, found)?;
        let committed = Transaction::on(self)
            .put_if(row, unused(found.created_at), ())
            .commit("remembering a registration")
            .await?;
        match committed {
            Ok(()) => Ok(true),
            Err(refused) => Ok(first(request, refused.row)?.is_some()),
        }
    }
}

/// No request of this key is remembered at this time. Of equal requests at the same time one finds the other's record.
pub(crate) fn unused(now: Timestamp) -> Condition {
    Condition::row_missing().or(Condition::at_most("expires_at", time(now)))
}

/// The same, and no request of this key is remembered but the one that made or found this account, which is gone.
pub(crate) fn unused_but_for(gone: Option<AccountId>, now: Timestamp) -> Condition {
    match gone {
        Some(gone) => unused(now).or(Condition::equals("account", text(gone.to_string()))),
        None => unused(now),
    }
}

/// The row of a registration.
#[serde_as]
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    #[serde_as(as = "Bytes")]
    fingerprint: Fingerprint,
    account: AccountId,
    #[serde(with = "millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "millisecond::required")]
    expires_at: Timestamp,
}

pub(crate) fn item(request: &IdempotentRequest, made: FirstRegistration) -> Result<Attributes, StoreError> {
    let FirstRegistration { account, created_at } = made;
    let expires_at = created_at + REMEMBERED;
    let remembered = Remembered { fingerprint: request.fingerprint, account, created_at, expires_at };
    expiring_item(&keys::idempotency("register", &request.key_digest), &remembered, expires_at)
}

/// What the record in the way says: the first registration, if it was asked for with the same body.
pub(crate) fn first(
    request: &IdempotentRequest,
    found: Attributes,
) -> Result<Option<FirstRegistration>, StoreError> {
    let Remembered { fingerprint, account, created_at, .. } = read("idempotency", found)?;
    Ok((fingerprint == request.fingerprint).then_some(FirstRegistration { account, created_at }))
}
