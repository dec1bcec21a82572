//! Every endpoint, as the function processes answer it, with each of its calls to AWS going wrong in turn.
//!
//! Whatever goes wrong, the answer is the right one or 503 with `Retry-After`, inside the deadline; the same request sent
//! again is then answered, and what it is for has happened once.
#![cfg(test)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portcullis_gateway::storm::{Calls, Fault, Storm};
use portcullis_gateway::template::{self, Template};
use portcullis_gateway::{Cloud, Function, guard, notifications_to, router, token_in};
use portcullis_harness::call::Call;
use portcullis_harness::endpoint::Endpoint;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::person::{Person, unix_now};
use portcullis_harness::process::tool_with;
use portcullis_harness::reply::Reply;
use portcullis_harness::service::Service;
use portcullis_platform::Environment;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const OTHER: &str = "marble orchard whispers northward";
/// A request's deadline of five seconds, and some patience with a machine that is busy with tests.
const DEADLINE: Duration = Duration::from_secs(7);

/// How often a request is sent again that nothing was done to.
const INSISTENCE: usize = 4;

const THROTTLED: Fault = Fault::Refused(400, "ProvisionedThroughputExceededException");
const FAILING: Fault = Fault::Refused(500, "InternalServerError");
const DISABLED: Fault = Fault::Refused(400, "DisabledException");

fn variable(name: &str) -> String {
    Environment::of_process().raw(name).expect("tests/with-cloud runs this").to_owned()
}

/// The functions in front of AWS services that can be struck.
struct World {
    folder: tempfile::TempDir,
    cloud: Cloud,
    table: Storm,
    keepers: Storm,
    at: Endpoint,
    /// The tokens of services by their names.
    tokens: Value,
    people: AtomicU32,
}

/// What the check afterwards needs to know.
#[derive(Debug, Clone, Default)]
struct Known {
    email: String,
    person: Option<Person>,
    /// Another session of the same person.
    other: Option<Person>,
    /// An API key that was rotated away.
    old_key: String,
    account: String,
}

/// A request of a client, and how it is answered.
#[derive(Debug, Clone)]
struct Ask {
    call: Call,
    expected: u16,
    /// The code of the response when it had happened before.
    done: Option<&'static str>,
    known: Known,
}

impl Ask {
    fn new(call: Call, expected: u16) -> Self {
        Self { call, expected, done: None, known: Known::default() }
    }

    fn knowing(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// It is good once, and says so.
    fn or(mut self, code: &'static str) -> Self {
        self.done = Some(code);
        self
    }
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = Cloud::of_folder(folder.path(), &Environment::of_process()).await.unwrap();
        let (table, keepers) = (Storm::default(), Storm::default());
        let to_keepers = keepers.to(&variable("AWS_ENDPOINT_URL")).await.unwrap();
        let test = std::env::current_exe().unwrap();
        let binaries: PathBuf = test.parent().and_then(Path::parent).unwrap().to_owned();
        let mut functions = Vec::new();
        for mut described in Template::read(&template::path()).unwrap().functions() {
            // The deadline is asserted here; a start takes as long as it takes on a machine that is busy.
            described.timeout = 60;
            let guarded = guard(described.clone(), &variable("AWS_ENDPOINT_URL_DYNAMODB")).await.unwrap();
            let mut variables = cloud.variables().to_vec();
            variables.extend([
                ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), table.to(&guarded).await.unwrap()),
                ("AWS_ENDPOINT_URL".to_owned(), to_keepers.clone()),
                ("ARGON2_MEMORY_KIB".to_owned(), "64".to_owned()),
                // Wrong passwords of everybody here come from one address.
                ("RATE_LIMIT".to_owned(), "off".to_owned()),
            ]);
            let log = folder.path().join("log");
            functions.push(Function::new(described, &binaries, variables, &log).await.unwrap());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = router(&functions).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, service).into_future());
        let tokens = cloud.service_tokens().await.unwrap();
        let at = Endpoint::at(&url).retrying(INSISTENCE);
        Self { folder, cloud, table, keepers, at, tokens, people: AtomicU32::new(0) }
    }

    fn service(&self, name: &str) -> Service {
        self.at.service(self.tokens[name][0].as_str().unwrap())
    }

    fn number(&self) -> u32 {
        self.people.fetch_add(1, Ordering::SeqCst)
    }

    /// An administrator: `manage-users` makes one on the table, past all storms.
    async fn administrator(&self) -> Person {
        let cloud = &self.cloud;
        let name = format!("root{}", self.number());
        let variables = [
            ("AWS_SECRET_NAME", cloud.secret.as_str()),
            ("KMS_KEY_ID", &cloud.key),
            ("MAIL_FROM", &cloud.sender),
        ];
        let arguments = ["create-user", &name, "--role", "admin", "--table", &cloud.table];
        let (status, _, complaint) = tool_with(self.folder.path(), &arguments, PASSWORD, &variables);
        assert_eq!(status, 0, "{complaint}");
        self.at.sign_in(&name).await
    }

    async fn login_status(&self, email: &str, password: &str) -> u16 {
        self.at.login(email, password).await.status
    }

    async fn refresh_status(&self, person: &Person) -> u16 {
        self.at.refresh(person.refresh_token()).await.status
    }

    /// Asks as the edge whether an API key is good.
    fn verify_key(&self, key: &str) -> Call {
        self.service("edge").post("/v1/internal/api-keys/verify", json!({"api_key": key}))
    }

    fn read(&self, account: &str) -> Call {
        self.service("ticker").read_credentials(account)
    }
}

