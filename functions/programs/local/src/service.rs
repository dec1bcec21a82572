//! Starting and stopping: first everything is checked, then everything is made, then requests are served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use portcullis_http::address_of_socket;
use portcullis_identity::{Error, UnusableSecret};
use portcullis_platform::{Clock, Entropy, Misconfigured, SecretPurpose, SystemClock, SystemEntropy};
use portcullis_platform_embedded::{Created, EmbeddedDynamoDb};
use portcullis_service::{LocalPlatform, LocalSettings, OpenError, Operations};
use tokio::net::TcpListener;

use crate::engine_maintenance;
use crate::routes::router;
use crate::scheduled_jobs::ScheduledJobs;

/// How much longer than a request a graceful shutdown may take: requests in flight finish in it.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(3);

/// The error when the service cannot start or serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used; nothing was written.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// The data folder could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A key could not be used.
    #[error(transparent)]
    Secret(#[from] UnusableSecret),
    /// The hashing threads could not be started.
    #[error(transparent)]
    Identity(#[from] Error),
    /// The OpenAPI document could not be written.
    #[error("writing the OpenAPI document")]
    Document(#[from] serde_json::Error),
    /// The socket failed.
    #[error("serving")]
    Serve(#[from] std::io::Error),
}

/// A service that listens and is ready to serve.
#[derive(Debug)]
pub struct Service {
    /// The files this start created, in order; empty from the second start on.
    pub created: Vec<Created>,
    /// The socket address on which it listens.
    pub address: SocketAddr,
    listener: TcpListener,
    router: Router,
    engine: EmbeddedDynamoDb,
    scheduled_jobs: ScheduledJobs,
    shutdown_timeout: Duration,
}

impl Service {
    /// Returns a service that listens: checks the configuration, then binds the port, then creates what is missing. Fails
    /// at the first step that does; nothing is written before the port is bound.
    pub async fn start(local: LocalSettings) -> Result<Self, StartError> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let inspected = local.inspect(&entropy)?;
        let listener = TcpListener::bind(local.listen).await.map_err(|error| {
            let reason = format!("cannot listen on {}: {error}", local.listen);
            Misconfigured::new("LISTEN_ADDR", reason)
        })?;
        let address = listener.local_addr()?;

        let settings = local.settings;
        let services = settings.identity.services.names();
        let opening = LocalPlatform::open(
            inspected,
            services,
            local.timeouts,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let LocalPlatform { platform, engine, created } = opening.await?;
        let hasher = platform.hasher(&settings)?;
        let keyring = platform.keyring(&settings, SecretPurpose::ALL).await?;
        let operations = Operations::new(&platform, &settings, hasher, keyring);
        let scheduled_jobs = ScheduledJobs::new(Arc::clone(&operations.vault), settings.vault.check_interval);
        let router = router(operations.state(&settings), clock, entropy)?.layer(from_fn(address_of_socket));
        let shutdown_timeout = settings.http.request_timeout + SHUTDOWN_MARGIN;
        Ok(Self { created, address, listener, router, engine, scheduled_jobs, shutdown_timeout })
    }

    /// Serves until `stop` completes, then lets requests in flight finish and wipes removed rows; fails when the socket
    /// does.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
        engine_maintenance::start(&self.engine);
        self.scheduled_jobs.start();
        let (engine, longest) = (self.engine, self.shutdown_timeout);
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let stop = async move {
            stop.await;
            let _ = stopping.send(());
        };
        let serve =
            axum::serve(self.listener, self.router.into_make_service_with_connect_info::<SocketAddr>())
                .with_graceful_shutdown(stop);
        let shutdown_timeout = async move {
            // A sender dropped without a message means that serving ended by itself: then this must never complete.
            if stopped.await.is_ok() {
                tokio::time::sleep(longest).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let served = tokio::select! {
            served = serve => served,
            // Some client holds a connection open without sending a request; closing it loses nothing.
            () = shutdown_timeout => Ok(()),
        };
        if let Err(error) = engine.wipe_traces().await {
            tracing::warn!(%error, "the next start wipes what was removed");
        }
        Ok(served?)
    }
}
