//! All-or-nothing writes: each condition carries the refusal it means, and conflicts with other transactions are waited
//! out.
//!
//! The module knows nothing of what is written. Where several conditions fail at once, the refusal of the one that was
//! given first is returned; so the order of the actions is the order in which refusals take precedence, and it says
//! nothing else: DynamoDB has no order among the actions of a transaction.

use std::convert::Infallible;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update as UpdateAction,
};
use backon::{ExponentialBuilder, Retryable};
use futures_util::future::join_all;

use crate::audit::{AuditEvent, Chain, ChainEnd, HeadUpdate};
use crate::backoff::Rounds;
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Expressions, Update};
use crate::item::Attributes;
use crate::keys::Key;

/// Nothing was written, because a condition failed.
#[derive(Debug)]
pub(crate) struct Refused<R> {
    /// What the condition was given to mean.
    pub(crate) by: R,
    /// The item that stood in the way; empty if there was none, or if the action does not ask for it.
    pub(crate) row: Attributes,
}

/// The one refusal of a transaction whose conditions all mean the same: what it was decided on is not so any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outdated;

/// What is written behind a transaction that is committed. Nothing is lost where it is not: the next event takes it along.
#[derive(Debug)]
#[must_use]
pub struct Unwritten<'a> {
    store: &'a Store,
    heads: Vec<HeadUpdate>,
}

impl Unwritten<'_> {
    /// Writes what is behind the transaction; what fails is logged, because the transaction stands.
    pub async fn write(self) {
        self.store.advance_heads(self.heads).await;
    }
}

/// A transaction being put together; `R` names what its conditions can refuse.
#[derive(Debug)]
pub(crate) struct Transaction<'a, R = Infallible> {
    store: &'a Store,
    actions: Vec<Action<R>>,
    /// The events that tell of it, in the order in which those of one chain follow each other.
    events: Vec<AuditEvent>,
    /// Whether the heads of their chains are part of it in place of a write behind it.
    has_heads: bool,
}

/// An action, and what it means that its condition fails. One that the SDK could not build is kept as the error that
/// [`Transaction::commit`] returns: a transaction never goes out with an action less.
#[derive(Debug)]
struct Action<R> {
    write: Result<TransactWriteItem, BuildError>,
    refusal: Option<R>,
}

type SendError = SdkError<TransactWriteItemsError>;

impl<'a, R> Transaction<'a, R> {
    pub(crate) fn on(store: &'a Store) -> Self {
        Self { store, actions: Vec::new(), events: Vec::new(), has_heads: false }
    }

    /// Writes an item, whatever stands at its key.
    pub(crate) fn put(self, item: Attributes) -> Self {
        let write = put(self.store, item, None);
        self.push(write, None)
    }

    /// Writes an item if the condition holds for what stands at its key.
    pub(crate) fn put_if(self, item: Attributes, condition: Condition, refusal: R) -> Self {
        let write = put(self.store, item, Some(condition));
        self.push(write, Some(refusal))
    }

    /// Changes an item, or makes it.
    pub(crate) fn update(self, key: &Key, change: Update) -> Self {
        let write = update(self.store, key, change, None);
        self.push(write, None)
    }

    /// Changes an item if the condition holds for it.
    pub(crate) fn update_if(self, key: &Key, change: Update, condition: Condition, refusal: R) -> Self {
        let write = update(self.store, key, change, Some(condition));
        self.push(write, Some(refusal))
    }

    /// Changes nothing, and refuses unless the condition holds.
    pub(crate) fn check(self, key: &Key, condition: Condition, refusal: R) -> Self {
        let written = Expressions::of(None, Some(condition));
        let check = ConditionCheck::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .set_condition_expression(written.condition)
            .set_expression_attribute_names(written.names)
            .set_expression_attribute_values(written.values)
            .build();
        let write = check.map(|check| TransactWriteItem::builder().condition_check(check).build());
        self.push(write, Some(refusal))
    }

    /// Removes an item, there or not.
    pub(crate) fn delete(self, key: &Key) -> Self {
        let write = delete(self.store, key, None);
        self.push(write, None)
    }

