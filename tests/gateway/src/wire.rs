//! A wire between a function and what it depends on, which a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the wire does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// They reach the other end.
    Whole = 0,
    /// They are closed at once.
    Cut = 1,
    /// They are taken and nothing ever comes back.
    Silent = 2,
}

/// A port on loopback that leads somewhere else.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    state: Arc<AtomicU8>,
    changed: watch::Sender<()>,
    connections: Arc<AtomicU64>,
}

impl Wire {
    /// A wire to the address of an `http://` URL.
    pub async fn to(url: &str, state: State) -> std::io::Result<Self> {
        let end = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (changed, watching) = watch::channel(());
        let wire = Self {
            address: listener.local_addr()?,
            state: Arc::new(AtomicU8::new(state as u8)),
            changed,
            connections: Arc::default(),
        };
        let (state, connections) = (Arc::clone(&wire.state), Arc::clone(&wire.connections));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (end, state, mut watching) = (end.clone(), Arc::clone(&state), watching.clone());
                watching.mark_unchanged();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // A connection ends when the state changes, so that none is left over from before.
                    tokio::select! {
                        () = carry(near, &end, state.load(Ordering::SeqCst)) => {}
                        _ = watching.changed() => {}
                    }
                });
            }
        });
        Ok(wire)
    }

    /// This end of it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// From here on, for connections that are and will be.
    pub fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::SeqCst);
        self.changed.send_replace(());
    }
}

async fn carry(mut near: TcpStream, end: &str, state: u8) {
    if state == State::Whole as u8 {
        if let Ok(mut far) = TcpStream::connect(end).await {
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    } else if state == State::Silent as u8 {
        std::future::pending::<()>().await;
    } else {
        let _ = near.shutdown().await;
    }
}
