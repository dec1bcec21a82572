//! The operations of the service as a test puts them together.

use std::sync::Arc;

use portcullis_identity::Argon2Settings;
use portcullis_platform::{Clock, Entropy, Environment, SecretPurpose, SystemEntropy};
use portcullis_platform_embedded::DataDir;
use portcullis_service::{Operations, Platform, Settings};
use portcullis_store::Store;

use crate::notifications::Notifications;

/// For everything that is not about the cost of a password.
pub const CHEAP_HASHES: Argon2Settings = Argon2Settings { memory_kib: 64, iterations: 1, lanes: 1 };

/// The outside world of a test: this store and clock, and keys in a folder that is gone afterwards.
///
/// # Panics
/// When the variables cannot be used or the keys cannot be made.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub fn platform(environment: &Environment, store: Store, clock: Arc<dyn Clock>) -> Platform {
    let folder = tempfile::tempdir().expect("a folder");
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let prepared = DataDir::inspect(&folder.path().join("data"), environment, Arc::clone(&entropy))
        .expect("an empty folder")
        .prepare([])
        .expect("keys");
    let sent = Arc::new(Notifications::default());
    Platform::on_keys(prepared.keys.expect("keys"), store, sent, clock, entropy)
}

/// The operations on this platform, as these variables have them.
///
/// # Panics
/// When the variables or the keys cannot be used.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub async fn operations_on(
    platform: &Platform,
    environment: &Environment,
    argon2: Argon2Settings,
) -> Operations {
    let mut settings = Settings::read(environment).expect("settings");
    settings.identity.argon2 = argon2;
    let hasher = platform.hasher(&settings).expect("threads");
    Operations::new(
        platform,
        &settings,
        hasher,
        platform.keyring(&settings, SecretPurpose::ALL).await.expect("keys"),
    )
}
