//! Secrets are rotated while people are signed in, and nobody notices.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_harness::app::{ALICE, App};
use portcullis_harness::endpoint::Endpoint;
use portcullis_harness::person::Person;
use portcullis_harness::process::Target;
use serde_json::json;

/// The hash is not what is tested here, and weeks are not waited for.
const SETTINGS: [(&str, &str); 3] =
    [("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1"), ("ROTATION_MIN_INTERVAL", "0")];

async fn published(app: &Endpoint) -> Vec<String> {
    let keys = app.get("/v1/auth/.well-known/jwks.json").await;
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Whether these functions accept the access token of a session that others may have begun.
async fn accepts(app: &Endpoint, person: &Person) -> bool {
    app.get("/v1/users/me").bearer(person.access_token()).await.status == 200
}

/// What Secrets Manager does.
async fn rotate(app: &Endpoint, secret: &str, number: u32) {
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        let token = format!("00000000-0000-4000-8000-{number:012}");
        let event = json!({"Step": step, "SecretId": secret, "ClientRequestToken": token});
        // Twice, as after a response that was lost.
        for _ in 0..2 {
            app.post("/_test/invoke/KeyRotationFunction", event.clone()).await.assert_status(200);
        }
    }
}

fn kid(person: &Person) -> String {
    jsonwebtoken::decode_header(person.access_token()).unwrap().kid.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_refused_while_the_secrets_are_rotated_under_load() {
    let old = App::on(Target::Functions, &SETTINGS);
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    let name: String = old.folder().to_string_lossy().chars().map(plain).collect();
    let before = old.person(ALICE).await;
    let first_keys = published(&old).await;
    assert_eq!(first_keys.len(), 2, "the next key is published before it signs");

    // Processes that know the old secrets go on working the whole time.
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = (0..2)
        .map(|_| {
            let (old, stop, served) = (old.endpoint(), Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                let mut alice = old.sign_in(ALICE).await;
                while !stop.load(Ordering::SeqCst) {
                    alice.me().await.assert_status(200);
                    alice.refresh().await.assert_status(200);
                    served.fetch_add(2, Ordering::SeqCst);
                }
                alice
            })
        })
        .collect();

    rotate(&old, &format!("portcullis{name}"), 1).await;
    // Processes that start now know the new ones, while the old ones still run.
    let new = old.beside(&SETTINGS);
    let after = new.sign_in(ALICE).await;
    assert_eq!(kid(&before), first_keys[0]);
    assert_eq!(kid(&after), first_keys[1], "the key that was published signs now");
    let now_published = published(&new).await;
    let all_kept = first_keys.iter().all(|kid| now_published.contains(kid));
    assert!(now_published.len() == 3 && all_kept, "{now_published:?}");
    for app in [&old, &new] {
        for person in [&before, &after] {
            assert!(accepts(app, person).await);
        }
    }
    // A refresh token of either is taken by the other.
    for (app, person) in [(&new, &before), (&old, &after)] {
        app.refresh(person.refresh_token()).await.assert_status(200);
    }

    stop.store(true, Ordering::SeqCst);
    for worker in load {
        let alice = worker.await.expect("nothing was refused");
        assert!(accepts(&new, &alice).await);
    }
    let served = served.load(Ordering::SeqCst);
    println!("{served} requests during the rotation, 0 refused");
    assert!(served > 10, "there was load");
}
