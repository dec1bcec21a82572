//! What only a function in the cloud can get wrong: its start, its events, its log, and what it depends on being away.
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use portcullis_gateway::template::{self, Template};
use portcullis_gateway::wire::{State, Wire};
use portcullis_gateway::{Cloud, Function, notifications_to, token_in};
use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::{PATIENT, Target};
use portcullis_platform::Environment;
use serde_json::{Value, json};
use tokio::time::timeout;

/// The timeout of a function in seconds: a start takes as long as it takes on a machine that is busy.
const LONGEST: u64 = 120;

/// The timeouts of a deployment, for what it depends on to be away.
const DEFAULT: [(&str, &str); 2] = [("CALL_TIMEOUT_MS", "800"), ("REQUEST_TIMEOUT", "5")];

/// A function's variables: what stands behind `endpoint` is reached through `wire`, with the timeouts of a deployment.
fn through(endpoint: &'static str, wire: &Wire) -> Vec<(&'static str, String)> {
    let default = DEFAULT.map(|(name, value)| (name, value.to_owned()));
    default.into_iter().chain([(endpoint, wire.url())]).collect()
}

fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

fn endpoint(name: &str) -> String {
    Environment::of_process().raw(name).expect("tests/with-cloud runs this").to_owned()
}

/// A deployment of its own, and functions of it one by one.
struct Deployment {
    folder: tempfile::TempDir,
    cloud: Cloud,
}

