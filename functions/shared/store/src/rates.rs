//! Rate limits: how often something is allowed in a window of time.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::item::{number, read, ttl};
use crate::keys::{self, Key};

const MINUTE: i64 = 60;

/// Something that somebody may do so many times in a window of time.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// What is done, in a word.
    pub what: &'a str,
    /// Who does it: an account, or an address.
    pub who: &'a str,
    /// The number of the window.
    pub window: i64,
    /// When the window ends.
    pub ends: Timestamp,
}

/// Somebody whose uses are counted in the row of the client address, which is one write for both counts.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Who it is; the row has a digest of it.
    pub who: &'a str,
    /// How many uses they have of their own.
    pub most: u64,
}

/// The row of a count.
#[derive(Debug, Deserialize)]
struct Counted {
    times_done: u64,
}

impl Store {
    /// Counts a request of a service for an operation against its limit of `most` a minute. Returns `None` if it is
    /// within the limit, else the time to retry after. A request counts whether or not the operation succeeds.
    pub async fn reserve_request(
        &self,
        operation: &str,
        service: &str,
        most: u64,
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let minute = now.as_second().div_euclid(MINUTE);
        let ends = Timestamp::from_second((minute + 1) * MINUTE).unwrap_or(now);
        let key = keys::service_rate(operation, service, minute);
        let taken = self.count_once(&key, most, ends + Duration::from_mins(5)).await?;
        Ok((!taken).then(|| ends.duration_since(now).unsigned_abs()))
    }

    /// Returns how many failures the address had in this window so far; fails when DynamoDB does.
    pub async fn failures_of(&self, address: &str, window: i64) -> Result<u64, StoreError> {
        let found = self.get(&keys::address_rate(address, window), "reading a rate").await?;
        found.map_or(Ok(0), |found| Ok(read::<Counted>("rate", found)?.times_done))
    }

    /// Counts one more failure of the address. Returns whether there was room for it: of failures that come side by
    /// side, no more are let through than there is room for.
    pub async fn count_failure(
        &self,
        address: &str,
        window: i64,
        most: u64,
        ends: Timestamp,
    ) -> Result<bool, StoreError> {
        self.count_once(&keys::address_rate(address, window), most, ends).await
    }

    /// Counts one more use. Returns whether there was room for it among `most`; fails when DynamoDB does.
    pub async fn count_use(&self, used: Use<'_>, most: u64) -> Result<bool, StoreError> {
        self.count_once(&keys::uses(used.what, used.who, used.window), most, used.ends).await
    }

    /// Counts one more use by an address and by somebody behind it, in one row. Returns whether there was room for it
    /// among the `most` of the address and those of the member; fails when DynamoDB does.
    pub async fn count_use_of_member(
        &self,
        used: Use<'_>,
        most: u64,
        member: Member<'_>,
    ) -> Result<bool, StoreError> {
        let of_member = keys::member_count(member.who);
        let update = counted_once(used.ends).add(of_member.clone(), number(1));
        let has_room = has_room(most).and(Condition::HasRoom(of_member, number(member.most)));
        let key = keys::uses(used.what, used.who, used.window);
        Ok(self.update_if(&key, update, has_room, "counting a rate").await?.is_ok())
    }

    /// Returns how many uses were counted in this window so far; fails when DynamoDB does.
    pub async fn uses(&self, used: Use<'_>) -> Result<u64, StoreError> {
        let key = keys::uses(used.what, used.who, used.window);
        let found = self.get(&key, "reading a rate").await?;
        found.map_or(Ok(0), |found| Ok(read::<Counted>("rate", found)?.times_done))
    }

    /// Counts one more time, if fewer than `most` were counted.
    async fn count_once(&self, key: &Key, most: u64, forget_after: Timestamp) -> Result<bool, StoreError> {
        let update = counted_once(forget_after);
        Ok(self.update_if(key, update, has_room(most), "counting a rate").await?.is_ok())
    }
}

fn counted_once(forget_after: Timestamp) -> Update {
    Update::new().set("expires_ttl", ttl(forget_after)).add("times_done", number(1))
}

fn has_room(most: u64) -> Condition {
    Condition::Missing("times_done").or(Condition::below("times_done", number(most)))
}
