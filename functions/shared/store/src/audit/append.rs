//! Making a chain longer outside of a transaction, and reading where it ends.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::AuditEvent;
use super::chain::{Chain, ChainEnd, HEAD_IS_BEHIND, HeadUpdate};
use crate::connection::Store;
use crate::error::{StoreError, is_failed_condition};
use crate::item::{Attributes, text};
use crate::keys;
use crate::sign_ins::{TooEarly, Wait};

/// Others may be faster this often before an event is given up.
const ROUNDS: usize = 32;

impl Store {
    /// Where the chain of sign-ins under this name ends.
    pub async fn sign_ins_end(&self, name: &str) -> Result<ChainEnd, StoreError> {
        // Boxed: it is waited for beside other reads.
        Box::pin(self.chain_end(&Chain::SignIns(name.to_owned()))).await
    }

    /// Where a chain ends: its head and its last record, which lie side by side.
    pub(crate) async fn chain_end(&self, chain: &Chain) -> Result<ChainEnd, StoreError> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(chain.partition()))
            .expression_attribute_values(":prefix", text(keys::AUDIT_PREFIX))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(2)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("reading the end of an audit trail", error))?;
        ChainEnd::of(found.items.unwrap_or_default())
    }

    /// Writes an event that nothing else is written with.
    pub async fn record(&self, event: &AuditEvent) -> Result<(), StoreError> {
        // Without a wait no guess comes too early.
        Box::pin(self.append(event, &[])).await.map(|_| ())
    }

    /// Answers a guess at a password: writes the event that tells of it, unless by now the guess comes too early.
    pub async fn answer_guess(
        &self,
        event: &AuditEvent,
        waits: &[Wait],
    ) -> Result<Result<(), TooEarly>, StoreError> {
        let answered = Box::pin(self.append(event, waits)).await?;
        if answered.is_err() {
            // A right guess that came too early has a row to take back. This changes nothing, and takes as long: the time
            // of the answer does not tell which one it was.
            let key = keys::audit_head(&event.chain().partition());
            self.bring_up(HeadUpdate::to_nothing(key), "answering a guess").await?;
        }
        Ok(answered)
    }

    /// Writes a row that nobody knows of yet, and the event that tells of it, side by side: what opens the row leaves
    /// only after both are stored. Where the event tells of a guess that comes too early, `taken_back` is written over it.
    pub(crate) async fn put_beside_event(
        &self,
        row: Attributes,
        taken_back: impl FnOnce() -> Attributes,
        event: &AuditEvent,
        waits: &[Wait],
        operation: &'static str,
    ) -> Result<Result<(), TooEarly>, StoreError> {
        let put = async |row| {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(row));
            put.send().await.map_err(|error| StoreError::from_sdk(operation, error))
        };
        // Boxed, or every sign-in would carry the two of them about.
        let both = Box::pin(async { tokio::try_join!(put(row), self.append(event, waits)) });
        let (_, answered) = both.await?;
        if answered.is_err() {
            Box::pin(put(taken_back())).await?;
        }
        Ok(answered)
    }

    /// Appends an event to its chain. The record decides, by the number it takes; the head is written beside it and not
    /// after it, for which reason it holds the whole record: whoever comes next sees whether the record is there too,
    /// and writes it where it is not.
    async fn append(&self, event: &AuditEvent, waits: &[Wait]) -> Result<Result<(), TooEarly>, StoreError> {
        const OPERATION: &str = "writing the audit trail";
        let mut end = match &event.end {
            Some(end) => end.clone(),
            None => Box::pin(self.chain_end(&event.chain())).await?,
        };
        for _ in 0..ROUNDS {
            if let Some((_, step)) = &event.signed_in_with
                && let Err(early) = end.sign_ins().check_step(step, waits, event.at)
            {
                return Ok(Err(early));
            }
            let link = end.link(event);
            // The head may hold a record that lost its number to another one. Nothing is written behind it before it
            // stands.
            if let Some(restored) = link.restored {
                let in_the_way = self.put_new(restored.clone(), OPERATION).await?;
                if in_the_way.is_some_and(|record| record != restored) {
                    end = self.chain_end(&event.chain()).await?;
                    continue;
                }
            }
            let record = if link.is_first {
                // A chain without a head is one whose head was removed: there is never a record before the first head.
                self.bring_up(link.head, OPERATION).await?;
                self.put_new(link.record, OPERATION).await?
            } else {
                let record = self.put_new(link.record, OPERATION);
                tokio::try_join!(record, self.bring_up(link.head, OPERATION))?.0
            };
            let Some(in_the_way) = record else { return Ok(Ok(())) };
            end = ChainEnd::after(in_the_way)?;
            if end.is(event) {
                return Ok(Ok(()));
            }
        }
        Err(StoreError::Unavailable { operation: OPERATION, cause: "others were always faster".into() })
    }

    /// Writes an item where none stands yet, and returns what stands there if one does.
    async fn put_new(
        &self,
        item: Attributes,
        operation: &'static str,
    ) -> Result<Option<Attributes>, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Some(failed.item().cloned().unwrap_or_default()))
                }
                _ => Err(StoreError::from_sdk(operation, error)),
            },
        }
    }

    /// Brings a head up to a record, unless it is further already.
    async fn bring_up(&self, head: HeadUpdate, operation: &'static str) -> Result<(), StoreError> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head.key.attributes()))
            .update_expression(head.update)
            .condition_expression(HEAD_IS_BEHIND)
            .set_expression_attribute_values(Some(head.values))
            .send()
            .await;
        match updated {
            Ok(_) => Ok(()),
            Err(error) if is_failed_condition(&error) => Ok(()),
            Err(error) => Err(StoreError::from_sdk(operation, error)),
        }
    }
}
