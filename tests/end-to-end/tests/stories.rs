//! The service as its clients see it, through the running binary.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use portcullis_harness::process::{Running, Target, command};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "copper lantern drifts upstream";

struct App {
    service: Running,
    client: Client,
    folder: TempDir,
}

impl App {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Running::start(folder.path(), &[]).unwrap();
        Self { service, client: Client::new(), folder }
    }

    async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.service.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.send(Method::POST, path, None, Some(body)).await
    }

    async fn register(&self, email: &str) -> Value {
        let answer = self
            .post("/v1/auth/register", json!({"email": email, "password": PASSWORD, "name": "Asha"}))
            .await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json().await.unwrap()
    }

    async fn login(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "token_delivery": "body"});
        let answer = self.post("/v1/auth/login", body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    async fn me(&self, token: &Value) -> Response {
        self.send(Method::GET, "/v1/users/me", token.as_str(), None).await
    }
}

async fn problem(answer: Response, status: u16, code: &str) -> Value {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    if status == 401 {
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer error=\""), "{challenge}");
    }
    let body: Value = answer.json().await.unwrap();
    assert_eq!((body["code"].as_str(), body["request_id"].as_str()), (Some(code), Some(id.as_str())));
    body
}

#[tokio::test]
async fn everything_is_still_there_after_a_restart() {
    let mut app = App::start();
    let user = app.register("asha@example.com").await;
    let session = app.login("asha@example.com").await;
    assert!(app.service.terminate().unwrap().success(), "SIGTERM is a clean end");
    app.service = Running::start(app.folder.path(), &[]).unwrap();

    let me: Value = app.me(&session["access_token"]).await.json().await.unwrap();
    assert_eq!((&me["user_id"], &me["last_login_at"]), (&user["user_id"], &session["user"]["last_login_at"]));
    let refreshed = app.post("/v1/auth/refresh", json!({"refresh_token": session["refresh_token"]})).await;
    assert_eq!(refreshed.status(), StatusCode::OK);
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
    let user = app.register("asha@example.com").await;
    let session = app.login("asha@example.com").await;
    let keys = app.send(Method::GET, "/v1/auth/.well-known/jwks.json", None, None).await;
    assert_eq!(keys.headers()["cache-control"], "public, max-age=300");
    let keys: jsonwebtoken::jwk::JwkSet = keys.json().await.unwrap();
    let token = session["access_token"].as_str().unwrap();
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut expected = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    expected.set_audience(&["trading_platform"]);
    expected.set_issuer(&["user_service"]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &expected).unwrap().claims;
    assert_eq!(claims["sub"], user["user_id"]);
    assert_eq!((&claims["token_type"], &claims["amr"]), (&json!("access"), &json!(["pwd"])));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);
}

