//! Leases: of the processes that a schedule starts for one job, one at a time does it.
//!
//! Lambda may start a function twice for one event, and a run may still be going when the next is due. The condition of
//! the write decides who runs. A run that dies leaves its lease behind, so that every lease ends by itself.

use jiff::Timestamp;

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::item::{text, time, ttl};
use crate::keys;

const HOLDER: &str = "holder";
const HELD_UNTIL: &str = "held_until";

impl Store {
    /// Takes the lease of a job until a time, for the run that calls itself `holder`. Returns whether it is this run's
    /// now: it is not while another run holds it. Fails when DynamoDB does.
    pub async fn take_lease(
        &self,
        job: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let taken =
            Update::new().set(HOLDER, text(holder)).set(HELD_UNTIL, time(until)).set(keys::TTL, ttl(until));
        let is_free = Condition::Missing(HELD_UNTIL)
            .or(Condition::at_most(HELD_UNTIL, time(now)))
            .or(Condition::equals(HOLDER, text(holder)));
        Ok(self.update_if(&keys::lease(job), taken, is_free, "taking a lease").await?.is_ok())
    }

    /// Ends the lease of a job at this time, if this run still holds it; otherwise nothing happens. Fails when DynamoDB
    /// does.
    pub async fn release_lease(&self, job: &str, holder: &str, now: Timestamp) -> Result<(), StoreError> {
        let ended = Update::new().set(HELD_UNTIL, time(now));
        let is_ours = Condition::equals(HOLDER, text(holder));
        self.update_if(&keys::lease(job), ended, is_ours, "ending a lease").await.map(drop)
    }
}
