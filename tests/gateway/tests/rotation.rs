//! Secrets are rotated while people are signed in, and nobody notices.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_harness::process::{Running, Target};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "copper lantern drifts upstream";
/// The hash is not what is tested here, and weeks are not waited for.
const SETTINGS: [(&str, &str); 3] =
    [("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1"), ("ROTATION_MIN_INTERVAL", "0")];

struct Deployment {
    gateway: Running,
    client: Client,
}

impl Deployment {
    /// Processes that have seen nothing yet, on the table and the secret of this folder.
    fn start(folder: &std::path::Path) -> Arc<Self> {
        let gateway = Running::start_target(Target::Functions, folder, &SETTINGS).unwrap();
        Arc::new(Self { gateway, client: Client::new() })
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let answer =
            self.client.post(format!("{}{path}", self.gateway.url)).json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    async fn login(&self) -> Value {
        let body = json!({"email": "asha@example.com", "password": PASSWORD, "token_delivery": "body"});
        let (status, session) = self.post("/v1/auth/login", body).await;
        assert_eq!(status, StatusCode::OK, "{session}");
        session
    }

    async fn accepts(&self, session: &Value) -> StatusCode {
        let token = session["access_token"].as_str().unwrap();
        let me = self.client.get(format!("{}/v1/users/me", self.gateway.url)).bearer_auth(token);
        me.send().await.unwrap().status()
    }

    async fn published(&self) -> Vec<String> {
        let path = "/v1/auth/.well-known/jwks.json";
        let keys = self.client.get(format!("{}{path}", self.gateway.url)).send().await.unwrap();
        let keys: Value = keys.json().await.unwrap();
        let kids = keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
        kids.collect()
    }

    /// What Secrets Manager does.
    async fn rotate(&self, secret: &str, number: u32) {
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            let token = format!("00000000-0000-4000-8000-{number:012}");
            let event = json!({"Step": step, "SecretId": secret, "ClientRequestToken": token});
            // Twice, as after an answer that was lost.
            for _ in 0..2 {
                let (status, body) = self.post("/_test/invoke/KeyRotationFunction", event.clone()).await;
                assert_eq!(status, StatusCode::OK, "{step}: {body}");
            }
        }
    }
}

fn kid(session: &Value) -> String {
    jsonwebtoken::decode_header(session["access_token"].as_str().unwrap()).unwrap().kid.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_refused_while_the_secrets_are_rotated_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    let name: String = folder.path().to_string_lossy().chars().map(plain).collect();
    let secret = format!("portcullis{name}");

    let old = Deployment::start(folder.path());
    let person = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    assert_eq!(old.post("/v1/auth/register", person).await.0, StatusCode::CREATED);
    let before = old.login().await;
    let first_keys = old.published().await;
    assert_eq!(first_keys.len(), 2, "the next key is published before it signs");

    // Processes that know the old secrets go on working the whole time.
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = (0..2)
        .map(|_| {
            let (old, stop, served) = (Arc::clone(&old), Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                let mut session = old.login().await;
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(old.accepts(&session).await, StatusCode::OK);
                    let body = json!({"refresh_token": session["refresh_token"]});
                    let (status, next) = old.post("/v1/auth/refresh", body).await;
                    assert_eq!(status, StatusCode::OK, "{next}");
                    session = next;
                    served.fetch_add(2, Ordering::SeqCst);
                }
                session
            })
        })
        .collect();

    old.rotate(&secret, 1).await;
    // Processes that start now know the new ones, while the old ones still run.
    let new = Deployment::start(folder.path());
    let after = new.login().await;
    assert_eq!(kid(&before), first_keys[0]);
    assert_eq!(kid(&after), first_keys[1], "the key that was published signs now");
    let published = new.published().await;
    assert!(published.len() == 3 && first_keys.iter().all(|kid| published.contains(kid)), "{published:?}");
    for deployment in [&old, &new] {
        for session in [&before, &after] {
            assert_eq!(deployment.accepts(session).await, StatusCode::OK);
        }
    }
    // A refresh token of either is taken by the other.
    let crossed = [(&new, &before), (&old, &after)];
    for (deployment, session) in crossed {
        let body = json!({"refresh_token": session["refresh_token"]});
        let (status, body) = deployment.post("/v1/auth/refresh", body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    stop.store(true, Ordering::SeqCst);
    for worker in load {
        let session = worker.await.expect("nothing was refused");
        assert_eq!(new.accepts(&session).await, StatusCode::OK);
    }
    let served = served.load(Ordering::SeqCst);
    println!("{served} requests during the rotation, 0 refused");
    assert!(served > 10, "there was load");
}
