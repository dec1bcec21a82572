//! What the embedded database promises across processes: an answered write outlives `kill -9`, and two processes on one
//! file never both win.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of an integration test are not test functions to clippy"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use portcullis_platform_embedded::EmbeddedDynamoDb;

const TABLE: &str = "claims";
/// What the child writes to: the only thing the two processes share.
const FILE: &str = "test.db";

fn open(folder: &Path) -> Client {
    let engine = EmbeddedDynamoDb::open(&folder.join(FILE)).unwrap();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .credentials_provider(Credentials::from_keys("local", "local", None))
        .http_client(engine)
        .build();
    Client::from_conf(config)
}

async fn create_table(db: &Client) {
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
    let name = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    let create = db.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    create.key_schema(key).attribute_definitions(name.build().unwrap()).send().await.unwrap();
}

/// Claims a number for `owner`, who alone then has it; says whether it did.
async fn claim(db: &Client, number: usize, owner: &str) -> bool {
    let put = db.put_item().table_name(TABLE).item("pk", AttributeValue::S(number.to_string()));
    let put = put
        .item("owner", AttributeValue::S(owner.to_owned()))
        .condition_expression("attribute_not_exists(pk)");
    match put.send().await {
        Ok(_) => true,
        Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => false,
        Err(error) => panic!("{error:?}"),
    }
}

async fn owner(db: &Client, number: usize) -> Option<String> {
    let get = db.get_item().table_name(TABLE).key("pk", AttributeValue::S(number.to_string()));
    let item = get.consistent_read(true).send().await.unwrap().item?;
    Some(item["owner"].as_s().unwrap().clone())
}

/// Another process that claims 0, 1, 2 … until it is killed, and the numbers it was told it has.
fn other_process(folder: &Path) -> (Child, impl Iterator<Item = usize>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "claims_until_killed"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::<ChildStdout>::new(child.stdout.take().unwrap()).lines();
    let claimed = lines.filter_map(|line| line.unwrap().rsplit_once("claimed ")?.1.parse().ok());
    (child, claimed)
}

#[tokio::test]
#[ignore = "the other process of the tests below, which give it a folder of its own"]
async fn claims_until_killed() {
    let folder = std::env::current_dir().unwrap();
    if !folder.join(FILE).exists() {
        return; // All ignored tests were run: there is no parent to kill it.
    }
    let db = open(&folder);
    for number in 0.. {
        if claim(&db, number, "child").await {
            println!("claimed {number}");
        }
    }
}

#[tokio::test]
async fn what_was_answered_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    create_table(&db).await;
    drop(db);
    let (mut child, mut claimed) = other_process(folder.path());
    let mut answered: Vec<usize> = claimed.by_ref().take(100).collect();
    child.kill().unwrap();
    // What it had still said before it died counts as well.
    answered.extend(claimed);
    child.wait().unwrap();

    let db = open(folder.path());
    for number in &answered {
        assert_eq!(owner(&db, *number).await.as_deref(), Some("child"), "{number} of {}", answered.len());
    }
    assert!(answered.len() >= 100);
    assert!(claim(&db, usize::MAX, "parent").await, "the database can be written to again");
}

#[tokio::test]
async fn no_two_processes_win_the_same_claim() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    create_table(&db).await;
    let (mut child, mut claimed) = other_process(folder.path());
    let mut theirs: BTreeSet<usize> = claimed.by_ref().take(1).collect();
    let mut ours = BTreeSet::new();
    // The child climbs from 0; claims from 299 down meet it on its way, and both write all the time.
    for number in (0..300).rev() {
        if claim(&db, number, "parent").await {
            ours.insert(number);
        }
    }
    child.kill().unwrap();
    theirs.extend(claimed);
    child.wait().unwrap();
    assert_eq!(ours.intersection(&theirs).count(), 0);
    for (numbers, name) in [(&ours, "parent"), (&theirs, "child")] {
        assert!(!numbers.is_empty(), "{name} won nothing: this was no race");
        for number in numbers {
            assert_eq!(owner(&db, *number).await.as_deref(), Some(name), "{number}");
        }
    }
}
