//! Which tokens of services are in use: a row for each token that was presented, under its fingerprint.
//!
//! Whoever replaces tokens forgets an old one only when a newer one stands here, so that no holder is shut out. A row is
//! removed a good year after its token was last presented.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::Deserialize;

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::item::{read, text, time, ttl};
use crate::keys;

/// Longer than the longest time between two rotations.
const KEPT: Duration = Duration::from_hours(400 * 24);

#[derive(Deserialize)]
struct Presented {
    fingerprint: String,
    #[serde(with = "millisecond::required")]
    presented_at: Timestamp,
}

impl Store {
    /// Notes that a token of a service is presented, unless that was noted after `unless_after`. Fails when DynamoDB does.
    pub async fn note_service_token(
        &self,
        service: &str,
        fingerprint: &str,
        now: Timestamp,
        unless_after: Timestamp,
    ) -> Result<(), StoreError> {
        let presented = Update::new()
            .set("fingerprint", text(fingerprint))
            .set("presented_at", time(now))
            .set(keys::TTL, ttl(now + KEPT));
        let not_noted_since =
            Condition::Missing("presented_at").or(Condition::at_most("presented_at", time(unless_after)));
        let key = keys::service_token(service, fingerprint);
        self.update_if(&key, presented, not_noted_since, "noting the use of a service token").await.map(drop)
    }

    /// Returns when each token of a service was last presented, by its fingerprint, to the hour. Fails when DynamoDB does,
    /// and when a row is not what [`Self::note_service_token`] writes.
    pub async fn service_tokens_in_use(
        &self,
        service: &str,
    ) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        let operation = "reading which service tokens are in use";
        let mut rows = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :service")
            .expression_attribute_values(":service", text(keys::service(service)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut in_use = BTreeMap::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| StoreError::from_sdk(operation, error))?;
            let Presented { fingerprint, presented_at } = read("service token", row)?;
            in_use.insert(fingerprint, presented_at);
        }
        Ok(in_use)
    }
}
