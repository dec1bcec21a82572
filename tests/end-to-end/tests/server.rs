//! The server as whoever operates it meets it: ready or not, its end, its metrics, TLS, mail, and the commands beside it.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use portcullis_harness::endpoint::{Endpoint, client};
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::{Running, Target, command};
use portcullis_platform::{Clock, SystemClock};
use reqwest::{Certificate, Client};
use serde_json::json;

const METRICS: (&str, &str) = ("METRICS_ADDR", "127.0.0.1:0");

/// A server with a folder of its own.
struct Server {
    running: Running,
    folder: tempfile::TempDir,
}

impl Server {
    fn with(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let running = Running::start_target(Target::Local, &data, variables).unwrap();
        Self { running, folder }
    }

    /// What stands behind `http://` or `https://`.
    fn address(&self) -> &str {
        self.running.url.split_once("://").unwrap().1
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> std::process::Output {
        let mut command = command(Target::Local, &self.folder.path().join("data"), variables);
        command.args(arguments).output().unwrap()
    }
}

async fn status(url: &str, path: &str) -> u16 {
    client().get(format!("{url}{path}")).send().await.unwrap().status().as_u16()
}

/// Sends a request whose body has so many bytes, all of it before anything is read, and returns the first line of the response.
fn sent_whole(address: &str, path: &str, connection: &str, length: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: {connection}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let part = vec![b' '; 64 * 1024];
    let mut left = length;
    while left > 0 {
        left -= stream.write(part.get(..left).unwrap_or(&part))?;
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

#[tokio::test]
async fn a_refusal_is_seen_by_who_sends_the_whole_body_first() {
    let server = Server::with(&[]);
    for _ in 0..8 {
        for (path, status) in [("/v1/auth/login", 413), ("/v1/approvals", 401), ("/nowhere", 404)] {
            for connection in ["close", "keep-alive"] {
                let line = sent_whole(server.address(), path, connection, 4_000_000).unwrap();
                assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {line}");
            }
        }
    }
    let larger = sent_whole(server.address(), "/v1/auth/login", "close", 1_000_000_000);
    assert!(larger.is_err(), "nobody has a gigabyte read: {larger:?}");
}

#[tokio::test]
async fn a_server_that_is_to_end_is_not_ready_and_still_serves_until_it_is_hurried() {
    let mut server = Server::with(&[METRICS, ("DRAIN_SECONDS", "300")]);
    let monitor = server.running.rest_of_line("  metrics:   ").unwrap();
    let monitor = monitor.strip_suffix("/metrics").unwrap().to_owned();
    for url in [&server.running.url, &monitor] {
        assert_eq!((status(url, "/livez").await, status(url, "/readyz").await), (200, 200));
    }
    server.running.ask_to_stop().unwrap();
    assert!(server.running.says("Finishing"));
    let url = server.running.url.clone();
    for url in [&url, &monitor] {
        // The signal and this request race; afterwards it stays so.
        while status(url, "/readyz").await == 200 {}
        assert_eq!((status(url, "/livez").await, status(url, "/readyz").await), (200, 503));
    }
    let answer = Endpoint::at(&url).get("/readyz").await.assert_problem(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    Endpoint::at(&url).person("asha@example.com").await.me().await.assert_status(200);
    assert!(server.running.terminate().unwrap().success(), "the second signal does not wait");
}

/// The head of a registration, after which the handler waits for its body.
fn begin_registration(address: &str, body: &str) -> BufReader<TcpStream> {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(
        socket,
        "POST /v1/auth/register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut answer = BufReader::new(socket);
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    answer
}

#[test]
fn every_request_in_flight_is_answered_and_no_connection_outlives_the_bound() {
    let mut server =
        Server::with(&[("REQUEST_TIMEOUT", "5"), ("ARGON2_MEMORY_KIB", "64"), ("RATE_LIMIT", "off")]);
    let body = |number: usize| {
        json!({"email": format!("p{number}@example.com"), "password": PASSWORD, "name": "Asha"}).to_string()
    };
    let mut in_flight: Vec<_> =
        (0..16).map(|number| begin_registration(server.address(), &body(number))).collect();
    // These never finish what they began: half a head, and nothing at all.
    let mut slow = TcpStream::connect(server.address()).unwrap();
    slow.write_all(b"GET /healthz HTT").unwrap();
    let silent = TcpStream::connect(server.address()).unwrap();

    let began = SystemClock.now();
    server.running.ask_to_stop().unwrap();
    assert!(server.running.says("Finishing"));
    for (number, answer) in in_flight.iter_mut().enumerate() {
        answer.get_mut().write_all(body(number).as_bytes()).unwrap();
        let mut rest = String::new();
        answer.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("HTTP/1.1 201 Created") && rest.contains("connection: close"), "{rest}");
    }
    assert!(server.running.wait().unwrap().success());
    let took = SystemClock.now().duration_since(began);
    assert!(took.as_secs() < 60, "{took:?}");
    drop((slow, silent));
    assert!(TcpStream::connect(server.address()).is_err());
}

#[tokio::test]
async fn metrics_tell_what_happened_and_nothing_of_whom() {
    let server = Server::with(&[METRICS, ("EMAIL_VERIFICATION", "off")]);
    let metrics = server.running.rest_of_line("  metrics:   ").unwrap();
    let app = Endpoint::at(&server.running.url);
    let asha = app.person("asha@example.com").await;
    asha.me().await.assert_status(200);
    app.login("asha@example.com", "wrong").await.assert_status(401);
    app.get("/v1/made-up/asha").await.assert_status(404);
    let text = client().get(metrics).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"portcullis_requests_total{method="POST",route="/v1/auth/login",status="200"} 1"#,
        r#"portcullis_requests_total{method="POST",route="/v1/auth/login",status="401"} 1"#,
        r#"portcullis_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"portcullis_refusals_total{code="invalid_credentials"} 1"#,
        "# EOF",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("asha") && !text.contains(asha.user_id()), "{text}");
    assert_eq!(status(&server.running.url, "/metrics").await, 404, "not where clients are");
}

/// A certificate for localhost in two files, and a client that believes it alone.
fn certificate(folder: &Path) -> Client {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    let authority = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    Client::builder().tls_certs_only([authority]).pool_max_idle_per_host(0).build().unwrap()
}

#[tokio::test]
async fn tls_by_files_is_taken_up_anew_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let first = certificate(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let tls = [("TLS_CERT_FILE", cert.as_str()), ("TLS_KEY_FILE", key.as_str())];
    let server = Server::with(&tls);
    assert!(server.running.url.starts_with("https://"));
    let port = server.address().rsplit_once(':').unwrap().1;
    let url = format!("https://localhost:{port}/healthz");
    assert_eq!(first.get(&url).send().await.unwrap().status(), 200);
    assert!(client().get(format!("http://localhost:{port}/healthz")).send().await.is_err(), "plain text");

    let second = certificate(folder.path());
    assert!(second.get(&url).send().await.is_err(), "not taken up yet");
    server.running.signal("HUP").unwrap();
    while second.get(&url).send().await.is_err() {}
    assert!(first.get(&url).send().await.is_err());

    let listen = format!("127.0.0.1:{port}");
    let asked = server.run(&["healthcheck"], &[tls[0], tls[1], ("LISTEN_ADDR", &listen)]);
    assert!(asked.status.success(), "{asked:?}");
}

#[test]
fn the_health_check_tells_a_living_server_from_a_dead_one() {
    let mut server = Server::with(&[]);
    let listen = server.address().to_owned();
    let variables = [("LISTEN_ADDR", listen.as_str())];
    assert!(server.run(&["healthcheck"], &variables).status.success());
    server.running.kill().unwrap();
    let dead = server.run(&["healthcheck"], &variables);
    assert_eq!(dead.status.code(), Some(1), "{dead:?}");
    let misconfigured = server.run(&["healthcheck"], &[("LISTEN_ADDR", "nowhere")]);
    assert_eq!(misconfigured.status.code(), Some(2));
}

#[tokio::test]
async fn the_version_is_the_same_wherever_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let variables = [("LOG_FORMAT", "json"), ("RUST_LOG", "portcullis_local=info")];
    let running =
        Running::start_logging(Target::Local, &folder.path().join("data"), &variables, &log).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for path in ["/healthz", "/livez"] {
        assert_eq!(Endpoint::at(&running.url).get(path).await["version"], version);
    }
    let logged = std::fs::read_to_string(&log).unwrap();
    let line: serde_json::Value = serde_json::from_str(logged.lines().next().unwrap()).unwrap();
    assert_eq!((&line["fields"]["version"], &line["level"]), (&json!(version), &json!("INFO")));
    let asked = command(Target::Local, folder.path(), &[]).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(asked.stdout).unwrap(), format!("portcullis {version}\n"));
}

/// A mail server without TLS on loopback that takes one message, and its port.
fn mail_server() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            stream.write_all(b"220 mail\r\n").unwrap();
            while let Some(Ok(line)) = lines.next() {
                let answer = if line == "DATA" { "354 go on" } else { "250 fine" };
                stream.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
                if line == "DATA" {
                    let message = lines.by_ref().map_while(Result::ok).take_while(|line| line != ".");
                    sender.send(message.collect::<Vec<_>>().join("\n")).unwrap();
                    stream.write_all(b"250 queued\r\n").unwrap();
                }
            }
        }
    });
    (port, received)
}

