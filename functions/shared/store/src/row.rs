//! Reading and writing one row: strongly consistent reads, and writes that a condition inside them decides.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Expressions, Update};
use crate::item::Attributes;
use crate::keys::Key;

/// A condition did not hold and nothing was written. Carries the row as it stands, if there is one.
#[derive(Debug)]
pub(crate) struct InTheWay(pub(crate) Option<Attributes>);

impl Store {
    /// Returns the item at a key, strongly consistent: every reader here decides something.
    pub(crate) async fn get(
        &self,
        key: &Key,
        operation: &'static str,
    ) -> Result<Option<Attributes>, StoreError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(operation, error))?;
        Ok(output.item)
    }

    /// Writes an item, whatever stands at its key.
    pub(crate) async fn put(&self, item: Attributes, operation: &'static str) -> Result<(), StoreError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| StoreError::from_sdk(operation, error))
    }

    /// Writes an item where none stands yet. Returns the one in the way if one does.
    pub(crate) async fn put_new(
        &self,
        item: Attributes,
        operation: &'static str,
    ) -> Result<Result<(), Attributes>, StoreError> {
        self.put_if(item, Condition::row_missing(), operation).await
    }

    /// Writes an item if the condition holds for what stands at its key. Returns that if it does not.
    pub(crate) async fn put_if(
        &self,
        item: Attributes,
        condition: Condition,
        operation: &'static str,
    ) -> Result<Result<(), Attributes>, StoreError> {
        let condition = Expressions::of(None, Some(condition));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.condition)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Err(failed.item().cloned().unwrap_or_default()))
                }
                _ => Err(StoreError::from_sdk(operation, error)),
            },
        }
    }

    /// Changes the row at a key, or makes it.
    pub(crate) async fn update(
        &self,
        key: &Key,
        update: Update,
        operation: &'static str,
    ) -> Result<(), StoreError> {
        // Without a condition none fails.
        self.send_update(key, Expressions::of(Some(update), None), operation).await.map(drop)
    }

    /// Changes the row at a key if the condition holds for it.
    pub(crate) async fn update_if(
        &self,
        key: &Key,
        update: Update,
        condition: Condition,
        operation: &'static str,
    ) -> Result<Result<(), InTheWay>, StoreError> {
        self.send_update(key, Expressions::of(Some(update), Some(condition)), operation).await
    }

    async fn send_update(
        &self,
        key: &Key,
        written: Expressions,
        operation: &'static str,
    ) -> Result<Result<(), InTheWay>, StoreError> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .set_update_expression(written.update)
            .set_condition_expression(written.condition)
            .set_expression_attribute_names(written.names)
            .set_expression_attribute_values(written.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match updated {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Err(InTheWay(failed.item().cloned())))
                }
                _ => Err(StoreError::from_sdk(operation, error)),
            },
        }
    }
}
