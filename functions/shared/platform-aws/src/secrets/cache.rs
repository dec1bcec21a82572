//! Secrets kept in memory: asked for again after five minutes, and good for twelve hours while their keeper is away.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use portcullis_platform::{Clock, SecretName, SecretVersions, Secrets, SecretsError};
use tokio::sync::Mutex;

use super::{Snapshot, Source, SourceError};

/// What was read is not asked for again before this; the JWK set may be cached as long.
const FRESH: Duration = Duration::from_mins(5);
/// After a keeper failed it is left alone for this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The last good value is used this long. Every secret is accepted for a whole rotation, of at least a day, before and
/// after it is the current one, so a value of this age refuses nothing.
const LONGEST: Duration = Duration::from_hours(12);

/// The secrets of one keeper.
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
    /// Nothing is read before it is asked for.
    pub fn new(source: Box<dyn Source>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, kept: Mutex::new(None) }
    }

    /// The version in force: the same answer means that nothing changed.
    pub async fn version(&self) -> Result<String, SourceError> {
        self.snapshot().await.map(|snapshot| snapshot.version.clone())
    }

    /// Whether what is kept may no longer be used, so that a request has to wait for its keeper.
    pub async fn is_too_old(&self) -> bool {
        let now = self.clock.now();
        self.kept.lock().await.as_ref().is_none_or(|kept| age(kept.read_at, now) >= LONGEST)
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, SourceError> {
        // Held while asking, so that of many callers one asks.
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        if let Some(kept) = &*kept {
            let is_left_alone = kept.tried_at > kept.read_at && age(kept.tried_at, now) < PATIENCE;
            if age(kept.read_at, now) < FRESH || (is_left_alone && age(kept.read_at, now) < LONGEST) {
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
                Some(kept) if age(kept.read_at, now) < LONGEST => {
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

/// A clock that was set back makes nothing old.
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
    struct Keeper {
        away: AtomicBool,
        asked: AtomicU64,
    }

    #[async_trait]
    impl Source for Arc<Keeper> {
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
        keeper: Arc<Keeper>,
        clock: Arc<Hand>,
        secrets: CachedSecrets,
    }

    impl World {
        fn new() -> Self {
            let (keeper, clock) = (Arc::new(Keeper::default()), Arc::new(Hand::default()));
            let secrets = CachedSecrets::new(Box::new(Arc::clone(&keeper)), clock.clone());
            Self { keeper, clock, secrets }
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
        world.keeper.away.store(true, Ordering::SeqCst);
        world.pass(12 * 3_600 - 1);
        assert_eq!(world.value().await.as_deref(), Some("0"));
        assert!(!world.secrets.is_too_old().await);
        world.pass(1);
        assert!(world.secrets.is_too_old().await);
        assert_eq!(world.value().await, None);
        world.keeper.away.store(false, Ordering::SeqCst);
        assert!(world.value().await.is_some(), "and it recovers at once");
    }

    #[tokio::test]
    async fn a_keeper_that_is_away_is_left_alone_for_a_while() {
        let world = World::new();
        world.value().await;
        world.keeper.away.store(true, Ordering::SeqCst);
        world.pass(300);
        for _ in 0..10 {
            world.value().await;
        }
        assert_eq!(world.keeper.asked.load(Ordering::SeqCst), 2);
        world.pass(30);
        world.value().await;
        assert_eq!(world.keeper.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn there_is_no_value_before_the_first_answer() {
        let world = World::new();
        world.keeper.away.store(true, Ordering::SeqCst);
        assert_eq!(world.value().await, None);
        assert!(world.secrets.is_too_old().await);
    }
}