#[tokio::test]
async fn mail_goes_to_the_mail_server_and_not_into_files() {
    let (port, received) = mail_server();
    let port = port.to_string();
    let server = Server::with(&[
        ("EMAIL_VERIFICATION", "required"),
        ("MAIL", "smtp"),
        ("MAIL_FROM", "auth@example.com"),
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", "off"),
        METRICS,
    ]);
    let metrics = server.running.rest_of_line("  metrics:   ").unwrap();
    Endpoint::at(&server.running.url).register("asha@example.com").await;
    let message = received.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(message.contains("To: <asha@example.com>") && message.contains("#token="), "{message}");
    assert!(!server.folder.path().join("data/outbox").exists());
    let text = client().get(metrics).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"portcullis_mails_total{outcome="sent"} 1"#), "{text}");
}

#[test]
fn a_part_that_cannot_be_used_ends_the_start_with_its_variable_and_leaves_no_trace() {
    for (variables, named) in [
        (&[("STORE", "redis")][..], "STORE"),
        (&[("STORE", "dynamodb")], "TABLE_NAME"),
        (&[("MAIL", "pigeon")], "MAIL"),
        (&[("MAIL", "smtp")], "SMTP_HOST"),
        (&[("MAIL", "ses")], "MAIL_FROM"),
        (&[("SECRETS_PROVIDER", "safe")], "SECRETS_PROVIDER"),
        (&[("SECRETS_PROVIDER", "aws")], "KMS_KEY_ID"),
        (&[("SECRETS_PROVIDER", "vault")], "VAULT_ADDR"),
        (&[("KEYS_DIR", "/no/such/folder")], "KEYS_DIR"),
        (&[("METRICS_ADDR", "9464")], "METRICS_ADDR"),
        (&[("TLS_CERT_FILE", "/no/such/file")], "TLS_KEY_FILE"),
        (&[("DRAIN_SECONDS", "1000000")], "DRAIN_SECONDS"),
        (&[("LOG_FORMAT", "xml")], "LOG_FORMAT"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let output = command(Target::Local, &data, variables).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(text.starts_with(&format!("portcullis: {named}: ")), "{text}");
        assert!(!data.exists(), "{named} left a trace");
    }
}
