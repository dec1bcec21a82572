//! Periodic maintenance of the embedded database, which DynamoDB does by itself.

use std::time::Duration;

use portcullis_platform_embedded::EmbeddedDynamoDb;

const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// The shortest pause between two rebuilds of the database file, for a small database: removed rows are gone from the
/// files this long after.
const WIPE_SOONEST: Duration = Duration::from_mins(1);
/// The longest pause between two rebuilds, for a large database.
const WIPE_LATEST: Duration = Duration::from_hours(1);
/// Between the two the pause grows with the size: rebuilds write no more bytes a second than this on average.
const WIPED_EACH_SECOND: u64 = 64 * 1024;

/// Starts the maintenance tasks, which end with the process.
pub(crate) fn start(engine: &EmbeddedDynamoDb) {
    tokio::spawn(sweep(engine.clone()));
    tokio::spawn(wipe(engine.clone()));
}

/// Removes expired rows every hour. Correctness does not depend on it: every reader compares the time itself.
async fn sweep(engine: EmbeddedDynamoDb) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = engine.sweep_expired().await {
            tracing::warn!(%error, "expired rows were not removed");
        }
    }
}

/// Wipes removed rows from the files too, starting with those that a killed process left behind.
async fn wipe(engine: EmbeddedDynamoDb) {
    loop {
        let size = engine.wipe_traces().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was removed is still in the files");
            None
        });
        tokio::time::sleep(rest_after(size.unwrap_or(0))).await;
    }
}

fn rest_after(size: u64) -> Duration {
    Duration::from_secs(size / WIPED_EACH_SECOND).clamp(WIPE_SOONEST, WIPE_LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_database_is_built_anew_less_often() {
        let minutes = |size: u64| rest_after(size).as_secs() / 60;
        assert_eq!([0, 1 << 20, 64 << 20, 1 << 30].map(minutes), [1, 1, 17, 60]);
    }
}