fn link(person: &Person) -> Call {
    let account =
        json!({"broker": "kite", "user_id_broker": "A", "api_key": "kitekey-9f3c", "api_secret": "first"});
    person.post("/v1/trading-accounts", account)
}

fn make_key(person: &Person) -> Call {
    person.post("/v1/api-keys", json!({"name": "nightly"}))
}

async fn count(person: &Person, path: &str) -> usize {
    person.get(path).await.assert_status(200).items().len()
}

/// One request and everything that leads to it.
async fn prepare(world: &World, name: &str) -> Ask {
    let email = format!("p{}@example.com", world.number());
    if name == "register" {
        let call = world.at.register(&email).header("idempotency-key", format!("form-{email}"));
        return Ask::new(call, 201).knowing(Known { email, ..Known::default() });
    }
    let person = world.at.person(&email).await;
    let known = Known { email, person: Some(person.clone()), ..Known::default() };
    match name {
        "login"
        | "refresh"
        | "logout"
        | "users/me"
        | "rename"
        | "erase"
        | "status"
        | "sessions"
        | "end the other sessions" => prepare_session(world, name, &person, known).await,
        "set up a factor" | "enable the factor" | "finish a sign-in" | "disable the factor"
        | "renew backup codes" => prepare_factor(world, name, &person).await.knowing(known),
        "change the password" | "forget the password" | "reset the password" => {
            prepare_password(world, name, &person).await.knowing(known)
        }
        "make an API key" | "API keys" | "rotate an API key" | "delete an API key" | "verify an API key"
        | "permissions" => prepare_key(world, name, &person, known).await,
        "link an account"
        | "freeze"
        | "trading accounts"
        | "rename an account"
        | "replace credentials"
        | "unlink"
        | "read credentials" => prepare_account(world, name, &person, known).await,
        _ => prepare_other(world, name, &person).await.knowing(known),
    }
}

