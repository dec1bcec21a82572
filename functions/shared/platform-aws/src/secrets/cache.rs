//! The cache of secrets: read again after five minutes, and usable for twelve hours while the provider is unavailable.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use portcullis_platform::{Clock, SecretName, SecretVersions, Secrets, SecretsError};
use tokio::sync::Mutex;

use super::{Snapshot, Source, SourceError};

/// The time to live of a value, after which the provider is asked again; the JWK set may be cached as long.
const TIME_TO_LIVE: Duration = Duration::from_mins(5);
/// The backoff after a provider failed: it gets no request for this long.
const RETRY_BACKOFF: Duration = Duration::from_secs(30);
/// The maximum age of the last good value. Every secret is accepted for a whole rotation, of at least a day, before and
/// after it is the current one, so a value of this age refuses nothing that is valid.
const MAX_AGE: Duration = Duration::from_hours(12);

/// The cached secrets of one provider.
#[derive(Debug)]
pub struct CachedSecrets {
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    snapshot: Arc<Snapshot>,
    read_at: Timestamp,
    tried_at: Timestamp,
}

impl CachedSecrets {
    /// Returns an empty cache: nothing is read before the first call.
    pub fn new(source: Box<dyn Source>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, kept: Mutex::new(None) }
    }

    /// Returns the version of the current secrets, which changes whenever a secret does; fails when they cannot be read
    /// and no cached value is usable.
    pub async fn version(&self) -> Result<String, SourceError> {
        self.snapshot().await.map(|snapshot| snapshot.version.clone())
    }

    /// Returns whether the cached value is missing or too old to be used, so that a request has to wait for the provider.
    pub async fn is_too_old(&self) -> bool {
        let now = self.clock.now();
        self.kept.lock().await.as_ref().is_none_or(|kept| age(kept.read_at, now) >= MAX_AGE)
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, SourceError> {
        // Held during the request, so that one of many concurrent callers sends it and the others wait for its result.
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        if let Some(kept) = &*kept {
            // The last attempt failed less than the backoff ago: no retry yet.
            let is_backing_off = kept.tried_at > kept.read_at && age(kept.tried_at, now) < RETRY_BACKOFF;
            if age(kept.read_at, now) < TIME_TO_LIVE || (is_backing_off && age(kept.read_at, now) < MAX_AGE) {
                return Ok(Arc::clone(&kept.snapshot));
            }
        }
        match self.source.read().await {
            Ok(snapshot) => {
                let snapshot = Arc::new(snapshot);
                *kept = Some(Kept { snapshot: Arc::clone(&snapshot), read_at: now, tried_at: now });
                Ok(snapshot)
            }
            Err(error) => match &mut *kept {
                Some(kept) if age(kept.read_at, now) < MAX_AGE => {
                    kept.tried_at = now;
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "secrets could not be read again; the last ones are used");
                    Ok(Arc::clone(&kept.snapshot))
                }
                _ => Err(error),
            },
        }
    }
}

/// Returns the time passed since `since`; zero when the clock was set back, so that no value expires early.
fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

#[async_trait]
impl Secrets for CachedSecrets {
    async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError> {
        let snapshot =
            self.snapshot().await.map_err(|error| SecretsError::Unavailable { name, cause: error.into() })?;
        snapshot.current.versions(name, snapshot.previous.as_ref()).ok_or(SecretsError::Missing(name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

    use secrecy::ExposeSecret;

    use super::super::Document;
    use super::*;

    #[derive(Debug, Default)]
    struct FakeProvider {
        away: AtomicBool,
        asked: AtomicU64,
    }

    #[async_trait]
    impl Source for Arc<FakeProvider> {
        async fn read(&self) -> Result<Snapshot, SourceError> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            if self.away.load(Ordering::SeqCst) {
                return Err(SourceError::Unavailable("test".into(), "away".into()));
            }
            let text = format!(r#"{{"SESSION_SECRET_KEY": "{number}"}}"#);
            let current = Document::parse(&text.into()).unwrap();
            Ok(Snapshot { current, previous: None, version: number.to_string() })
        }
    }

    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
        }
    }

    struct World {
        provider: Arc<FakeProvider>,
        clock: Arc<Hand>,
        secrets: CachedSecrets,
    }

    impl World {
        fn new() -> Self {
            let (provider, clock) = (Arc::new(FakeProvider::default()), Arc::new(Hand::default()));
            let secrets = CachedSecrets::new(Box::new(Arc::clone(&provider)), clock.clone());
            Self { provider, clock, secrets }
        }

        fn pass(&self, seconds: i64) {
            self.clock.0.fetch_add(seconds, Ordering::SeqCst);
        }

        async fn value(&self) -> Option<String> {
            let versions = self.secrets.fetch(SecretName::SessionSecretKey).await.ok()?;
            Some(String::from_utf8(versions.current.expose_secret().to_vec()).unwrap())
        }
    }

    #[tokio::test]
    async fn a_fresh_value_is_not_asked_for_again() {
        let world = World::new();
        assert_eq!(world.value().await.as_deref(), Some("0"));
        world.pass(299);
        assert_eq!(world.value().await.as_deref(), Some("0"));
        world.pass(1);
        assert_eq!(world.value().await.as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn the_last_good_value_is_used_for_twelve_hours_and_no_longer() {
        let world = World::new();
        world.value().await;
        world.provider.away.store(true, Ordering::SeqCst);
        world.pass(12 * 3_600 - 1);
        assert_eq!(world.value().await.as_deref(), Some("0"));
        assert!(!world.secrets.is_too_old().await);
        world.pass(1);
        assert!(world.secrets.is_too_old().await);
        assert_eq!(world.value().await, None);
        world.provider.away.store(false, Ordering::SeqCst);
        assert!(world.value().await.is_some(), "and it recovers at once");
    }

    #[tokio::test]
    async fn a_provider_that_failed_is_not_retried_before_the_backoff_is_over() {
        let world = World::new();
        world.value().await;
        world.provider.away.store(true, Ordering::SeqCst);
        world.pass(300);
        for _ in 0..10 {
            world.value().await;
        }
        assert_eq!(world.provider.asked.load(Ordering::SeqCst), 2);
        world.pass(30);
        world.value().await;
        assert_eq!(world.provider.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn there_is_no_value_before_the_first_response() {
        let world = World::new();
        world.provider.away.store(true, Ordering::SeqCst);
        assert_eq!(world.value().await, None);
        assert!(world.secrets.is_too_old().await);
    }
}
