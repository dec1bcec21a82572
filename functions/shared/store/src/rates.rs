//! How often something was done in a minute, where more is refused.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use jiff::Timestamp;

use crate::connection::Store;
use crate::error::StoreError;
use crate::item::{number, ttl};
use crate::keys;

const MINUTE: i64 = 60;

impl Store {
    /// Takes one of `most` turns that a service has for an operation in the present minute. None if there was one left;
    /// else the time until the next minute. A turn is taken whether or not the operation succeeds.
    pub async fn take_turn(
        &self,
        operation: &str,
        service: &str,
        most: u64,
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let minute = now.as_second().div_euclid(MINUTE);
        let ends = Timestamp::from_second((minute + 1) * MINUTE).unwrap_or(now);
        let taken = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::rate(operation, service, minute).attributes()))
            .update_expression("SET expires_ttl = :gone ADD turns :one")
            .condition_expression("attribute_not_exists(turns) OR turns < :most")
            .expression_attribute_values(":gone", ttl(ends + Duration::from_mins(5)))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(most))
            .send()
            .await;
        match taken {
            Ok(_) => Ok(None),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(Some(ends.duration_since(now).unsigned_abs()))
            }
            Err(error) => Err(StoreError::from_sdk("counting requests of a service", error)),
        }
    }
}
