//! A function that is running: its router, and the secrets the router was made with.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::IntoResponse;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Response};
use portcullis_http::{AppState, ClientAddress, Code, HttpSettings, Problem, finish};
use portcullis_identity::{Identity, IdentitySettings, Keyring, PasswordHasher, UnusableSecret};
use portcullis_platform::{BrokerHttp, Clock, Entropy, KeyWrap, Mailer};
use portcullis_platform_aws::ClientIp;
use portcullis_platform_aws::secrets::{CachedSecrets, SourceError};
use portcullis_store::Store;
use portcullis_vault::{Vault, VaultSettings};
use tower::ServiceExt;

use super::log;

/// Everything a router needs but the keys.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) routes: Router<AppState>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) key_wrap: Arc<dyn KeyWrap>,
    /// The keeper of another master key, for broker credentials alone.
    pub(crate) broker_key_wrap: Arc<dyn KeyWrap>,
    pub(crate) broker_http: Arc<dyn BrokerHttp>,
    pub(crate) vault: VaultSettings,
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) hasher: PasswordHasher,
    pub(crate) identity: IdentitySettings,
    pub(crate) http: Arc<HttpSettings>,
    pub(crate) secrets: CachedSecrets,
}

/// A function between its start and its end.
#[derive(Debug)]
pub(crate) struct Function {
    parts: Parts,
    /// Answers 503 to everything, with the headers every answer has.
    unready: Router,
    ready: Mutex<Option<Ready>>,
}

#[derive(Debug)]
struct Ready {
    router: Router,
    vault: Arc<Vault>,
    /// Of the secrets in it.
    version: String,
}

/// Why there is no router with the secrets of now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    /// The secrets could not be read.
    #[error(transparent)]
    Secrets(#[from] SourceError),
    /// They are not what they should be.
    #[error(transparent)]
    Unusable(#[from] UnusableSecret),
}

impl Function {
    pub(crate) fn new(parts: Parts) -> Self {
        let unavailable = || async { Problem::new(Code::Unavailable) };
        let nothing_works = Router::new().route("/", any(unavailable)).route("/{*path}", any(unavailable));
        let unready =
            finish(nothing_works, &parts.http, Arc::clone(&parts.clock), Arc::clone(&parts.entropy));
        Self { parts, unready, ready: Mutex::new(None) }
    }

    /// Takes up the secrets as they are now, if they changed.
    pub(crate) async fn renew(&self) -> Result<(), NotReady> {
        let version = self.parts.secrets.version().await?;
        if self.lock().as_ref().is_some_and(|ready| ready.version == version) {
            return Ok(());
        }
        let keyring = Keyring::load(&self.parts.secrets).await?;
        let vault = Arc::new(self.vault(keyring));
        *self.lock() = Some(Ready { router: self.router(Arc::clone(&vault)), vault, version });
        Ok(())
    }

    /// The answer to a request. Secrets that are due to be read again are read beside it, not before it; only where
    /// there are none that may be used does the request wait for them.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        if self.usable().await.is_none()
            && let Err(error) = self.renew().await
        {
            log::error("the secrets are unavailable", &error);
        }
        let Some(router) = self.usable().await else { return ask(self.unready.clone(), request).await };
        let (answer, renewed) = tokio::join!(ask(router, request), self.renew());
        if let Err(error) = renewed {
            log::error("the secrets changed to something unusable; the last ones are used", &error);
        }
        answer
    }

    async fn usable(&self) -> Option<Router> {
        if self.parts.secrets.is_too_old().await {
            return None;
        }
        self.lock().as_ref().map(|ready| ready.router.clone())
    }

    /// The operations with the secrets as they are now.
    pub(crate) async fn operations(&self) -> Result<Option<Arc<Vault>>, NotReady> {
        self.renew().await?;
        Ok(self.lock().as_ref().map(|ready| Arc::clone(&ready.vault)))
    }

    fn vault(&self, keyring: Keyring) -> Vault {
        let parts = &self.parts;
        let identity = Identity {
            store: parts.store.clone(),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            key_wrap: Arc::clone(&parts.key_wrap),
            mailer: Arc::clone(&parts.mailer),
            public_url: parts.http.public_url.as_str().to_owned(),
            keyring,
            hasher: parts.hasher.clone(),
            settings: parts.identity.clone(),
        };
        let (key_wrap, http) = (Arc::clone(&parts.broker_key_wrap), Arc::clone(&parts.broker_http));
        Vault::new(Arc::new(identity), key_wrap, http, &parts.vault)
    }

    fn router(&self, vault: Arc<Vault>) -> Router {
        let parts = &self.parts;
        let identity = Arc::clone(&vault.identity);
        let state = AppState { identity, vault, settings: Arc::clone(&parts.http) };
        let routes = parts.routes.clone().with_state(state);
        finish(routes, &parts.http, Arc::clone(&parts.clock), Arc::clone(&parts.entropy))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Ready>> {
        // Nothing panics while holding it, and there is no half-made state to fear.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(router: Router, mut request: Request<Bytes>) -> Response<Bytes> {
    if let Some(ClientIp(address)) = request.extensions_mut().remove() {
        request.extensions_mut().insert(ClientAddress(address));
    }
    let Ok(response) = router.oneshot(request.map(Body::from)).await;
    let (parts, body) = response.into_parts();
    if let Ok(body) = to_bytes(body, usize::MAX).await {
        return Response::from_parts(parts, body);
    }
    // Bodies here are made in memory, so this does not happen; if it does, nobody gets half an answer.
    tracing::error!("an answer could not be read to its end");
    let (parts, _) = Problem::new(Code::InternalError).into_response().into_parts();
    Response::from_parts(parts, Bytes::new())
}
