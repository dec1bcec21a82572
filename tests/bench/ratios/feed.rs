//! Whether a page of the revocation feed costs the same when there are a million live revocations: a table that has sixteen
//! minutes of a thousand logouts a second beside one that has three seconds of them, which take turns.
//!
//! The rows are written past the service, which would have to sign a million people in first.

use portcullis_harness::in_process::{CHEAP_HASHES, TABLE};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_verifier::revocation::BLOCK;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::accounts::{BATCH, dynamodb};
use crate::report::Report;
use crate::service::Service;

/// Logouts a second.
const RATE: u64 = 1_050;
/// What the newest page tells of at least, in seconds.
const PAGE: u64 = 3;
/// How long a revocation is live, in seconds: as long as an access token, and some leeway.
const LIVE: u64 = 960;
const SHARDS: u64 = 8;
const HOUR: u64 = 3_600_000;
const AIM: f64 = 1.10;

/// A service whose table has the revocations of so many seconds, the last of which ended at `until`.
struct Feed {
    service: Service,
    until: u64,
}

pub(crate) fn measure(runtime: &Runtime, report: &mut Report) {
    let few = Feed::of(runtime, PAGE);
    let name = |live: u64| format!("a page of the feed, {PAGE} s of {RATE} logouts, {live} live");
    // A million rows are not worth their minutes unless this was selected.
    if report.time(&name(RATE * PAGE), || few.page(runtime, PAGE * 1000, 0)).is_none() {
        return;
    }
    let many = Feed::of(runtime, LIVE);
    let ratio = format!("{} / {}", name(RATE * LIVE), RATE * PAGE);
    report.ratio(&ratio, Some(AIM), &mut || few.page(runtime, PAGE * 1000, 0), || {
        many.page(runtime, PAGE * 1000, 0);
    });
    report.time(&format!("all pages of a fresh isolate, {} live", RATE * LIVE), || {
        for block in 0..LIVE * 1000 / BLOCK {
            many.page(runtime, BLOCK, block * BLOCK);
        }
    });
}

impl Feed {
    fn of(runtime: &Runtime, seconds: u64) -> Self {
        let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
        let service = runtime.block_on(Service::start(engine.http_client(), CHEAP_HASHES));
        let until = service.unix_seconds() * 1000;
        runtime.block_on(load(&engine, until - seconds * 1000, seconds));
        Self { service, until }
    }

    /// Reads the page of so many milliseconds that ends so long before the last revocation, and looks at its length.
    fn page(&self, runtime: &Runtime, milliseconds: u64, before: u64) {
        let until = self.until - before;
        let read = self.service.identity.revocations(Some(until - milliseconds), Some(until));
        let page = runtime.block_on(read).expect("the engine answers").expect("a page");
        let entries = milliseconds * RATE / 1000;
        assert!(page.len() as u64 >= entries * 8, "{} bytes for {entries} entries", page.len());
    }
}

/// Writes the revocations of so many seconds, evenly spread over them.
async fn load(engine: &EmbeddedDynamoDb, from: u64, seconds: u64) {
    let row = |number: u64| {
        let at = from + number * 1000 / RATE;
        // As random as ids are, and different each.
        let id = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let (hour, shard) = (at / HOUR, number % SHARDS);
        json!({"PutRequest": {"Item": {
            "pk": {"S": format!("REVOKED#{hour}#{shard}")},
            "sk": {"S": format!("{at:015}#ses_{id:032x}")},
            "expires_ttl": {"N": (at / 1000 + 86_460).to_string()},
        }}})
    };
    let rows: Vec<u64> = (0..seconds * RATE).collect();
    for batch in rows.chunks(BATCH) {
        let batch: Vec<Value> = batch.iter().map(|number| row(*number)).collect();
        dynamodb(engine, "BatchWriteItem", &json!({"RequestItems": {TABLE: batch}})).await;
    }
}
