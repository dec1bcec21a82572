//! One function: the queue of its invocations, the Runtime API its processes ask, and the processes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};

use crate::template::Described;

/// The executable of every function, as cargo names it.
const BOOTSTRAP: &str = "bootstrap";
/// Processes of one function at most; Lambda would start as many as there are requests at once.
const MOST_INSTANCES: usize = 4;

/// A function, its processes started as they are needed.
#[derive(Debug)]
pub struct Function {
    described: Described,
    bootstrap: PathBuf,
    variables: Vec<(String, String)>,
    log: PathBuf,
    address: String,
    queue: mpsc::UnboundedSender<Invocation>,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    /// The invocations that no process has taken yet, less the processes that wait for one.
    idle: AtomicUsize,
    queued: AtomicUsize,
    instances: AtomicUsize,
    number: AtomicU64,
    taken: Mutex<HashMap<String, oneshot::Sender<Option<Bytes>>>>,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    event: String,
    answer: oneshot::Sender<Option<Bytes>>,
}

impl Function {
    /// Opens the Runtime API of a function whose executable is the bootstrap in `folder`. Nothing is started yet; what the processes
    /// write goes to `log`.
    pub async fn new(
        described: Described,
        folder: &Path,
        variables: Vec<(String, String)>,
        log: &Path,
    ) -> std::io::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let function = Arc::new(Self {
            bootstrap: folder.join(BOOTSTRAP),
            described,
            variables,
            log: log.to_owned(),
            address: listener.local_addr()?.to_string(),
            queue,
            waiting: tokio::sync::Mutex::new(waiting),
            idle: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            instances: AtomicUsize::new(0),
            number: AtomicU64::new(0),
            taken: Mutex::default(),
        });
        let api = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(succeeded))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(|| async { StatusCode::ACCEPTED }))
            .with_state(Arc::clone(&function));
        tokio::spawn(axum::serve(listener, api).into_future());
        Ok(function)
    }

    /// What the template says of it.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// Returns the result of an event; none if the function failed, ended or exceeded its timeout.
    pub async fn invoke(self: &Arc<Self>, event: &Value) -> Option<Bytes> {
        let (answer, answered) = oneshot::channel();
        let id = format!("{:08x}-{}", self.number.fetch_add(1, Ordering::SeqCst), self.described.handler);
        let queued = self.queued.fetch_add(1, Ordering::SeqCst) + 1;
        self.queue.send(Invocation { id, event: event.to_string(), answer }).ok()?;
        if queued > self.idle.load(Ordering::SeqCst)
            && self.instances.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
        {
            tokio::spawn(Arc::clone(self).run());
        }
        let longest = Duration::from_secs(self.described.timeout);
        tokio::time::timeout(longest, answered).await.ok()?.ok()?
    }

    /// One process from its start to its end.
    async fn run(self: Arc<Self>) {
        if let Err(error) = self.start_and_wait().await {
            eprintln!("{}: {error}", self.described.handler);
        }
        if self.instances.fetch_sub(1, Ordering::SeqCst) == 1 {
            // No process is left to take the invocations that are waiting.
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).clear();
            while let Ok(lost) = self.waiting.lock().await.try_recv() {
                self.queued.fetch_sub(1, Ordering::SeqCst);
                drop(lost);
            }
        }
    }

    async fn start_and_wait(&self) -> std::io::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(&self.log)?;
        let mut process = Command::new(&self.bootstrap)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", &self.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.described.logical_id)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.described.memory.to_string())
            .env("_HANDLER", &self.described.handler)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let status = process.wait().await?;
        eprintln!("{} ended: {status}", self.described.handler);
        Ok(())
    }

    fn settle(&self, id: &str, answer: Option<Bytes>) -> StatusCode {
        match self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
            // The caller may have given up after its timeout.
            Some(waiting) => {
                let _ = waiting.send(answer);
                StatusCode::ACCEPTED
            }
            None => StatusCode::FORBIDDEN,
        }
    }
}

fn one_more(instances: usize) -> Option<usize> {
    (instances < MOST_INSTANCES).then_some(instances + 1)
}

/// A process that went away while it waited is not idle any more.
struct Idle<'a>(&'a AtomicUsize);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn next(State(function): State<Arc<Function>>) -> impl IntoResponse {
    function.idle.fetch_add(1, Ordering::SeqCst);
    let idle = Idle(&function.idle);
    let Some(invocation) = function.waiting.lock().await.recv().await else {
        return (StatusCode::GONE, HeaderMap::new(), String::new());
    };
    drop(idle);
    function.queued.fetch_sub(1, Ordering::SeqCst);
    let deadline = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .saturating_add(Duration::from_secs(function.described.timeout));
    let arn = format!("arn:aws:lambda:ap-south-1:000000000000:function:{}", function.described.logical_id);
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.id.clone()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000001;Sampled=0".to_owned()),
    ];
    let headers =
        headers.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
    let headers: HeaderMap = headers.collect();
    function.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(invocation.id, invocation.answer);
    (StatusCode::OK, headers, invocation.event)
}

async fn succeeded(
    State(function): State<Arc<Function>>,
    UrlPath(id): UrlPath<String>,
    answer: Bytes,
) -> StatusCode {
    function.settle(&id, Some(answer))
}

async fn failed(State(function): State<Arc<Function>>, UrlPath(id): UrlPath<String>) -> StatusCode {
    function.settle(&id, None)
}
