//! Secrets are rotated while people are signed in, and nobody notices.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_gateway::Cloud;
use portcullis_harness::app::{ALICE, App};
use portcullis_harness::endpoint::Endpoint;
use portcullis_harness::person::Person;
use portcullis_harness::process::{Target, tool_with};
use portcullis_platform::Environment;
use serde_json::{Value, json};

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

async fn cloud(app: &App) -> Cloud {
    Cloud::of_folder(app.folder(), &Environment::of_process()).await.unwrap()
}

fn kid(person: &Person) -> String {
    jsonwebtoken::decode_header(person.access_token()).unwrap().kid.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_refused_while_the_secrets_are_rotated_under_load() {
    let old = App::on(Target::Functions, &SETTINGS);
    let secret = cloud(&old).await.secret;
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

    rotate(&old, &secret, 1).await;
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

/// Processes that start now, and whether they accept this token of the edge.
async fn is_accepted(app: &App, token: &str) -> bool {
    let status = app.get("/v1/internal/revocations").header("x-service-token", token).await.status;
    assert!([200, 401].contains(&status), "{status}");
    status == 200
}

/// Whether the newest page of revocations lists a signing key: by the first characters of its id.
async fn is_listed(app: &App, token: &str, kid: &str) -> bool {
    let page = app.get("/v1/internal/revocations").header("x-service-token", token).await.assert_status(200);
    page.text.contains(&kid[..8])
}

fn list(tokens: &Value, service: &str) -> Vec<String> {
    let tokens = tokens[service].as_array().unwrap();
    tokens.iter().map(|token| token.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_keeps_its_token_until_it_has_used_another_and_one_that_leaked_is_withdrawn_by_hand() {
    let app = App::on(Target::Functions, &SETTINGS);
    let cloud = cloud(&app).await;
    let first = list(&cloud.service_tokens().await.unwrap(), "edge")[0].clone();
    assert!(is_accepted(&app, &first).await);
    let signed_first = published(&app).await[0].clone();
    for number in 1..=2 {
        assert!(!is_listed(&app, &first, &signed_first).await, "it is accepted");
        rotate(&app, &cloud.secret, number).await;
    }
    assert!(is_listed(&app, &first, &signed_first).await, "it is rotated out");
    let tokens = cloud.service_tokens().await.unwrap();
    let edge = list(&tokens, "edge");
    assert_eq!((edge.len(), &edge[1], list(&tokens, "ticker").len()), (2, &first, 1));
    let app = app.beside(&SETTINGS);
    assert!(is_accepted(&app, &first).await && is_accepted(&app, &edge[0]).await);

    let variables: Vec<(&str, &str)> =
        vec![("AWS_SECRET_NAME", &cloud.secret), ("KMS_KEY_ID", &cloud.key), ("MAIL_FROM", &cloud.sender)];
    let manage = |arguments: &[&str]| {
        let all = [&["service-tokens"], arguments, &["--json", "--table", &cloud.table]].concat();
        let (status, out, err) = tool_with(app.folder(), &all, "", &variables);
        assert_eq!(status, 0, "{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let listed = manage(&["list"]);
    let listed = listed["service_tokens"].as_array().unwrap();
    let of_edge: Vec<&Value> = listed.iter().filter(|token| token["service"] == "edge").collect();
    assert!(of_edge.len() == 2 && of_edge.iter().all(|token| token["presented_at"].is_string()));
    assert!(listed.iter().any(|token| token["presented_at"].is_null()), "{listed:?}");
    assert!(!Value::from(listed.clone()).to_string().contains("svc_"));

    let proof_key = ["proof-key", "portfolio", "--table", &cloud.table];
    let (status, key, err) = tool_with(app.folder(), &proof_key, "", &variables);
    assert!(status == 0 && key.starts_with("1:") && err.contains("read the table"), "{key}{err}");

    let next = published(&app).await[0].clone();
    let withdraw = ["withdraw-key", &next, "--yes", "--table", &cloud.table];
    assert_eq!(tool_with(app.folder(), &withdraw, "", &variables).0, 0);
    assert!(is_listed(&app, &first, &next).await);

    assert_eq!(manage(&["withdraw", "edge", "--yes"])["withdrawn"], 1);
    let app = app.beside(&SETTINGS);
    assert!(!is_accepted(&app, &first).await && is_accepted(&app, &edge[0]).await);
    let new = manage(&["withdraw", "edge", "--all", "--yes"])["token"].as_str().unwrap().to_owned();
    let app = app.beside(&SETTINGS);
    assert!(!is_accepted(&app, &edge[0]).await && is_accepted(&app, &new).await);
    app.person(ALICE).await.me().await.assert_status(200);
}
