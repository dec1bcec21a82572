//! What only a function in the cloud can get wrong: its start, its events, its log, and what it depends on being away.
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use portcullis_gateway::template::{self, Template};
use portcullis_gateway::wire::{State, Wire};
use portcullis_gateway::{Cloud, Function, notifications_to, token_in};
use portcullis_harness::process::{Running, Target};
use portcullis_platform::Environment;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::timeout;

const PASSWORD: &str = "copper lantern drifts upstream";

fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

fn endpoint(name: &str) -> String {
    Environment::of_process().raw(name).expect("tests/with-cloud runs this").to_owned()
}

/// A deployment of its own, and functions of it one by one.
struct World {
    folder: tempfile::TempDir,
    cloud: Cloud,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = Cloud::of_folder(folder.path(), &Environment::of_process()).await.unwrap();
        Self { folder, cloud }
    }

    async fn function(&self, handler: &str, more: &[(&str, String)]) -> Arc<Function> {
        let mut variables = self.cloud.variables().to_vec();
        variables.push(("ARGON2_MEMORY_KIB".to_owned(), "64".to_owned()));
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let all = Template::read(&template::path()).unwrap().functions();
        let described = all.into_iter().find(|function| function.handler == handler).unwrap();
        let log = self.folder.path().join("log");
        Function::new(described, &binaries(), variables, &log).await.unwrap()
    }

    async fn register(&self) {
        let body = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
        let function = self.function("register", &[]).await;
        let answer = post(&function, "/v1/auth/register", &body, &[]).await;
        assert_eq!(answer["statusCode"], 201, "{answer}");
    }
}

fn event(path: &str, body: &Value, headers: &[(&str, &str)]) -> Value {
    let mut all = json!({"content-type": "application/json"});
    for (name, value) in headers {
        all[*name] = (*value).into();
    }
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": all,
        "requestContext": {
            "stage": "$default", "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.7"},
        },
        "body": body.to_string(), "isBase64Encoded": false,
    })
}

async fn post(function: &Arc<Function>, path: &str, body: &Value, headers: &[(&str, &str)]) -> Value {
    let answer = function.invoke(&event(path, body, headers)).await.expect("the function answers");
    serde_json::from_slice(&answer).unwrap()
}

