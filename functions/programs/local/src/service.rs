//! Starting and stopping: first everything is checked, then everything is made, then requests are served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_identity::{Error, UnusableSecret};
use portcullis_platform::{Clock, Entropy, Misconfigured, SystemClock, SystemEntropy};
use portcullis_platform_aws::secrets::SourceError;
use portcullis_platform_embedded::{Created, EmbeddedDynamoDb};
use portcullis_service::{OpenError, Platform, ServerPlatform, ServerSettings};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::connections::Connections;
use crate::current::{Around, Current};
use crate::engine_maintenance;
use crate::health::{self, Readiness};
use crate::metrics::{self, CountedMailer, Metrics};
use crate::scheduled_jobs::ScheduledJobs;
use crate::settings::ProcessSettings;
use crate::tls::Certificates;

/// How much longer than a request a graceful shutdown may take: requests in flight finish in it.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(3);

/// The error when the service cannot start or serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used; nothing was written.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// The table, the keys or the mail could not be opened.
    #[error(transparent)]
    Open(OpenError),
    /// A key could not be used.
    #[error(transparent)]
    Secret(#[from] UnusableSecret),
    /// The secrets could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
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

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Misconfigured(error) => Self::Misconfigured(error),
            error => Self::Open(error),
        }
    }
}

/// A service that listens and is ready to serve.
#[derive(Debug)]
pub struct Service {
    /// The files this start created, in order; empty from the second start on.
    pub created: Vec<Created>,
    /// The socket address on which it listens.
    pub address: SocketAddr,
    /// The socket address of its metrics, where there are any.
    pub metrics_address: Option<SocketAddr>,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    connections: Connections,
    readiness: Arc<Readiness>,
    engine: Option<EmbeddedDynamoDb>,
    scheduled_jobs: ScheduledJobs,
    drain: Duration,
    shutdown_timeout: Duration,
}

impl Service {
    /// Returns a service that listens: checks the configuration, then binds the ports, then creates what is missing. Fails
    /// at the first step that does; nothing is written before the ports are bound.
    pub async fn start(
        server: ServerSettings,
        process: ProcessSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let inspected = server.inspect(&entropy)?;
        let listener = bind(server.listen).await?;
        let metrics_listener = metrics::bind(process.metrics).await?;

        let opened = ServerPlatform::open(inspected, &server, Arc::clone(&clock), entropy).await?;
        metrics.read_from(opened.meter);
        let mailer = CountedMailer { mailer: opened.platform.mailer, metrics: Arc::clone(&metrics) };
        let platform = Platform { mailer: Arc::new(mailer), ..opened.platform };
        let readiness = Readiness::new(platform.store.clone(), clock);
        let settings = server.settings;
        let (check_interval, longest) = (settings.vault.check_interval, settings.http.request_timeout);
        let around = Around { beside: health::routes(Arc::clone(&readiness)), metrics: Arc::clone(&metrics) };
        let current = Arc::new(Current::new(platform, settings, opened.changing, around).await?);
        readiness.watch(&current);
        Ok(Self {
            created: opened.created,
            address: listener.local_addr()?,
            metrics_address: metrics_listener.as_ref().map(TcpListener::local_addr).transpose()?,
            listener,
            metrics_listener,
            scheduled_jobs: ScheduledJobs {
                current: Arc::clone(&current),
                metrics: Arc::clone(&metrics),
                check_interval,
            },
            connections: Connections { current, certificates: process.certificates.map(Arc::new), metrics },
            readiness,
            engine: opened.engine,
            drain: process.drain,
            shutdown_timeout: longest + SHUTDOWN_MARGIN,
        })
    }

    /// Returns the scheme at which it is reached: that of TLS where it has a certificate.
    pub fn scheme(&self) -> &'static str {
        if self.connections.certificates.is_some() { "https" } else { "http" }
    }

    /// Serves until `stop` completes. Then the service says that it is not ready, takes requests for as long as it is
    /// configured to or until `hurry` completes, accepts none after that, lets those in flight finish, and wipes removed rows.
    /// It takes `DRAIN_SECONDS`, the timeout of a request and three seconds at most. Fails when a signal cannot be listened to.
    pub async fn serve(
        mut self,
        stop: impl Future<Output = ()> + Send + 'static,
        hurry: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), StartError> {
        self.start_tasks()?;
        let jobs = self.scheduled_jobs.start();
        let (readiness, drain) = (self.readiness, self.drain);
        let stopped = async move {
            stop.await;
            readiness.drain();
            // Whoever did not notice yet still sends requests here, and they are served.
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = hurry => {}
            }
            // Another instance does the next turn.
            drop(jobs);
        };
        self.connections.serve(self.listener, stopped, self.shutdown_timeout).await;
        if let Some(engine) = self.engine
            && let Err(error) = engine.wipe_traces().await
        {
            tracing::warn!(%error, "the next start wipes what was removed");
        }
        Ok(())
    }

    /// Starts what goes on beside the requests, until the process ends.
    fn start_tasks(&mut self) -> Result<(), StartError> {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %self.address, "portcullis serves");
        if let Some(engine) = &self.engine {
            engine_maintenance::start(engine);
        }
        if let Some(listener) = self.metrics_listener.take() {
            let beside = health::routes(Arc::clone(&self.readiness));
            tokio::spawn(metrics::serve(listener, Arc::clone(&self.connections.metrics), beside));
        }
        tokio::spawn(Arc::clone(&self.connections.current).keep_up());
        if let Some(certificates) = &self.connections.certificates {
            tokio::spawn(Certificates::keep_up(Arc::clone(certificates), signal(SignalKind::hangup())?));
        }
        Ok(())
    }
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, Misconfigured> {
    let bound = TcpListener::bind(listen).await;
    bound.map_err(|error| Misconfigured::new("LISTEN_ADDR", format!("cannot listen on {listen}: {error}")))
}
