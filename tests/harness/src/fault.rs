//! A connector that fails now and then, on either side of the store: before it saw a request, or after it committed.
//!
//! On a runtime of one thread whose time is paused, everything it does follows from its seed, and a hang costs nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, watch};

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    ThrottledBefore,
    FailedBefore,
    HungBefore,
    FailedAfter,
    LostAfter,
    HungAfter,
    /// Carried out when its client has long sent it again.
    Late,
}

/// How late a request is carried out whose client has given up on it: after the time limit of one attempt.
const LATE: Duration = Duration::from_millis(900);

/// The engine behind a connector that injects faults into a share of its requests, drawn from a seed.
#[derive(Debug, Clone)]
pub struct Faulty(Arc<Inner>);

/// The operation of a request, and its body.
pub type Heard = (String, Vec<u8>);

#[derive(Debug)]
struct Inner {
    engine: SharedHttpConnector,
    random: Mutex<StdRng>,
    per_mille: AtomicU64,
    /// From which request on none reaches the engine.
    down_from: AtomicU64,
    requests: AtomicU64,
    injected: AtomicU64,
    holding: Mutex<Option<Holding>>,
    /// What was sent since somebody listens.
    heard: Mutex<Option<Vec<Heard>>>,
    following: Mutex<Option<Following>>,
}

/// What is noted of requests as the engine carries them out.
#[derive(Debug)]
struct Following {
    name: fn(&str) -> Option<String>,
    steps: Vec<Step>,
}

/// That the engine began to carry out the request of this name, or has done it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is handed to the engine now.
    Began(String),
    /// The engine has answered.
    Done(String),
}

/// Which requests are held up, and until when.
#[derive(Debug)]
struct Holding {
    is_held: fn(&str) -> bool,
    reached: Arc<Notify>,
    released: watch::Receiver<bool>,
}

/// Requests that are held up in front of the engine: what happens meanwhile happens between what their sender read and
/// what they write.
#[derive(Debug)]
pub struct Held {
    faults: Faulty,
    reached: Arc<Notify>,
    release: watch::Sender<bool>,
}

impl Held {
    /// Waits until there is one.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets them go, and holds up no more.
    pub fn release(self) {
        *self.faults.0.holding.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.release.send_replace(true);
    }
}

impl Faulty {
    /// No faults until [`Faulty::set_per_mille`] says otherwise.
    pub fn new(engine: impl HttpConnector + 'static, seed: u64) -> Self {
        Self(Arc::new(Inner {
            engine: SharedHttpConnector::new(engine),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            per_mille: AtomicU64::new(0),
            down_from: AtomicU64::new(u64::MAX),
            requests: AtomicU64::new(0),
            injected: AtomicU64::new(0),
            holding: Mutex::new(None),
            heard: Mutex::new(None),
            following: Mutex::new(None),
        }))
    }

    /// The share of requests that meet a fault, in thousandths.
    pub fn set_per_mille(&self, share: u64) {
        self.0.per_mille.store(share, Ordering::SeqCst);
    }

    /// Lets this many requests pass and refuses all after them before the engine sees them.
    pub fn go_down_after(&self, requests: u64) {
        self.0.down_from.store(self.requests() + requests, Ordering::SeqCst);
    }

    /// Ends what [`Faulty::go_down_after`] began.
    pub fn come_back(&self) {
        self.0.down_from.store(u64::MAX, Ordering::SeqCst);
    }

    /// Holds up every request of which this is true, given the name of its operation and its body as one text.
    pub fn hold(&self, is_held: fn(&str) -> bool) -> Held {
        let (release, released) = watch::channel(false);
        let reached = Arc::new(Notify::new());
        let holding = Holding { is_held, reached: Arc::clone(&reached), released };
        *self.0.holding.lock().unwrap_or_else(PoisonError::into_inner) = Some(holding);
        Held { faults: self.clone(), reached, release }
    }

