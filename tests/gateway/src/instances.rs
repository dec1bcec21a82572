//! `portcullis-instances`: two servers on one table behind a balancer, of which one is killed every now and then.
//!
//! It is configured as `portcullis` is and has the same output. A server is killed between two requests, so that whoever asks
//! notices nothing: what a server remembers and the other does not would be missing afterwards. `tests/instances.rs` kills in
//! the midst of requests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use portcullis_platform::{Environment, Variable};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, RwLock};

const DATA_DIR: Variable = Variable {
    name: "DATA_DIR",
    default: "./data",
    about: "folder with the keys and the mail, whose name the table gets",
    aliases: &[],
};
const KILLS_FILE: Variable = Variable {
    name: "KILLS_FILE",
    default: "",
    about: "file that gets a line for each server that was killed",
    aliases: &[],
};
const INSTANCES: usize = 2;
const LARGEST_BODY: usize = 1024 * 1024;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A server and where it listens.
struct Instance {
    child: Child,
    url: String,
}

struct Balancer {
    /// A request holds its instance to be read, and who kills it holds it to be written.
    instances: Vec<RwLock<Instance>>,
    next: AtomicUsize,
    /// One dies at a time: the other serves meanwhile.
    dying: Mutex<()>,
    random: std::sync::Mutex<StdRng>,
    client: Client,
    program: PathBuf,
    table: String,
    kills: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-instances: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failed> {
    let environment = Environment::of_process();
    let folder = std::path::absolute(PathBuf::from(environment.text(&DATA_DIR)?))?;
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    let table = format!("portcullis{}", folder.to_string_lossy().chars().map(plain).collect::<String>());
    let program = std::env::current_exe()?.with_file_name("portcullis");
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(RwLock::new(start(&program, &table).await?));
    }
    let kills = Some(environment.text(&KILLS_FILE)?).filter(|file| !file.is_empty()).map(PathBuf::from);
    let client = Client::builder().redirect(Policy::none()).no_proxy().build()?;
    let (next, dying) = (AtomicUsize::new(0), Mutex::new(()));
    let random = std::sync::Mutex::new(StdRng::seed_from_u64(u64::from(std::process::id())));
    let balancer = Arc::new(Balancer { instances, next, dying, random, client, program, table, kills });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (mut terminate, address) = (signal(SignalKind::terminate())?, listener.local_addr()?);
    println!("Portcullis listens on http://{address}");
    let service = Router::new().fallback(forward).with_state(Arc::clone(&balancer));
    let stop = async move {
        terminate.recv().await;
    };
    axum::serve(listener, service).with_graceful_shutdown(stop).await?;
    for instance in &balancer.instances {
        instance.write().await.child.kill().await?;
    }
    Ok(())
}

/// Starts a server and waits until it listens.
async fn start(program: &Path, table: &str) -> Result<Instance, Failed> {
    // A balancer that is killed takes its servers along.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program)
        .envs([("STORE", "dynamodb"), ("TABLE_NAME", table), ("CREATE_TABLE", "true")])
        .env("LISTEN_ADDR", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix("Portcullis listens on ") {
            let url = url.to_owned();
            // Keeps reading, or the server would stop at a full pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Instance { child, url });
        }
    }
    Err(format!("a server did not start: {}", child.wait().await?).into())
}

async fn forward(State(balancer): State<Arc<Balancer>>, request: Request) -> Response<Body> {
    let answer = balancer.forward(request).await.unwrap_or_else(|error| {
        eprintln!("portcullis-instances: {error}");
        Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap_or_default()
    });
    tokio::spawn(Arc::clone(&balancer).kill_one());
    answer
}

impl Balancer {
    /// Sends a request to one instance after the other, and past one that is dead.
    async fn forward(&self, request: Request) -> Result<Response<Body>, Failed> {
        let (parts, body) = request.into_parts();
        let body: Bytes = axum::body::to_bytes(body, LARGEST_BODY).await?;
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = |number: usize| self.instances.get((first + number) % INSTANCES);
        let alive = (0..INSTANCES).filter_map(turn).find_map(|instance| instance.try_read().ok());
        let instance = match (alive, turn(0)) {
            (Some(instance), _) => instance,
            (None, Some(instance)) => instance.read().await,
            (None, None) => return Err("no instance".into()),
        };
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut headers = parts.headers;
        headers.remove("host");
        let sent = self.client.request(parts.method, format!("{}{target}", instance.url));
        let answer = sent.headers(headers).body(body).send().await?;
        let (status, mut headers): (_, HeaderMap) = (answer.status(), answer.headers().clone());
        headers.remove("transfer-encoding");
        let mut response = Response::new(Body::from(answer.bytes().await?));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Returns a number below this one.
    fn draw(&self, below: u32) -> u32 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..below)
    }

    /// Kills an instance that answers nobody at the moment, and starts it again; nothing while another one is being started.
    async fn kill_one(self: Arc<Self>) {
        let Ok(_alone) = self.dying.try_lock() else { return };
        let chosen = usize::try_from(self.draw(2)).unwrap_or_default();
        let Some(instance) = self.instances.get(chosen) else { return };
        let mut instance = instance.write().await;
        let restarted = async {
            instance.child.kill().await?;
            start(&self.program, &self.table).await
        };
        match restarted.await {
            Ok(again) => *instance = again,
            Err(error) => eprintln!("portcullis-instances: {error}"),
        }
        if let Some(file) = &self.kills
            && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(file)
        {
            // In one write each, of many processes.
            let _ = file.write_all(b"killed\n");
        }
    }
}
