//! All-or-nothing writes: conflicts are waited out, failed conditions are told apart by the row they belong to.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use backon::{ExponentialBuilder, Retryable};

use crate::audit::{AuditEvent, AuditKind, ChainEnd, HEAD_IS_BEHIND};
use crate::connection::Store;
use crate::error::StoreError;
use crate::item::Attributes;
use crate::keys::Key;

/// Nothing was written because conditions failed. One place for each action, in the order they were given: `None` where
/// the condition held, else the item as it stood (empty if there was none).
#[derive(Debug)]
pub(crate) struct ConditionsFailed(Vec<Option<Attributes>>);

impl ConditionsFailed {
    /// Whether something stood in the way of the action at this place.
    pub(crate) fn at(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(Option::is_some)
    }

    /// The item that stood in the way of the action at this place.
    pub(crate) fn take(&mut self, place: usize) -> Option<Attributes> {
        self.0.get_mut(place).and_then(Option::take)
    }
}

/// A transaction being put together.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    store: &'a Store,
    actions: Vec<TransactWriteItem>,
    /// The events that tell of it, each of another chain, and their places among the actions.
    events: Vec<(usize, AuditEvent)>,
}

/// How often an event queues up anew behind another one that was faster.
const ROUNDS: usize = 32;

type SendError = SdkError<TransactWriteItemsError>;

impl<'a> Transaction<'a> {
    pub(crate) fn on(store: &'a Store) -> Self {
        Self { store, actions: Vec::new(), events: Vec::new() }
    }

    /// Writes an item whatever stood there.
    pub(crate) fn put(self, item: Attributes) -> Self {
        let put = Put::builder().table_name(&self.store.table).set_item(Some(item)).build();
        self.push(put.ok().map(|put| TransactWriteItem::builder().put(put).build()))
    }

    /// Records the event that tells of all this, behind the last record of its chain. It has a place like every
    /// action.
    pub(crate) fn record(mut self, event: &AuditEvent) -> Self {
        self.events.push((self.actions.len(), event.clone()));
        self.push(Some(TransactWriteItem::builder().build()))
    }

