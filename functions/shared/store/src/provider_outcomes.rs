//! What became of calls to providers, counted by the minute. A thousand reports a second must not meet in one row, so
//! each goes to one of several counters, and whoever reads adds them up.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::{StoreError, is_failed_condition};
use crate::item::{ItemReader, ItemWriter, number, text, time, ttl};
use crate::keys;
use crate::transaction::Transaction;

const MINUTE: i64 = 60;
/// Times of failures kept in one counter. More would tell nothing new: a provider is long unhealthy by then.
const FAILURES_KEPT: u64 = 20;
const KEPT: Duration = Duration::from_hours(1);

/// Outcomes of one counter in one minute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Calls that were answered as they should be.
    pub ok: u64,
    /// Calls that failed through the provider's fault.
    pub failed: u64,
    /// Response times together, in milliseconds, of as many calls as `timed` says.
    pub milliseconds: u64,
    /// Calls whose response time is known.
    pub timed: u64,
    /// When the last call succeeded.
    pub last_ok_at: Option<Timestamp>,
    /// When the last call ended, however it did.
    pub last_at: Option<Timestamp>,
    /// When calls failed since then, at most twenty times.
    pub failed_at: Vec<Timestamp>,
}

/// What a person said about a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMark {
    /// The status it shall have.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Until when.
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

    /// Says whether it was counted: with `list_failure` only if the list has room.
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
        let milliseconds = response_time.map(|taken| u64::try_from(taken.as_millis()).unwrap_or(u64::MAX));
        let mut update = String::from("SET last_at = :now, expires_ttl = :gone");
        if ok {
            update.push_str(", last_ok_at = :now, failed_at = :none");
        } else if list_failure {
            update.push_str(", failed_at = list_append(if_not_exists(failed_at, :none), :this)");
        }
        update.push_str(if ok { " ADD outcomes_ok :one" } else { " ADD outcomes_failed :one" });
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::provider_outcomes(provider, shard, minute).attributes()))
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":gone", ttl(now + KEPT))
            .expression_attribute_values(":one", number(1));
        if ok || list_failure {
            request = request.expression_attribute_values(":none", AttributeValue::L(Vec::new()));
        }
        if list_failure {
            request = request
                .expression_attribute_values(":this", AttributeValue::L(vec![time(now)]))
                .condition_expression("attribute_not_exists(failed_at) OR size(failed_at) < :kept")
                .expression_attribute_values(":kept", number(FAILURES_KEPT));
        }
        if let Some(milliseconds) = milliseconds {
            update.push_str(", milliseconds :taken, timed :one");
            request = request.expression_attribute_values(":taken", number(milliseconds));
        }
        match request.update_expression(update).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_failed_condition(&error) => Ok(false),
            Err(error) => Err(StoreError::from_sdk("counting an outcome", error)),
        }
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
        let read = |item| {
            let mut reader = ItemReader::new("outcomes", item);
            Ok(Outcomes {
                ok: reader.number_if_any("outcomes_ok")?.unwrap_or(0),
                failed: reader.number_if_any("outcomes_failed")?.unwrap_or(0),
                milliseconds: reader.number_if_any("milliseconds")?.unwrap_or(0),
                timed: reader.number_if_any("timed")?.unwrap_or(0),
                last_ok_at: reader.time_if_any("last_ok_at")?,
                last_at: reader.time_if_any("last_at")?,
                failed_at: reader.times_if_any("failed_at")?.unwrap_or_default(),
            })
        };
        page.items.unwrap_or_default().into_iter().map(read).collect()
    }

    /// What a person said about a provider, expired or not.
    pub async fn provider_mark(&self, provider: &str) -> Result<Option<ProviderMark>, StoreError> {
        let found = self.get(&keys::provider_mark(provider), "reading a mark").await?;
        let read = |found| {
            let mut reader = ItemReader::new("provider mark", found);
            Ok(ProviderMark {
                status: reader.text("mark_status")?,
                reason: reader.text_if_any("reason")?,
                expires_at: reader.time("expires_at")?,
            })
        };
        found.map(read).transpose()
    }

    /// Notes what a person says about a provider, with the event that tells of it.
    pub async fn mark_provider(
        &self,
        provider: &str,
        mark: &ProviderMark,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let item = ItemWriter::new(&keys::provider_mark(provider))
            .set("mark_status", text(&mark.status))
            .set_some("reason", mark.reason.as_deref().map(text))
            .set("expires_at", time(mark.expires_at))
            .expires(mark.expires_at)
            .finish();
        let committed = Transaction::on(self).put(item).record(event).commit("marking a provider").await?;
        debug_assert!(committed.is_ok(), "no condition was given");
        Ok(())
    }

    /// Forgets it, there or not.
    pub async fn unmark_provider(&self, provider: &str, event: &AuditEvent) -> Result<(), StoreError> {
        let committed = Transaction::on(self)
            .delete(&keys::provider_mark(provider))
            .record(event)
            .commit("forgetting a mark")
            .await?;
        debug_assert!(committed.is_ok(), "no condition was given");
        Ok(())
    }
}
