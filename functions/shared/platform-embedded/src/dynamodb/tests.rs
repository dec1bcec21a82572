use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, Delete, Get, KeySchemaElement, KeyType,
    KeysAndAttributes, Put, PutRequest, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    ScalarAttributeType, TimeToLiveSpecification, TransactGetItem, TransactWriteItem, WriteRequest,
};
use dynoxide::storage::Storage;
use portcullis_platform::{Clock, SystemClock};
use tempfile::TempDir;

use super::*;

const TABLE: &str = "things";

fn client(engine: &EmbeddedDynamoDb) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .credentials_provider(Credentials::from_keys("local", "local", None))
        .retry_config(RetryConfig::disabled())
        .http_client(engine.clone())
        .build();
    Client::from_conf(config)
}

async fn create_table(db: &Client) {
    let part = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let text = |name| {
        let kind = ScalarAttributeType::S;
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    db.create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(part("pk", KeyType::Hash))
        .key_schema(part("sk", KeyType::Range))
        .attribute_definitions(text("pk"))
        .attribute_definitions(text("sk"))
        .send()
        .await
        .unwrap();
}

async fn in_memory() -> (EmbeddedDynamoDb, Client) {
    let engine = EmbeddedDynamoDb::in_memory().unwrap();
    let db = client(&engine);
    create_table(&db).await;
    (engine, db)
}

async fn on_disk() -> (TempDir, PathBuf, Client) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let db = client(&EmbeddedDynamoDb::open(&path).unwrap());
    create_table(&db).await;
    (folder, path, db)
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn item(pk: &str, value: &str) -> HashMap<String, AttributeValue> {
    [("pk", pk), ("sk", "it"), ("value", value)].map(|(name, text)| (name.to_owned(), s(text))).into()
}

fn key(pk: &str) -> HashMap<String, AttributeValue> {
    [("pk", pk), ("sk", "it")].map(|(name, text)| (name.to_owned(), s(text))).into()
}

async fn put(db: &Client, pk: &str, value: &str) {
    db.put_item().table_name(TABLE).set_item(Some(item(pk, value))).send().await.unwrap();
}

async fn value(db: &Client, pk: &str) -> Option<String> {
    let got =
        db.get_item().table_name(TABLE).set_key(Some(key(pk))).consistent_read(true).send().await.unwrap();
    got.item.map(|item| item["value"].as_s().unwrap().clone())
}

/// Puts only where nothing is yet, and says whether it did; any other failure ends the test.
async fn claim(db: &Client, pk: &str, value: &str) -> bool {
    let put = db.put_item().table_name(TABLE).set_item(Some(item(pk, value)));
    match put.condition_expression("attribute_not_exists(pk)").send().await {
        Ok(_) => true,
        Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => false,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_failed_condition_returns_the_item_that_was_there() {
    let (_, db) = in_memory().await;
    put(&db, "alice", "first").await;
    let put = db
        .put_item()
        .table_name(TABLE)
        .set_item(Some(item("alice", "second")))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = put.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item(), Some(&item("alice", "first")));
    assert_eq!(value(&db, "alice").await.as_deref(), Some("first"));
}

#[tokio::test]
async fn reads_and_writes_report_the_capacity_they_used() {
    let (_, db) = in_memory().await;
    let put = db.put_item().table_name(TABLE).set_item(Some(item("alice", "first")));
    let written = put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
    assert_eq!(written.consumed_capacity.unwrap().capacity_units, Some(1.0));
    let get = db.get_item().table_name(TABLE).set_key(Some(key("alice")));
    let read = get.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
    assert_eq!(read.consumed_capacity.unwrap().capacity_units, Some(0.5));
}

#[tokio::test]
async fn a_transaction_sent_again_with_its_token_happens_once() {
    let (_, db) = in_memory().await;
    put(&db, "old", "first").await;
    let create = Put::builder()
        .table_name(TABLE)
        .set_item(Some(item("new", "first")))
        .condition_expression("attribute_not_exists(pk)");
    let delete = Delete::builder().table_name(TABLE).set_key(Some(key("old")));
    let transact = db
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(create.build().unwrap()).build())
        .transact_items(TransactWriteItem::builder().delete(delete.build().unwrap()).build());
    transact.clone().client_request_token("once").send().await.unwrap();
    transact.clone().client_request_token("once").send().await.unwrap();
    assert_eq!(value(&db, "new").await.as_deref(), Some("first"));
    assert_eq!(value(&db, "old").await, None);

    let error = transact.client_request_token("twice").send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = error
    else {
        panic!("{error:?}");
    };
    let codes: Vec<_> =
        cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["ConditionalCheckFailed", "None"]);
}

