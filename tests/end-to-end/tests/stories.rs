//! The service as its clients see it, through the running binary.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use portcullis_harness::app::{ALICE, App, MALLORY};
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::{Running, Target, command, manage_users, tool};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn everything_is_still_there_after_a_restart() {
    let mut app = App::start();
    let mut alice = app.person(ALICE).await;
    assert!(app.terminate().success(), "SIGTERM is a clean end");
    app.start_again(&[]);

    let me = alice.me().await;
    let user = &alice.session["user"];
    assert_eq!((&me["user_id"], &me["last_login_at"]), (&user["user_id"], &user["last_login_at"]));
    alice.refresh().await.assert_status(200);
}

#[test]
fn a_request_in_flight_is_finished_before_the_service_ends() {
    // Functions are stopped by their platform, between requests.
    let folder = tempfile::tempdir().unwrap();
    let mut service = Running::start_target(Target::Local, folder.path(), &[]).unwrap();
    let body = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"}).to_string();
    let (head, tail) = body.split_at(20);
    let mut socket = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        socket,
        "POST /v1/auth/register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut answer = BufReader::new(socket.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n", "the handler is waiting for the body");
    socket.write_all(head.as_bytes()).unwrap();

    service.ask_to_stop().unwrap();
    assert!(service.says("Finishing"));
    socket.write_all(tail.as_bytes()).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 201 Created"), "{rest}");
    assert!(service.terminate().unwrap().success());
}

#[tokio::test]
async fn another_implementation_verifies_the_token_against_the_published_keys() {
    let app = App::start();
    let alice = app.person(ALICE).await;
    let keys = app.get("/v1/auth/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys.body).unwrap();
    let kid = jsonwebtoken::decode_header(alice.access_token()).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut expected = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    expected.set_audience(&["trading_platform"]);
    expected.set_issuer(&["user_service"]);
    let claims = jsonwebtoken::decode::<Value>(alice.access_token(), &key, &expected).unwrap().claims;
    assert_eq!(claims["sub"], alice.user_id());
    assert_eq!((&claims["token_type"], &claims["amr"]), (&json!("access"), &json!(["pwd"])));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);
}

