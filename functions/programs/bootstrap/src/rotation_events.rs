//! The function that Secrets Manager starts to rotate the secrets. Of the table it reads which tokens of services are in use,
//! and it writes which keys were withdrawn; nothing else.

use std::sync::Arc;

use portcullis_platform::{
    CallTimeouts, Clock, Entropy, Environment, SigningAlgorithm, SystemClock, SystemEntropy, Variable,
};
use portcullis_platform_aws::{AWS_SECRET_NAME, AwsConnection, NothingMeasured, TABLE_NAME, serve_events};
use portcullis_service::table;
use portcullis_store::Meter;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::key_rotation::{Event, Rotation};
use crate::log;
use crate::start::Ended;

/// How long Secrets Manager must wait for the next rotation.
pub const ROTATION_MIN_INTERVAL: Variable = Variable {
    name: "ROTATION_MIN_INTERVAL",
    default: "604800",
    about: "seconds that must lie between two rotations; 0 after a leak",
    aliases: &[],
};
const YEAR: u64 = 366 * 24 * 60 * 60;

/// Performs the steps of rotations as the function `name` until Lambda ends the process.
pub(crate) async fn serve_rotations(name: &str, environment: Environment) -> Result<(), Ended> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let filter = Targets::new().with_default(LevelFilter::WARN);
    log::start(name, &environment, Arc::clone(&clock), Arc::new(NothingMeasured), filter);
    let min_interval = environment.seconds(&ROTATION_MIN_INTERVAL, 0..=YEAR)?;
    let algorithm = SigningAlgorithm::read(&environment)?;
    let timeouts = CallTimeouts::read(&environment)?;
    let connection = AwsConnection::of_process(timeouts).await;
    let store = table(&connection, &environment, Meter::default(), timeouts, &environment.text(&TABLE_NAME)?);
    let name = environment.text(&AWS_SECRET_NAME)?;
    let surroundings = (clock, Arc::new(SystemEntropy) as Arc<dyn Entropy>);
    let rotation = Rotation::new(&connection, name, store, surroundings, min_interval, algorithm);
    let served = serve_events(|event: Event| {
        let rotation = &rotation;
        async move { rotation.perform(&event).await }
    });
    served.await.map_err(Ended::RuntimeGone)
}
