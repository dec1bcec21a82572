//! What calls of the table cost, in DynamoDB's own words: it is asked for with every request and added up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

/// Capacity units used since they were last taken. Clones count together.
///
/// A write whose condition failed is charged for and not reported, so that it is missing here.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner(Mutex<Usage>);

/// How many calls, one after the other, had to end before this one could begin, and itself.
#[derive(Debug, Clone, Copy)]
struct Depth(u64);

impl Storable for Depth {
    type Storer = StoreReplace<Self>;
}

/// What some calls used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Calls of the table.
    pub calls: u64,
    /// How many of them had to wait for one another, the longest way: calls side by side count once.
    pub rounds: u64,
    /// Read capacity units.
    pub read_units: f64,
    /// Write capacity units.
    pub write_units: f64,
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
}

impl Meter {
    /// What was used since this was last asked.
    pub fn take(&self) -> Usage {
        std::mem::take(&mut *self.used())
    }

    fn used(&self) -> MutexGuard<'_, Usage> {
        // Sums of numbers are never half made.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, kind: Kind, consumed: &impl Consumed) {
        let units = consumed.units();
        let mut used = self.used();
        match kind {
            Kind::Read => used.read_units += units,
            Kind::Write => used.write_units += units,
        }
    }
}

/// Operations on one item answer one capacity, batches and transactions one for each table.
trait Consumed {
    fn units(&self) -> f64;
}

impl Consumed for Option<ConsumedCapacity> {
    fn units(&self) -> f64 {
        self.iter().filter_map(ConsumedCapacity::capacity_units).sum()
    }
}

impl Consumed for Option<Vec<ConsumedCapacity>> {
    fn units(&self) -> f64 {
        self.iter().flatten().filter_map(ConsumedCapacity::capacity_units).sum()
    }
}

/// Asks for the total with every operation the store uses, and adds up what they answer.
macro_rules! metered {
    ($($kind:ident $input:ident $output:ident;)+) => {
        impl Intercept for Meter {
            fn name(&self) -> &'static str {
                "Meter"
            }

            fn modify_before_serialization(
                &self,
                context: &mut BeforeSerializationInterceptorContextMut<'_>,
                _: &RuntimeComponents,
                config: &mut ConfigBag,
            ) -> Result<(), BoxError> {
                let mut used = self.used();
                used.calls += 1;
                config.interceptor_state().store_put(Depth(used.rounds + 1));
                drop(used);
                let input = context.input_mut();
                $(if let Some(input) = input.downcast_mut::<$input>() {
                    input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
                })+
                Ok(())
            }

            fn read_after_deserialization(
                &self,
                context: &AfterDeserializationInterceptorContextRef<'_>,
                _: &RuntimeComponents,
                config: &mut ConfigBag,
            ) -> Result<(), BoxError> {
                if let Some(Depth(depth)) = config.load::<Depth>() {
                    let mut used = self.used();
                    used.rounds = used.rounds.max(*depth);
                }
                let Ok(output) = context.output_or_error() else { return Ok(()) };
                $(if let Some(output) = output.downcast_ref::<$output>() {
                    self.add(Kind::$kind, &output.consumed_capacity);
                })+
                Ok(())
            }
        }
    };
}

metered! {
    Read GetItemInput GetItemOutput;
    Read BatchGetItemInput BatchGetItemOutput;
    Read QueryInput QueryOutput;
    Write PutItemInput PutItemOutput;
    Write UpdateItemInput UpdateItemOutput;
    Write DeleteItemInput DeleteItemOutput;
    Write BatchWriteItemInput BatchWriteItemOutput;
    Write TransactWriteItemsInput TransactWriteItemsOutput;
}
