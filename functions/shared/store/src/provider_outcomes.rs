//! What became of calls to providers, counted by the minute. A thousand reports a second must not meet in one row, so
//! each goes to one of several counters, and a reader adds them up.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::item::{self, number, text, time, ttl};
use crate::keys;
use crate::transaction::Transaction;

const MINUTE: i64 = 60;
/// Times of failures kept in one counter. More would tell nothing new: a provider is long unhealthy by then.
const FAILURES_KEPT: u64 = 20;
const COUNTING: &str = "counting an outcome";
const KEPT: Duration = Duration::from_hours(1);

/// Outcomes of one counter in one minute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Outcomes {
    /// Calls that were answered as they should be.
    #[serde(rename = "outcomes_ok")]
    pub ok: u64,
    /// Calls that failed through the provider's fault.
    #[serde(rename = "outcomes_failed")]
    pub failed: u64,
    /// Response times together, in milliseconds, of as many calls as `timed` says.
    pub milliseconds: u64,
    /// Calls whose response time is known.
    pub timed: u64,
    /// When the last call succeeded.
    #[serde(with = "millisecond::optional")]
    pub last_ok_at: Option<Timestamp>,
    /// When the last call ended, however it did.
    #[serde(with = "millisecond::optional")]
    pub last_at: Option<Timestamp>,
    /// When calls failed since then, at most twenty times.
    #[serde(deserialize_with = "item::read_times")]
    pub failed_at: Vec<Timestamp>,
}

/// What a person said about a provider.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderMark {
    /// The status it shall have.
    #[serde(rename = "mark_status")]
    pub status: String,
    /// Why the provider was marked, in the administrator's words.
    pub reason: Option<String>,
    /// When the mark ends by itself.
    #[serde(with = "millisecond::required")]
    pub expires_at: Timestamp,
}

impl Store {
    /// How many counters a provider has.
    pub const PROVIDER_SHARDS: u8 = 8;

    /// Counts one outcome in the counter `shard`.
    pub async fn count_outcome(
        &self,
        provider: &str,
        shard: u8,
        ok: bool,
        response_time: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let listed = self.count(provider, shard, ok, !ok, response_time, now).await?;
        if !listed {
            self.count(provider, shard, ok, false, response_time, now).await?;
        }
        Ok(())
    }

    /// Returns whether it was counted: with `list_failure` only if the list has room.
    async fn count(
        &self,
        provider: &str,
        shard: u8,
        ok: bool,
        list_failure: bool,
        response_time: Option<Duration>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let minute = now.as_second().div_euclid(MINUTE);
        let mut update = Update::new().set("last_at", time(now)).set("expires_ttl", ttl(now + KEPT));
        if ok {
            let none = AttributeValue::L(Vec::new());
            update = update.set("last_ok_at", time(now)).set("failed_at", none).add("outcomes_ok", number(1));
        } else {
            update = update.add("outcomes_failed", number(1));
        }
        if list_failure {
            update = update.append("failed_at", AttributeValue::L(vec![time(now)]));
        }
        if let Some(taken) = response_time {
            let milliseconds = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
            update = update.add("milliseconds", number(milliseconds)).add("timed", number(1));
        }
        let key = keys::provider_outcomes(provider, shard, minute);
        if !list_failure {
            self.update(&key, update, COUNTING).await?;
            return Ok(true);
        }
        let has_room = Condition::Missing("failed_at").or(Condition::Size("failed_at", "<", FAILURES_KEPT));
        Ok(self.update_if(&key, update, has_room, COUNTING).await?.is_ok())
    }

    /// The outcomes in the counter `shard` since then. Not strongly consistent: nothing is decided on a report of now.
    pub async fn outcomes(
        &self,
        provider: &str,
        shard: u8,
        since: Timestamp,
    ) -> Result<Vec<Outcomes>, StoreError> {
        let minute = since.as_second().div_euclid(MINUTE);
        // An hour of minutes at most, far below what one page holds.
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND sk >= :since")
            .expression_attribute_values(":shard", text(keys::provider_shard(provider, shard)))
            .expression_attribute_values(
                ":since",
                text(keys::provider_outcomes(provider, shard, minute).sort),
            )
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("reading outcomes", error))?;
        let read = |row| item::read("outcomes", row);
        page.items.unwrap_or_default().into_iter().map(read).collect()
    }

    /// What a person said about a provider, expired or not.
    pub async fn provider_mark(&self, provider: &str) -> Result<Option<ProviderMark>, StoreError> {
        let found = self.get(&keys::provider_mark(provider), "reading a mark").await?;
        found.map(|found| item::read("provider mark", found)).transpose()
    }

    /// Notes what a person says about a provider, with the event that tells of it.
    pub async fn mark_provider(
        &self,
        provider: &str,
        mark: &ProviderMark,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let item = item::expiring_item(&keys::provider_mark(provider), mark, mark.expires_at)?;
        Transaction::on(self).put(item).record(event).write("marking a provider").await
    }

    /// Forgets it, there or not.
    pub async fn unmark_provider(&self, provider: &str, event: &AuditEvent) -> Result<(), StoreError> {
        Transaction::on(self)
            .delete(&keys::provider_mark(provider))
            .record(event)
            .write("forgetting a mark")
            .await
    }
}
