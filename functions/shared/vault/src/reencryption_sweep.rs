//! Re-encryption of everybody: sweeps over all trading accounts, many at a time, which go on where the run before ended.
//!
//! A sweep has one time for all of its runs: what was encrypted before it is re-encrypted. A time that moved with the clock
//! would catch up with what the sweep itself had encrypted, and a sweep longer than that would never end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use portcullis_store::{AccountId, Store, Sweep, SweepPosition, TradingAccountId};

use crate::Vault;
use crate::error::Error;
use crate::reencryption::Reencrypted;

/// The sweeps of the scheduled job.
const SCHEDULED: &str = "credential-rotation";
/// The sweeps of an operator's command.
const COMMAND: &str = "rotate-credentials";

/// Shards that are swept side by side, and so accounts in progress. Each spends most of its time on the way to the table and
/// to the key service; this many ask the latter about 1,300 times a second, a quarter of its smallest quota.
const LANES: usize = 32;
/// Accounts read in one page of the table.
const PAGE: u16 = 100;
/// Failures in a row after which the table or the key service is taken to be down, and the run ends.
const FAILURES: usize = 2 * LANES;
/// Accounts that one shard leaves behind at most: what its row has room for.
const LEFT: usize = 100;
/// The time between the beginnings of two scheduled sweeps.
const EVERY: Duration = Duration::from_hours(24);

/// The outcomes of a run, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reencryption {
    /// Accounts encrypted under a new data key.
    pub done: u64,
    /// Accounts that were encrypted recently enough before.
    pub recent: u64,
    /// Accounts that were unlinked meanwhile.
    pub gone: u64,
    /// Accounts that do not decrypt, left as they are.
    pub unreadable: u64,
    /// Whether the sweep is over: every account was visited, in this run or in one before it.
    pub is_over: bool,
}

impl Reencryption {
    fn count(&mut self, reencrypted: Reencrypted) {
        let counter = match reencrypted {
            Reencrypted::Done => &mut self.done,
            Reencrypted::Recent => &mut self.recent,
            Reencrypted::Gone => &mut self.gone,
            Reencrypted::Unreadable => &mut self.unreadable,
        };
        *counter += 1;
    }
}

impl Vault {
    /// Re-encrypts, until this time, the accounts whose data key is older than the settings allow; where `before` is given,
    /// those that were encrypted before it. Goes on with the sweep that an earlier run did not finish; begins one where
    /// none is under way, once a day or because of `before`. Returns the outcomes; `None` where nothing is due.
    ///
    /// An account that fails is left for the next run and holds up no other; this run fails then with its error, after it
    /// has done the rest. Fails also when the table or the key service is down; what was done until then stays done.
    pub async fn reencrypt_due(
        &self,
        before: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<Option<Reencryption>, Error> {
        let now = self.identity.clock.now();
        let last = match self.store().sweep(SCHEDULED).await? {
            Some(sweep) => Some((self.store().sweep_positions(SCHEDULED, &sweep).await?, sweep)),
            None => None,
        };
        let oldest = now - self.credential_max_age;
        let (sweep, positions) = match due(last, before.map(|before| before.min(now)), oldest, now) {
            Due::Nothing => return Ok(None),
            Due::Rest(sweep, positions) => (sweep, positions),
            Due::Sweep { before } => (self.begin_sweep(SCHEDULED, before).await?, BTreeMap::new()),
        };
        self.sweep(SCHEDULED, &sweep, positions, Some(until)).await.map(Some)
    }

    /// Re-encrypts every account that was encrypted before this time, and returns the outcomes. Called again with the same
    /// time after it failed, it does what is left. Fails as [`Vault::reencrypt_due`] does.
    pub async fn reencrypt_all(&self, before: Timestamp) -> Result<Reencryption, Error> {
        let last = self.store().sweep(COMMAND).await?;
        let the_same = |sweep: &Sweep| sweep.ended_at.is_none() && in_table(sweep.before) == in_table(before);
        let (sweep, positions) = match last.filter(the_same) {
            Some(sweep) => {
                let positions = self.store().sweep_positions(COMMAND, &sweep).await?;
                (sweep, positions)
            }
            None => (self.begin_sweep(COMMAND, before).await?, BTreeMap::new()),
        };
        self.sweep(COMMAND, &sweep, positions, None).await
    }

    async fn begin_sweep(&self, job: &str, before: Timestamp) -> Result<Sweep, Error> {
        let mut id = [0; 16];
        self.identity.entropy.fill(&mut id)?;
        let began_at = self.identity.clock.now();
        let sweep = Sweep { id: hex::encode(id), before, began_at, ended_at: None };
        self.store().put_sweep(job, &sweep).await?;
        tracing::warn!(job, %before, "every credential that was encrypted before this time is encrypted anew");
        Ok(sweep)
    }

    async fn sweep(
        &self,
        job: &str,
        sweep: &Sweep,
        mut positions: BTreeMap<u8, SweepPosition>,
        until: Option<Timestamp>,
    ) -> Result<Reencryption, Error> {
        let run = Run { vault: self, job, sweep, until, failed: AtomicUsize::new(0), told: Mutex::default() };
        let shards = (0..Store::TRADING_ACCOUNT_SHARDS).filter_map(|shard| u8::try_from(shard).ok());
        let shards: Vec<_> =
            shards.map(|shard| (shard, positions.remove(&shard).unwrap_or_default())).collect();
        let run_of = &run;
        let lanes = shards.into_iter().map(|(shard, position)| run_of.pass(shard, position));
        let passed: Vec<bool> = stream::iter(lanes).buffer_unordered(LANES).collect().await;
        let Told { mut counted, failure } = run.told.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = failure {
            tracing::warn!(job, ?counted, "credentials were encrypted anew, and not all of them could be");
            return Err(failure);
        }
        counted.is_over = passed.into_iter().all(|passed| passed);
        if counted.is_over {
            let ended = Sweep { ended_at: Some(self.identity.clock.now()), ..sweep.clone() };
            self.store().put_sweep(job, &ended).await?;
        }
        Ok(counted)
    }
}

/// What is due, and how far it came.
enum Due {
    Nothing,
    Rest(Sweep, BTreeMap<u8, SweepPosition>),
    Sweep { before: Timestamp },
}

/// Returns what is due after the last sweep. Nothing that one was to re-encrypt is forgotten by the next, which therefore
/// begins with the later of both times.
fn due(
    last: Option<(BTreeMap<u8, SweepPosition>, Sweep)>,
    wanted: Option<Timestamp>,
    oldest: Timestamp,
    now: Timestamp,
) -> Due {
    let Some((positions, sweep)) = last else { return Due::Sweep { before: wanted.unwrap_or(oldest) } };
    if let Some(wanted) = wanted.filter(|wanted| in_table(*wanted) > sweep.before) {
        return Due::Sweep { before: wanted };
    }
    // Accounts that fail for good are no reason to visit nobody else any more.
    let is_passed = positions.len() == usize::from(Store::TRADING_ACCOUNT_SHARDS)
        && positions.values().all(|position| position.is_passed);
    let is_next = now.duration_since(sweep.began_at).unsigned_abs() >= EVERY;
    match sweep.ended_at {
        None if is_passed && is_next => Due::Sweep { before: oldest.max(sweep.before) },
        None => Due::Rest(sweep, positions),
        Some(_) if is_next => Due::Sweep { before: oldest.max(sweep.before) },
        Some(_) => Due::Nothing,
    }
}

/// The time as the table gives it back.
fn in_table(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// One run of a sweep.
struct Run<'a> {
    vault: &'a Vault,
    job: &'a str,
    sweep: &'a Sweep,
    until: Option<Timestamp>,
    /// Failures in a row.
    failed: AtomicUsize,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    counted: Reencryption,
    /// The last one.
    failure: Option<Error>,
}

impl Run<'_> {
    fn may_go_on(&self) -> bool {
        let in_time = self.until.is_none_or(|until| self.vault.identity.clock.now() < until);
        in_time && self.failed.load(Ordering::Relaxed) < FAILURES
    }

