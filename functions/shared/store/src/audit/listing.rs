//! Reading the trail: of one account from its chains, of all accounts from the index by day.

use std::cmp::Reverse;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::QueryOutput;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::chain::Chain;
use super::details::AuditDetails;
use crate::attributes::ItemReader;
use crate::connection::Store;
use crate::error::StoreError;
use crate::id::{AccountId, AuditId};
use crate::item::{Attributes, text};
use crate::keys::{self, FEWEST_DAY_SHARDS, LIST_SORT, LISTING};

/// Records one request may read, however few of them it may show.
const MOST_READ: usize = 1_000;
/// Days one request may look into; the next page goes on.
const MOST_DAYS: u8 = 32;
const DAY: Duration = Duration::from_hours(24);

/// A record as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The id of the record, which begins with its time.
    pub id: AuditId,
    /// What happened, by its word: a later version may know words this one does not.
    pub kind: String,
    /// When it happened, by the clock of the instance.
    pub at: Timestamp,
    /// The account it happened to.
    pub subject: AccountId,
    /// Who did it.
    pub actor: String,
    /// How it ended.
    pub outcome: String,
    /// The id of what it is about.
    pub target: Option<String>,
    /// The service that asked.
    pub service: Option<String>,
    /// What the service said it needed it for.
    pub purpose: Option<String>,
    /// The session it happened in or to.
    pub session: Option<String>,
    /// Address of the client.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The request that caused it.
    pub request_id: String,
    /// What it changed.
    pub details: AuditDetails,
}

/// Which records are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this kind alone.
    pub kind: Option<String>,
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Records before this time alone; `None` for up to now.
    pub to: Option<Timestamp>,
    /// About this object alone, such as one trading account.
    pub target: Option<String>,
}

/// Where to go on in the trail of one account: the numbers of the last records shown of its two chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor {
    account: u64,
    sign_ins: u64,
}

/// Some records of one account, newest first.
#[derive(Debug)]
pub struct AuditPage {
    /// The records of this page, newest first.
    pub records: Vec<AuditRecord>,
    /// Where to go on, if there may be more.
    pub next: Option<AuditCursor>,
}

/// A page of the records of all accounts, newest first.
#[derive(Debug)]
pub struct TimePage {
    /// The records of this page, newest first.
    pub records: Vec<AuditRecord>,
    /// Where to go on, if there may be more.
    pub next: Option<AuditId>,
}

/// Some records of one chain, newest first, each with its number.
#[derive(Debug)]
struct ChainSegment {
    records: Vec<(u64, AuditRecord)>,
    /// The number of the last one read; 0 at the end of the chain.
    read_to: u64,
}

/// Records of one partition of the index, newest first.
#[derive(Debug)]
struct Listed {
    records: Vec<AuditRecord>,
    /// The last one read, where as many were read as one request may.
    read_to: Option<AuditId>,
}

impl AuditFilter {
    fn wants(&self, record: &AuditRecord) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == record.kind)
            && self.target.as_ref().is_none_or(|target| Some(target) == record.target.as_ref())
            && self.from.is_none_or(|from| record.at >= from)
            && self.to.is_none_or(|to| record.at < to)
    }
}

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.account, self.sign_ins)
    }
}

impl FromStr for AuditCursor {
    type Err = ();

    fn from_str(written: &str) -> Result<Self, ()> {
        let (account, sign_ins) = written.split_once('.').ok_or(())?;
        let number = |digits: &str| digits.parse().map_err(|_| ());
        Ok(Self { account: number(account)?, sign_ins: number(sign_ins)? })
    }
}