#[tokio::test]
async fn unknown_address_and_wrong_password_are_answered_with_the_same_bytes() {
    let app = App::start();
    app.register("asha@example.com").await;
    let mut bodies = Vec::new();
    for (email, password) in [
        ("asha@example.com", "wrong"),
        ("nobody@example.com", "wrong"),
        ("asha@example.com", ""),
        ("nobody@example.com", ""),
    ] {
        let answer = app.post("/v1/auth/login", json!({"email": email, "password": password})).await;
        let mut body = problem(answer, 401, "invalid_credentials").await;
        body.as_object_mut().unwrap().remove("request_id");
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_browser_carries_the_token_in_a_cookie_and_only_from_an_allowed_page() {
    let app = App::start();
    app.register("asha@example.com").await;
    let answer = app.post("/v1/auth/login", json!({"email": "asha@example.com", "password": PASSWORD})).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Max-Age"));
    assert!(answer.json::<Value>().await.unwrap().get("refresh_token").is_none());
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let refresh = |origin: Option<&'static str>| {
        let mut request =
            app.client.post(format!("{}/v1/auth/refresh", app.service.url)).header("cookie", &cookie);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.send()
    };
    problem(refresh(None).await.unwrap(), 403, "origin_not_allowed").await;
    problem(refresh(Some("https://evil.example")).await.unwrap(), 403, "origin_not_allowed").await;
    let answer = refresh(Some("http://localhost:3000")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn a_refused_refresh_never_clears_the_cookie() {
    let app = App::start();
    let answer = app
        .client
        .post(format!("{}/v1/auth/refresh", app.service.url))
        .header("cookie", "refresh=rt_made.up")
        .header("origin", "http://localhost:3000")
        .send()
        .await
        .unwrap();
    assert!(!answer.headers().contains_key("set-cookie"));
    problem(answer, 401, "invalid_refresh_token").await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner_alone() {
    let app = App::start();
    app.register("asha@example.com").await;
    app.register("mallory@example.com").await;
    let (one, two, three) = (
        app.login("asha@example.com").await,
        app.login("asha@example.com").await,
        app.login("asha@example.com").await,
    );
    let mallory = app.login("mallory@example.com").await;
    let token = three["access_token"].as_str();
    let page: Value = app.send(Method::GET, "/v1/sessions?limit=2", token, None).await.json().await.unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][0]["current"], true);
    let path = format!("/v1/sessions?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest: Value = app.send(Method::GET, &path, token, None).await.json().await.unwrap();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));

    let oldest = format!("/v1/sessions/{}", rest["items"][0]["session_id"].as_str().unwrap());
    let foreign = app.send(Method::DELETE, &oldest, mallory["access_token"].as_str(), None).await;
    problem(foreign, 404, "not_found").await;
    assert_eq!(app.me(&one["access_token"]).await.status(), StatusCode::OK);
    assert_eq!(app.send(Method::DELETE, &oldest, token, None).await.status(), StatusCode::NO_CONTENT);
    problem(app.me(&one["access_token"]).await, 401, "invalid_token").await;

    assert_eq!(app.send(Method::DELETE, "/v1/sessions", token, None).await.status(), StatusCode::NO_CONTENT);
    problem(app.me(&two["access_token"]).await, 401, "invalid_token").await;
    assert_eq!(app.me(&three["access_token"]).await.status(), StatusCode::OK);
    assert_eq!(app.me(&mallory["access_token"]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_account_is_changed_and_erased_and_its_address_is_free_again() {
    let app = App::start();
    let user = app.register("asha@example.com").await;
    let session = app.login("asha@example.com").await;
    let token = session["access_token"].as_str();
    let change = json!({"name": "Asha Rao", "phone": "+91 98765 43210"});
    let changed: Value =
        app.send(Method::PATCH, "/v1/users/me", token, Some(change)).await.json().await.unwrap();
    assert_eq!((&changed["name"], &changed["phone"]), (&json!("Asha Rao"), &json!("+91 98765 43210")));
    let changed: Value = app
        .send(Method::PATCH, "/v1/users/me", token, Some(json!({"phone": null})))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!((&changed["name"], &changed["phone"]), (&json!("Asha Rao"), &Value::Null));

    let wrong = app.send(Method::DELETE, "/v1/users/me", token, Some(json!({"password": "wrong"}))).await;
    problem(wrong, 403, "forbidden").await;
    let gone = app.send(Method::DELETE, "/v1/users/me", token, Some(json!({"password": PASSWORD}))).await;
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    problem(app.me(&session["access_token"]).await, 401, "invalid_token").await;
    assert_ne!(app.register("asha@example.com").await["user_id"], user["user_id"]);
}

#[tokio::test]
async fn a_repeated_registration_has_one_effect() {
    let app = App::start();
    let register = |name: &'static str| {
        let body = json!({"email": "asha@example.com", "password": PASSWORD, "name": name});
        let path = format!("{}/v1/auth/register", app.service.url);
        app.client.post(path).header("idempotency-key", "form-7").json(&body).send()
    };
    let first: Value = register("Asha").await.unwrap().json().await.unwrap();
    let again = register("Asha").await.unwrap();
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    problem(register("Mallory").await.unwrap(), 422, "idempotency_key_reused").await;
    let body = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    problem(app.post("/v1/auth/register", body).await, 409, "email_taken").await;
}

#[tokio::test]
async fn a_refusal_says_what_to_do_better() {
    let app = App::start();
    let weak = json!({"email": "asha@example.com", "password": "passwordpassword", "name": "Asha"});
    let body = problem(app.post("/v1/auth/register", weak).await, 422, "weak_password").await;
    assert_eq!(body["errors"][0]["pointer"], "/password");
    let look_alike = json!({"email": "\u{212A}ate@example.com", "password": PASSWORD, "name": "Kate"});
    let body = problem(app.post("/v1/auth/register", look_alike).await, 422, "validation_failed").await;
    assert_eq!(body["errors"][0]["pointer"], "/email");
    let list = json!({"email": ["a@example.com", "b@example.com"], "password": PASSWORD, "name": "A"});
    problem(app.post("/v1/auth/register", list).await, 422, "validation_failed").await;
    problem(app.send(Method::GET, "/v1/users/me", None, None).await, 401, "authentication_required").await;
    problem(app.send(Method::GET, "/v1/nothing", None, None).await, 404, "not_found").await;
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
