//! The probe is green on the service as it is, and red on one with a fault of each kind. The faults stand between the two, in
//! a proxy that breaks one property: what is tried here stays tried.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::{Target, tool};
use portcullis_probe::checks::Check;
use portcullis_probe::probe::{Options, Probe};
use portcullis_probe::report::{Report, Verdict};
use portcullis_probe::target::Refused;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What is broken between the probe and the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// None: what passes is seen, and that is all.
    Nothing,
    /// A refresh token is good for one request, as where rotation knows no grace.
    SignsTabsOut,
    /// Each refresh makes a token of its own.
    Branches,
    /// One refresh in seven is refused.
    LosesRefreshes,
    /// The set of keys is that of before the rotation.
    PublishesOldKeys,
    /// A signature is not looked at.
    TakesForged,
    /// After a while of looking forged tokens up, nobody is served.
    DrownsInForged,
    /// The private half of a key is published.
    PublishesPrivate,
    /// A password is hashed only where there is one.
    AnswersKnownSlower,
    /// A wrong password is told from an unknown address.
    NamesUnknown,
    /// Five wrong passwords lock the account, for everybody.
    LocksOwnersOut,
    /// Wrong passwords are not counted.
    NeverThrottles,
    /// What was refreshed once can be refreshed again.
    AdmitsReplays,
    /// A code that was accepted once is accepted again.
    AdmitsCodesTwice,
    /// Nobody looks whether the address is taken.
    RegistersTwice,
}

#[derive(Debug, Default)]
struct Seen {
    tokens: BTreeSet<String>,
    refreshes: usize,
    refreshed: Option<Value>,
    finished: Option<Value>,
    known: BTreeSet<String>,
    failures: BTreeMap<String, usize>,
    forged: usize,
    /// Whether anything came with an access token.
    authorized: bool,
}

struct Proxy {
    fault: Fault,
    end: String,
    client: reqwest::Client,
    seen: Mutex<Seen>,
}

impl Proxy {
    /// Returns the proxy, and where it listens.
    async fn start(end: &str, fault: Fault) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, client) = (end.to_owned(), reqwest::Client::new());
        let proxy = Arc::new(Self { fault, end, client, seen: Mutex::default() });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&proxy));
        tokio::spawn(axum::serve(listener, router).into_future());
        (proxy, url)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is answered in place of the service.
    fn before(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let mut seen = self.seen();
        let (token, address) = (text(body, "refresh_token"), text(body, "email"));
        match (self.fault, path) {
            (Fault::SignsTabsOut, REFRESH) => {
                (!seen.tokens.insert(token)).then(|| problem(401, "session_revoked"))
            }
            (Fault::LosesRefreshes, REFRESH) => {
                seen.refreshes += 1;
                seen.refreshes.is_multiple_of(7).then(|| problem(401, "invalid_refresh_token"))
            }
            (Fault::LocksOwnersOut, LOGIN) => {
                (seen.failures.get(&address) >= Some(&5)).then(|| problem(429, "too_many_attempts"))
            }
            (Fault::DrownsInForged, ME) => (seen.forged >= 30).then(|| problem(503, "unavailable")),
            _ => None,
        }
    }

    /// What becomes of the service's answer.
    async fn after(&self, path: &str, body: &Value, answer: (u16, Value)) -> (u16, Value) {
        let address = text(body, "email");
        let (status, told) = answer;
        if self.fault == Fault::AnswersKnownSlower && path == LOGIN && self.seen().known.contains(&address) {
            // The planted fault itself.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let mut seen = self.seen();
        match (path, status) {
            (REFRESH, 200) => seen.refreshed = Some(told.clone()),
            (VERIFY, 200) => seen.finished = Some(told.clone()),
            (REGISTER, 201) => drop(seen.known.insert(address)),
            (LOGIN, 401 | 429) => *seen.failures.entry(address).or_default() += 1,
            (ME, 401) => seen.forged += 1,
            _ => {}
        }
        match (self.fault, path, status) {
            (Fault::Branches, REFRESH, 200) => {
                seen.refreshes += 1;
                let token = format!("{}{}", text(&told, "refresh_token"), seen.refreshes);
                (200, with(told, "refresh_token", token.into()))
            }
            (Fault::PublishesOldKeys, KEYS, 200) => (200, json!({"keys": []})),
            (Fault::PublishesPrivate, KEYS, 200) => {
                let mut told = told;
                told["keys"][0]["d"] = "AQAB".into();
                (200, told)
            }
            (Fault::TakesForged, ME, 401) => (200, json!({"user_id": "usr_somebody"})),
            (Fault::NamesUnknown, LOGIN, 401) if !seen.failures_of_known(body) => {
                (401, with(told, "detail", "There is no such account.".into()))
            }
            (Fault::NeverThrottles, LOGIN, 429) => problem(401, "invalid_credentials"),
            (Fault::AdmitsReplays, REFRESH, 401) => (200, seen.refreshed.clone().unwrap_or_default()),
            (Fault::AdmitsCodesTwice, VERIFY, 401 | 429) => {
                (200, seen.finished.clone().unwrap_or(json!({"status": "authenticated"})))
            }
            (Fault::RegistersTwice, REGISTER, 409) => (201, json!({"user_id": "usr_another"})),
            _ => (status, told),
        }
    }
}