async fn prepare_session(world: &World, name: &str, person: &Person, mut known: Known) -> Ask {
    let sign_out = json!({"refresh_token": person.refresh_token()});
    let ask = match name {
        "login" => Ask::new(world.at.login(&person.email, PASSWORD), 200),
        "refresh" => Ask::new(world.at.refresh(person.refresh_token()), 200),
        "logout" => Ask::new(world.at.post("/v1/auth/logout", sign_out), 200),
        "users/me" => Ask::new(person.me(), 200),
        "rename" => Ask::new(person.patch("/v1/users/me", json!({"name": "Asha Rao"})), 200),
        "erase" => {
            let erase = person.delete("/v1/users/me").json(json!({"password": PASSWORD}));
            Ask::new(erase, 204).or("invalid_token")
        }
        "status" => Ask::new(person.get("/v1/auth/status"), 200),
        "sessions" => Ask::new(person.get("/v1/sessions"), 200),
        _ => {
            for _ in 0..3 {
                known.other = Some(world.at.sign_in(&person.email).await);
            }
            Ask::new(person.delete("/v1/sessions"), 204)
        }
    };
    ask.knowing(known)
}

async fn prepare_factor(world: &World, name: &str, person: &Person) -> Ask {
    match name {
        "set up a factor" => return Ask::new(person.post("/v1/mfa/totp/setup", Value::Null), 200),
        "enable the factor" => {
            let proof = json!({"code": person.set_up_factor().await.code_at(unix_now())});
            return Ask::new(person.post("/v1/mfa/totp/enable", proof), 200).or("mfa_not_set_up");
        }
        _ => {}
    }
    let code = person.enable_factor().await.code_at(unix_now());
    let proof = json!({"password": PASSWORD, "code": code});
    match name {
        "finish a sign-in" => {
            let asked = world.at.login(&person.email, PASSWORD).await.assert_status(200);
            let body = json!({"session_token": asked["session_token"], "code": code});
            Ask::new(world.at.post("/v1/auth/mfa/verify", body), 200).or("invalid_session_token")
        }
        "disable the factor" => {
            Ask::new(person.post("/v1/mfa/totp/disable", proof), 200).or("mfa_not_set_up")
        }
        _ => Ask::new(person.post("/v1/mfa/backup-codes", proof), 200).or("forbidden"),
    }
}

async fn prepare_password(world: &World, name: &str, person: &Person) -> Ask {
    let forget = world.at.post("/v1/auth/password/forgot", json!({"email": person.email}));
    match name {
        "change the password" => {
            let body = json!({"current_password": PASSWORD, "new_password": OTHER});
            Ask::new(person.post("/v1/auth/password/change", body), 200).or("forbidden")
        }
        "forget the password" => Ask::new(forget, 202),
        _ => {
            forget.await.assert_status(202);
            let sent = notifications_to(&variable("AWS_ENDPOINT_URL"), &person.email).await.unwrap();
            let body = json!({"token": token_in(sent.last().unwrap()).unwrap(), "new_password": OTHER});
            Ask::new(world.at.post("/v1/auth/password/reset", body), 200).or("invalid_mail_token")
        }
    }
}

async fn prepare_key(world: &World, name: &str, person: &Person, mut known: Known) -> Ask {
    match name {
        "make an API key" => {
            return Ask::new(make_key(person).header("idempotency-key", "key-1"), 201).knowing(known);
        }
        "API keys" => return Ask::new(person.get("/v1/api-keys"), 200).knowing(known),
        "permissions" => return Ask::new(person.get("/v1/authz/permissions"), 200).knowing(known),
        _ => {}
    }
    let key = make_key(person).await.assert_status(201);
    let path = format!("/v1/api-keys/{}", key.text("key_id"));
    let ask = match name {
        "rotate an API key" => {
            key.text("api_key").clone_into(&mut known.old_key);
            Ask::new(person.post(format!("{path}/rotate"), Value::Null), 200)
        }
        "delete an API key" => Ask::new(person.delete(path), 204).or("not_found"),
        _ => Ask::new(world.verify_key(key.text("api_key")), 200),
    };
    ask.knowing(known)
}