#[tokio::test]
async fn unknown_address_and_wrong_password_are_answered_with_the_same_bytes() {
    let app = App::start();
    app.register(ALICE).await.assert_status(201);
    let mut bodies = Vec::new();
    for (email, password) in
        [(ALICE, "wrong"), ("nobody@example.com", "wrong"), (ALICE, ""), ("nobody@example.com", "")]
    {
        let credentials = json!({"email": email, "password": password});
        let mut refused =
            app.post("/v1/auth/login", credentials).await.assert_problem(401, "invalid_credentials");
        refused.body.as_object_mut().unwrap().remove("request_id");
        bodies.push(refused.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_browser_carries_the_token_in_a_cookie_and_only_from_an_allowed_page() {
    let app = App::start();
    app.register(ALICE).await.assert_status(201);
    let login = app.post("/v1/auth/login", json!({"email": ALICE, "password": PASSWORD})).await;
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Max-Age"));
    assert!(login.body.get("refresh_token").is_none());
    let refresh =
        app.call(Method::POST, "/v1/auth/refresh").header("cookie", cookie.split(';').next().unwrap());
    refresh.clone().await.assert_problem(403, "origin_not_allowed");
    refresh.clone().header("origin", "https://evil.example").await.assert_problem(403, "origin_not_allowed");
    let refreshed = refresh.header("origin", "http://localhost:3000").await.assert_status(200);
    let cookie = refreshed.header("set-cookie").expect("the next token").to_owned();
    // The next token is young and stays. A cookie with it might arrive after one with its successor.
    let again =
        app.call(Method::POST, "/v1/auth/refresh").header("cookie", cookie.split(';').next().unwrap());
    let again = again.header("origin", "http://localhost:3000").await.assert_status(200);
    assert!(again.header("set-cookie").is_none() && again["access_token"].is_string());
}

#[tokio::test]
async fn a_refused_refresh_never_clears_the_cookie() {
    let app = App::start();
    let refresh = app.call(Method::POST, "/v1/auth/refresh").header("cookie", "refresh=rt_made.up");
    let refused = refresh.header("origin", "http://localhost:3000").await;
    assert!(refused.header("set-cookie").is_none());
    refused.assert_problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner_alone() {
    let (app, one, mallory) = App::with_two_accounts().await;
    let (two, three) = (app.sign_in(ALICE).await, app.sign_in(ALICE).await);
    let page = three.get("/v1/sessions?limit=2").await;
    assert_eq!(page.items().len(), 2);
    assert_eq!(page["items"][0]["current"], true);
    let rest = three.get(format!("/v1/sessions?limit=2&cursor={}", page.text("next_cursor"))).await;
    assert_eq!((rest.items().len(), &rest["next_cursor"]), (1, &Value::Null));

    let oldest = format!("/v1/sessions/{}", rest["items"][0]["session_id"].as_str().unwrap());
    mallory.delete(&oldest).await.assert_problem(404, "not_found");
    one.me().await.assert_status(200);
    three.delete(&oldest).await.assert_status(204);
    one.me().await.assert_problem(401, "invalid_token");

    three.delete("/v1/sessions").await.assert_status(204);
    two.me().await.assert_problem(401, "invalid_token");
    three.me().await.assert_status(200);
    mallory.me().await.assert_status(200);
}

#[tokio::test]
async fn an_account_is_changed_and_erased_and_its_address_is_free_again() {
    let app = App::start();
    let alice = app.person(ALICE).await;
    let changed = alice.patch("/v1/users/me", json!({"name": "Asha Rao", "phone": "+91 98765 43210"})).await;
    assert_eq!((&changed["name"], &changed["phone"]), (&json!("Asha Rao"), &json!("+91 98765 43210")));
    let changed = alice.patch("/v1/users/me", json!({"phone": null})).await;
    assert_eq!((&changed["name"], &changed["phone"]), (&json!("Asha Rao"), &Value::Null));

    let erase = |password: &str| alice.delete("/v1/users/me").json(json!({"password": password}));
    erase("wrong").await.assert_problem(403, "forbidden");
    erase(PASSWORD).await.assert_status(204);
    alice.me().await.assert_problem(401, "invalid_token");
    assert_ne!(app.register(ALICE).await.assert_status(201)["user_id"], alice.user_id());
}

#[tokio::test]
async fn a_repeated_registration_has_one_effect() {
    let app = App::start();
    let person = |name: &str| json!({"email": ALICE, "password": PASSWORD, "name": name});
    let register = |name| app.post("/v1/auth/register", person(name)).header("idempotency-key", "form-7");
    let first = register("Asha").await;
    let again = register("Asha").await.assert_status(201);
    assert_eq!(again.body, first.body);
    register("Mallory").await.assert_problem(422, "idempotency_key_reused");
    app.register(ALICE).await.assert_problem(409, "email_taken");
}

#[tokio::test]
async fn a_refusal_says_what_to_do_better() {
    let app = App::start();
    let register = |email: Value, password| {
        app.post("/v1/auth/register", json!({"email": email, "password": password, "name": "Asha"}))
    };
    let weak = register(json!(ALICE), "passwordpassword").await.assert_problem(422, "weak_password");
    assert_eq!(weak["errors"][0]["pointer"], "/password");
    let look_alike = register(json!("\u{212A}ate@example.com"), PASSWORD).await;
    assert_eq!(look_alike.assert_problem(422, "validation_failed")["errors"][0]["pointer"], "/email");
    register(json!([ALICE, MALLORY]), PASSWORD).await.assert_problem(422, "validation_failed");
    app.get("/v1/users/me").await.assert_problem(401, "authentication_required");
    app.get("/v1/nothing").await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn unusable_configuration_is_one_line_status_2_and_no_trace() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port_in_use = taken.local_addr().unwrap().to_string();
    for (name, value) in [
        ("ACCESS_TOKEN_TTL", "soon"),
        ("ROLE_DEFINITIONS", r#"{"admin":{},"user":{"inherits":["wizard"]}}"#),
        ("LISTEN_ADDR", &port_in_use),
        ("TOKEN_SIGNING_KEY", "not a key"),
        ("SESSION_SECRET_KEY", "short"),
        ("PORTFOLIO_API_KEY_SECRET", "short"),
        ("SERVICE_TOKENS", "edge"),
        ("SERVICE_TOKENS", r#"{"edge":"short"}"#),
        ("SERVICES", r#"{"edge":["everything"]}"#),
        ("EDGE_PROOF_KEY", "short"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("REQUIRE_EDGE", "perhaps"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let output = command(Target::Local, &data, &[(name, value)]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(text.contains(name), "{text}");
        assert!(!data.exists(), "{name} left a trace");
    }
}

/// Runs `infra/smoke` as operators do: whether it went well, and what it printed.
fn smoke(url: &str, data: &Path, arguments: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/smoke");
    let mut smoke = Command::new("python3");
    smoke.arg(script).args([url, "--address", "smoke-{}@example.com"]).args(arguments);
    // Where the command of operators finds the accounts.
    let done = smoke.env("DATA_DIR", data).env("USER", "tester").output().unwrap();
    let (out, err) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert!(matches!(done.status.code(), Some(0 | 1)) && err.is_empty(), "{out}{err}");
    (done.status.success(), out)
}

#[tokio::test]
async fn the_smoke_test_of_operators_goes_well_and_leaves_nobody() {
    let app = App::start();
    let (went_well, said) = smoke(&app.url(), app.folder(), &[]);
    assert!(went_well && said.ends_with("does what it should\n"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 15, "{said}");
    let (went_well, said) = smoke(&app.url(), app.folder(), &["--api-only"]);
    assert!(went_well, "{said}");
}

/// The accounts of a local service, one a line.
fn accounts(data: &Path) -> String {
    tool(data, &["list-users", "--columns", "email", "--no-headers"], "").1
}

#[test]
fn where_addresses_are_confirmed_the_smoke_test_asks_for_the_operators_tool() {
    let app = App::on(Target::Local, &[("EMAIL_VERIFICATION", "required")]);
    let tool = manage_users();
    let (went_well, said) = smoke(&app.url(), app.folder(), &["--manage-users", tool.to_str().unwrap()]);
    assert!(went_well && said.contains("confirmed by manage-users"), "{said}");
    assert_eq!(accounts(app.folder()), "");
    let (went_well, said) = smoke(&app.url(), app.folder(), &[]);
    assert!(!went_well && said.contains("FAILED somebody registers"), "{said}");
    assert!(said.contains("say --manage-users") && said.contains("LEFT BEHIND: smoke-"), "{said}");
}

#[test]
fn a_smoke_test_that_fails_says_at_what_and_erases_what_it_made() {
    // Nobody may give a key the right that the story gives it.
    let policy = ("ROLE_DEFINITIONS", r#"{"user": {}, "admin": {"permissions": ["*:*"]}}"#);
    let app = App::on(Target::Local, &[policy]);
    let (went_well, said) = smoke(&app.url(), app.folder(), &[]);
    assert!(!went_well && said.contains("FAILED a program uses an API key"), "{said}");
    assert!(said.contains("ok     the account is erased"), "{said}");
    assert!(said.ends_with("does NOT do what it should\n") && !said.contains("LEFT BEHIND"), "{said}");
    assert_eq!(accounts(app.folder()), "");
    let (went_well, said) = smoke("http://127.0.0.1:1", app.folder(), &[]);
    assert!(!went_well && said.contains("no answer") && said.contains("look at: "), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("FAILED")).count(), 1, "nothing was made: {said}");
}
