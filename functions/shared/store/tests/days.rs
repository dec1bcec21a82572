//! A day of the audit trail is spread over more partitions while the table is in use, and no list loses a record.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Region;
use jiff::Timestamp;
use portcullis_platform::{CallTimeouts, SystemEntropy};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_store::{
    AuditEvent, AuditFilter, AuditId, AuditKind, AuditSeal, FEWEST_DAY_SHARDS, Id, MOST_DAY_SHARDS, Store,
    client_config,
};

const DAY: i64 = 24 * 60 * 60;

/// One process, which has the number of partitions from its environment.
struct Process {
    store: Store,
    seal: AuditSeal,
}

impl Process {
    fn new(engine: &EmbeddedDynamoDb, shards: u8) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let seal = AuditSeal::new(key, Vec::new(), Duration::from_hours(24 * 400)).with_day_shards(shards);
        let store = Store::in_process(engine.http_client(), "days", CallTimeouts::default());
        Self { store, seal }
    }

    /// Records so many events, each of another account, in the first second of this day.
    async fn record(&self, day: i64, events: usize) {
        for _ in 0..events {
            let at = Timestamp::from_second(day * DAY).unwrap();
            let account = Id::generate(at, &SystemEntropy).unwrap();
            let kind = AuditKind::ProfileChanged;
            let event = AuditEvent::new(kind, account, at, &self.seal, &SystemEntropy).unwrap();
            self.store.record(&event).await.unwrap();
        }
    }

    /// How many records a list of these days shows, in pages of this size, each of them once.
    async fn listed(&self, days: (i64, i64), limit: usize) -> usize {
        let at = |day: i64| Timestamp::from_second(day * DAY).unwrap();
        let range = (at(days.0), at(days.1 + 1));
        let (mut seen, mut after): (BTreeSet<String>, Option<AuditId>) = (BTreeSet::new(), None);
        loop {
            let page = self.store.audit_by_time(&AuditFilter::default(), range, limit, after).await.unwrap();
            for record in page.records {
                assert!(seen.insert(record.id.to_string()), "shown twice");
            }
            after = page.next;
            if after.is_none() {
                return seen.len();
            }
        }
    }
}

#[tokio::test]
async fn the_number_of_partitions_is_raised_and_lowered_on_a_running_table_and_no_list_loses_a_record() {
    let engine = EmbeddedDynamoDb::in_memory().unwrap();
    let (few, many) = (Process::new(&engine, FEWEST_DAY_SHARDS), Process::new(&engine, 64));
    few.store.create_table_if_missing().await.unwrap();
    few.record(100, 30).await;
    assert_eq!(few.listed((100, 100), 100).await, 30);
    // One instance after the other is replaced.
    many.record(100, 60).await;
    few.record(100, 10).await;
    for reader in [&few, &many] {
        assert_eq!(reader.listed((100, 100), 100).await, 100);
        assert_eq!(reader.listed((100, 100), 7).await, 100, "in pages");
    }
    // The next day, and back to the number of before within it; then a day that nobody had many partitions on.
    many.record(101, 60).await;
    few.record(101, 10).await;
    few.record(150, 10).await;
    assert_eq!(few.listed((101, 101), 100).await, 70);
    assert_eq!(few.listed((90, 160), 1_000).await, 180, "over days without events");
}

#[tokio::test]
async fn a_number_out_of_range_is_taken_for_the_nearest() {
    let engine = EmbeddedDynamoDb::in_memory().unwrap();
    for (shards, taken) in [(0, FEWEST_DAY_SHARDS), (u8::MAX, MOST_DAY_SHARDS), (9, 9)] {
        assert_eq!(Process::new(&engine, shards).seal.day_shards, taken);
    }
}

#[tokio::test]
async fn records_of_one_moment_are_spread_over_all_partitions_of_their_day() {
    let engine = EmbeddedDynamoDb::in_memory().unwrap();
    let process = Process::new(&engine, 16);
    process.store.create_table_if_missing().await.unwrap();
    process.record(100, 400).await;
    assert_eq!(process.listed((100, 100), 1_000).await, 400);
    let config = client_config(CallTimeouts::default())
        .http_client(engine.http_client())
        .region(Region::from_static("local"))
        .endpoint_url("http://in-process")
        .allow_no_auth();
    let rows =
        Client::from_conf(config.build()).scan().table_name("days").send().await.unwrap().items.unwrap();
    let mut shards = BTreeMap::<String, u32>::new();
    for listed in rows.iter().filter_map(|row| row.get("list_pk")?.as_s().ok()) {
        *shards.entry(listed.clone()).or_default() += 1;
    }
    assert_eq!(shards.len(), 16);
    assert!(shards.values().all(|count| (8..50).contains(count)), "{shards:?}");
}