async fn prepare_account(world: &World, name: &str, person: &Person, mut known: Known) -> Ask {
    if name == "link an account" {
        return Ask::new(link(person).header("idempotency-key", "link-1"), 201).knowing(known);
    }
    let linked = link(person).await.assert_status(201);
    linked.text("account_id").clone_into(&mut known.account);
    let one = format!("/v1/trading-accounts/{}", known.account);
    let ask = match name {
        "freeze" => Ask::new(person.post("/v1/trading-accounts/freeze", json!({"password": PASSWORD})), 200),
        "trading accounts" => Ask::new(person.get("/v1/trading-accounts"), 200),
        "rename an account" => Ask::new(person.patch(one, json!({"label": "mine"})), 200),
        "replace credentials" => {
            let body = json!({"api_key": "anotherkey-1a2b", "api_secret": "second"});
            Ask::new(person.put(format!("{one}/credentials"), body), 200)
        }
        "unlink" => Ask::new(person.delete(one), 204).or("not_found"),
        _ => Ask::new(world.read(&known.account), 200),
    };
    ask.knowing(known)
}

async fn prepare_other(world: &World, name: &str, person: &Person) -> Ask {
    match name {
        "audit trail" => return Ask::new(person.get("/v1/audit"), 200),
        "providers" => return Ask::new(person.get("/v1/providers"), 200),
        "report an outcome" => {
            let path = "/v1/internal/providers/kite/outcomes";
            return Ask::new(world.service("ticker").post(path, json!({"ok": true})), 202);
        }
        "revocations" => return Ask::new(world.service("edge").get("/v1/internal/revocations"), 200),
        _ => {}
    }
    let root = world.administrator().await;
    let one = format!("/v1/admin/users/{}", person.user_id());
    match name {
        "people" => Ask::new(root.get("/v1/admin/users"), 200),
        "switch off" => Ask::new(root.patch(one, json!({"status": "disabled"})), 200),
        "end all sessions" => Ask::new(root.post(format!("{one}/revoke-sessions"), Value::Null), 204),
        "unlock" => Ask::new(root.post(format!("{one}/unlock"), Value::Null), 204),
        "everybody's trail" => Ask::new(root.get("/v1/admin/audit"), 200),
        other => panic!("{other}"),
    }
}

/// What the request is for has happened, and once.
async fn check(world: &World, name: &str, ask: &Ask, answered: &Reply, undisturbed: bool) {
    let known = &ask.known;
    let email = known.email.as_str();
    if name == "register" {
        world.at.register(email).await.assert_status(409);
        assert_eq!(world.login_status(email, PASSWORD).await, 200);
        return;
    }
    let person = known.person.as_ref().expect("a person");
    let sessions_of = async |reply: &Reply| {
        let list = world.at.get("/v1/sessions").bearer(reply.text("access_token"));
        list.await.assert_status(200).items().len()
    };
    let login = || world.at.login(email, PASSWORD);
    match name {
        "login" => {
            let sessions = sessions_of(answered).await;
            // The one from before, this one, and where an answer was lost perhaps one that nobody has a token of.
            assert!(sessions == 2 || (!undisturbed && sessions == 3), "{sessions} sessions");
            world.at.refresh(answered.text("refresh_token")).await.assert_status(200);
        }
        "refresh" => {
            assert_eq!(sessions_of(answered).await, 1);
            world.at.refresh(answered.text("refresh_token")).await.assert_status(200);
        }
        "logout" | "end all sessions" => assert_eq!(world.refresh_status(person).await, 401),
        "rename" => assert_eq!(person.me().await.assert_status(200)["name"], "Asha Rao"),
        "erase" => {
            assert_eq!(world.login_status(email, PASSWORD).await, 401);
            assert_eq!(world.refresh_status(person).await, 401);
        }
        "end the other sessions" => {
            let other = known.other.as_ref().expect("another session");
            assert_eq!(world.refresh_status(other).await, 401);
            assert_eq!(count(person, "/v1/sessions").await, 1);
            assert_eq!(world.refresh_status(person).await, 200);
        }
        "enable the factor" | "renew backup codes" => {
            assert_eq!(login().await.assert_status(200)["status"], "mfa_required");
        }
        "finish a sign-in" => {
            assert_eq!(count(person, "/v1/sessions").await, 2, "one code is one sign-in");
        }
        "disable the factor" => assert_eq!(login().await.assert_status(200)["status"], "authenticated"),
        "change the password" | "reset the password" => {
            assert_eq!(world.login_status(email, PASSWORD).await, 401);
            assert_eq!(world.login_status(email, OTHER).await, 200);
        }
        "switch off" => assert_eq!(world.login_status(email, PASSWORD).await, 401),
        _ => check_keys_and_vault(world, name, known, person, answered).await,
    }
}

