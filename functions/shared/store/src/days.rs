//! Over how many partitions of the index the audit records of a day are spread.
//!
//! One partition of an index takes 1,000 records a second, and an index that cannot keep up holds up the table it is of,
//! sign-ins included. So a day is spread over [`FEWEST_DAY_SHARDS`] partitions, or over more where the operator says so. The
//! number is a matter of each day and only ever goes up: before the first record is written that may lie in one of the
//! further partitions, a row says how many there are, and a list asks all of them. Instances that still have the
//! earlier number write to some of the same partitions. So it can be raised, and lowered for the days to come, while the
//! table is in use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::attributes::ItemReader;
use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::item::{number, text};
use crate::keys::{self, FEWEST_DAY_SHARDS, SORT};

/// Days that a process remembers: yesterday's last events are still being written when those of today begin.
const REMEMBERED: usize = 3;
const SHARDS: &str = "shards";

/// The days whose number of partitions this process knows to be stored. Clones know the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredDays(Arc<Mutex<BTreeMap<String, u8>>>);

impl StoredDays {
    fn has(&self, day: &str, shards: u8) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(day).is_some_and(|stored| *stored >= shards)
    }

    fn add(&self, day: String, shards: u8) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(day, shards);
        while known.len() > REMEMBERED {
            known.pop_first();
        }
    }
}

impl Store {
    /// Stores over how many partitions the day of this event is spread, unless that was done or is what every day is
    /// spread over. One write a day and process.
    pub(crate) async fn store_spread(&self, event: &AuditEvent) -> Result<(), StoreError> {
        let shards = event.seal.day_shards;
        if !event.is_listed || shards <= FEWEST_DAY_SHARDS {
            return Ok(());
        }
        let key = keys::spread_of_day(event.id.created_at());
        if self.stored_days.has(&key.sort, shards) {
            return Ok(());
        }
        let update = Update::new().set(SHARDS, number(shards));
        let is_more = Condition::Missing(SHARDS).or(Condition::below(SHARDS, number(shards)));
        // Refused where there are as many already, or more.
        drop(self.update_if(&key, update, is_more, "spreading a day of the audit trail").await?);
        self.stored_days.add(key.sort, shards);
        Ok(())
    }

    /// Returns over how many partitions the days from this one to that one are spread, without those that are spread over
    /// [`FEWEST_DAY_SHARDS`].
    pub(crate) async fn spread_of_days(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<String, u8>, StoreError> {
        const OPERATION: &str = "reading how days of the audit trail are spread";
        let mut rows = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :days AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":days", text(keys::DAYS))
            .expression_attribute_values(":from", text(keys::day_of(from)))
            .expression_attribute_values(":to", text(keys::day_of(to)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut spread = BTreeMap::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| StoreError::from_sdk(OPERATION, error))?;
            let day = row.get(SORT).and_then(|day: &AttributeValue| day.as_s().ok()).cloned();
            let shards = ItemReader::new("spread of a day", row).number(SHARDS)?;
            spread.insert(day.unwrap_or_default(), u8::try_from(shards).unwrap_or(u8::MAX));
        }
        Ok(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_remembers_a_few_days_and_the_number_it_stored() {
        let days = StoredDays::default();
        for day in 1..=4 {
            days.add(format!("2026-11-0{day}"), 16);
        }
        assert!(!days.has("2026-11-01", 16), "the oldest is forgotten");
        assert!(days.has("2026-11-04", 16) && days.has("2026-11-04", 9) && !days.has("2026-11-04", 17));
    }
}
