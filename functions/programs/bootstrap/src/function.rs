//! A function that is running: its router, and the secrets the router was made with.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Response};
use portcullis_http::{AppState, ClientAddress, Code, Problem, finish};
use portcullis_identity::{EdgeProofKeys, PasswordHasher, UnusableSecret};
use portcullis_platform::SecretPurpose;
use portcullis_platform_aws::ClientIp;
use portcullis_platform_aws::secrets::{CachedSecrets, SourceError};
use portcullis_service::{AwsPlatform, Operations, Platform, Settings};
use portcullis_vault::Vault;
use tower::ServiceExt;

use crate::log;

/// A function between its start and its end.
#[derive(Debug)]
pub(crate) struct Function {
    routes: Router<AppState>,
    platform: Platform,
    secrets: Arc<CachedSecrets>,
    purposes: &'static [SecretPurpose],
    settings: Settings,
    hasher: PasswordHasher,
    /// Responds 503 to everything, with the headers every response has.
    unready: Router,
    ready: Mutex<Option<Ready>>,
}

#[derive(Debug)]
struct Ready {
    router: Router,
    vault: Arc<Vault>,
    /// The version of the secrets that the router uses.
    version: String,
}

/// The error when no router can be built with the current secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    /// The secrets could not be read.
    #[error(transparent)]
    Secrets(#[from] SourceError),
    /// The secrets are malformed.
    #[error(transparent)]
    Unusable(#[from] UnusableSecret),
}

impl Function {
    /// Returns the function with no keys yet: until [`Self::renew`] succeeds it responds 503.
    pub(crate) fn new(
        routes: Router<AppState>,
        opened: AwsPlatform,
        settings: Settings,
        hasher: PasswordHasher,
    ) -> Self {
        let unavailable = || async { Problem::new(Code::Unavailable) };
        let nothing_works = Router::new().route("/", any(unavailable)).route("/{*path}", any(unavailable));
        let AwsPlatform { platform, secrets, purposes } = opened;
        let unready = finished(nothing_works, EdgeProofKeys::default(), &platform, &settings);
        Self { routes, platform, secrets, purposes, settings, hasher, unready, ready: Mutex::new(None) }
    }

    /// Takes up the secrets as they are now, if they changed. Fails when they cannot be read or used; what was taken up
    /// before stays in force.
    pub(crate) async fn renew(&self) -> Result<(), NotReady> {
        let version = self.secrets.version().await?;
        if self.lock().as_ref().is_some_and(|ready| ready.version == version) {
            return Ok(());
        }
        let keyring = self.platform.keyring(&self.settings, self.purposes).await?;
        let edge_keys = keyring.edge_proofs().clone();
        let operations = Operations::new(&self.platform, &self.settings, self.hasher.clone(), keyring);
        let with_keys = self.routes.clone().with_state(operations.state(&self.settings));
        let router = finished(with_keys, edge_keys, &self.platform, &self.settings);
        *self.lock() = Some(Ready { router, vault: operations.vault, version });
        Ok(())
    }

    /// Returns the response to a request. Secrets that are due to be read again are read beside it, not before it; only where
    /// there are none that may be used does the request wait for them.
    pub(crate) async fn respond(&self, request: Request<Bytes>) -> Response<Body> {
        if self.usable().await.is_none()
            && let Err(error) = self.renew().await
        {
            log::error("the secrets are unavailable", &error);
        }
        let Some(router) = self.usable().await else { return ask(self.unready.clone(), request).await };
        let (response, renewed) = tokio::join!(ask(router, request), self.renew());
        if let Err(error) = renewed {
            log::error("the secrets changed to something unusable; the last ones are used", &error);
        }
        response
    }

    async fn usable(&self) -> Option<Router> {
        if self.secrets.is_too_old().await {
            return None;
        }
        self.lock().as_ref().map(|ready| ready.router.clone())
    }

    /// Returns the vault operations with the current secrets; fails when the secrets cannot be read or used.
    pub(crate) async fn operations(&self) -> Result<Option<Arc<Vault>>, NotReady> {
        self.renew().await?;
        Ok(self.lock().as_ref().map(|ready| Arc::clone(&ready.vault)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Ready>> {
        // Nothing panics while holding it, and there is no half-made state to fear.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finished(routes: Router, edge_keys: EdgeProofKeys, platform: &Platform, settings: &Settings) -> Router {
    finish(routes, &settings.http, edge_keys, Arc::clone(&platform.clock), Arc::clone(&platform.entropy))
}

async fn ask(router: Router, mut request: Request<Bytes>) -> Response<Body> {
    if let Some(ClientIp(address)) = request.extensions_mut().remove() {
        request.extensions_mut().insert(ClientAddress(address));
    }
    let Ok(response) = router.oneshot(request.map(Body::from)).await;
    response
}