impl Deployment {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = Cloud::of_folder(folder.path(), &Environment::of_process()).await.unwrap();
        Self { folder, cloud }
    }

    async fn function(&self, handler: &str, more: &[(&str, String)]) -> Arc<Function> {
        let mut variables = self.cloud.variables().to_vec();
        variables.push(("ARGON2_MEMORY_KIB".to_owned(), "64".to_owned()));
        variables.extend(PATIENT.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let all = Template::read(&template::path()).unwrap().functions();
        let mut described = all.into_iter().find(|function| function.handler == handler).unwrap();
        described.timeout = LONGEST;
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
    let deployment = Deployment::new().await;
    let (table, secret) = (deployment.cloud.table.as_str(), deployment.cloud.secret.as_str());
    let key = ("KMS_KEY_ID", deployment.cloud.key.as_str());
    let sender = ("MAIL_FROM", deployment.cloud.sender.as_str());
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
    let deployment = Deployment::new().await;
    deployment.register().await;
    for state in [State::Cut, State::Silent] {
        let wire = Wire::to(&endpoint("AWS_ENDPOINT_URL"), state).await.unwrap();
        let function = deployment.function("login", &through("AWS_ENDPOINT_URL", &wire)).await;
        assert_unavailable(&login(&function).await);
        wire.set(State::Whole);
        assert_eq!(login(&function).await["statusCode"], 200, "{state:?}");
        wire.set(state);
        assert_eq!(login(&function).await["statusCode"], 200, "the last good value is used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_away_is_503_inside_the_deadline_and_a_retry_finds_nothing_half_done() {
    let deployment = Deployment::new().await;
    deployment.register().await;
    let wire = Wire::to(&endpoint("AWS_ENDPOINT_URL_DYNAMODB"), State::Whole).await.unwrap();
    let variables = through("AWS_ENDPOINT_URL_DYNAMODB", &wire);
    let (signs_in, refreshing) =
        tokio::join!(deployment.function("login", &variables), deployment.function("refresh", &variables));
    let session = body(&login(&signs_in).await);
    let token = json!({"refresh_token": session["refresh_token"]});
    for state in [State::Cut, State::Silent] {
        wire.set(state);
        // As long as API Gateway waits; the service means to answer in 5 seconds, on a machine that is not busy with tests.
        let deadline = Duration::from_secs(29);
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
    let deployment = Deployment::new().await;
    let register = deployment.function("register", &[]).await;
    let person = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    let key = [("idempotency-key", "form-7")];
    let first = post(&register, "/v1/auth/register", &person, &key).await;
    let again = post(&register, "/v1/auth/register", &person, &key).await;
    assert_eq!((&first["statusCode"], body(&first)), (&json!(201), body(&again)));

    let session = body(&login(&deployment.function("login", &[]).await).await);
    let refresh = deployment.function("refresh", &[]).await;
    let token = json!({"refresh_token": session["refresh_token"]});
    let first = body(&post(&refresh, "/v1/auth/refresh", &token, &[]).await);
    let again = body(&post(&refresh, "/v1/auth/refresh", &token, &[]).await);
    assert_eq!(first["refresh_token"], again["refresh_token"], "one branch");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_the_gateways_and_nothing_a_client_sends() {
    let deployment = Deployment::new().await;
    deployment.register().await;
    let lies = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6"), ("host", "a b")];
    let credentials = json!({"email": "asha@example.com", "password": PASSWORD});
    let function = deployment.function("login", &[]).await;
    let answer = post(&function, "/v1/auth/login", &credentials, &lies).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let token = body(&answer)["access_token"].as_str().unwrap().to_owned();
    let sessions = deployment.function("sessions", &[]).await;
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
    let deployment = Deployment::new().await;
    deployment.register().await;
    let (login, sessions) =
        (deployment.function("login", &[]).await, deployment.function("sessions", &[]).await);
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
    let deployment = Deployment::new().await;
    let refresh = deployment.function("refresh", &[]).await;
    let credentials = json!({"email": "asha@example.com", "password": PASSWORD});
    let answer = post(&refresh, "/v1/auth/login", &credentials, &[]).await;
    assert_eq!((&answer["statusCode"], &body(&answer)["code"]), (&json!(404), &json!("not_found")));
}

/// A script in its compressed form is no text, and an event carries text alone.
#[tokio::test(flavor = "multi_thread")]
async fn pages_need_no_table_and_no_secret_and_arrive_whole() {
    let deployment = Deployment::new().await;
    let nothing = ["TABLE_NAME", "AWS_SECRET_NAME", "KMS_KEY_ID"].map(|name| (name, String::new()));
    let console = deployment.function("console", &nothing).await;
    let get = async |path: &str| {
        let mut event = event(path, &Value::Null, &[("accept-encoding", "gzip, br")]);
        event["requestContext"]["http"]["method"] = "GET".into();
        event["body"] = Value::Null;
        let answer = console.invoke(&event).await.expect("the function answers");
        serde_json::from_slice::<Value>(&answer).unwrap()
    };
    let page = get("/login").await;
    assert_eq!((&page["statusCode"], &page["isBase64Encoded"]), (&json!(200), &json!(false)), "{page}");
    let document = page["body"].as_str().unwrap();
    let (_, rest) = document.split_once("src=\"").unwrap();
    let script = get(rest.split('"').next().unwrap()).await;
    assert_eq!((&script["statusCode"], &script["isBase64Encoded"]), (&json!(200), &json!(true)));
    assert_eq!(script["headers"]["content-encoding"], "gzip");
    assert!(script["body"].as_str().unwrap().starts_with("H4sI"), "the magic number of gzip in base64");
    assert_eq!(get("/assets/gone.js").await["statusCode"], 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_route_after_decoding_meets_none() {
    let deployment = Deployment::new().await;
    let function = deployment.function("jwks", &[]).await;
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
    let app = App::on(Target::Functions, &[("RUST_LOG", "info"), ("REFRESH_REUSE_GRACE", "0")]);
    let email = "asha.hunter2@example.com";
    let mut asha = app.person(email).await;
    let stolen = asha.clone();
    app.login(email, "hunter2hunter2").await;
    // Older than the predecessor within two rotations: the functions of this test know no grace.
    let refreshed = asha.refresh().await;
    let next = asha.refresh().await;
    app.refresh(stolen.refresh_token()).await.assert_problem(401, "session_revoked");
    stolen.get("/v1/users/me?token=hunter2").await;

    let text = std::fs::read_to_string(app.folder().join("functions.log")).unwrap();
    let secrets = [PASSWORD, "hunter2", "BEGIN PRIVATE", "eyJ", "rt_usr", "$argon2"];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    for token in [stolen.refresh_token(), refreshed.text("refresh_token"), next.text("refresh_token")] {
        for part in token.split('.').skip(4) {
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
    let app = App::on(Target::Functions, &[("EMAIL_VERIFICATION", "required"), ("ARGON2_MEMORY_KIB", "64")]);
    let address = "asha@functions.example.com";
    let sent = async || notifications_to(&endpoint("AWS_ENDPOINT_URL"), address).await.unwrap();
    let register = |name: &str, username: &str| {
        let person = json!({"email": address, "password": PASSWORD, "name": name, "username": username});
        app.post("/v1/auth/register", person)
    };
    let pending = json!({"status": "verification_required"});
    assert_eq!(register("Asha", "asha").await.assert_status(202).body, pending);
    assert_eq!(register("Mallory", "mallory").await.assert_status(202).body, pending);
    let resend = app.post("/v1/auth/email/resend", json!({"email": address}));
    assert_eq!(resend.await.assert_status(202).body, pending);
    assert_eq!(app.login(address, PASSWORD).await["code"], "email_not_verified");
    let token = token_in(sent().await.last().unwrap()).unwrap();
    let user = app.post("/v1/auth/email/verify", json!({"token": token})).await.assert_status(200);
    assert_eq!(user["email_verified"], true, "{user}");
    app.login(address, "wrong").await.assert_status(401);
    app.login(address, PASSWORD).await.assert_status(200);

    for email in [address, "nobody@functions.example.com"] {
        let forgot = app.post("/v1/auth/password/forgot", json!({"email": email}));
        assert_eq!(forgot.await.assert_status(202)["status"], "mail_sent_if_known");
    }
    let token = token_in(sent().await.last().unwrap()).unwrap();
    let (one, other) = ("marble orchard whispers northward", "velvet harbour counts seventeen");
    let reset = app.post("/v1/auth/password/reset", json!({"token": token, "new_password": one}));
    reset.clone().await.assert_status(200);
    assert_eq!(reset.await["code"], "invalid_mail_token");
    let session = app.login(address, one).await.assert_status(200);
    let change = |current: &str| {
        app.post("/v1/auth/password/change", json!({"current_password": current, "new_password": other}))
            .bearer(session.text("access_token"))
    };
    change("wrong").await.assert_status(403);
    change(one).await.assert_status(200);
    app.login(address, other).await.assert_status(200);
    assert_eq!(sent().await.len(), 6, "{:?}", sent().await);
}