/// The same for API keys and trading accounts.
async fn check_keys_and_vault(world: &World, name: &str, known: &Known, person: &Person, answered: &Reply) {
    match name {
        "make an API key" | "rotate an API key" => {
            assert_eq!(count(person, "/v1/api-keys").await, 1);
            let active = async |key: &str| world.verify_key(key).await.assert_status(200)["active"].clone();
            assert_eq!(active(answered.text("api_key")).await, true);
            if name == "rotate an API key" {
                assert_eq!(active(&known.old_key).await, false);
            }
        }
        "delete an API key" => assert_eq!(count(person, "/v1/api-keys").await, 0),
        "verify an API key" => assert_eq!(answered["active"], true),
        "link an account" => {
            assert_eq!(count(person, "/v1/trading-accounts").await, 1);
            let read = world.read(answered.text("account_id")).await.assert_status(200);
            assert_eq!(read["api_secret"], "first");
        }
        "rename an account" => {
            let listed = person.get("/v1/trading-accounts").await.assert_status(200);
            assert_eq!(listed.items()[0]["label"], "mine");
        }
        "replace credentials" => {
            let read = world.read(&known.account).await.assert_status(200);
            assert_eq!(read["api_secret"], "second");
        }
        "unlink" => {
            assert_eq!(count(person, "/v1/trading-accounts").await, 0);
            assert_eq!(world.read(&known.account).await.status, 404);
        }
        "freeze" => assert_eq!(world.read(&known.account).await.status, 403),
        "read credentials" => {
            assert_eq!(answered["api_secret"], "first");
            let trail = person.get("/v1/audit?type=credentials_read").await.assert_status(200);
            assert!(!trail.items().is_empty(), "no reading without a record");
        }
        _ => {}
    }
}

/// What may go wrong with the call of this operation, the `number`th of a request.
fn faults(operation: &str, number: usize) -> Vec<(Calls, Fault)> {
    let (only, from) = (Calls::Only(number), Calls::From(number));
    let mut faults = vec![(from, THROTTLED)];
    match operation {
        "TransactWriteItems" => faults.extend([
            (only, Fault::Cancelled(&["TransactionConflict", "None"])),
            (only, Fault::Cancelled(&["ConditionalCheckFailed", "TransactionConflict", "None"])),
            (from, Fault::Cancelled(&["None", "TransactionConflict"])),
            (from, Fault::Cancelled(&["ConditionalCheckFailed", "ThrottlingError"])),
            (only, Fault::Lost),
            (from, Fault::Lost),
        ]),
        "UpdateItem" | "PutItem" | "DeleteItem" => faults.extend([
            (only, Fault::Refused(400, "TransactionConflictException")),
            (only, Fault::Lost),
            (from, Fault::Lost),
        ]),
        "BatchWriteItem" | "BatchGetItem" => {
            faults.extend([(only, Fault::Partial(1)), (from, Fault::Partial(0)), (from, Fault::Lost)]);
        }
        _ => {}
    }
    faults
}

/// Sends the request while a fault is on, and as often as a client would when it is over. A fault that `passes` when the
/// same call is made once more is no client's business, as long as the SDK's quota of repetitions lasts.
async fn survive(world: &World, name: &str, strike: impl Fn(), what: &str, passes: bool) {
    let ask = Box::pin(prepare(world, name)).await;
    strike();
    let began = tokio::time::Instant::now();
    let mut reply = ask.call.send().await.unwrap();
    let took = began.elapsed();
    world.table.calm();
    world.keepers.calm();
    assert!(took < DEADLINE, "{name}, {what}: {took:?}");
    let disturbed = reply.status == 503;
    assert!(!disturbed || !passes, "{name}, {what}: {reply}");
    if disturbed {
        assert!(reply.header("retry-after").is_some(), "{name}, {what}: {reply}");
        reply = ask.call.clone().await;
    }
    let repeated = disturbed && ask.done.is_some_and(|code| reply["code"] == code);
    assert!(reply.status == ask.expected || repeated, "{name}, {what}: {reply}");
    println!("{name}, {what}: {}{}", if disturbed { "503, then " } else { "" }, reply.status);
    Box::pin(check(world, name, &ask, &reply, !disturbed)).await;
}