    /// Removes an item if the condition holds for it.
    pub(crate) fn delete_if(self, key: &Key, condition: Condition, refusal: R) -> Self {
        let write = delete(self.store, key, Some(condition));
        self.push(write, Some(refusal))
    }

    /// Records the event that tells of all this, behind the last record of its chain.
    pub(crate) fn record(mut self, event: &AuditEvent) -> Self {
        self.events.push(event.clone());
        self
    }

    /// The same with the head of the chain in the transaction: it costs twice as much there, and saves the round behind it.
    pub(crate) fn record_with_head(self, event: &AuditEvent) -> Self {
        Self { has_heads: true, ..self.record(event) }
    }

    fn push(mut self, write: Result<TransactWriteItem, BuildError>, refusal: Option<R>) -> Self {
        self.actions.push(Action { write, refusal });
        self
    }

    /// Commits, or returns what was refused. Fails where the SDK could not build an action, where other transactions
    /// are always faster, and like any other call.
    ///
    /// A conflict with another transaction decides nothing: the whole is sent again, so that a cancellation for mixed
    /// reasons is decided anew by strongly consistent conditions.
    pub(crate) async fn commit(self, operation: &'static str) -> Result<Result<(), Refused<R>>, StoreError> {
        match self.commit_first(operation).await? {
            Ok(unwritten) => {
                unwritten.write().await;
                Ok(Ok(()))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// The same, and returns what comes behind it, for a caller who does not wait for that before going on.
    pub(crate) async fn commit_first(
        self,
        operation: &'static str,
    ) -> Result<Result<Unwritten<'a>, Refused<R>>, StoreError> {
        // Boxed, or every caller's future would carry all of it about.
        Box::pin(self.commit_with_events(operation)).await
    }

    /// Commits, and returns `done` or what was refused.
    pub(crate) async fn commit_as(self, done: R, operation: &'static str) -> Result<R, StoreError> {
        Ok(self.commit(operation).await?.map_or_else(|refused| refused.by, |()| done))
    }

    async fn commit_with_events(
        self,
        operation: &'static str,
    ) -> Result<Result<Unwritten<'a>, Refused<R>>, StoreError> {
        let Self { store, actions, events, has_heads } = self;
        let not_built = |cause: BuildError| StoreError::Refused { operation, cause: cause.into() };
        let (mut writes, mut refusals) = (Vec::new(), Vec::new());
        for Action { write, refusal } in actions {
            writes.push(write.map_err(not_built)?);
            refusals.push(refusal);
        }
        for event in &events {
            store.store_spread(event).await?;
        }
        let mut chains = chains_of(store, events).await?;
        let mut rounds = Rounds::begin();
        loop {
            let (mut sent, mut heads) = (writes.clone(), Vec::new());
            for chain in &chains {
                let (records, head) = chain.links(store, has_heads, operation)?;
                sent.extend(records);
                heads.extend(head);
            }
            let Err(mut failed) = store.transact(sent, operation).await? else {
                return Ok(Ok(Unwritten { store, heads }));
            };
            // The caller's own conditions come first. What they say of the rows stands even where the event raced too.
            let of_events = failed.split_off(writes.len().min(failed.len()));
            let ours = failed.into_iter().zip(&mut refusals);
            if let Some(refused) =
                { ours }.find_map(|(row, refusal)| Some(Refused { row: row?, by: refusal.take()? }))
            {
                return Ok(Err(refused));
            }
            if of_events.iter().all(Option::is_none) {
                let cause = "an action without a condition failed for one".into();
                return Err(StoreError::Refused { operation, cause });
            }
            // Another event took the number of ours in its chain. The pause comes before the chain is read anew, and not
            // after: in a busy chain, an end that was read before a pause is never the end any more.
            let may_go_on = rounds.again().await;
            // Ours queues up behind what stands there now; unless that is ours, written by an attempt whose response was
            // lost.
            for chain in &mut chains {
                chain.end = store.chain_end(&chain.chain).await?;
            }
            if chains.iter().all(ChainEvents::are_recorded) {
                return Ok(Ok(Unwritten { store, heads: Vec::new() }));
            }
            if !may_go_on {
                return Err(StoreError::contended(operation));
            }
        }
    }
}

impl Transaction<'_> {
    /// Commits what has no condition and so cannot be refused.
    pub(crate) async fn write(self, operation: &'static str) -> Result<(), StoreError> {
        match self.commit(operation).await? {
            Ok(()) => Ok(()),
            Err(refused) => match refused.by {},
        }
    }
}