    /// Writes an item if the condition holds for what stands at its key.
    pub(crate) fn put_if(self, item: Attributes, condition: &str, values: Attributes) -> Self {
        let put = Put::builder()
            .table_name(&self.store.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(put.ok().map(|put| TransactWriteItem::builder().put(put).build()))
    }

    /// Changes an item if the condition holds.
    pub(crate) fn update_if(self, key: &Key, update: &str, condition: &str, values: Attributes) -> Self {
        // The one attribute of ours that is a word of the expression language too.
        let names = [update, condition].iter().any(|text| text.contains("#roles"));
        let names = names.then(|| [("#roles".to_owned(), "roles".to_owned())].into());
        let update = Update::builder()
            .set_expression_attribute_names(names)
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(update.ok().map(|update| TransactWriteItem::builder().update(update).build()))
    }

    /// Changes nothing, and holds only if the condition does.
    pub(crate) fn check(self, key: &Key, condition: &str) -> Self {
        let check = ConditionCheck::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .build();
        self.push(check.ok().map(|check| TransactWriteItem::builder().condition_check(check).build()))
    }

    /// Changes an item, or makes it.
    pub(crate) fn update(self, key: &Key, update: &str, values: Attributes) -> Self {
        let update = Update::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .build();
        self.push(update.ok().map(|update| TransactWriteItem::builder().update(update).build()))
    }

    /// Removes an item, there or not.
    pub(crate) fn delete(self, key: &Key) -> Self {
        let delete = Delete::builder().table_name(&self.store.table).set_key(Some(key.attributes())).build();
        self.push(delete.ok().map(|delete| TransactWriteItem::builder().delete(delete).build()))
    }

    /// Removes an item that must be there.
    pub(crate) fn delete_present(self, key: &Key) -> Self {
        self.delete_if(key, "attribute_exists(pk)", Attributes::new())
    }

    /// Removes an item if the condition holds for it.
    pub(crate) fn delete_if(self, key: &Key, condition: &str, values: Attributes) -> Self {
        let delete = Delete::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .build();
        self.push(delete.ok().map(|delete| TransactWriteItem::builder().delete(delete).build()))
    }

    /// The place of the next action.
    pub(crate) fn place(&self) -> usize {
        self.actions.len()
    }

    fn push(mut self, action: Option<TransactWriteItem>) -> Self {
        self.actions.extend(action);
        self
    }

    /// Commits. A conflict with another transaction is no answer: the whole is sent again, so that a cancellation for
    /// mixed reasons is decided anew by strongly consistent conditions.
    pub(crate) async fn commit(
        self,
        operation: &'static str,
    ) -> Result<Result<(), ConditionsFailed>, StoreError> {
        // Boxed, or whatever waits for it would carry all of it about.
        Box::pin(self.commit_with_events(operation)).await
    }

    async fn commit_with_events(
        self,
        operation: &'static str,
    ) -> Result<Result<(), ConditionsFailed>, StoreError> {
        if self.events.is_empty() {
            return self.send(self.actions.clone(), operation).await;
        }
        let mut ends = Vec::with_capacity(self.events.len());
        for (_, event) in &self.events {
            ends.push(match (&event.end, event.kind) {
                (Some(end), _) => end.clone(),
                // The first record of an account has none before it.
                (None, AuditKind::AccountRegistered) => ChainEnd::default(),
                (None, _) => self.store.chain_end(&event.chain()).await?,
            });
        }
        for _ in 0..ROUNDS {
            let (actions, places) = self.with_links(&ends);
            let Err(mut failed) = self.send(actions, operation).await? else { return Ok(Ok(())) };
            let raced = places.into_iter().filter(|place| failed.take(*place).is_some()).count() > 0;
            failed.0.truncate(self.actions.len());
            if !raced || failed.0.iter().any(Option::is_some) {
                return Ok(Err(failed));
            }
            for (end, (_, event)) in ends.iter_mut().zip(&self.events) {
                *end = self.store.chain_end(&event.chain()).await?;
            }
            if ends.iter().zip(&self.events).all(|(end, (_, event))| end.is(event)) {
                return Ok(Ok(()));
            }
        }
        Err(StoreError::Unavailable { operation, cause: "others were always faster".into() })
    }

    /// The actions with each record in its place and the heads of their chains behind all, and where a failed condition
    /// means that somebody else was faster.
    fn with_links(&self, ends: &[ChainEnd]) -> (Vec<TransactWriteItem>, Vec<usize>) {
        let (mut actions, mut places) = (self.actions.clone(), Vec::new());
        for ((place, event), end) in self.events.iter().zip(ends) {
            let link = end.link(event);
            let mut added = Self::on(self.store)
                .put_if(link.record, "attribute_not_exists(pk)", Attributes::new())
                .update_if(&link.head.key, link.head.update, HEAD_IS_BEHIND, link.head.values);
            if let Some(restored) = link.restored {
                added = added.put_if(restored, "attribute_not_exists(pk)", Attributes::new());
            }
            let mut added = added.actions.into_iter();
            if let (Some(placeholder), Some(record)) = (actions.get_mut(*place), added.next()) {
                *placeholder = record;
            }
            places.push(*place);
            places.extend((actions.len()..).take(added.len()));
            actions.extend(added);
        }
        (actions, places)
    }

    async fn send(
        &self,
        actions: Vec<TransactWriteItem>,
        operation: &'static str,
    ) -> Result<Result<(), ConditionsFailed>, StoreError> {
        let waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_millis(200))
            .with_max_times(4)
            .with_jitter();
        let sent = (|| send(&self.store.client, actions.clone())).retry(waits).when(is_conflict).await;
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

/// The failed conditions, if nothing but conditions failed.
fn failed_conditions(error: &SendError) -> Option<ConditionsFailed> {
    let reasons = reasons(error);
    let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    let held = |reason: &CancellationReason| matches!(reason.code(), None | Some("None"));
    let decided = reasons.iter().any(failed) && reasons.iter().all(|reason| failed(reason) || held(reason));
    let item =
        |reason: &CancellationReason| failed(reason).then(|| reason.item().cloned().unwrap_or_default());
    decided.then(|| ConditionsFailed(reasons.iter().map(item).collect()))
}
