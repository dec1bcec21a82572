//! Whether the process lives, and whether requests should be sent to it.
//!
//! The two are apart: a process whose table is away for a minute gets no requests in that minute, and is not restarted for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jiff::Timestamp;
use portcullis_http::{Code, Health, Json, Liveness, Problem};
use portcullis_platform::{Clock, with_causes};
use portcullis_store::Store;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::current::Current;

/// How long an answer of the table counts. Whoever asks more often asks the process alone.
const COUNTS_FOR: Duration = Duration::from_secs(1);

/// The state of this process between its start and its end.
#[derive(Debug)]
pub(crate) struct Readiness {
    store: Store,
    clock: Arc<dyn Clock>,
    is_draining: AtomicBool,
    current: OnceLock<Weak<Current>>,
    /// When the table was last asked, and whether it answered.
    asked: Mutex<Option<(Timestamp, bool)>>,
}

/// That requests may be sent here.
#[derive(Debug, Clone, Copy, Serialize)]
struct Ready {
    status: &'static str,
}

impl Readiness {
    /// Returns the state of a process that is ready once it knows its operations.
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (is_draining, current, asked) = (AtomicBool::new(false), OnceLock::new(), Mutex::new(None));
        Arc::new(Self { store, clock, is_draining, current, asked })
    }

    /// Begins to look at the keys of these operations.
    pub(crate) fn watch(&self, current: &Arc<Current>) {
        // Set once, at the start; a second time would change nothing.
        let _ = self.current.set(Arc::downgrade(current));
    }

    /// Says from now on that no request should be sent here.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
    }

    /// Returns whether requests should be sent here: the process is not about to end, its keys may be used, and the table
    /// answers.
    pub(crate) async fn is_ready(&self) -> bool {
        let current = self.current.get().and_then(Weak::upgrade);
        let has_keys = current.is_some_and(|current| !current.is_expired());
        !self.is_draining.load(Ordering::SeqCst) && has_keys && self.table_answers().await
    }

    /// One of many that ask at once asks the table, and the others wait for its answer.
    async fn table_answers(&self) -> bool {
        let mut asked = self.asked.lock().await;
        let now = self.clock.now();
        if let Some((at, answered)) = *asked
            && now.duration_since(at).unsigned_abs() < COUNTS_FOR
        {
            return answered;
        }
        let answer = self.store.check_table().await;
        if let Err(error) = &answer {
            tracing::warn!(error = with_causes(error), "not ready: the table does not answer");
        }
        *asked = Some((self.clock.now(), answer.is_ok()));
        answer.is_ok()
    }
}

/// Returns the routes `GET /livez` and `GET /readyz`.
pub(crate) fn routes(state: Arc<Readiness>) -> Router {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(state)
}

async fn livez() -> Json<Health> {
    Json(Health { status: Liveness::Ok, version: env!("CARGO_PKG_VERSION") })
}

/// Why it is not ready stands in the log: whoever asks needs no more than to ask somebody else.
async fn readyz(State(state): State<Arc<Readiness>>) -> Result<Json<Ready>, Problem> {
    if state.is_ready().await {
        Ok(Json(Ready { status: "ready" }))
    } else {
        Err(Problem::new(Code::Unavailable))
    }
}
