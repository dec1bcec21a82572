//! Leases of readings: what a service was given of a trading account, for what, and until when it may be given the same again
//! without the master key.
//!
//! **A lease gives no right.** Whoever reads within it passes every check of a first reading. It holds the credentials under a
//! seal that takes a secret of the deployment and the token of the service to open, so that the table alone opens none.
//!
//! **What ends a lease early** is no write to it: it names the sealed secrets it was made of, and how often its owner's
//! credentials had been frozen. So a freeze, a replacement and another session at the broker end it at the moment they are
//! stored, and it does not live again when a freeze is lifted.

use std::convert::Infallible;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as};

use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::id::{AccountId, ReadingLeaseId, TradingAccountId};
use crate::item::{self, Attributes, text};
use crate::keys::{self, Key};
use crate::transaction::Transaction;

/// How much of an account a lease is of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LeaseKind {
    /// The long-lived key and secret, and the session where there is one.
    LongLived,
    /// The session of the day alone.
    Session,
}

impl LeaseKind {
    /// Returns the word in records and responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a lease is under: one of a service, for one purpose, at one trading account.
#[derive(Debug, Clone, Copy)]
pub struct LeasePlace<'a> {
    /// The owner of the trading account.
    pub owner: AccountId,
    /// The trading account.
    pub trading_account: TradingAccountId,
    /// The name of the service.
    pub service: &'a str,
    /// The purpose that it named.
    pub purpose: &'a str,
}

/// A lease as the table has it.
#[serde_as]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingLease {
    /// The id of the lease, `lse_…`.
    #[serde(rename = "lease")]
    pub id: ReadingLeaseId,
    /// The owner of the trading account.
    #[serde(rename = "account")]
    pub owner: AccountId,
    /// The trading account.
    pub trading_account: TradingAccountId,
    /// The service that reads.
    pub service: String,
    /// The purpose that it named.
    pub purpose: String,
    /// How much of the account was read.
    #[serde(rename = "lease_kind")]
    pub kind: LeaseKind,
    /// When it began.
    #[serde(with = "millisecond::required")]
    pub begun_at: Timestamp,
    /// When it ends at the latest.
    #[serde(with = "millisecond::required")]
    pub expires_at: Timestamp,
    /// How often the owner's credentials had been frozen when it began; one more freeze ends it.
    #[serde(rename = "freezes_before")]
    pub freezes: u64,
    /// Digest of the sealed secrets it was made of; others in their place end it.
    #[serde_as(as = "Bytes")]
    pub sealed_digest: Digest,
    /// What was read, sealed to the token of the service and to this lease.
    #[serde_as(as = "Bytes")]
    #[serde(rename = "lease_ciphertext")]
    pub ciphertext: Vec<u8>,
}

impl ReadingLease {
    /// Returns what it is under.
    pub fn place(&self) -> LeasePlace<'_> {
        let Self { owner, trading_account, ref service, ref purpose, .. } = *self;
        LeasePlace { owner, trading_account, service, purpose }
    }

    fn key(&self) -> Key {
        keys::reading_lease(&self.place())
    }
}

impl Store {
    /// The lease that is under this place, over or not.
    pub async fn reading_lease(&self, place: LeasePlace<'_>) -> Result<Option<ReadingLease>, StoreError> {
        self.get(&keys::reading_lease(&place), "reading a lease").await?.map(read).transpose()
    }

    /// Keeps a lease in place of the one that was `seen` there. Returns the one that another reading began there meanwhile and
    /// that stays.
    pub async fn keep_reading_lease(
        &self,
        lease: &ReadingLease,
        seen: Option<ReadingLeaseId>,
    ) -> Result<Option<ReadingLease>, StoreError> {
        // The one that was seen is over, or what is begun would be a second beside it.
        let is_free = match seen {
            None => Condition::row_missing(),
            Some(seen) => Condition::row_missing().or(Condition::equals("lease", text(seen.to_string()))),
        };
        let row = item::expiring_item(&lease.key(), lease, lease.expires_at)?;
        match self.put_if(row, is_free, "keeping a lease").await? {
            Ok(()) => Ok(None),
            // Ours: an attempt of this very call was carried out, and its answer lost.
            Err(found) => Ok(Some(read(found)?).filter(|found| found.id != lease.id)),
        }
    }

    /// The leases of a trading account, over or not, in the order of the services' names; `limit` at most.
    pub async fn reading_leases(
        &self,
        owner: AccountId,
        trading_account: TradingAccountId,
        limit: usize,
    ) -> Result<Vec<ReadingLease>, StoreError> {
        let rows = self.lease_rows(owner, &keys::leases_of_account(trading_account), limit).await?;
        rows.into_iter().map(read).collect()
    }

    /// Removes the leases of a trading account.
    pub async fn delete_reading_leases_of(
        &self,
        owner: AccountId,
        trading_account: TradingAccountId,
    ) -> Result<(), StoreError> {
        self.delete_lease_rows(owner, &keys::leases_of_account(trading_account)).await
    }

    /// Removes all leases of a person's trading accounts.
    pub(crate) async fn delete_reading_leases(&self, owner: AccountId) -> Result<(), StoreError> {
        self.delete_lease_rows(owner, keys::TRADING_ACCOUNT_PREFIX).await
    }

    async fn delete_lease_rows(&self, owner: AccountId, prefix: &str) -> Result<(), StoreError> {
        /// As many as fit into one transaction.
        const AT_ONCE: usize = 100;
        loop {
            let rows = self.lease_rows(owner, prefix, AT_ONCE).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut transaction = Transaction::<Infallible>::on(self);
            for row in rows {
                transaction = transaction.delete(&read(row)?.key());
            }
            transaction.write("removing leases").await?;
        }
    }

    async fn lease_rows(
        &self,
        owner: AccountId,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Attributes>, StoreError> {
        let mut rows = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :leases AND begins_with(sk, :prefix)")
            .expression_attribute_values(":leases", text(keys::reading_leases(owner)))
            .expression_attribute_values(":prefix", text(prefix))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(row) = rows.next().await else { break };
            found.push(row.map_err(|error| StoreError::from_sdk("listing leases", error))?);
        }
        Ok(found)
    }
}

fn read(row: Attributes) -> Result<ReadingLease, StoreError> {
    item::read("lease of a reading", row)
}