    /// Remembers every request from here on, until [`Faulty::heard`].
    pub fn listen(&self) {
        *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Returns the operations and bodies of the requests since [`Faulty::listen`], and listens no more.
    pub fn heard(&self) -> Vec<Heard> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// Notes in which order the engine carries out the requests that have a name, given the operation and the body as one text.
    pub fn follow(&self, name: fn(&str) -> Option<String>) {
        let following = Following { name, steps: Vec::new() };
        *self.0.following.lock().unwrap_or_else(PoisonError::into_inner) = Some(following);
    }

    /// Returns what was noted since [`Faulty::follow`], and notes no more.
    pub fn followed(&self) -> Vec<Step> {
        let following = self.0.following.lock().unwrap_or_else(PoisonError::into_inner).take();
        following.map(|following| following.steps).unwrap_or_default()
    }

    fn name_of(&self, request: &HttpRequest) -> Option<String> {
        let following = self.0.following.lock().unwrap_or_else(PoisonError::into_inner);
        let following = following.as_ref()?;
        let operation = request.headers().get("x-amz-target").unwrap_or_default();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        (following.name)(&format!("{operation} {body}"))
    }

    fn note(&self, step: Step) {
        if let Some(following) = &mut *self.0.following.lock().unwrap_or_else(PoisonError::into_inner) {
            following.steps.push(step);
        }
    }

    fn hear(&self, request: &HttpRequest) {
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heard) = heard.as_mut() else { return };
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        heard.push((operation, request.body().bytes().unwrap_or_default().to_vec()));
    }

    /// Returns what a request waits for, if it is held up.
    fn held(&self, request: &HttpRequest) -> Option<watch::Receiver<bool>> {
        let holding = self.0.holding.lock().unwrap_or_else(PoisonError::into_inner);
        let holding = holding.as_ref()?;
        let operation = request.headers().get("x-amz-target").unwrap_or_default();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        if !(holding.is_held)(&format!("{operation} {body}")) {
            return None;
        }
        holding.reached.notify_one();
        Some(holding.released.clone())
    }

    /// How many requests there were so far, those that met a fault included.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// How many faults there were so far.
    pub fn injected(&self) -> u64 {
        self.0.injected.load(Ordering::SeqCst)
    }

    /// For the store.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// How often other tasks get a turn before the engine sees a request.
    fn hops(&self) -> u32 {
        self.0.random.lock().unwrap_or_else(PoisonError::into_inner).random_range(1..4)
    }

    fn draw(&self) -> Option<Fault> {
        let number = self.0.requests.fetch_add(1, Ordering::SeqCst);
        if number >= self.0.down_from.load(Ordering::SeqCst) {
            return Some(Fault::FailedBefore);
        }
        let mut random = self.0.random.lock().unwrap_or_else(PoisonError::into_inner);
        if random.random_range(0..1_000) >= self.0.per_mille.load(Ordering::SeqCst) {
            return None;
        }
        self.0.injected.fetch_add(1, Ordering::SeqCst);
        Some(match random.random_range(0..7) {
            0 => Fault::ThrottledBefore,
            1 => Fault::FailedBefore,
            2 => Fault::HungBefore,
            3 => Fault::FailedAfter,
            4 => Fault::LostAfter,
            5 => Fault::HungAfter,
            _ => Fault::Late,
        })
    }
}

impl HttpClient for Faulty {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let fault = self.draw();
        self.hear(&request);
        let engine = self.0.engine.clone();
        let hops = self.hops();
        let held = self.held(&request);
        let (followed, faults) = (self.name_of(&request), self.clone());
        HttpConnectorFuture::new(async move {
            if let Some(mut released) = held {
                // An error says that nobody will let it go any more.
                let _ = released.wait_for(|released| *released).await;
            }
            // A network lies between: without it one task would read and write before another gets a turn, and no race
            // would ever be run.
            for _ in 0..hops {
                tokio::task::yield_now().await;
            }
            match fault {
                None => {
                    if let Some(name) = &followed {
                        faults.note(Step::Began(name.clone()));
                    }
                    let answer = engine.call(request).await;
                    if let Some(name) = followed {
                        faults.note(Step::Done(name));
                    }
                    answer
                }
                Some(Fault::ThrottledBefore) => Ok(error(400, "ProvisionedThroughputExceededException")),
                Some(Fault::FailedBefore) => Ok(error(500, "InternalServerError")),
                Some(Fault::HungBefore) => std::future::pending().await,
                Some(Fault::HungAfter) => {
                    engine.call(request).await?;
                    std::future::pending().await
                }
                Some(Fault::Late) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(LATE).await;
                        engine.call(request).await
                    });
                    std::future::pending().await
                }
                Some(Fault::FailedAfter) => {
                    engine.call(request).await?;
                    Ok(error(500, "InternalServerError"))
                }
                Some(Fault::LostAfter) => {
                    engine.call(request).await?;
                    Err(ConnectorError::io("the answer was lost".into()))
                }
            }
        })
    }
}

fn error(status: u16, code: &str) -> HttpResponse {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"injected"}}"#);
    let status = StatusCode::try_from(status).unwrap_or_else(|_| unreachable!("a status of ours"));
    HttpResponse::new(status, SdkBody::from(body))
}
