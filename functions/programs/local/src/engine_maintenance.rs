//! What the database on this machine needs now and then, and DynamoDB does by itself.

use std::time::Duration;

use portcullis_platform_embedded::EmbeddedDynamoDb;

const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// What is removed is gone from the files this long after, at most: a small database is built anew as soon as this.
const WIPE_SOONEST: Duration = Duration::from_mins(1);
/// And a large one as seldom as this.
const WIPE_LATEST: Duration = Duration::from_hours(1);
/// In between the size decides: no more bytes a second are written for it than this.
const WIPED_EACH_SECOND: u64 = 64 * 1024;

/// Starts it all; it ends with the process.
pub(crate) fn start(engine: &EmbeddedDynamoDb) {
    tokio::spawn(sweep(engine.clone()));
    tokio::spawn(wipe(engine.clone()));
}

/// Removes expired rows. Nobody relies on it: every reader compares the time itself.
async fn sweep(engine: EmbeddedDynamoDb) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = engine.sweep_expired().await {
            tracing::warn!(%error, "expired rows were not removed");
        }
    }
}

/// Removes what was removed from the files too, first what a process that was killed left behind.
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
