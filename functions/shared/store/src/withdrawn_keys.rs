//! Signing keys that were withdrawn: what verifiers must not believe, whatever copy of the published keys they have.
//!
//! A row stays until no verifier has a copy from before the withdrawal.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use crate::connection::Store;
use crate::error::StoreError;
use crate::item::{expiring_item, read, text};
use crate::keys;

/// A verifier keeps published keys for a day while it cannot reach the service, and a function the secrets for half a day while
/// their provider is away.
const KEPT: Duration = Duration::from_hours(48);

#[derive(Serialize, Deserialize)]
struct Withdrawn {
    kid: String,
    #[serde(with = "millisecond::required")]
    expires_at: Timestamp,
}

impl Store {
    /// Tells of the withdrawal of the key of this id. Fails when DynamoDB does.
    pub async fn withdraw_key(&self, kid: &str, now: Timestamp) -> Result<(), StoreError> {
        let row = Withdrawn { kid: kid.to_owned(), expires_at: now + KEPT };
        let item = expiring_item(&keys::withdrawn_key(kid), &row, row.expires_at)?;
        self.put(item, "withdrawing a key").await
    }

    /// Returns the ids of the keys that were withdrawn in the last two days, `limit` of them at most. Fails when DynamoDB
    /// does, and when a row is not what [`Self::withdraw_key`] writes.
    pub async fn withdrawn_keys(&self, now: Timestamp, limit: u16) -> Result<Vec<String>, StoreError> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :keys")
            .expression_attribute_values(":keys", text(keys::withdrawn_keys()))
            .consistent_read(true)
            .limit(i32::from(limit))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("reading withdrawn keys", error))?;
        let rows = found.items.unwrap_or_default().into_iter();
        let rows = rows.map(|row| read::<Withdrawn>("withdrawn key", row)).collect::<Result<Vec<_>, _>>()?;
        Ok(rows.into_iter().filter(|row| row.expires_at > now).map(|row| row.kid).collect())
    }
}
