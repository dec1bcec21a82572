//! What a released version wrote, this version reads: a data folder of each is kept in `tests/end-to-end/formats`.
//!
//! Whoever releases a version keeps its folder, which is made by the version itself:
//!
//! ```text
//! KEEP_FORMAT=1 cargo test --workspace --all-features --test formats
//! ```
#![cfg(test)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use portcullis_harness::authenticator::Authenticator;
use portcullis_harness::endpoint::Endpoint;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::person::unix_now;
use portcullis_harness::process::{Running, Target, tool_with};
use portcullis_platform::{Environment, Variable};
use serde_json::{Value, json};

/// Set to `1`, the folder of this version is kept, unless there is one.
const KEEP_FORMAT: Variable = Variable {
    name: "KEEP_FORMAT",
    default: "0",
    about: "`1` keeps a data folder of this version in tests/end-to-end/formats",
    aliases: &[],
};
/// What was written is to be read for years.
/// By default a service gets sessions alone, of which there are none here.
const SERVICES: &str = r#"{"ticker": {"credentials": {"brokers": ["kite"], "kind": "long_lived"}}}"#;
const LASTING: [(&str, &str); 5] = [
    ("SERVICES", SERVICES),
    ("API_KEY_MAX_AGE", "0"),
    ("AUDIT_RETENTION_DAYS", "3650"),
    ("ARGON2_MEMORY_KIB", "64"),
    ("ARGON2_ITERATIONS", "1"),
];
const ASHA: &str = "asha@example.com";
const SECRET: &str = "kitesecretofasha";
/// What a test knows of a folder, beside it.
const FACTS: &str = "facts.json";

fn formats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("formats")
}

/// Copies a folder with the permissions that data has: Git keeps none.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, copy) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            self::copy(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
            fs::set_permissions(&copy, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Lives on a new folder as far as rows of every kind come of it, and returns what is to be found again.
async fn live(data: &Path) -> Value {
    let mut running = Running::start_target(Target::Local, data, &LASTING).unwrap();
    let app = Endpoint::at(&running.url);
    let asha = app.person(ASHA).await;
    let api_key = asha.post("/v1/api-keys", json!({"name": "bot", "scopes": ["profile:read"]}));
    let api_key = api_key.await.assert_status(201);
    let kite = json!({"broker": "kite", "user_id_broker": "AB1234", "api_key": "kitekeyofasha", "api_secret": SECRET});
    let linked = asha.post("/v1/trading-accounts", kite).await.assert_status(201);
    let setup = asha.post("/v1/mfa/totp/setup", Value::Null).await.assert_status(200);
    let uri = setup.text("otpauth_uri").to_owned();
    let code = json!({"code": Authenticator::scan(&uri).code_at(unix_now() - 30)});
    asha.post("/v1/mfa/totp/enable", code).await.assert_status(200);
    let (_, mallory) = (app.register("mallory@example.com").await, app.sign_in("mallory@example.com").await);
    let erase = mallory.delete("/v1/users/me").json(json!({"password": PASSWORD}));
    erase.await.assert_status(204);
    let facts = json!({
        "otpauth_uri": uri,
        "api_key": api_key.text("api_key"),
        "user_id": asha.user_id(),
        "account_id": linked.text("account_id"),
    });
    assert!(running.terminate().unwrap().success());
    facts
}

/// Finds in a folder everything that [`live`] left there.
async fn find_again(data: &Path, facts: &Value) {
    let fact = |name: &str| facts[name].as_str().unwrap();
    let running = Running::start_target(Target::Local, data, &LASTING).unwrap();
    let app = Endpoint::at(&running.url);
    let waiting = app.login(ASHA, PASSWORD).await.assert_status(200);
    assert_eq!(waiting["status"], "mfa_required");
    let code = Authenticator::scan(fact("otpauth_uri")).code_at(unix_now());
    let verify =
        json!({"session_token": waiting.text("session_token"), "code": code, "token_delivery": "body"});
    let session = app.post("/v1/auth/mfa/verify", verify).await.assert_status(200);
    let bearer = session.text("access_token").to_owned();
    let get = |path: &str| app.get(path.to_owned()).bearer(bearer.clone());
    assert_eq!(get("/v1/users/me").await.assert_status(200)["user_id"], facts["user_id"]);
    let with_key = app.get("/v1/users/me").header("x-api-key", fact("api_key"));
    with_key.await.assert_status(200);
    let accounts = get("/v1/trading-accounts").await.assert_status(200);
    assert_eq!(accounts.items()[0]["account_id"], facts["account_id"]);
    let tokens: Value =
        serde_json::from_slice(&fs::read(data.join("keys/service-tokens.json")).unwrap()).unwrap();
    let ticker = app.service(tokens["ticker"][0].as_str().unwrap());
    let read = ticker.read_credentials(fact("account_id")).await.assert_status(200);
    assert_eq!(read["api_secret"], SECRET, "{}", read.text);
    let trail = get("/v1/audit/integrity").await.assert_status(200);
    assert_eq!(trail["status"], "whole", "{}", trail.text);
    drop(running);
    let (status, said, complaint) = tool_with(data, &["audit", "verify"], "", &LASTING);
    assert_eq!(status, 0, "{said}{complaint}");
}

#[tokio::test]
async fn the_data_folder_of_every_released_version_is_read() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = formats().join(env!("CARGO_PKG_VERSION"));
    if Environment::of_process().text(&KEEP_FORMAT).as_deref() == Ok("1") && !kept.exists() {
        let made = scratch.path().join("made");
        let facts = live(&made).await;
        fs::remove_dir_all(made.join("outbox")).unwrap();
        fs::create_dir_all(formats()).unwrap();
        copy(&made, &kept);
        fs::write(kept.join(FACTS), format!("{facts:#}\n")).unwrap();
    }
    let mut read = Vec::new();
    for folder in fs::read_dir(formats()).unwrap() {
        let (folder, data) = (folder.unwrap().path(), scratch.path().join(format!("data{}", read.len())));
        copy(&folder, &data);
        let facts = serde_json::from_slice(&fs::read(data.join(FACTS)).unwrap()).unwrap();
        find_again(&data, &facts).await;
        read.push(folder.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert!(read.contains(&env!("CARGO_PKG_VERSION").to_owned()), "{read:?} has no folder of this version");
}