impl Seen {
    fn failures_of_known(&self, body: &Value) -> bool {
        self.known.contains(&text(body, "email"))
    }
}

const REFRESH: &str = "/v1/auth/refresh";
const LOGIN: &str = "/v1/auth/login";
const VERIFY: &str = "/v1/auth/mfa/verify";
const REGISTER: &str = "/v1/auth/register";
const ME: &str = "/v1/users/me";
const KEYS: &str = "/v1/auth/.well-known/jwks.json";

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn problem(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"status": status, "code": code}))
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    proxy.seen().authorized |= parts.headers.contains_key("authorization");
    // An account is erased whatever is broken.
    let is_read = parts.method != "DELETE";
    if is_read && let Some((status, told)) = proxy.before(&path, &asked) {
        return shown(status, &told);
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let onward = proxy.client.request(parts.method.clone(), format!("{}{target}", proxy.end));
    let answer = onward.headers(forwarded(&parts.headers)).body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    let told = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
    let (status, told) =
        if is_read { proxy.after(&path, &asked, (status, told)).await } else { (status, told) };
    shown(status, &told)
}

fn shown(status: u16, body: &Value) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap();
    if body.is_null() { status.into_response() } else { (status, body.to_string()).into_response() }
}

/// All but what a connection has of its own.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let kept = headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn options(checks: &[Check]) -> Options {
    Options {
        tabs: 50,
        forged: 200,
        pairs: 15,
        rotations: 2,
        requests: 5000,
        time: Duration::from_mins(5),
        address: "probe-{}@example.com".to_owned(),
        checks: checks.to_vec(),
    }
}

async fn probed(url: &str, options: Options) -> Report {
    Probe::of(url, None, options).await.unwrap().run(std::future::pending(), |_| {}).await
}

/// A service whose tokens are replaced every few seconds, so that nobody waits for half a minute.
fn quick(more: &[(&str, &str)]) -> App {
    App::on(Target::Local, &[&[("REFRESH_REUSE_GRACE", "3")], more].concat())
}

#[tokio::test]
async fn everything_holds_on_the_service_as_it_is() {
    let app = quick(&[]);
    let report = probed(&app.url(), options(&Check::ALL)).await;
    for judged in &report.checks {
        // How long a refusal takes is reported; a machine that is busy with tests is no place to judge it.
        if judged.check != Check::Enumeration.name() {
            assert_eq!(judged.verdict, Verdict::Held, "{report}");
        }
    }
    let enumeration = report.checks.iter().find(|judged| judged.check == "enumeration").unwrap();
    assert!(enumeration.figures["difference_ms"]["confidence"].as_f64() > Some(0.95), "{report}");
    assert_eq!((report.checks.len(), &report.left_behind), (Check::ALL.len(), &Vec::new()), "{report}");
    assert!(report.requests < 2000, "{report}");
    // Nobody is left.
    let (_, listed, _) = tool(app.folder(), &["list-users", "--columns", "email", "--no-headers"], "");
    assert_eq!(listed, "");
}

