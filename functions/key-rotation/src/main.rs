//! The rotation function on Lambda.

use std::process::ExitCode;
use std::sync::Arc;

use portcullis_key_rotation::{Event, Rotation};
use portcullis_platform::{Environment, SystemClock, SystemEntropy, Variable};
use portcullis_platform_aws::{AwsConnection, JsonLines, NothingMeasured, serve_events};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A refresh token is made with one secret and lives up to a week; after a second rotation it would be refused.
const ROTATION_MIN_INTERVAL: Variable = Variable {
    name: "ROTATION_MIN_INTERVAL",
    default: "604800",
    about: "seconds that must lie between two rotations; 0 after a leak",
    aliases: &[],
};
const YEAR: u64 = 366 * 24 * 60 * 60;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let environment = Environment::of_process();
    let clock = Arc::new(SystemClock);
    let lines = JsonLines::new("key-rotation", &environment, clock.clone(), Arc::new(NothingMeasured));
    tracing_subscriber::registry().with(LevelFilter::WARN).with(lines).init();
    let least_age = match environment.seconds(&ROTATION_MIN_INTERVAL, 0..=YEAR) {
        Ok(least_age) => least_age,
        Err(error) => {
            tracing::error!(%error, "the function cannot start");
            return ExitCode::FAILURE;
        }
    };
    let connection = AwsConnection::of_process().await;
    let rotation = Rotation::new(&connection, clock, Arc::new(SystemEntropy), least_age);
    let served = serve_events(|event: Event| {
        let rotation = &rotation;
        async move { rotation.perform(&event).await }
    });
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the Runtime API is gone");
            ExitCode::FAILURE
        }
    }
}
