//! Connections: accepted up to a bound, with TLS where there is a certificate, and closed in an orderly way at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use portcullis_http::ClientAddress;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::current::Current;
use crate::metrics::Metrics;
use crate::tls::Certificates;
use crate::unread_body::UnreadBody;

/// How long a connection may stay without a whole request head, be it idle or slow. Longer than load balancers keep a
/// connection (60 seconds are usual), so that they and not we close one: a request would be lost that is on its way then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long the beginning of TLS may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The connections at a time; more wait in the queue of the system. Each takes some 20 KB, and with TLS twice that.
const MOST_CONNECTIONS: usize = 8_192;
/// How large a request head may be.
const LARGEST_HEAD: usize = 64 * 1024;
/// The pause after no connection could be accepted for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What every connection is served with.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) current: Arc<Current>,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Connections {
    /// Serves connections until `stop` completes. Then no further one is accepted, requests in flight finish, and after
    /// `longest` whatever is left is closed.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        longest: Duration,
    ) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        loop {
            let next = tokio::select! {
                next = accept(&listener, &room) => next,
                () = &mut stop => break,
            };
            if let Some((stream, peer, place)) = next {
                tokio::spawn(self.clone().begin(stream, peer, graceful.watcher(), place));
            }
        }
        // Whoever connects from here on is refused by the system, and not left waiting.
        drop(listener);
        if tokio::time::timeout(longest, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections that did not end in time are closed");
        }
    }

    async fn begin(self, stream: TcpStream, peer: SocketAddr, watcher: Watcher, place: OwnedSemaphorePermit) {
        let _open = self.metrics.open_connection();
        match self.certificates.as_ref().map(|certificates| certificates.acceptor()) {
            None => self.serve_one(stream, peer, watcher).await,
            Some(acceptor) => {
                // A failed handshake is the client's affair, and there are many that only look.
                if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await
                {
                    self.serve_one(stream, peer, watcher).await;
                }
            }
        }
        drop(place);
    }

    async fn serve_one(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        watcher: Watcher,
    ) {
        let current = self.current;
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let current = Arc::clone(&current);
            async move {
                let mut request = request.map(|body| Body::new(UnreadBody::of(body)));
                request.extensions_mut().insert(ClientAddress(peer.ip()));
                Ok::<_, Infallible>(current.respond(request).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        // It ends with an error when the client goes away.
        let _ = watcher.watch(connection).await;
    }
}

/// Returns the next connection and its place among those that may be open; `None` where none could be accepted.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Responses are written whole: waiting for more to send would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