/// Whose functions have not used up their quota with what went before.
const QUOTA_LASTS: [&str; 2] = ["login", "refresh"];

/// Everything that can go wrong with one request.
async fn try_everything(world: &World, name: &str) {
    // Its functions are running and warm from here on.
    let ask = Box::pin(prepare(world, name)).await;
    let mut first = ask.call.send().await.unwrap();
    for _ in 1..INSISTENCE {
        if first.status == 503 {
            world.table.calm();
            world.keepers.calm();
            first = ask.call.send().await.unwrap();
        }
    }
    let (calls, mut kept) = (world.table.calm(), world.keepers.calm());
    // That is a start.
    kept.retain(|operation| operation != "GetSecretValue");
    assert_eq!(first.status, ask.expected, "{name}: {first}");
    // The same event once more: Lambda may deliver it twice, and a client may not have heard the answer.
    let again = ask.call.clone().await;
    let known = ask.done.is_some_and(|code| again["code"] == code);
    assert!(again.status == ask.expected || known, "{name}, repeated: {again}");
    if name != "login" {
        // Whoever rotates a key twice has the second one.
        let last = if again.status == ask.expected { &again } else { &first };
        Box::pin(check(world, name, &ask, last, true)).await;
    }
    println!("{name}: {calls:?} {kept:?}");

    for (number, operation) in calls.iter().enumerate() {
        for (calls, fault) in faults(operation, number) {
            let what = format!("{operation}, {calls:?}: {fault:?}");
            let is_single =
                matches!((calls, fault), (Calls::Only(_), Fault::Refused(..) | Fault::Cancelled(_)));
            let passes = is_single && QUOTA_LASTS.contains(&name);
            Box::pin(survive(world, name, || world.table.strike(calls, fault), &what, passes)).await;
        }
    }
    if !calls.is_empty() {
        for fault in [FAILING, Fault::Silent] {
            let what = format!("the table away: {fault:?}");
            Box::pin(survive(world, name, || world.table.strike(Calls::From(0), fault), &what, false)).await;
        }
    }
    if !kept.is_empty() {
        for fault in [FAILING, DISABLED, Fault::Silent] {
            let what = format!("the keepers away: {fault:?}");
            Box::pin(survive(world, name, || world.keepers.strike(Calls::From(0), fault), &what, false))
                .await;
        }
    }
}

async fn try_all(names: &[&str]) {
    let world = World::new().await;
    for name in names {
        Box::pin(try_everything(&world, name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_and_out() {
    Box::pin(try_all(&[
        "register",
        "login",
        "refresh",
        "logout",
        "users/me",
        "rename",
        "erase",
        "status",
        "sessions",
        "end the other sessions",
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_second_factors() {
    Box::pin(try_all(&[
        "set up a factor",
        "enable the factor",
        "finish a sign-in",
        "disable the factor",
        "renew backup codes",
        "change the password",
        "forget the password",
        "reset the password",
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_the_vault() {
    Box::pin(try_all(&[
        "make an API key",
        "API keys",
        "rotate an API key",
        "delete an API key",
        "verify an API key",
        "permissions",
        "link an account",
        "trading accounts",
        "rename an account",
        "replace credentials",
        "read credentials",
        "freeze",
        "unlink",
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_and_administration() {
    Box::pin(try_all(&[
        "audit trail",
        "providers",
        "report an outcome",
        "revocations",
        "people",
        "switch off",
        "end all sessions",
        "unlock",
        "everybody's trail",
    ]))
    .await;
}
