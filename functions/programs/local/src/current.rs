//! The service with its keys as they are now: keys that change elsewhere are taken up while it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use http::{Request, Response};
use portcullis_http::{Code, Problem, finish};
use portcullis_identity::{EdgeProofKeys, PasswordHasher};
use portcullis_platform::{SecretPurpose, with_causes};
use portcullis_platform_aws::secrets::CachedSecrets;
use portcullis_service::{Operations, Platform, Settings};
use portcullis_vault::Vault;
use tower::ServiceExt;

use crate::metrics::{self, Metrics};
use crate::routes;
use crate::service::StartError;

/// How often is looked whether keys changed. The provider is asked once in five minutes, and not by each look.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// The service as requests and jobs meet it.
#[derive(Debug)]
pub(crate) struct Current {
    platform: Platform,
    settings: Settings,
    hasher: PasswordHasher,
    around: Around,
    changing: Option<Arc<CachedSecrets>>,
    made: RwLock<Made>,
    /// Responds 503 to everything.
    unready: Router,
    is_expired: AtomicBool,
}

/// What is around the routes of the functions.
#[derive(Debug)]
pub(crate) struct Around {
    /// The routes of the process itself.
    pub(crate) beside: Router,
    /// Where every request is counted.
    pub(crate) metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Made {
    router: Router,
    vault: Arc<Vault>,
    /// The version of the secrets it was made with.
    version: Option<String>,
}

impl Current {
    /// Returns the service with the keys as they are now; fails when they cannot be used.
    pub(crate) async fn new(
        platform: Platform,
        settings: Settings,
        changing: Option<Arc<CachedSecrets>>,
        around: Around,
    ) -> Result<Self, StartError> {
        let hasher = platform.hasher(&settings)?;
        let version = match &changing {
            Some(secrets) => Some(secrets.version().await?),
            None => None,
        };
        let made = make(&platform, &settings, &hasher, &around, version).await?;
        let unready = unready(&platform, &settings, &around);
        let (made, is_expired) = (RwLock::new(made), AtomicBool::new(false));
        Ok(Self { platform, settings, hasher, around, changing, made, unready, is_expired })
    }

    /// Returns the response to a request.
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let router = if self.is_expired() {
            self.unready.clone()
        } else {
            self.made.read().unwrap_or_else(PoisonError::into_inner).router.clone()
        };
        let Ok(response) = router.oneshot(request).await;
        response
    }

    /// Returns the operations on trading accounts, with the keys as they are now.
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.made.read().unwrap_or_else(PoisonError::into_inner).vault)
    }

    /// Returns whether the keys could not be read for so long that they may not be used any more.
    pub(crate) fn is_expired(&self) -> bool {
        self.is_expired.load(Ordering::Relaxed)
    }

    /// Takes up keys whenever they changed, for as long as the process runs.
    pub(crate) async fn keep_up(self: Arc<Self>) {
        let Some(secrets) = self.changing.clone() else { return };
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.renew(&secrets).await {
                let error = with_causes(&error);
                tracing::error!(error, "the secrets cannot be taken up; the last ones are used");
            }
            self.is_expired.store(secrets.is_too_old().await, Ordering::Relaxed);
        }
    }

    async fn renew(&self, secrets: &CachedSecrets) -> Result<(), StartError> {
        let version = Some(secrets.version().await?);
        if self.made.read().unwrap_or_else(PoisonError::into_inner).version == version {
            return Ok(());
        }
        let made = make(&self.platform, &self.settings, &self.hasher, &self.around, version).await?;
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = made;
        tracing::info!("changed secrets were taken up");
        Ok(())
    }
}

async fn make(
    platform: &Platform,
    settings: &Settings,
    hasher: &PasswordHasher,
    around: &Around,
    version: Option<String>,
) -> Result<Made, StartError> {
    let keyring = platform.keyring(settings, SecretPurpose::ALL).await?;
    let operations = Operations::new(platform, settings, hasher.clone(), keyring);
    let (clock, entropy) = (Arc::clone(&platform.clock), Arc::clone(&platform.entropy));
    let router =
        routes::with_routes_beside(around.beside.clone(), operations.state(settings), clock, entropy)?;
    let router = around.counted(router);
    Ok(Made { router, vault: operations.vault, version })
}

fn unready(platform: &Platform, settings: &Settings, around: &Around) -> Router {
    let unavailable = || async { Problem::new(Code::Unavailable) };
    let nothing_works = Router::new()
        .route("/", any(unavailable))
        .route("/{*path}", any(unavailable))
        .merge(around.beside.clone());
    let (clock, entropy) = (Arc::clone(&platform.clock), Arc::clone(&platform.entropy));
    around.counted(finish(nothing_works, &settings.http, EdgeProofKeys::default(), clock, entropy))
}

impl Around {
    fn counted(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::clone(&self.metrics), metrics::count))
    }
}