fn put(
    store: &Store,
    item: Attributes,
    condition: Option<Condition>,
) -> Result<TransactWriteItem, BuildError> {
    let asks_for_row = condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
    let written = Expressions::of(None, condition);
    let put = Put::builder()
        .table_name(&store.table)
        .set_item(Some(item))
        .set_condition_expression(written.condition)
        .set_expression_attribute_names(written.names)
        .set_expression_attribute_values(written.values)
        .set_return_values_on_condition_check_failure(asks_for_row)
        .build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn update(
    store: &Store,
    key: &Key,
    change: Update,
    condition: Option<Condition>,
) -> Result<TransactWriteItem, BuildError> {
    let asks_for_row = condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
    let written = Expressions::of(Some(change), condition);
    let update = UpdateAction::builder()
        .table_name(&store.table)
        .set_key(Some(key.attributes()))
        .set_update_expression(written.update)
        .set_condition_expression(written.condition)
        .set_expression_attribute_names(written.names)
        .set_expression_attribute_values(written.values)
        .set_return_values_on_condition_check_failure(asks_for_row)
        .build()?;
    Ok(TransactWriteItem::builder().update(update).build())
}

fn delete(store: &Store, key: &Key, condition: Option<Condition>) -> Result<TransactWriteItem, BuildError> {
    let written = Expressions::of(None, condition);
    let delete = Delete::builder()
        .table_name(&store.table)
        .set_key(Some(key.attributes()))
        .set_condition_expression(written.condition)
        .set_expression_attribute_names(written.names)
        .set_expression_attribute_values(written.values)
        .build()?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}

/// The events of a transaction that belong to one chain, and where that chain ended as it was read.
#[derive(Debug)]
struct ChainEvents {
    chain: Chain,
    end: ChainEnd,
    events: Vec<AuditEvent>,
}

/// Returns the events by their chains, in the order they were given; reads where each chain ends that was not read yet.
async fn chains_of(store: &Store, events: Vec<AuditEvent>) -> Result<Vec<ChainEvents>, StoreError> {
    let mut chains: Vec<ChainEvents> = Vec::with_capacity(events.len());
    for event in events {
        let chain = event.chain();
        if let Some(same) = chains.iter_mut().find(|other| other.chain == chain) {
            same.events.push(event);
            continue;
        }
        let end = match event.end.clone() {
            Some(end) => end,
            None => store.chain_end(&chain).await?,
        };
        chains.push(ChainEvents { chain, end, events: vec![event] });
    }
    Ok(chains)
}

impl ChainEvents {
    /// Returns what makes the chain longer by these events: their records, and the record before them where only the head
    /// had that one, each on the condition that no other event was faster; and the head of the last one, which is written
    /// behind them. A head that has no row yet is among the records, and any where `has_head` says so.
    fn links(&self, store: &Store, has_head: bool, operation: &'static str) -> Result<Links, StoreError> {
        let not_built = |cause: BuildError| StoreError::Refused { operation, cause: cause.into() };
        let (mut end, mut head, mut writes) = (self.end.clone(), None, Vec::new());
        let mut begins_head = has_head;
        for event in &self.events {
            let link = end.link(event);
            begins_head |= link.begins_head;
            let items = [Some(link.record.clone()), link.restored];
            for item in items.into_iter().flatten() {
                writes.push(put(store, item, Some(Condition::row_missing())).map_err(not_built)?);
            }
            end = end.grown_by(link.record)?;
            head = Some(link.head);
        }
        if let Some(first) = head.take_if(|_| begins_head) {
            writes.push(update(store, &first.key, first.update, Some(first.is_behind)).map_err(not_built)?);
        }
        Ok((writes, head))
    }

    /// Whether the chain ends with the last of these events: an earlier attempt wrote them, and its response was lost.
    fn are_recorded(&self) -> bool {
        self.events.last().is_some_and(|event| self.end.is(event))
    }
}

/// The records that are written in a transaction, and the head that is written behind it.
type Links = (Vec<TransactWriteItem>, Option<HeadUpdate>);

/// For each action the item in the way of its condition, or `None` where that held.
type Failed = Vec<Option<Attributes>>;

impl Store {
    /// Advances the heads of chains whose records stand. What is done is done: one that fails is logged, and the next event
    /// of its chain takes it along. In a transaction each would cost twice as much.
    async fn advance_heads(&self, heads: Vec<HeadUpdate>) {
        const OPERATION: &str = "advancing the head of an audit trail";
        for head in join_all(heads.into_iter().map(|head| self.advance_head(head, OPERATION))).await {
            if let Err(error) = head {
                tracing::warn!(%error, "a head of the audit trail is behind until the next event");
            }
        }
    }

    async fn transact(
        &self,
        actions: Vec<TransactWriteItem>,
        operation: &'static str,
    ) -> Result<Result<(), Failed>, StoreError> {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_millis(200))
            .with_max_times(4)
            .with_jitter();
        let sent = (|| send(&self.client, actions.clone())).retry(backoff).when(is_conflict).await;
        match sent {
            Ok(()) => Ok(Ok(())),
            Err(error) => match failed_conditions(&error) {
                Some(failed) => Ok(Err(failed)),
                None => Err(StoreError::from_sdk(operation, error)),
            },
        }
    }
}

