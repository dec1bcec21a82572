//! The shape of the table, for engines that start empty. In the cloud the templates under `infra/` own it.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};
use portcullis_platform::with_causes;

use crate::connection::Store;
use crate::error::StoreError;
use crate::keys::{self, LIST_PARTITION, LIST_SORT, LISTING, PARTITION, SORT, TTL};

/// A new table on AWS takes some ten seconds.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
const MOST_LOOKS: u32 = 60;

impl Store {
    /// Fails unless the table is there and may be read. The call takes the way that every other call takes, so that a process
    /// that checks at its start has a connection when the first request comes.
    pub async fn check_table(&self) -> Result<(), StoreError> {
        self.get(&keys::nothing(), "looking for the table").await.map(drop)
    }

    /// Creates the table unless it is there, and waits until it can be used. Returns whether it made it; fails when DynamoDB
    /// does. Where expiry cannot be set, expired rows stay: every reader compares the time itself.
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
            Ok(made) => {
                let status = made.table_description.and_then(|table| table.table_status);
                if status != Some(TableStatus::Active) {
                    self.wait_until_active().await?;
                }
            }
            Err(error) if error.code() == Some("ResourceInUseException") => {
                // Another instance may have made it a moment ago.
                return self.wait_until_active().await.map(|()| false);
            }
            Err(error) => return Err(StoreError::from_sdk("creating the table", error)),
        }
        if let Err(error) = self.set_expiry().await {
            tracing::warn!(error = with_causes(&error), "expired rows are not removed by the table");
        }
        Ok(true)
    }

    async fn set_expiry(&self) -> Result<(), StoreError> {
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build();
        let set = self.client.update_time_to_live().table_name(&self.table);
        let set = set.set_time_to_live_specification(expiry.ok()).send().await;
        set.map(drop).map_err(|error| StoreError::from_sdk("setting the time to live", error))
    }

    async fn wait_until_active(&self) -> Result<(), StoreError> {
        for _ in 0..MOST_LOOKS {
            let table = self.client.describe_table().table_name(&self.table).send().await;
            let table = table.map_err(|error| StoreError::from_sdk("waiting for the table", error))?.table;
            if table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Err(StoreError::Unavailable {
            operation: "waiting for the table",
            cause: "it is still being made".into(),
        })
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