impl Store {
    /// Records of an account after those `after` names. Sign-ins are found under the address, which later owners of it
    /// share: only the account's own are shown.
    pub async fn audit_of_account(
        &self,
        account: AccountId,
        email: Option<&str>,
        filter: &AuditFilter,
        limit: usize,
        after: Option<AuditCursor>,
    ) -> Result<AuditPage, StoreError> {
        let start = after.unwrap_or(AuditCursor { account: keys::LAST_RECORD, sign_ins: keys::LAST_RECORD });
        let sign_ins = async {
            match email {
                Some(email) => {
                    let chain = Chain::SignIns(email.to_owned());
                    self.chain_segment(&chain, account, filter, limit, start.sign_ins).await
                }
                None => Ok(ChainSegment { records: Vec::new(), read_to: 0 }),
            }
        };
        let chain = Chain::Account(account);
        let (of_account, of_sign_ins) =
            tokio::try_join!(self.chain_segment(&chain, account, filter, limit, start.account), sign_ins)?;
        let mut next = AuditCursor { account: of_account.read_to, sign_ins: of_sign_ins.read_to };
        let mut records = Vec::new();
        let (mut ours, mut theirs) =
            (of_account.records.into_iter().peekable(), of_sign_ins.records.into_iter().peekable());
        let (mut at_ours, mut at_theirs) = (start.account, start.sign_ins);
        while records.len() < limit {
            let is_ours = match (ours.peek(), theirs.peek()) {
                (Some(one), Some(other)) => one.1.id > other.1.id,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let taken = if is_ours { ours.next() } else { theirs.next() };
            let Some((number, record)) = taken else { break };
            *(if is_ours { &mut at_ours } else { &mut at_theirs }) = number;
            records.push(record);
        }
        // What was read and not shown is read again.
        if ours.peek().is_some() {
            next.account = at_ours;
        }
        if theirs.peek().is_some() {
            next.sign_ins = at_theirs;
        }
        let is_over = next.account <= 1 && next.sign_ins <= 1;
        Ok(AuditPage { records, next: (!is_over).then_some(next) })
    }

    /// Returns records of all accounts by time after the one called `after`, from `filter.from` (or as long ago as records are
    /// kept) to `filter.to` (or now). Read from an index, so the last second may be missing.
    pub async fn audit_by_time(
        &self,
        filter: &AuditFilter,
        range: (Timestamp, Timestamp),
        limit: usize,
        after: Option<AuditId>,
    ) -> Result<TimePage, StoreError> {
        let (from, to) = range;
        let mut records = Vec::new();
        let mut day = after.map_or(to, |id| id.created_at().min(to));
        let bound = after.map_or_else(|| keys::listed_from(to), |id| id.to_string());
        let spread = self.spread_of_days(from.max(day - DAY * u32::from(MOST_DAYS)), day).await?;
        for _ in 0..MOST_DAYS {
            let low = keys::listed_from(from);
            let wanted = limit - records.len();
            let shards = spread.get(&keys::day_of(day)).copied().unwrap_or(FEWEST_DAY_SHARDS);
            let shards = of_shards(0..shards.max(FEWEST_DAY_SHARDS), |shard| {
                self.listed(keys::day_shard(day, shard), low.clone(), bound.clone(), filter, wanted)
            });
            let (mut found, mut read_to): (Vec<AuditRecord>, Option<AuditId>) = (Vec::new(), None);
            for shard in shards.await? {
                found.extend(shard.records);
                read_to = read_to.max(shard.read_to);
            }
            // Below this not every shard was read.
            found.retain(|record| read_to.is_none_or(|read_to| record.id >= read_to));
            found.sort_by_key(|record| Reverse(record.id));
            found.truncate(limit - records.len());
            records.extend(found);
            if records.len() == limit {
                return Ok(TimePage { next: records.last().map(|last| last.id), records });
            }
            if let Some(read_to) = read_to {
                return Ok(TimePage { records, next: Some(read_to) });
            }
            if day - DAY < from && keys::day_of(day) <= keys::day_of(from) {
                return Ok(TimePage { records, next: None });
            }
            day = keys::end_of_day(day - DAY);
        }
        Ok(TimePage { records, next: Some(AuditId::at(day)) })
    }

    async fn listed(
        &self,
        partition: String,
        low: String,
        bound: String,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Listed, StoreError> {
        let (mut records, mut start, mut read) = (Vec::new(), None, 0);
        loop {
            let page = self.listing_page(&partition, &low, &bound, start).await?;
            for item in page.items.unwrap_or_default() {
                read += 1;
                // A range of a query includes its ends.
                let is_bound = item.get(LIST_SORT).and_then(|id| id.as_s().ok()) == Some(&bound);
                let record = read_record(item)?;
                let id = record.id;
                if !is_bound && filter.wants(&record) {
                    records.push(record);
                }
                if records.len() < limit && read >= MOST_READ {
                    return Ok(Listed { records, read_to: Some(id) });
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || records.len() >= limit {
                return Ok(Listed { records, read_to: None });
            }
        }
    }

    /// A page of the index, last first.
    pub(crate) async fn listing_page(
        &self,
        partition: &str,
        low: &str,
        high: &str,
        start: Option<Attributes>,
    ) -> Result<QueryOutput, StoreError> {
        if low > high {
            return Ok(QueryOutput::builder().build());
        }
        self.client
            .query()
            .table_name(&self.table)
            .index_name(LISTING)
            .key_condition_expression("list_pk = :pk AND list_sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":low", text(low))
            .expression_attribute_values(":high", text(high))
            .set_exclusive_start_key(start)
            .scan_index_forward(false)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("listing by the index", error))
    }

    async fn chain_segment(
        &self,
        chain: &Chain,
        account: AccountId,
        filter: &AuditFilter,
        limit: usize,
        before: u64,
    ) -> Result<ChainSegment, StoreError> {
        let partition = chain.partition();
        let (mut records, mut read_to, mut read) = (Vec::new(), before, 0);
        let mut start = None;
        loop {
            if before <= 1 {
                return Ok(ChainSegment { records, read_to: 0 });
            }
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
                .expression_attribute_values(":pk", text(&partition))
                .expression_attribute_values(":low", text(keys::audit(&partition, 0).sort))
                .expression_attribute_values(":high", text(keys::audit(&partition, before - 1).sort))
                .set_exclusive_start_key(start)
                .scan_index_forward(false)
                .consistent_read(true)
                .limit(100)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("reading an audit trail", error))?;
            for item in page.items.unwrap_or_default() {
                read += 1;
                let number = ItemReader::new("audit", item.clone()).number("seq")?;
                let record = read_record(item)?;
                read_to = number;
                if filter.from.is_some_and(|from| record.at < from - DAY) {
                    // Older ones follow; clocks differ by less than a day.
                    return Ok(ChainSegment { records, read_to: 0 });
                }
                if record.subject == account && filter.wants(&record) {
                    records.push((number, record));
                }
                if records.len() == limit {
                    return Ok(ChainSegment { records, read_to });
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(ChainSegment { records, read_to: 0 });
            }
            if read >= MOST_READ {
                return Ok(ChainSegment { records, read_to });
            }
        }
    }
}

/// Asks for something of each of these shards at once. Returns the responses in the order of the shards, or the first
/// error.
pub(crate) async fn of_shards<T, F>(shards: Range<u8>, ask: impl Fn(u8) -> F) -> Result<Vec<T>, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    try_join_all(shards.map(ask)).await
}

pub(crate) fn read_record(item: Attributes) -> Result<AuditRecord, StoreError> {
    let mut reader = ItemReader::new("audit", item);
    Ok(AuditRecord {
        id: reader.parsed(LIST_SORT)?,
        kind: reader.text("kind")?,
        at: reader.time("at")?,
        subject: reader.parsed("account")?,
        actor: reader.text("actor")?,
        outcome: reader.text("outcome")?,
        target: reader.text_if_any("target")?,
        service: reader.text_if_any("service")?,
        purpose: reader.text_if_any("purpose")?,
        session: reader.text_if_any("session_id")?,
        ip: reader.text_if_any("ip")?,
        user_agent: reader.text_if_any("user_agent")?,
        request_id: reader.text("request_id")?,
        details: AuditDetails::read(&mut reader)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_shard_is_asked_however_many_there_are() {
        for count in [0, 1, 3, 4, 5, 9] {
            let asked = of_shards(0..count, async |shard| Ok(shard)).await.unwrap();
            assert_eq!(asked, (0..count).collect::<Vec<_>>());
        }
        let failed = of_shards(0..5, async |shard| match shard {
            4 => Err(StoreError::contended("testing")),
            shard => Ok(shard),
        });
        assert!(failed.await.is_err(), "the last one counts too");
    }
}