#[tokio::test]
async fn batches_and_pages_work() {
    let (_, db) = in_memory().await;
    let write = |pk| {
        let put = PutRequest::builder().set_item(Some(item(pk, "batch"))).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    let written = db
        .batch_write_item()
        .request_items(TABLE, ["a", "b", "c"].map(write).to_vec())
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .unwrap();
    assert_eq!(written.unprocessed_items, Some(HashMap::new()));
    assert_eq!(written.consumed_capacity()[0].capacity_units, Some(3.0));

    let keys = KeysAndAttributes::builder().set_keys(Some(["a", "b"].map(key).to_vec())).build().unwrap();
    let got = db.batch_get_item().request_items(TABLE, keys).send().await.unwrap();
    assert_eq!(got.responses.unwrap()[TABLE].len(), 2);

    let get = Get::builder().table_name(TABLE).set_key(Some(key("c"))).build().unwrap();
    let get = TransactGetItem::builder().get(get).build();
    let got = db.transact_get_items().transact_items(get).send().await.unwrap();
    assert_eq!(got.responses.unwrap()[0].item, Some(item("c", "batch")));

    let page = db.scan().table_name(TABLE).limit(2).send().await.unwrap();
    assert_eq!((page.count, page.last_evaluated_key.is_some()), (2, true));
    let query = db.query().table_name(TABLE).key_condition_expression("pk = :pk");
    let found = query.expression_attribute_values(":pk", s("b")).send().await.unwrap();
    assert_eq!(found.items(), [item("b", "batch")]);
}

#[tokio::test]
async fn updates_deletes_and_table_descriptions_work() {
    let (_, db) = in_memory().await;
    put(&db, "alice", "first").await;
    let update = db.update_item().table_name(TABLE).set_key(Some(key("alice")));
    let update = update.update_expression("SET #v = :v").expression_attribute_names("#v", "value");
    update.expression_attribute_values(":v", s("second")).send().await.unwrap();
    assert_eq!(value(&db, "alice").await.as_deref(), Some("second"));
    db.delete_item().table_name(TABLE).set_key(Some(key("alice"))).send().await.unwrap();
    assert_eq!(value(&db, "alice").await, None);
    let described = db.describe_table().table_name(TABLE).send().await.unwrap();
    assert_eq!(described.table.unwrap().table_status.unwrap().as_str(), "ACTIVE");
    assert_eq!(db.list_tables().send().await.unwrap().table_names(), [TABLE]);
}

#[tokio::test]
async fn an_operation_this_engine_has_not_is_refused_and_not_retried() {
    let (_, db) = in_memory().await;
    let error = db.list_backups().send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    assert_eq!(error.into_service_error().code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn only_what_has_expired_is_swept() {
    let (engine, db) = in_memory().await;
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build().unwrap();
    db.update_time_to_live().table_name(TABLE).time_to_live_specification(ttl).send().await.unwrap();
    let described = db.describe_time_to_live().table_name(TABLE).send().await.unwrap();
    assert_eq!(described.time_to_live_description.unwrap().attribute_name.as_deref(), Some("expires"));
    let now = SystemClock.now().as_second();
    for (pk, expires) in [("past", now - 60), ("future", now + 600)] {
        let put = db.put_item().table_name(TABLE).set_item(Some(item(pk, "kept")));
        put.item("expires", AttributeValue::N(expires.to_string())).send().await.unwrap();
    }
    put(&db, "forever", "kept").await;
    assert_eq!(engine.sweep_expired().await.unwrap(), 1);
    assert_eq!(engine.sweep_expired().await.unwrap(), 0);
    assert_eq!(value(&db, "past").await, None);
    assert!(value(&db, "future").await.is_some() && value(&db, "forever").await.is_some());
}

#[tokio::test]
async fn a_file_opened_again_has_its_data_and_stays_private() {
    let (_folder, path, db) = on_disk().await;
    put(&db, "alice", "first").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for beside in ["", "-wal", "-shm"] {
        assert_eq!(mode(&PathBuf::from(format!("{}{beside}", path.display()))), 0o600, "{beside}");
    }
    drop(db);
    let db = client(&EmbeddedDynamoDb::open(&path).unwrap());
    assert_eq!(value(&db, "alice").await.as_deref(), Some("first"));
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_panic_costs_one_answer_and_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let engine = EmbeddedDynamoDb::open(&folder.path().join("test.db")).unwrap();
    let db = client(&engine);
    create_table(&db).await;
    put(&db, "alice", "first").await;
    assert!(engine.0.run(|_| -> () { panic!("on purpose") }).is_err());
    assert_eq!(value(&db, "alice").await.as_deref(), Some("first"));
    put(&db, "bob", "second").await;
}

#[test]
fn what_is_no_database_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    fs::write(&path, "these bytes are no database, whatever their number may be".repeat(100)).unwrap();
    assert!(matches!(EmbeddedDynamoDb::open(&path), Err(EngineError::Open(_))));
    let missing = folder.path().join("missing/test.db");
    assert!(matches!(EmbeddedDynamoDb::open(&missing), Err(EngineError::Create { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_racing_writes_on_two_connections_one_wins() {
    let (_folder, path, one) = on_disk().await;
    let two = client(&EmbeddedDynamoDb::open(&path).unwrap());
    for round in 0..8 {
        let pk = format!("prize-{round}");
        let race = (0..64).map(|runner: usize| {
            let (db, pk) = (if runner.is_multiple_of(2) { one.clone() } else { two.clone() }, pk.clone());
            tokio::spawn(async move { claim(&db, &pk, &runner.to_string()).await.then_some(runner) })
        });
        let mut winners = Vec::new();
        for runner in race.collect::<Vec<_>>() {
            winners.extend(runner.await.unwrap());
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        for db in [&one, &two] {
            assert_eq!(value(db, &pk).await, Some(winners[0].to_string()));
        }
    }
}

#[tokio::test]
async fn a_lock_held_too_long_is_an_error_the_sdk_retries() {
    let (_folder, path, db) = on_disk().await;
    put(&db, "alice", "first").await;
    let other = Storage::new(path.to_str().unwrap()).unwrap();
    other.begin_transaction().unwrap();
    // Reads go on: SQLite's WAL keeps them apart from the writer.
    assert_eq!(value(&db, "alice").await.as_deref(), Some("first"));
    let put_late = db.put_item().table_name(TABLE).set_item(Some(item("alice", "second"))).send();
    let error = put_late.await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
    let error = error.into_service_error();
    assert_eq!(error.code(), Some("InternalServerError"));
    other.rollback().unwrap();
    assert_eq!(value(&db, "alice").await.as_deref(), Some("first"), "nothing was half written");
    put(&db, "alice", "third").await;
}

#[tokio::test]
async fn a_waiting_write_does_not_stall_the_runtime() {
    let (_folder, path, db) = on_disk().await;
    let other = Storage::new(path.to_str().unwrap()).unwrap();
    other.begin_transaction().unwrap();
    // On this one-threaded runtime the timer could not fire if the write blocked it.
    let put = put(&db, "alice", "first");
    tokio::pin!(put);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut put).await.is_err());
    other.rollback().unwrap();
    put.await;
}
