//! Whose request it is when something stands in front of the service: trusted proxies, or the edge alone.
#![cfg(test)]

use std::path::Path;

use portcullis_harness::app::App;
use portcullis_harness::call::Call;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::Target;
use reqwest::Method;
use serde_json::Value;

const ASHA: &str = "asha@example.com";
const HERS: &str = "203.0.113.7";
const WRONG: &str = "not this one, surely";
const CHEAP: (&str, &str) = ("ARGON2_MEMORY_KIB", "64");

/// A sign-in that a proxy hands on: what the client wrote itself, and the address the proxy was called from.
fn handed_on(app: &App, name: &str, typed: &str, address: &str) -> Call {
    app.login(name, typed).header("x-forwarded-for", format!("6.6.6.6, {address}"))
}

/// Registers Asha, signs her in from [`HERS`], and returns the address that her audit record has.
async fn address_in_the_trail(app: &App) -> String {
    app.register(ASHA).await.assert_status(201);
    let session = handed_on(app, ASHA, PASSWORD, HERS).await.assert_status(200);
    let trail = app.get("/v1/audit").bearer(session.text("access_token")).await.assert_status(200);
    let sign_in = trail.items().iter().find(|event| event["type"] == "login_succeeded").unwrap();
    sign_in["ip"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_hundred_wrong_guesses_behind_a_trusted_proxy_leave_another_client_untouched() {
    let app = App::on(Target::Local, &[CHEAP, ("TRUSTED_PROXIES", "127.0.0.0/8,::1")]);
    assert_eq!(address_in_the_trail(&app).await, HERS);
    // More than a hundred only where a quarter of an hour ends in between.
    let mut guesses = 0;
    while handed_on(&app, &format!("p{guesses}@example.com"), WRONG, "198.51.100.66").await.status == 401 {
        guesses += 1;
    }
    assert!((100..200).contains(&guesses), "{guesses}");
    let over = handed_on(&app, ASHA, PASSWORD, "198.51.100.66").await;
    over.assert_problem(429, "too_many_attempts");
    handed_on(&app, ASHA, PASSWORD, HERS).await.assert_status(200);
    app.login(ASHA, PASSWORD).await.assert_status(200);
}

#[tokio::test]
async fn nobody_is_believed_who_is_not_a_trusted_proxy() {
    let app = App::on(Target::Local, &[CHEAP, ("TRUSTED_PROXIES", "192.0.2.0/24")]);
    assert_eq!(address_in_the_trail(&app).await, "127.0.0.1");
}

/// Every route of the service, with its methods.
fn routes() -> Vec<(Method, String, bool)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let each = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| {
            let is_for_services = operation["security"].to_string().contains("service_token");
            (method.to_uppercase().parse().unwrap(), path.clone(), is_for_services)
        })
    });
    each.collect()
}

#[tokio::test]
async fn where_the_edge_is_required_only_it_and_services_reach_the_service_directly() {
    let app = App::on(Target::Local, &[CHEAP, ("REQUIRE_EDGE", "true")]);
    let published = ["/healthz", "/v1/auth/.well-known/jwks.json", "/.well-known/oauth-authorization-server"];
    let (mut refused, mut direct) = (0, 0);
    for (method, path, is_for_services) in routes() {
        let answer = app.call(method.clone(), path.replace(['{', '}'], "")).await;
        if is_for_services && path.starts_with("/v1/approvals") {
            // People have the route, too, and come through the edge.
            answer.assert_problem(403, "edge_required");
            let call = || {
                app.call(method.clone(), path.replace(['{', '}'], "")).header("x-service-token", "st_made-up")
            };
            call().await.assert_problem(401, "invalid_service_token");
            let asha = call().bearer("eyJ.made.up");
            asha.await.assert_problem(400, "bad_request");
            direct += 1;
        } else if is_for_services {
            answer.assert_problem(401, "authentication_required");
            direct += 1;
        } else if published.contains(&path.as_str()) {
            answer.assert_status(200);
            direct += 1;
        } else {
            answer.assert_problem(403, "edge_required");
            refused += 1;
        }
    }
    assert!(refused > 40 && direct == 13, "{refused} {direct}");
    for path in ["/docs/", "/openapi.json", "/nowhere"] {
        app.get(path).await.assert_problem(403, "edge_required");
    }
    let token = app.generated_service_tokens()["edge"][0].as_str().unwrap().to_owned();
    app.service(token).get("/v1/internal/revocations").await.assert_status(200);
    // What a client makes up is no proof, whatever it names.
    let forged = format!("v1;t={};{}", portcullis_harness::person::unix_now(), "0".repeat(64));
    let call = app.login(ASHA, PASSWORD).header("x-edge-proof", forged).header("x-client-address", HERS);
    call.await.assert_problem(403, "edge_required");
}