/// A fault, the check that must see it, and what it says.
type Planted = (Fault, Check, &'static str);

/// The faults that are tried a few at once.
const FAULTS: [Planted; 16] = [
    (Fault::SignsTabsOut, Check::Tabs, "tabs were signed out"),
    (Fault::Branches, Check::Tabs, "different tokens"),
    (Fault::Branches, Check::Rotation, "two branches"),
    (Fault::LosesRefreshes, Check::Rotation, "a client in good order was refused"),
    (Fault::PublishesOldKeys, Check::Rotation, "not signed with a key that is published"),
    (Fault::TakesForged, Check::Forged, "forged tokens were accepted"),
    (Fault::DrownsInForged, Check::Forged, "honest requests were refused"),
    (Fault::PublishesPrivate, Check::Forged, "a private key is published"),
    (Fault::NamesUnknown, Check::Enumeration, "the answers differ"),
    (Fault::LocksOwnersOut, Check::Lockout, "known device is kept out"),
    (Fault::NeverThrottles, Check::Lockout, "guessing is not throttled"),
    (Fault::AdmitsReplays, Check::Replays, "a replaced refresh token was accepted"),
    (Fault::AdmitsReplays, Check::Races, "outlived it"),
    (Fault::AdmitsCodesTwice, Check::Replays, "a backup code was accepted twice"),
    (Fault::AdmitsCodesTwice, Check::Races, "one code finished 8 of 8 sign-ins"),
    (Fault::RegistersTwice, Check::Races, "registrations of one address were accepted"),
];

/// Alone, since it measures.
const MEASURED: Planted = (Fault::AnswersKnownSlower, Check::Enumeration, "tells who has an account");

#[test]
fn there_is_a_planted_fault_for_each_check() {
    let seen = |check: &&Check| FAULTS.iter().chain([&MEASURED]).any(|planted| planted.1 == **check);
    let unproven: Vec<_> = Check::ALL.iter().filter(|check| !seen(check)).map(|check| check.name()).collect();
    assert!(unproven.is_empty(), "nothing shows that these find anything: {unproven:?}");
}

async fn sees(app: &App, (fault, check, said): Planted) {
    let (_, url) = Proxy::start(&app.url(), fault).await;
    let report = probed(&url, options(&[check])).await;
    let [judged] = report.checks.as_slice() else { panic!("{report}") };
    assert_eq!(judged.verdict, Verdict::Broken, "{fault:?}: {report}");
    assert!(judged.broken.iter().any(|broken| broken.contains(said)), "{fault:?}: {report}");
    assert_eq!((report.status(), &report.left_behind), (1, &Vec::new()), "{fault:?}: {report}");
}

#[tokio::test]
async fn each_planted_fault_is_seen() {
    // All these failures come from one address.
    let app = quick(&[("RATE_LIMIT", "off")]);
    for few in FAULTS.chunks(4) {
        futures_util::future::join_all(few.iter().map(|&planted| sees(&app, planted))).await;
    }
    sees(&app, MEASURED).await;
}

#[tokio::test]
async fn through_the_proxy_alone_everything_holds() {
    let app = quick(&[]);
    let (_, url) = Proxy::start(&app.url(), Fault::Nothing).await;
    let report = probed(&url, options(&[Check::Tabs, Check::Forged, Check::Races])).await;
    assert_eq!(report.status(), 0, "{report}");
}

/// An administrator's access token.
async fn administrator(app: &App) -> SecretString {
    let made = tool(app.folder(), &["create-user", "root", "--role", "admin"], &format!("{PASSWORD}\n"));
    assert_eq!(made.0, 0, "{}", made.2);
    app.sign_in("root").await.access_token().into()
}

#[tokio::test]
async fn a_token_travels_only_where_it_was_signed_and_makes_the_accounts_there() {
    let app = quick(&[("EMAIL_VERIFICATION", "required")]);
    let (proxy, url) = Proxy::start(&app.url(), Fault::Nothing).await;

    let foreign = administrator(&App::local()).await;
    let refused = Probe::of(&url, Some(foreign), options(&[Check::Tabs])).await.err();
    assert_eq!(refused, Some(Refused::OfAnother));
    assert!(!proxy.seen().authorized, "the token of another deployment was sent");

    let bela = app.tokens_of_somebody().await;
    let refused = Probe::of(&url, Some(bela), options(&[Check::Tabs])).await.err();
    assert!(matches!(refused, Some(Refused::NoAdministrator(_))), "{refused:?}");

    let unconfirmed = probed(&url, options(&[Check::Tabs])).await;
    assert_eq!(unconfirmed.status(), 3, "{unconfirmed}");
    assert!(unconfirmed.to_string().contains("give an administrator's token"), "{unconfirmed}");

    let token = administrator(&app).await;
    let probe = Probe::of(&url, Some(token), options(&[Check::Tabs, Check::Races])).await.unwrap();
    let report = probe.run(std::future::pending(), |_| {}).await;
    assert_eq!(report.status(), 0, "{report}");
}

trait Somebody {
    async fn tokens_of_somebody(&self) -> SecretString;
}

impl Somebody for App {
    /// The access token of somebody who is no administrator, where addresses have to be confirmed.
    async fn tokens_of_somebody(&self) -> SecretString {
        let line = ["create-user", "bela", "--role", "user"];
        assert_eq!(tool(self.folder(), &line, &format!("{PASSWORD}\n")).0, 0);
        self.sign_in("bela").await.access_token().into()
    }
}

#[tokio::test]
async fn a_run_is_bounded_and_cleans_up_however_it_ends() {
    let app = quick(&[]);
    let report = probed(&app.url(), Options { requests: 20, ..options(&[Check::Tabs]) }).await;
    assert_eq!((report.checks[0].verdict, report.requests), (Verdict::Unclear, 20), "{report}");
    assert!(report.left_behind.is_empty(), "{report}");
    let report = probed(&app.url(), Options { time: Duration::ZERO, ..options(&[Check::Tabs]) }).await;
    assert_eq!((report.status(), report.requests), (3, 0), "{report}");
    let probe = Probe::of(&app.url(), None, options(&Check::ALL)).await.unwrap();
    let stopped = probe.run(std::future::ready(()), |_| {}).await;
    assert_eq!(stopped.checks.len(), 1, "nothing is tried after it: {stopped}");
    let (_, listed, _) = tool(app.folder(), &["list-users", "--columns", "email", "--no-headers"], "");
    assert_eq!(listed, "");
}

#[tokio::test]
async fn the_command_says_what_it_found_and_refuses_what_it_must_not_touch() {
    let app = quick(&[]);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-probe"));
        let done = command.args(arguments).env_remove("PORTCULLIS_PROBE_TOKEN").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let (url, address) = (app.url(), "probe-{}@example.com");
    let (status, words, _) = run(&[&url, "--only", "tabs", "--tabs", "10", "--address", address]);
    assert_eq!(status, Some(0), "{words}");
    assert!(
        words.contains("held    tabs") && words.ends_with("Everything held that was tried.\n"),
        "{words}"
    );
    let (status, report, _) =
        run(&[&url, "--json", "--only", "tabs", "--only", "forged", "--address", address]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((status, report["checks"].as_array().map(Vec::len)), (Some(0), Some(2)), "{report}");
    assert_eq!(report["checks"][1]["figures"]["forged"], 200);

    // Of a network for documentation, where nothing is: refused before anything is sent there.
    for (url, why) in [
        ("https://192.0.2.1", "is not this machine"),
        ("http://192.0.2.1", "for this machine alone"),
        ("x", "form"),
    ] {
        let (status, _, said) = run(&[url]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    for limit in ["--tabs", "--forged", "--pairs", "--requests", "--seconds"] {
        assert_eq!(run(&[&url, limit, "1000000"]).0, Some(2), "{limit}");
        assert_eq!(run(&[&url, limit, "0"]).0, Some(2), "{limit}");
    }
    assert_eq!(run(&[&url, "--address", "same@example.com"]).0, Some(2));
    // Nobody is there.
    assert_eq!(run(&["http://127.0.0.1:1", "--only", "tabs"]).0, Some(3));
}
