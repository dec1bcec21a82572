//! What a client was told succeeded survives `kill -9`.
#![cfg(test)]

use portcullis_harness::process::Running;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const SEED: u64 = 20_261_121;
const KILLS: usize = 50;
const PASSWORD: &str = "copper lantern drifts upstream";
/// The hash is not what is tested here.
const CHEAP: [(&str, &str); 2] = [("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1")];

/// One person who registers, signs in and refreshes until the service is gone. Holds only what was acknowledged.
#[derive(Debug, Default)]
struct Person {
    email: String,
    registered: bool,
    refresh_token: Option<Value>,
    rotations: u64,
}

async fn live(
    client: &Client,
    url: &str,
    person: &mut Person,
    acknowledged: &UnboundedSender<()>,
) -> reqwest::Result<()> {
    let post = |path: &str, body: Value| client.post(format!("{url}{path}")).json(&body).send();
    let body = json!({"email": person.email, "password": PASSWORD, "name": "Somebody"});
    if post("/v1/auth/register", body).await?.status() != StatusCode::CREATED {
        return Ok(());
    }
    person.registered = true;
    let _ = acknowledged.send(());
    let body = json!({"email": person.email, "password": PASSWORD, "token_delivery": "body"});
    let session: Value = post("/v1/auth/login", body).await?.json().await?;
    person.refresh_token = Some(session["refresh_token"].clone()).filter(Value::is_string);
    while let Some(token) = &person.refresh_token {
        let next: Value = post("/v1/auth/refresh", json!({"refresh_token": token})).await?.json().await?;
        if !next["refresh_token"].is_string() {
            break;
        }
        person.refresh_token = Some(next["refresh_token"].clone());
        person.rotations += 1;
        let _ = acknowledged.send(());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_is_found_after_fifty_kills() {
    println!("seed {SEED}");
    let mut random = StdRng::seed_from_u64(SEED);
    let folder = tempfile::tempdir().unwrap();
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let (mut registered, mut rotations) = (0, 0);
    let mut service = Running::start(folder.path(), &CHEAP).unwrap();
    for kill in 0..KILLS {
        let (acknowledged, mut acknowledgements) = unbounded_channel();
        let people: Vec<_> = (0..4)
            .map(|number| {
                let (client, url, acknowledged) = (client.clone(), service.url.clone(), acknowledged.clone());
                let mut person =
                    Person { email: format!("p{kill}x{number}@example.com"), ..Person::default() };
                tokio::spawn(async move {
                    // It ends with an error: the service is killed under it.
                    let _ = live(&client, &url, &mut person, &acknowledged).await;
                    person
                })
            })
            .collect();
        drop(acknowledged);
        // After so many writes, that is, while the other three are in the middle of theirs.
        for _ in 0..random.random_range(1..40) {
            acknowledgements.recv().await;
        }
        service.kill().unwrap();
        service = Running::start(folder.path(), &CHEAP).unwrap();
        for person in people {
            let person = person.await.unwrap();
            let post =
                |path: &str, body: Value| client.post(format!("{}{path}", service.url)).json(&body).send();
            if person.registered {
                registered += 1;
                let body = json!({"email": person.email, "password": PASSWORD});
                assert_eq!(
                    post("/v1/auth/login", body).await.unwrap().status(),
                    StatusCode::OK,
                    "kill {kill}"
                );
            }
            if let Some(token) = person.refresh_token {
                rotations += person.rotations;
                let answer = post("/v1/auth/refresh", json!({"refresh_token": token})).await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK, "kill {kill}: an acknowledged token is lost");
            }
        }
    }
    println!("{KILLS} kills, {registered} registrations and {rotations} rotations acknowledged, none lost");
    assert!(registered + rotations > 500, "there was load");
}
