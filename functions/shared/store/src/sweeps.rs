//! Sweeps: jobs that visit every trading account, in as many runs as that takes.
//!
//! A run that ends, or dies, leaves behind how far it came in each shard. Whatever a position says to be passed was
//! visited by the very run that wrote it or by one before it in the same sweep, so that two runs at once only do work twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::connection::Store;
use crate::error::StoreError;
use crate::id::TradingAccountId;
use crate::item::{Attributes, item, read, text};
use crate::keys;

const RECORD: &str = "sweep";
const ID: &str = "sweep";

/// A sweep as the table has it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// What tells it from every other sweep.
    #[serde(rename = "sweep")]
    pub id: String,
    /// What was changed at this time or later is left alone.
    #[serde(with = "millisecond::required")]
    pub before: Timestamp,
    /// When its first run began.
    #[serde(with = "millisecond::required")]
    pub began_at: Timestamp,
    /// When everything had been visited; `None` while something is left to do.
    #[serde(default, with = "millisecond::optional")]
    pub ended_at: Option<Timestamp>,
}

/// How far a sweep came in one shard.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPosition {
    /// The last account that was visited.
    pub after: Option<TradingAccountId>,
    /// Whether no account comes after it.
    #[serde(rename = "passed")]
    pub is_passed: bool,
    /// Accounts that were passed because they failed, to be visited again.
    pub left: Vec<TradingAccountId>,
}

impl Store {
    /// Returns the last sweep of a job, over or not; `None` where there never was one.
    pub async fn sweep(&self, job: &str) -> Result<Option<Sweep>, StoreError> {
        self.get(&keys::sweep(job), "reading a sweep").await?.map(|row| read(RECORD, row)).transpose()
    }

    /// Begins a sweep, or tells of its end. The positions of any other sweep of this job are void from then on.
    pub async fn put_sweep(&self, job: &str, sweep: &Sweep) -> Result<(), StoreError> {
        self.put(item(&keys::sweep(job), sweep)?, "writing a sweep").await
    }

    /// Returns how far a sweep came, by shard; shards it did not come to are missing.
    pub async fn sweep_positions(
        &self,
        job: &str,
        sweep: &Sweep,
    ) -> Result<BTreeMap<u8, SweepPosition>, StoreError> {
        let mut rows = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :sweep AND begins_with(sk, :prefix)")
            .expression_attribute_values(":sweep", text(keys::sweep(job).partition))
            .expression_attribute_values(":prefix", text(keys::SWEEP_SHARD_PREFIX))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut positions = BTreeMap::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| StoreError::from_sdk("reading how far a sweep came", error))?;
            if row.get(ID) == Some(&text(&sweep.id)) {
                let (shard, position) = read_position(row)?;
                positions.insert(shard, position);
            }
        }
        Ok(positions)
    }

    /// Keeps how far a sweep came in a shard.
    pub async fn keep_sweep_position(
        &self,
        job: &str,
        sweep: &Sweep,
        shard: u8,
        position: &SweepPosition,
    ) -> Result<(), StoreError> {
        let mut row = item(&keys::sweep_position(job, shard), position)?;
        row.insert(ID.to_owned(), text(&sweep.id));
        self.put(row, "keeping how far a sweep came").await
    }
}

fn read_position(row: Attributes) -> Result<(u8, SweepPosition), StoreError> {
    let corrupt = || StoreError::Corrupt { record: RECORD, attribute: keys::SORT.to_owned() };
    let sort = row.get(keys::SORT).and_then(|sort| sort.as_s().ok());
    let shard = sort.and_then(|sort| keys::shard_swept(sort)).ok_or_else(corrupt)?;
    Ok((shard, read(RECORD, row)?))
}
