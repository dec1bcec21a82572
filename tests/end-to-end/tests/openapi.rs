//! The OpenAPI document in the tree, `functions/openapi.json`, is the one the service serves.
//!
//! A change of a route, a status or a field is a change of that file, and is reviewed with the code. To write it again:
//!
//! ```text
//! UPDATE_OPENAPI=1 cargo test --workspace --all-features --test openapi
//! ```
#![cfg(test)]

use std::path::{Path, PathBuf};

use portcullis_local::{Metrics, ProcessSettings, Service};
use portcullis_platform::{Environment, Variable};
use portcullis_service::ServerSettings;
use serde_json::Value;
use similar::TextDiff;

/// Where the document says that the service is reached; a deployment serves its own address there.
const PUBLIC_URL: &str = "https://auth.example.com";

/// Set to `1`, it writes the file in place of comparing it.
const UPDATE_OPENAPI: Variable = Variable {
    name: "UPDATE_OPENAPI",
    default: "0",
    about: "`1` writes functions/openapi.json, `0` compares it",
    aliases: &[],
};

const UPDATE_COMMAND: &str = "UPDATE_OPENAPI=1 cargo test --workspace --all-features --test openapi";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/openapi.json")
}

/// Returns the document as the local service serves it, one value a line.
async fn served() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let data_dir = data_dir.to_str().expect("a path in UTF-8");
    let variables = [("PUBLIC_URL", PUBLIC_URL), ("DATA_DIR", data_dir), ("LISTEN_ADDR", "127.0.0.1:0")];
    let environment: Environment = variables.into_iter().collect();
    let process = ProcessSettings::read(&environment).expect("settings");
    let settings = ServerSettings::read(environment).expect("settings");
    let service = Service::start(settings, process, Metrics::new()).await.expect("the service starts");
    let url = format!("http://{}/openapi.json", service.address);
    tokio::spawn(service.serve(std::future::pending(), std::future::pending()));
    let response = reqwest::get(url).await.expect("a response");
    let document: Value = response.json().await.expect("JSON");
    format!("{document:#}\n")
}

#[tokio::test]
async fn the_document_in_the_tree_is_the_one_that_is_served() {
    let served = served().await;
    if Environment::of_process().text(&UPDATE_OPENAPI).as_deref() == Ok("1") {
        std::fs::write(file(), served).expect("functions/openapi.json can be written");
        return;
    }
    let kept = std::fs::read_to_string(file()).expect("functions/openapi.json can be read");
    let difference = TextDiff::from_lines(&kept, &served);
    let difference = difference.unified_diff().header("functions/openapi.json", "served").to_string();
    assert!(
        difference.is_empty(),
        "functions/openapi.json is not what the service serves:\n{difference}\nif the change is meant, run\n\n    {UPDATE_COMMAND}\n"
    );
}
