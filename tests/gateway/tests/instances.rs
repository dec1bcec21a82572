//! Two servers on one table: what one of them told a client holds at the other, also when it is killed in the midst of it.
#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis_harness::endpoint::Endpoint;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::{Running, Target, command, tool_with};
use portcullis_harness::reply::Reply;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const SEED: u64 = 20_261_130;
const KILLS: usize = 50;
const PEOPLE: usize = 6;
/// How often a client asks again: the instances take turns, and one of them is being started at most.
const TRIES: usize = 40;

/// A table of its own, and a folder with its keys.
struct Table {
    folder: TempDir,
    name: String,
}

impl Table {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
        let name = folder.path().to_string_lossy().chars().map(plain).collect();
        Self { folder, name }
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let table = [("STORE", "dynamodb"), ("TABLE_NAME", self.name.as_str()), ("CREATE_TABLE", "true")];
        // Neither the hash nor the limits are what is tested here. A lost response is forgiven for as long as it takes to ask
        // the other instance, and then the token is replaced.
        let cheap = [("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1"), ("RATE_LIMIT", "off")];
        table.into_iter().chain(cheap).chain([("REFRESH_REUSE_GRACE", "3")]).collect()
    }

    fn start(&self) -> Running {
        self.start_on(self.folder.path())
    }

    fn start_on(&self, folder: &Path) -> Running {
        Running::start_target(Target::Local, folder, &self.variables()).unwrap()
    }
}

/// The instances as their clients know them, and which of them is asked next.
#[derive(Clone)]
struct Instances {
    at: Arc<[Endpoint; 2]>,
    turn: Arc<AtomicUsize>,
}

impl Instances {
    fn of(running: &[Running; 2]) -> Self {
        let at = Arc::new([Endpoint::at(&running[0].url), Endpoint::at(&running[1].url)]);
        Self { at, turn: Arc::new(AtomicUsize::new(0)) }
    }

    /// Sends a request to one instance after the other until one answers, as a client behind a balancer does.
    async fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &serde_json::Value,
    ) -> Reply {
        for _ in 0..TRIES {
            let next = self.turn.fetch_add(1, Ordering::Relaxed) % 2;
            let mut call = self.at[next].call(method.clone(), path).json(body.clone());
            for (name, value) in headers {
                call = call.header(name, *value);
            }
            match call.send().await {
                Ok(reply) if reply.status != 503 => return reply,
                // Killed under the request, not started yet, or asked to come back.
                Ok(_) | Err(_) => tokio::task::yield_now().await,
            }
        }
        panic!("{path}: neither instance answers");
    }
}

/// Registers, signs in, and refreshes until told to stop; returns the address and how many refreshes were acknowledged.
async fn live(
    all: Instances,
    number: usize,
    done: Arc<AtomicBool>,
    told: UnboundedSender<()>,
) -> (String, usize) {
    let email = format!("p{number}@example.com");
    let person = json!({"email": email, "password": PASSWORD, "name": "Asha"});
    let key = format!("form-{number}");
    // The key makes it one registration, however often it is sent.
    let registered =
        all.send(&Method::POST, "/v1/auth/register", &[("idempotency-key", &key)], &person).await;
    registered.assert_status(201);
    let login = json!({"email": email, "password": PASSWORD, "token_delivery": "body"});
    let session = all.send(&Method::POST, "/v1/auth/login", &[], &login).await.assert_status(200);
    let mut token = session.text("refresh_token").to_owned();
    let mut rounds = 0;
    while !done.load(Ordering::SeqCst) {
        let answer = all.send(&Method::POST, "/v1/auth/refresh", &[], &json!({"refresh_token": token})).await;
        let answer = answer.assert_status(200);
        token = answer.text("refresh_token").to_owned();
        let bearer = format!("Bearer {}", answer.text("access_token"));
        let none = serde_json::Value::Null;
        let me = all.send(&Method::GET, "/v1/users/me", &[("authorization", &bearer)], &none).await;
        assert_eq!(me.assert_status(200)["email"], json!(email));
        rounds += 1;
        let _ = told.send(());
    }
    (email, rounds)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_out_and_nothing_is_lost_when_instances_are_killed_fifty_times() {
    println!("seed {SEED}");
    let mut random = StdRng::seed_from_u64(SEED);
    let table = Table::new();
    let mut running = [table.start(), table.start()];
    let all = Instances::of(&running);
    let done = Arc::new(AtomicBool::new(false));
    let (told, mut acknowledged) = unbounded_channel();
    let people: Vec<_> = (0..PEOPLE)
        .map(|number| tokio::spawn(live(all.clone(), number, Arc::clone(&done), told.clone())))
        .collect();
    drop(told);
    let mut killed = BTreeMap::<usize, usize>::new();
    for _ in 0..KILLS {
        // After so many rounds, that is, while the others are in the midst of theirs.
        for _ in 0..random.random_range(1..25) {
            acknowledged.recv().await.expect("somebody gave up");
        }
        let victim = random.random_range(0..2);
        running[victim].kill().unwrap();
        running[victim] = tokio::task::block_in_place(|| table.start());
        all.at[victim].move_to(&running[victim].url);
        *killed.entry(victim).or_default() += 1;
    }
    done.store(true, Ordering::SeqCst);
    let mut rounds = 0;
    for person in people {
        let (email, lived) = person.await.unwrap();
        rounds += lived;
        for instance in &*all.at {
            instance.login(&email, PASSWORD).await.assert_status(200);
        }
    }
    println!("{killed:?} kills, {rounds} rounds acknowledged, nobody was signed out");
    assert!(rounds > KILLS && killed.len() == 2, "there was load, and both were killed");
}

#[tokio::test]
async fn an_instance_with_other_keys_does_not_start_and_makes_none() {
    let table = Table::new();
    let first = table.start();
    let elsewhere = tempfile::tempdir().unwrap();
    // Nothing is there yet: keys would be made that are none of the table's.
    let data = elsewhere.path().join("data");
    let refused = command(Target::Local, &data, &table.variables()).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), text.lines().count()), (Some(2), 1), "{text}");
    assert!(text.contains("DATA_DIR") && !data.exists(), "{text}");
    // Keys of another deployment are there.
    let others = command(Target::Local, &data, &[]).arg("make-keys").arg(&data).output().unwrap();
    assert!(others.status.success());
    let given = data.to_str().unwrap();
    let mut variables = table.variables();
    variables.push(("KEYS_DIR", given));
    let refused = command(Target::Local, &data, &variables).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("other keys"), "{text}");
    // The keys of the first are what it takes, and they may be read only.
    let keys = table.folder.path().join("keys");
    let mut variables = table.variables();
    variables.push(("KEYS_DIR", keys.to_str().unwrap()));
    let second = Running::start_target(Target::Local, &elsewhere.path().join("more"), &variables).unwrap();
    let (one, other) = (Endpoint::at(&first.url), Endpoint::at(&second.url));
    let asha = one.person("asha@example.com").await;
    other.get("/v1/users/me").bearer(asha.access_token()).await.assert_status(200);
}

#[tokio::test]
async fn the_tool_works_on_the_table_that_the_servers_share() {
    let table = Table::new();
    let server = table.start();
    let variables = table.variables();
    let arguments = ["create-user", "asha", "--role", "user"];
    let (status, said, complaint) = tool_with(table.folder.path(), &arguments, PASSWORD, &variables);
    assert_eq!(status, 0, "{said}{complaint}");
    Endpoint::at(&server.url).login("asha", PASSWORD).await.assert_status(200);
}