async fn send(client: &Client, actions: Vec<TransactWriteItem>) -> Result<(), SendError> {
    client.transact_write_items().set_transact_items(Some(actions)).send().await.map(|_| ())
}

fn reasons(error: &SendError) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    }
}

fn is_conflict(error: &SendError) -> bool {
    reasons(error).iter().any(|reason| reason.code() == Some("TransactionConflict"))
}

/// Returns the failed conditions, if nothing but conditions failed.
fn failed_conditions(error: &SendError) -> Option<Failed> {
    let reasons = reasons(error);
    let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    let held = |reason: &CancellationReason| matches!(reason.code(), None | Some("None"));
    let decided = reasons.iter().any(failed) && reasons.iter().all(|reason| failed(reason) || held(reason));
    let item =
        |reason: &CancellationReason| failed(reason).then(|| reason.item().cloned().unwrap_or_default());
    decided.then(|| reasons.iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use portcullis_platform::CallTimeouts;
    use portcullis_platform_embedded::EmbeddedDynamoDb;

    use super::*;
    use crate::keys;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Why {
        First,
        Second,
    }

    async fn store() -> Store {
        let store = Store::in_process(
            EmbeddedDynamoDb::in_memory().unwrap().http_client(),
            "test",
            CallTimeouts::default(),
        );
        store.create_table_if_missing().await.unwrap();
        store
    }

    fn there<'a>(transaction: Transaction<'a, Why>, name: &str, why: Why) -> Transaction<'a, Why> {
        transaction.check(&keys::username(name), Condition::row_exists(), why)
    }

    #[tokio::test]
    async fn the_refusal_that_was_given_first_takes_precedence() {
        let store = store().await;
        let both = |one, other| there(there(Transaction::on(&store), "a", one), "b", other);
        for (one, other) in [(Why::First, Why::Second), (Why::Second, Why::First)] {
            let refused = both(one, other).commit("testing").await.unwrap().unwrap_err();
            assert_eq!(refused.by, one);
        }
        Transaction::on(&store).put(keys::username("a").attributes()).write("testing").await.unwrap();
        let refused = both(Why::First, Why::Second).commit("testing").await.unwrap().unwrap_err();
        assert_eq!(refused.by, Why::Second);
    }

    #[tokio::test]
    async fn an_action_that_cannot_be_built_fails_the_whole() {
        let store = store().await;
        let put = Transaction::on(&store).put(keys::username("a").attributes());
        let broken = put.push(Put::builder().build().map(|_| TransactWriteItem::builder().build()), None);
        assert!(matches!(broken.write("testing").await, Err(StoreError::Refused { .. })));
        assert_eq!(store.get(&keys::username("a"), "testing").await.unwrap(), None);
    }
}
