//! The shape of the table, for engines that start empty. In the cloud the templates under `infra/` own it.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};

use crate::connection::Store;
use crate::error::StoreError;
use crate::keys::{self, LIST_PARTITION, LIST_SORT, LISTING, PARTITION, SORT, TTL};

impl Store {
    /// Fails unless the table is there and may be read. The call takes the way that every other call takes, so that a process
    /// that checks at its start has a connection when the first request comes.
    pub async fn check_table(&self) -> Result<(), StoreError> {
        self.get(&keys::nothing(), "looking for the table").await.map(drop)
    }

    /// Creates the table unless it is there. Returns whether it made it.
    pub async fn create_table_if_missing(&self) -> Result<bool, StoreError> {
        let created = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes()))
            .set_key_schema(Some(key_schema(PARTITION, SORT)))
            .set_global_secondary_indexes(listing().map(|index| vec![index]))
            .send()
            .await;
        match created {
            Ok(_) => {}
            Err(error) if error.code() == Some("ResourceInUseException") => return Ok(false),
            Err(error) => return Err(StoreError::from_sdk("creating the table", error)),
        }
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build();
        self.client
            .update_time_to_live()
            .table_name(&self.table)
            .set_time_to_live_specification(expiry.ok())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("setting the time to live", error))?;
        Ok(true)
    }
}

fn attributes() -> Vec<AttributeDefinition> {
    let definition = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .ok()
    };
    [PARTITION, SORT, LIST_PARTITION, LIST_SORT].into_iter().filter_map(definition).collect()
}

fn key_schema(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    let element = |(name, kind): (&str, KeyType)| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().ok()
    };
    [(partition, KeyType::Hash), (sort, KeyType::Range)].into_iter().filter_map(element).collect()
}

/// Accounts and the audit trail, each item whole: a list needs no second read.
fn listing() -> Option<GlobalSecondaryIndex> {
    GlobalSecondaryIndex::builder()
        .index_name(LISTING)
        .set_key_schema(Some(key_schema(LIST_PARTITION, LIST_SORT)))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .ok()
}
