//! Requests that may be repeated: the first one's effect is remembered for a day.

use std::time::Duration;

use jiff::Timestamp;

use crate::error::StoreError;
use crate::expression::Condition;
use crate::id::AccountId;
use crate::item::{Attributes, ItemReader, ItemWriter, bytes, text, time};
use crate::keys;

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

/// What the first of several equal registrations made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstRegistration {
    /// The account.
    pub account: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// No request of this key is remembered at this time. Of equal requests at the same time one finds the other's record.
pub(crate) fn unused(now: Timestamp) -> Condition {
    Condition::row_missing().or(Condition::at_most("expires_at", time(now)))
}

pub(crate) fn item(request: &IdempotentRequest, made: FirstRegistration) -> Attributes {
    let expires_at = made.created_at + REMEMBERED;
    ItemWriter::new(&keys::idempotency("register", &request.key_digest))
        .set("fingerprint", bytes(request.fingerprint))
        .set("account", text(made.account.to_string()))
        .set("created_at", time(made.created_at))
        .set("expires_at", time(expires_at))
        .expires(expires_at)
        .finish()
}

/// What the record in the way says: the first registration, if it was asked for with the same body.
pub(crate) fn first(
    request: &IdempotentRequest,
    found: Attributes,
) -> Result<Option<FirstRegistration>, StoreError> {
    let mut reader = ItemReader::new("idempotency", found);
    let same = reader.digest("fingerprint")? == request.fingerprint;
    let first =
        FirstRegistration { account: reader.parsed("account")?, created_at: reader.time("created_at")? };
    Ok(same.then_some(first))
}