    fn tell(&self, outcome: Result<Reencrypted, Error>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(reencrypted) => told.counted.count(reencrypted),
            Err(error) => told.failure = Some(error),
        }
    }

    /// Passes a shard from where the last run ended there, and returns whether nothing of it is left to do.
    async fn pass(&self, shard: u8, mut position: SweepPosition) -> bool {
        match self.go_on(shard, &mut position).await {
            Ok(()) => position.is_passed && position.left.is_empty(),
            Err(error) => {
                tracing::warn!(%error, shard, "a shard of trading accounts is left for the next run");
                self.failed.fetch_add(1, Ordering::Relaxed);
                self.tell(Err(error));
                false
            }
        }
    }

    async fn go_on(&self, shard: u8, position: &mut SweepPosition) -> Result<(), Error> {
        if !position.left.is_empty() && self.may_go_on() {
            self.visit_left(position).await?;
            self.keep(shard, position).await?;
        }
        while !position.is_passed && position.left.len() < LEFT && self.may_go_on() {
            let page = self.vault.store().trading_account_lookup(shard, PAGE, position.after).await?;
            let (number, mut visited) = (page.accounts.len(), 0);
            for (id, owner) in page.accounts {
                if position.left.len() == LEFT || !self.may_go_on() {
                    break;
                }
                self.visit(owner, id, position).await;
                position.after = Some(id);
                visited += 1;
            }
            // A page may be empty and still not the last.
            position.after = if number == 0 { page.next.or(position.after) } else { position.after };
            position.is_passed = visited == number && page.next.is_none();
            self.keep(shard, position).await?;
        }
        Ok(())
    }

    /// Visits the accounts again that failed before.
    async fn visit_left(&self, position: &mut SweepPosition) -> Result<(), Error> {
        for id in std::mem::take(&mut position.left) {
            if !self.may_go_on() {
                position.left.push(id);
                continue;
            }
            match self.vault.store().trading_account_owner(id).await? {
                Some(owner) => self.visit(owner, id, position).await,
                None => self.tell(Ok(Reencrypted::Gone)),
            }
        }
        Ok(())
    }

    async fn visit(&self, owner: AccountId, id: TradingAccountId, position: &mut SweepPosition) {
        let outcome = self.vault.reencrypt(owner, id, self.sweep.before).await;
        match &outcome {
            Ok(_) => self.failed.store(0, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, account = %id, "credentials are left for the next run");
                self.failed.fetch_add(1, Ordering::Relaxed);
                position.left.push(id);
            }
        }
        self.tell(outcome);
    }

    async fn keep(&self, shard: u8, position: &SweepPosition) -> Result<(), Error> {
        Ok(self.vault.store().keep_sweep_position(self.job, self.sweep, shard, position).await?)
    }
}