async fn login(function: &Arc<Function>) -> Value {
    let body = json!({"email": "asha@example.com", "password": PASSWORD, "token_delivery": "body"});
    post(function, "/v1/auth/login", &body, &[]).await
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn assert_unavailable(answer: &Value) {
    assert_eq!(answer["statusCode"], 503, "{answer}");
    assert_eq!(answer["headers"]["content-type"], "application/problem+json");
    assert!(answer["headers"]["retry-after"].is_string() && answer["headers"]["x-request-id"].is_string());
}

/// The last line of a function that ended, and that it did not end well.
fn last_line(variables: &[(&str, &str)]) -> Value {
    let output = Command::new(binaries().join("bootstrap"))
        .env("_HANDLER", "login")
        .envs(variables.iter().copied())
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().expect("a line")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_table_or_setting_stops_the_start_with_a_line_that_names_it() {
    let world = World::new().await;
    let (table, secret) = (world.cloud.table.as_str(), world.cloud.secret.as_str());
    let key = ("KMS_KEY_ID", world.cloud.key.as_str());
    let sender = ("MAIL_FROM", world.cloud.sender.as_str());
    for (variables, named) in [
        ([("TABLE_NAME", "no-such-table"), ("AWS_SECRET_NAME", secret), key, sender], "no-such-table"),
        ([("TABLE_NAME", table), ("AWS_SECRET_NAME", "no-such-secret"), key, sender], "no-such-secret"),
        ([("TABLE_NAME", table), ("AWS_SECRET_NAME", ""), key, sender], "AWS_SECRET_NAME"),
        ([("TABLE_NAME", ""), ("AWS_SECRET_NAME", secret), key, sender], "TABLE_NAME"),
        ([("TABLE_NAME", table), ("AWS_SECRET_NAME", secret), ("KMS_KEY_ID", ""), sender], "KMS_KEY_ID"),
        ([("TABLE_NAME", table), ("AWS_SECRET_NAME", secret), key, ("MAIL_FROM", "")], "MAIL_FROM"),
    ] {
        let line = last_line(&variables);
        assert_eq!(
            (&line["level"], &line["message"]),
            (&json!("ERROR"), &json!("the function cannot start"))
        );
        assert!(line["error"].as_str().unwrap().contains(named), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_are_away_at_the_start_are_503_until_they_are_back() {
    let world = World::new().await;
    world.register().await;
    for state in [State::Cut, State::Silent] {
        let wire = Wire::to(&endpoint("AWS_ENDPOINT_URL"), state).await.unwrap();
        let function = world.function("login", &[("AWS_ENDPOINT_URL", wire.url())]).await;
        assert_unavailable(&login(&function).await);
        wire.set(State::Whole);
        assert_eq!(login(&function).await["statusCode"], 200, "{state:?}");
        wire.set(state);
        assert_eq!(login(&function).await["statusCode"], 200, "the last good value is used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_away_is_503_inside_the_deadline_and_a_retry_finds_nothing_half_done() {
    let world = World::new().await;
    world.register().await;
    let wire = Wire::to(&endpoint("AWS_ENDPOINT_URL_DYNAMODB"), State::Whole).await.unwrap();
    let variables = [("AWS_ENDPOINT_URL_DYNAMODB", wire.url())];
    let (signs_in, refreshing) =
        tokio::join!(world.function("login", &variables), world.function("refresh", &variables));
    let session = body(&login(&signs_in).await);
    let token = json!({"refresh_token": session["refresh_token"]});
    for state in [State::Cut, State::Silent] {
        wire.set(state);
        let deadline = Duration::from_secs(5);
        let answer = timeout(deadline, login(&signs_in)).await.expect("within the deadline");
        assert_unavailable(&answer);
        let refused = post(&refreshing, "/v1/auth/refresh", &token, &[]);
        assert_unavailable(&timeout(deadline, refused).await.expect("within the deadline"));
        wire.set(State::Whole);
        assert_eq!(login(&signs_in).await["statusCode"], 200, "{state:?}");
    }
    let refreshed = post(&refreshing, "/v1/auth/refresh", &token, &[]).await;
    assert_eq!(refreshed["statusCode"], 200, "the token is still worth something");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_twice_has_one_effect() {
    let world = World::new().await;
    let register = world.function("register", &[]).await;
    let person = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    let key = [("idempotency-key", "form-7")];
    let first = post(&register, "/v1/auth/register", &person, &key).await;
    let again = post(&register, "/v1/auth/register", &person, &key).await;
    assert_eq!((&first["statusCode"], body(&first)), (&json!(201), body(&again)));

    let session = body(&login(&world.function("login", &[]).await).await);
    let refresh = world.function("refresh", &[]).await;
    let token = json!({"refresh_token": session["refresh_token"]});
    let first = body(&post(&refresh, "/v1/auth/refresh", &token, &[]).await);
    let again = body(&post(&refresh, "/v1/auth/refresh", &token, &[]).await);
    assert_eq!(first["refresh_token"], again["refresh_token"], "one branch");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_the_gateways_and_nothing_a_client_sends() {
    let world = World::new().await;
    world.register().await;
    let lies = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6"), ("host", "a b")];
    let credentials = json!({"email": "asha@example.com", "password": PASSWORD});
    let function = world.function("login", &[]).await;
    let answer = post(&function, "/v1/auth/login", &credentials, &lies).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let token = body(&answer)["access_token"].as_str().unwrap().to_owned();
    let sessions = world.function("sessions", &[]).await;
    let mut list = event("/v1/sessions", &json!({}), &[("authorization", &format!("Bearer {token}"))]);
    list["requestContext"]["http"]["method"] = "GET".into();
    let list: Value = serde_json::from_slice(&sessions.invoke(&list).await.unwrap()).unwrap();
    assert_eq!(body(&list)["items"][0]["ip"], "192.0.2.7");
}

/// One request as the other senders of events describe it: a REST API, a Function URL and a load balancer.
fn in_other_forms(path: &str, body: &Value) -> [(&'static str, Value); 3] {
    let headers =
        json!({"content-type": "application/json", "host": "a b", "x-forwarded-for": "6.6.6.6, 192.0.2.7"});
    let rest = json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": "POST", "headers": headers,
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "requestContext": {
            "stage": "prod", "httpMethod": "POST", "path": format!("/prod{path}"), "identity": {"sourceIp": "192.0.2.7"},
        },
        "body": body.to_string(), "isBase64Encoded": false,
    });
    let mut url = event(path, body, &[("host", "a b")]);
    url["requestContext"]["domainName"] = "x.lambda-url.ap-south-1.on.aws".into();
    let balancer = json!({
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:ap-south-1:1:targetgroup/x/1"}},
        "httpMethod": "POST", "path": path, "queryStringParameters": {}, "headers": headers,
        "body": body.to_string(), "isBase64Encoded": false,
    });
    [("REST API", rest), ("Function URL", url), ("load balancer", balancer)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_api_a_function_url_and_a_load_balancer_are_served_alike() {
    let world = World::new().await;
    world.register().await;
    let (login, sessions) = (world.function("login", &[]).await, world.function("sessions", &[]).await);
    let credentials = json!({"email": "asha@example.com", "password": PASSWORD});
    for (sender, event) in in_other_forms("/v1/auth/login", &credentials) {
        let answer: Value = serde_json::from_slice(&login.invoke(&event).await.unwrap()).unwrap();
        assert_eq!(answer["statusCode"], 200, "{sender}: {answer}");
        let cookie = json!([answer["cookies"], answer["multiValueHeaders"]["set-cookie"]]).to_string();
        assert!(cookie.contains("refresh=rt_"), "{sender}: {answer}");
        let token = body(&answer)["access_token"].as_str().unwrap().to_owned();
        for (_, mut list) in in_other_forms("/v1/sessions", &json!({})) {
            list["headers"]["authorization"] = format!("Bearer {token}").into();
            match list.get_mut("httpMethod") {
                Some(method) => *method = "GET".into(),
                None => list["requestContext"]["http"]["method"] = "GET".into(),
            }
            let list: Value = serde_json::from_slice(&sessions.invoke(&list).await.unwrap()).unwrap();
            assert_eq!(body(&list)["items"][0]["ip"], "192.0.2.7", "{sender}: {list}");
        }
    }
}

#[test]
fn a_handler_that_is_no_function_ends_the_start_with_one_line() {
    for handler in ["", "bootstrap", "Login", "login-function"] {
        let output = Command::new(binaries().join("bootstrap")).env("_HANDLER", handler).output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(&format!("`{handler}`")) && text.contains("trading-accounts"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_serves_the_routes_of_its_own_row_and_no_others() {
    let world = World::new().await;
    let refresh = world.function("refresh", &[]).await;
    let credentials = json!({"email": "asha@example.com", "password": PASSWORD});
    let answer = post(&refresh, "/v1/auth/login", &credentials, &[]).await;
    assert_eq!((&answer["statusCode"], &body(&answer)["code"]), (&json!(404), &json!("not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_route_after_decoding_meets_none() {
    let world = World::new().await;
    let function = world.function("jwks", &[]).await;
    for path in ["/v1/%2e%2e/healthz", "/v1/../healthz", "//healthz", "/healthz/", "/HEALTHZ", "/\u{fffd}"] {
        let answer = post(&function, path, &json!({}), &[]).await;
        assert_eq!(
            (&answer["statusCode"], &body(&answer)["code"]),
            (&json!(404), &json!("not_found")),
            "{path}"
        );
    }
    let preflight = {
        let headers = [("origin", "http://localhost:3000"), ("access-control-request-method", "POST")];
        let mut event = event("/v1/auth/login", &json!({}), &headers);
        event["requestContext"]["http"]["method"] = "OPTIONS".into();
        event
    };
    let answer: Value = serde_json::from_slice(&function.invoke(&preflight).await.unwrap()).unwrap();
    assert_eq!(answer["headers"]["access-control-allow-origin"], "http://localhost:3000", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_ids_and_metrics_and_nothing_that_opens_a_door() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Running::start_target(Target::Functions, folder.path(), &[("RUST_LOG", "info")]).unwrap();
    let client = Client::new();
    let post = async |path: &str, body: Value| -> Value {
        client.post(format!("{}{path}", gateway.url)).json(&body).send().await.unwrap().json().await.unwrap()
    };
    let email = "asha.hunter2@example.com";
    post("/v1/auth/register", json!({"email": email, "password": PASSWORD, "name": "Asha"})).await;
    let credentials = json!({"email": email, "password": PASSWORD, "token_delivery": "body"});
    let session = post("/v1/auth/login", credentials).await;
    post("/v1/auth/login", json!({"email": email, "password": "hunter2hunter2"})).await;
    let token = json!({"refresh_token": session["refresh_token"]});
    let refreshed = post("/v1/auth/refresh", token.clone()).await;
    let next = post("/v1/auth/refresh", json!({"refresh_token": refreshed["refresh_token"]})).await;
    let stolen = post("/v1/auth/refresh", token).await;
    assert_eq!(stolen["code"], "session_revoked");
    let me = client.get(format!("{}/v1/users/me?token=hunter2", gateway.url));
    me.bearer_auth(session["access_token"].as_str().unwrap()).send().await.unwrap();

    let text = std::fs::read_to_string(folder.path().join("functions.log")).unwrap();
    let secrets = [PASSWORD, "hunter2", "BEGIN PRIVATE", "eyJ", "rt_usr", "$argon2"];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    for answer in [&session, &refreshed, &next] {
        for part in answer["refresh_token"].as_str().unwrap().split('.').skip(3) {
            assert!(!text.contains(part));
        }
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |service: &str, outcome: &str| {
        let found = lines.iter().find(|line| line["service"] == service && line["outcome"] == outcome);
        found.unwrap_or_else(|| panic!("no line of {service} with {outcome}:\n{text}"))
    };
    for (service, outcome) in
        [("login", "ok"), ("login", "invalid_credentials"), ("refresh", "ok"), ("refresh", "session_revoked")]
    {
        let line = of(service, outcome);
        for name in ["level", "timestamp", "location", "function_name", "function_arn", "function_request_id"]
        {
            assert!(line[name].is_string(), "{name}: {line}");
        }
        assert_eq!(line["xray_trace_id"], "1-00000000-000000000000000000000001");
        assert_eq!((&line["Requests"], line["correlation_id"].is_string()), (&json!(1.0), true));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Portcullis");
    }
    assert_eq!(of("refresh", "session_revoked")["RefreshReuse"], 1.0);
    assert!(of("login", "ok")["ConsumedWriteUnits"].as_f64().unwrap() > 0.0);
}

/// The rights of the template stand in front of the table here.
#[tokio::test(flavor = "multi_thread")]
async fn mail_leads_from_a_registration_to_a_password_that_was_chosen_anew() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("EMAIL_VERIFICATION", "required"), ("ARGON2_MEMORY_KIB", "64")];
    let gateway = Running::start_target(Target::Functions, folder.path(), &variables).unwrap();
    let client = Client::new();
    let address = "asha@functions.example.com";
    let send = async |path: &str, token: Option<&Value>, body: Value| -> (u16, Value) {
        let mut request = client.post(format!("{}{path}", gateway.url)).json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token.as_str().unwrap());
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    let letters = async || notifications_to(&endpoint("AWS_ENDPOINT_URL"), address).await.unwrap();
    let credentials =
        |password: &str| json!({"email": address, "password": password, "token_delivery": "body"});
    let person = json!({"email": address, "password": PASSWORD, "name": "Asha", "username": "asha"});
    let pending = (202, json!({"status": "verification_required"}));
    assert_eq!(send("/v1/auth/register", None, person.clone()).await, pending);
    let again = json!({"email": address, "password": PASSWORD, "name": "Mallory", "username": "mallory"});
    assert_eq!(send("/v1/auth/register", None, again).await, pending);
    assert_eq!(send("/v1/auth/email/resend", None, json!({"email": address})).await, pending);
    assert_eq!(send("/v1/auth/login", None, credentials(PASSWORD)).await.1["code"], "email_not_verified");
    let token = token_in(letters().await.last().unwrap()).unwrap();
    let (status, user) = send("/v1/auth/email/verify", None, json!({"token": token})).await;
    assert_eq!((status, &user["email_verified"]), (200, &json!(true)), "{user}");
    assert_eq!(send("/v1/auth/login", None, credentials("wrong")).await.0, 401);
    assert_eq!(send("/v1/auth/login", None, credentials(PASSWORD)).await.0, 200);

    for email in [address, "nobody@functions.example.com"] {
        let (status, answer) = send("/v1/auth/password/forgot", None, json!({"email": email})).await;
        assert_eq!((status, &answer["status"]), (202, &json!("mail_sent_if_known")));
    }
    let token = token_in(letters().await.last().unwrap()).unwrap();
    let (one, other) = ("marble orchard whispers northward", "velvet harbour counts seventeen");
    let reset = json!({"token": token, "new_password": one});
    assert_eq!(send("/v1/auth/password/reset", None, reset.clone()).await.0, 200);
    assert_eq!(send("/v1/auth/password/reset", None, reset).await.1["code"], "invalid_mail_token");
    let (status, session) = send("/v1/auth/login", None, credentials(one)).await;
    assert_eq!(status, 200, "{session}");
    let change = |current: &str| json!({"current_password": current, "new_password": other});
    let access = Some(&session["access_token"]);
    assert_eq!(send("/v1/auth/password/change", access, change("wrong")).await.0, 403);
    assert_eq!(send("/v1/auth/password/change", access, change(one)).await.0, 200);
    assert_eq!(send("/v1/auth/login", None, credentials(other)).await.0, 200);
    assert_eq!(letters().await.len(), 6, "{:?}", letters().await);
}
