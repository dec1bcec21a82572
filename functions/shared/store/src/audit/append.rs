//! Making a chain longer outside of a transaction, and reading where it ends.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::chain::{Chain, ChainEnd, HeadUpdate};
use super::event::AuditEvent;
use crate::backoff::Rounds;
use crate::connection::Store;
use crate::error::StoreError;
use crate::id::AccountId;
use crate::item::{Attributes, text};
use crate::keys;
use crate::sign_ins::{SignIns, Throttled, Wait};

impl Store {
    /// Where the chain of sign-ins under this name ends.
    pub async fn sign_ins_end(&self, name: &str) -> Result<ChainEnd, StoreError> {
        // Boxed: it is waited for beside other reads.
        Box::pin(self.chain_end(&Chain::SignIns(name.to_owned()))).await
    }

    /// Returns what is known of the sign-ins under a name.
    pub async fn sign_ins(&self, name: &str) -> Result<SignIns, StoreError> {
        Ok(self.chain_end(&Chain::SignIns(name.to_owned())).await?.sign_ins())
    }

    /// Where a chain ends: its head and its last record, which lie side by side.
    pub(crate) async fn chain_end(&self, chain: &Chain) -> Result<ChainEnd, StoreError> {
        let found = self
            .chain_query(&chain.partition())
            .scan_index_forward(false)
            .limit(2)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("reading the end of an audit trail", error))?;
        let end = ChainEnd::of(found.items.unwrap_or_default())?;
        match chain {
            Chain::Account(account) if end.is_nothing() => Box::pin(self.end_in_account(*account)).await,
            _ => Ok(end),
        }
    }

    /// Asks for the items of the chain in this partition: its records by their numbers, and its head behind them.
    pub(super) fn chain_query(&self, partition: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":prefix", text(keys::AUDIT_PREFIX))
            .consistent_read(true)
    }

    /// Where the chain of an account ends of which nothing is there: its first record is in the account's own row too.
    pub(super) async fn end_in_account(&self, account: AccountId) -> Result<ChainEnd, StoreError> {
        self.first_in_account(account).await?.map_or_else(|| Ok(ChainEnd::default()), ChainEnd::in_account)
    }

    /// The first record of an account's chain as the account's own row has it.
    pub(super) async fn first_in_account(
        &self,
        account: AccountId,
    ) -> Result<Option<Attributes>, StoreError> {
        let found = self.get(&keys::profile(account), "reading the first record of an account").await?;
        Ok(match found.and_then(|mut row| row.remove("latest")) {
            Some(AttributeValue::M(record)) => Some(record),
            _ => None,
        })
    }

    /// Writes an event that nothing else is written with.
    pub async fn record(&self, event: &AuditEvent) -> Result<(), StoreError> {
        // Without waits nothing is throttled.
        Box::pin(self.append(event, &[])).await.map(|_| ())
    }

    /// Records the outcome of an attempt at a password. Returns `Throttled`, and records nothing, if records that were
    /// written since the trail was read used up the free attempts.
    pub async fn record_attempt(
        &self,
        event: &AuditEvent,
        waits: &[Wait],
    ) -> Result<Result<(), Throttled>, StoreError> {
        let answered = Box::pin(self.append(event, waits)).await?;
        if answered.is_err() {
            // A throttled attempt that was right has a row to take back. This write changes nothing and takes as long,
            // so that the response time does not tell which one it was.
            let key = keys::audit_head(&event.chain().partition());
            self.advance_head(HeadUpdate::to_nothing(key), "answering a guess").await?;
        }
        Ok(answered)
    }

    /// Writes a row that no client knows of yet, and the event that tells of it, side by side: what opens the row
    /// leaves only after both are stored. Where the attempt of the event comes out throttled, or its account was erased
    /// meanwhile, `taken_back` is written over the row.
    pub(crate) async fn put_beside_event(
        &self,
        row: Attributes,
        taken_back: impl FnOnce() -> Result<Attributes, StoreError>,
        event: &AuditEvent,
        waits: &[Wait],
        operation: &'static str,
    ) -> Result<Result<(), Throttled>, StoreError> {
        // Boxed, or every sign-in would carry the two of them about.
        let both = Box::pin(async { tokio::try_join!(self.put(row, operation), self.append(event, waits)) });
        let ((), answered) = both.await?;
        if answered.is_err() {
            Box::pin(self.put(taken_back()?, operation)).await?;
        }
        Ok(answered)
    }

    /// Appends an event to its chain. The record decides, by the number it takes; the head is written beside it and not
    /// after it, for which reason it holds the whole record: the next event sees whether the record is there too,
    /// and writes it where it is not.
    async fn append(&self, event: &AuditEvent, waits: &[Wait]) -> Result<Result<(), Throttled>, StoreError> {
        const OPERATION: &str = "writing the audit trail";
        let mut end = match &event.end {
            Some(end) => end.clone(),
            None => Box::pin(self.chain_end(&event.chain())).await?,
        };
        self.store_spread(event).await?;
        let mut rounds = Rounds::begin();
        loop {
            if let Some((_, step)) = &event.signed_in_with {
                let sign_ins = end.sign_ins();
                let may_come = sign_ins
                    .check_alive(event.subject, event.at)
                    .and_then(|()| sign_ins.check_step(step, waits, event.at));
                if let Err(early) = may_come {
                    return Ok(Err(early));
                }
            }
            let link = end.link(event);
            // The head may hold a record that lost its number to another one. Nothing is written behind it before it
            // stands.
            if let Some(restored) = link.restored {
                let put = self.put_new(restored.clone(), OPERATION).await?;
                if put.is_err_and(|in_the_way| in_the_way != restored) {
                    if !rounds.again().await {
                        return Err(StoreError::contended(OPERATION));
                    }
                    end = self.chain_end(&event.chain()).await?;
                    continue;
                }
            }
            let put = if link.begins_head {
                self.advance_head(link.head, OPERATION).await?;
                self.put_new(link.record, OPERATION).await?
            } else {
                let record = self.put_new(link.record, OPERATION);
                tokio::try_join!(record, self.advance_head(link.head, OPERATION))?.0
            };
            let Err(in_the_way) = put else { return Ok(Ok(())) };
            let is_ours = ChainEnd::after(in_the_way)?.is(event);
            // Another event took the number; or this one did, in an attempt whose response was lost, or written from the
            // head by the event behind it, which may be the end of the account.
            if is_ours {
                let end = Box::pin(self.chain_end(&event.chain())).await?;
                return Ok(end.sign_ins().check_alive(event.subject, event.at));
            }
            if !rounds.again().await {
                return Err(StoreError::contended(OPERATION));
            }
            // Read behind the pause: what was in the way before it is not the end of a busy chain any more, and an event
            // that went on from there would be overtaken once for each record it is behind.
            end = Box::pin(self.chain_end(&event.chain())).await?;
            // After the end: what is recorded meanwhile is in the way.
            if event.is_carried && Box::pin(self.has_recorded(event)).await? {
                return Ok(Ok(()));
            }
        }
    }

    /// Advances the head of a chain to a record, unless it is further already.
    pub(crate) async fn advance_head(
        &self,
        head: HeadUpdate,
        operation: &'static str,
    ) -> Result<(), StoreError> {
        self.update_if(&head.key, head.update, head.is_behind, operation).await.map(drop)
    }
}
