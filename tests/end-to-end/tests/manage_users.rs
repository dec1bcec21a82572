//! The command line tool beside a running service: what it does, says, refuses and returns.
#![cfg(test)]

use std::fmt::Write;

use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::{Target, tool, tool_with};
use serde_json::{Value, json};

const OTHER: &str = "seven green kites over the harbour";

/// The service, and `manage-users` on its folder.
struct Stage {
    app: App,
}

impl Stage {
    fn new() -> Self {
        Self { app: App::local() }
    }

    /// The same where addresses must be confirmed, as on AWS unless somebody says otherwise.
    fn that_confirms_addresses() -> Self {
        Self { app: App::on(Target::Local, &[("EMAIL_VERIFICATION", "required")]) }
    }

    /// A command that is carried out, and what it answers in JSON.
    fn done(&self, arguments: &[&str], typed: &str) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let (status, out, err) = tool(self.app.folder(), &arguments, typed);
        assert_eq!(status, 0, "{arguments:?}: {err}");
        serde_json::from_str(&out).unwrap()
    }

    /// A command that is refused with this status, and what it says.
    fn refused(&self, arguments: &[&str], typed: &str, status: i32) -> String {
        let (is, _, err) = tool(self.app.folder(), arguments, typed);
        assert_eq!(is, status, "{arguments:?}: {err}");
        assert!(err.starts_with("manage-users: ") || status == 2, "{err}");
        err
    }

    /// The status of a sign-in.
    async fn login(&self, username: &str, password: &str) -> u16 {
        self.app.login(username, password).await.status
    }

    /// The status of a request with this API key.
    async fn with_key(&self, key: &Value) -> u16 {
        self.app.get("/v1/users/me").header("x-api-key", key.as_str().unwrap()).await.status
    }
}

#[tokio::test]
async fn accounts_are_made_and_changed_while_the_service_runs() {
    let stage = Stage::new();
    let made =
        stage.done(&["create-user", "asha", "--role", "trader", "--email", "asha@example.com"], PASSWORD);
    assert_eq!((&made["username"], &made["roles"]), (&json!("asha"), &json!(["trader"])));
    assert_eq!(stage.login("asha", PASSWORD).await, 200);

    let err = stage.refused(&["create-user", "asha", "--role", "user"], PASSWORD, 1);
    assert!(err.contains("username"), "{err}");
    let err = stage.refused(&["create-user", "bela", "--role", "wizard"], PASSWORD, 1);
    assert!(err.contains("wizard"), "{err}");
    let err = stage.refused(&["create-user", "bela", "--role", "user"], "password", 1);
    assert!(err.contains("too weak"), "{err}");
    stage.refused(&["create-user", "bela"], PASSWORD, 2);
    stage.refused(&["set-roles", "nobody", "user"], "", 1);
    let (status, _, err) =
        tool_with(stage.app.folder(), &["list-users"], "", &[("PUBLIC_URL", "http://example.com")]);
    assert!(status == 2 && err.contains("PUBLIC_URL: "), "links in mail would go there: {err}");
    let (status, _, err) =
        tool_with(stage.app.folder(), &["list-users"], "", &[("ROLE_DEFINITIONS", "nonsense")]);
    assert_eq!(status, 2, "{err}");

    let idle = stage.done(&["create-user", "idle", "--role", "user", "--inactive"], PASSWORD);
    assert_eq!((&idle["email"], &idle["status"]), (&Value::Null, &json!("disabled")));
    assert_eq!(stage.login("idle", PASSWORD).await, 401);
    stage.done(&["activate", "idle"], "");
    assert_eq!(stage.login("idle", PASSWORD).await, 200);

    let asha = stage.app.sign_in("asha").await;
    assert_eq!(stage.done(&["set-roles", "asha", "viewer"], "")["roles"], json!(["viewer"]));
    asha.me().await.assert_status(200);
    stage.done(&["rotate-password", "asha@example.com"], &format!("{OTHER}\n"));
    assert_eq!(asha.me().await.status, 401, "another password ends every session");
    assert_eq!(stage.login("asha", PASSWORD).await, 401);
    assert_eq!(stage.login("asha", OTHER).await, 200);
    stage.done(&["unlock", "asha"], "");
    stage.done(&["reset-mfa", "asha", "--yes"], "");
    stage.done(&["deactivate", "asha"], "");
    assert_eq!(stage.login("asha", OTHER).await, 401);

    let users = stage.done(&["list-users"], "");
    assert_eq!(users.as_array().unwrap().len(), 2);
    let asha = users.as_array().unwrap().iter().find(|user| user["username"] == "asha").unwrap();
    assert_eq!((&asha["status"], &asha["api_key_status"]), (&json!("disabled"), &json!("none")));
    assert!(asha["last_login_at"].is_string() && asha["password_changed_at"].is_string());
    assert!(asha["failed_login_attempts"].is_number() && asha["last_failed_login_at"].is_string());
    let (status, out, _) = tool(stage.app.folder(), &["list-users"], "");
    assert_eq!((status, out.lines().count()), (0, 3), "a header and two accounts");
    assert!(out.contains("asha@example.com") && !out.contains('{'), "{out}");
}

#[tokio::test]
async fn the_last_administrator_stays_on_the_command_line_too() {
    let stage = Stage::new();
    stage.done(&["create-user", "root", "--role", "admin"], PASSWORD);
    for command in [&["deactivate", "root"][..], &["set-roles", "root", "user"]] {
        let err = stage.refused(command, "", 1);
        assert!(err.contains("last administrator"), "{err}");
    }
}

#[tokio::test]
async fn an_account_without_an_address_signs_in_by_its_username_and_gets_no_mail() {
    let stage = Stage::that_confirms_addresses();
    let made = stage.done(&["create-user", "robot", "--role", "admin"], PASSWORD);
    assert_eq!((&made["email"], &made["email_verified"]), (&Value::Null, &json!(false)));
    let err = stage.refused(&["create-user", "robot", "--role", "user"], PASSWORD, 1);
    assert!(err.contains("username"), "{err}");
    stage.refused(&["create-user", "other", "--role", "user", "--unverified"], PASSWORD, 2);

    let mut robot = stage.app.sign_in("robot").await;
    let me = robot.me().await.assert_status(200);
    assert_eq!((&me["email"], &me["username"]), (&Value::Null, &json!("robot")));
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(robot.access_token()).unwrap().claims;
    assert_eq!((claims.get("email"), &claims["roles"]), (None, &json!(["admin"])));
    robot.refresh().await.assert_status(200);
    let listed = robot.get("/v1/admin/users").await.assert_status(200);
    assert_eq!(listed["items"][0]["email"], Value::Null);
    // What its login record lies under is no address that anybody could type.
    let typed = json!({"email": "name:robot", "password": PASSWORD});
    stage.app.post("/v1/auth/login", typed).await.assert_status(422);
    stage.app.post("/v1/auth/password/forgot", json!({"email": "name:robot"})).await.assert_status(422);
    // The role requires a second factor, which was set up at the first sign-in.
    assert_eq!(stage.app.login("robot", PASSWORD).await.assert_status(200)["status"], "mfa_required");
    stage.app.sign_in("robot").await;
    stage.done(&["reset-mfa", "robot", "--yes"], "");
    stage.done(&["rotate-password", "robot"], OTHER);
    assert_eq!(stage.login("robot", OTHER).await, 200);
    assert!(stage.app.outbox().is_empty(), "there is no address to send it to");
    let (_, exported, _) = tool(stage.app.folder(), &["export", "--with-hashes"], "");
    let elsewhere = App::local();
    for report in ["1 imported, 0 there already, 0 refused", "0 imported, 1 there already, 0 refused"] {
        let (status, said, err) = tool(elsewhere.folder(), &["import", "-"], &exported);
        assert_eq!((status, said.trim()), (0, report), "{err}");
    }
    let proof = json!({"password": OTHER});
    let robot = stage.app.sign_in_with("robot", OTHER).await;
    let erase = || stage.app.call(reqwest::Method::DELETE, "/v1/users/me").json(proof.clone());
    let bearer = robot.access_token();
    erase().bearer(bearer).await.assert_problem(409, "last_admin");
    stage.done(&["create-user", "second", "--role", "admin"], PASSWORD);
    erase().bearer(bearer).await.assert_status(204);
    stage.done(&["create-user", "robot", "--role", "user"], PASSWORD);
    assert_eq!(stage.done(&["audit", "verify"], "")["whole"], true);
}

#[tokio::test]
async fn an_address_that_an_operator_gives_is_confirmed_unless_they_say_otherwise() {
    const HASH: &str =
        "pbkdf2_sha256$1000$0kmY64y3zMgxSiALogqXVO$70FGwJr+6gmSJMEoT04Q57zFbR1mVrFipe8EyTWERS0=";
    let stage = Stage::that_confirms_addresses();
    let made =
        stage.done(&["create-user", "asha", "--role", "user", "--email", "asha@example.com"], PASSWORD);
    assert_eq!(made["email_verified"], true);
    assert_eq!(stage.login("asha@example.com", PASSWORD).await, 200);
    let unverified = ["create-user", "bela", "--role", "user", "--email", "bela@example.com", "--unverified"];
    assert_eq!(stage.done(&unverified, PASSWORD)["email_verified"], false);
    assert_eq!(stage.app.login("bela@example.com", PASSWORD).await["code"], "email_not_verified");

    let rows = format!(
        "email,password_hash,email_verified\nc1@example.com,{HASH},\nc2@example.com,{HASH},true\n\
         c3@example.com,{HASH},false\nc4@example.com,{HASH},perhaps\n"
    );
    let (status, said, _) = tool(stage.app.folder(), &["import", "-", "--format", "csv"], &rows);
    assert!(status == 1 && said.contains("line 5: ") && said.contains("3 imported"), "{said}");
    for (email, code) in [("c1@example.com", 200), ("c2@example.com", 200), ("c3@example.com", 403)] {
        assert_eq!(stage.login(email, "copper lantern").await, code, "{email}");
    }
    let root = stage.done(&["create-user", "root", "--role", "admin"], PASSWORD);
    let root = stage.app.sign_in(root["username"].as_str().unwrap()).await;
    for (email, vouched, code) in
        [("d1@example.com", Value::Null, 200), ("d2@example.com", json!(false), 403)]
    {
        let body = json!({"email": email, "password": PASSWORD, "name": "Dee", "email_verified": vouched});
        root.post("/v1/admin/users", body).await.assert_status(201);
        assert_eq!(stage.login(email, PASSWORD).await, code, "{email}");
    }
    let nobody = json!({"password": PASSWORD, "name": "Dee"});
    let refused = root.post("/v1/admin/users", nobody).await.assert_status(422);
    assert_eq!(refused["errors"][0]["pointer"], "/email");
    let by_name = json!({"password": PASSWORD, "name": "Dee", "username": "deedee"});
    assert_eq!(root.post("/v1/admin/users", by_name).await.assert_status(201)["email"], Value::Null);
    assert_eq!(stage.login("deedee", PASSWORD).await, 200);
}

#[tokio::test]
async fn who_is_invited_chooses_the_password_with_the_link_of_a_mail() {
    let stage = Stage::that_confirms_addresses();
    let invite = ["invite-user", "asha@example.com", "--role", "admin", "--username", "asha"];
    let made = stage.done(&invite, "");
    assert_eq!((&made["email_verified"], &made["name"]), (&json!(false), &json!("asha")));
    assert_eq!(stage.login("asha@example.com", PASSWORD).await, 401, "there is no password");
    assert_eq!(stage.login("asha", "").await, 401);
    stage.done(&invite, "");
    stage.refused(&["invite-user", "asha@example.com", "--role", "user"], "", 1);
    stage.refused(&["invite-user", "nobody", "--role", "user"], "", 1);
    let mails = stage.app.outbox();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].0.contains("http://localhost:8001/reset-password#token"), "{:?}", mails[0]);
    let (_, exported, _) = tool(stage.app.folder(), &["export", "--with-hashes"], "");
    assert!(exported.contains(r#""password_hash":null"#), "{exported}");

    let choose = |token: String| {
        stage.app.post("/v1/auth/password/reset", json!({"token": token, "new_password": PASSWORD}))
    };
    choose(mails[0].token()).await.assert_status(200);
    let asha = stage.app.sign_in("asha@example.com").await;
    assert_eq!(asha.me().await["email_verified"], true);
    asha.get("/v1/admin/users").await.assert_status(200);
    choose(mails[1].token()).await.assert_problem(401, "invalid_mail_token");
    let err = stage.refused(&invite, "", 1);
    assert!(err.contains("another account has the address"), "{err}");
    let trail = asha.get("/v1/admin/audit?type=account_invited").await.assert_status(200);
    assert_eq!((trail.items().len(), &trail["items"][0]["actor"]), (2, &json!("cli:tester")));
}

#[tokio::test]
async fn a_key_of_its_owner_is_no_managed_key_whatever_it_is_called() {
    let stage = Stage::new();
    stage.done(&["create-user", "asha", "--role", "trader", "--email", "asha@example.com"], PASSWORD);
    let asha = stage.app.sign_in("asha@example.com").await;
    let own = json!({"name": "manage-users", "scopes": ["profile:read"]});
    let before = asha.post("/v1/api-keys", own.clone()).await.assert_status(201);
    let managed = stage.done(&["rotate-api-key", "asha"], "");
    assert!(managed["api_key"].is_string(), "a first one is made: {managed}");
    let after = asha.post("/v1/api-keys", own).await.assert_status(201);
    let rotated = stage.done(&["rotate-api-key", "asha"], "");
    assert_eq!(rotated["key_id"], managed["key_id"]);
    for key in [&before["api_key"], &after["api_key"], &rotated["api_key"]] {
        assert_eq!(stage.with_key(key).await, 200);
    }
    let set = stage.done(&["set-api-key", "asha"], "");
    for (key, status) in [(&before.body, 200), (&after.body, 200), (&rotated, 401), (&set, 200)] {
        assert_eq!(stage.with_key(&key["api_key"]).await, status);
    }
}

#[tokio::test]
async fn an_account_has_one_managed_key_at_a_time() {
    let stage = Stage::new();
    stage.done(&["create-user", "robot", "--role", "user"], PASSWORD);
    let first = stage.done(&["set-api-key", "robot"], "");
    assert_eq!(stage.with_key(&first["api_key"]).await, 200);
    let rotated = stage.done(&["rotate-api-key", "robot"], "");
    assert_eq!(rotated["key_id"], first["key_id"]);
    assert_eq!(
        (stage.with_key(&first["api_key"]).await, stage.with_key(&rotated["api_key"]).await),
        (401, 200)
    );

    // A key that was made elsewhere: here, for an account that gave it up.
    stage.done(&["create-user", "donor", "--role", "user"], PASSWORD);
    let given = stage.done(&["set-api-key", "donor"], "");
    let text = given["api_key"].as_str().unwrap();
    let taken = stage.refused(&["set-api-key", "robot", "--api-key", text], "", 1);
    assert!(taken.contains("somebody's key") && !taken.contains(text), "{taken}");
    stage.done(&["set-api-key", "donor"], "");
    for variable in ["PORTFOLIO_NEW_API_KEY", "PORTFOLIO_ROTATION_API_KEY"] {
        let set = [(variable, text)];
        let (status, out, err) =
            tool_with(stage.app.folder(), &["rotate-api-key", "robot", "--json"], "", &set);
        assert_eq!(status, 0, "{err}");
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&told["key_id"], told.get("api_key")), (&given["key_id"], None));
        assert_eq!(
            (stage.with_key(&rotated["api_key"]).await, stage.with_key(&given["api_key"]).await),
            (401, 200)
        );
        let away = stage.done(&["set-api-key", "robot"], "");
        assert_eq!(stage.with_key(&away["api_key"]).await, 200);
    }
    let malformed = stage.refused(&["set-api-key", "robot", "--api-key", "hunter2"], "", 1);
    assert!(malformed.contains("pk_<id>") && !malformed.contains("hunter2"));
    assert!(stage.refused(&["rotate-api-key", "nobody"], "", 1).contains("no such"));
    let users = stage.done(&["list-users"], "");
    assert!(users.as_array().unwrap().iter().all(|user| user["api_key_status"] == "active"));
}

#[tokio::test]
async fn an_import_takes_each_line_whole_or_not_at_all_and_may_be_repeated() {
    // From `foreign_hash`'s vectors: "copper lantern" by Django, with little work.
    const HASH: &str =
        "pbkdf2_sha256$1000$0kmY64y3zMgxSiALogqXVO$70FGwJr+6gmSJMEoT04Q57zFbR1mVrFipe8EyTWERS0=";
    let stage = Stage::new();
    let file = stage.app.folder().join("users.jsonl");
    let mut lines = String::new();
    for number in 0..40 {
        let row = json!({"email": format!("p{number}@example.com"), "username": format!("user{number}"),
            "name": "Somebody", "password_hash": HASH, "roles": ["trader"]});
        writeln!(lines, "{row}").unwrap();
    }
    let bad = [
        json!({"email": "p1@example.com", "name": "Another", "password_hash": HASH}),
        json!({"email": "fresh@example.com", "username": "user2", "password_hash": HASH}),
        json!({"email": "no address", "password_hash": HASH}),
        json!({"email": "q1@example.com", "password_hash": "hunter2"}),
        json!({"email": "q2@example.com", "password_hash": "$2b$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}),
        json!({"email": "q3@example.com"}),
        json!({"email": "q4@example.com", "password_hash": HASH, "roles": ["wizard"]}),
        json!({"email": "q5@example.com", "password_hash": HASH, "status": "asleep"}),
        json!({"password_hash": HASH}),
    ];
    for row in &bad {
        writeln!(lines, "{row}").unwrap();
    }
    lines.push_str("no JSON\n\n");
    std::fs::write(&file, &lines).unwrap();
    for (imported, present) in [(40, 0), (0, 40)] {
        let (status, out, err) = tool(stage.app.folder(), &["import", file.to_str().unwrap(), "--json"], "");
        assert_eq!(status, 1, "some lines are refused: {err}");
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&report["imported"], &report["present"]), (&json!(imported), &json!(present)));
        let refused = report["refused"].as_array().unwrap();
        let numbers: Vec<u64> = refused.iter().map(|line| line["line"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (41..=50).collect::<Vec<_>>(), "{out}");
        assert!(!out.contains("hunter2") && !out.contains("0kmY64y3zMgxSiALogqXVO"), "{out}");
    }
    assert_eq!(
        stage.done(&["list-users"], "").as_array().unwrap().len(),
        40,
        "nothing of a refused line is there"
    );
    assert_eq!(stage.login("user7", "copper lantern").await, 200);
    assert_eq!(stage.login("user8", "copper lanterm").await, 401);
    let (status, out, _) = tool(stage.app.folder(), &["export", "--with-hashes"], "");
    assert_eq!((status, out.lines().count()), (0, 40));
    let hash_of = |name: &str| {
        let rows = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.into_iter().find(|row| row["username"] == name).unwrap()["password_hash"].clone()
    };
    assert_eq!(hash_of("user8"), HASH);
    assert!(hash_of("user7").as_str().unwrap().starts_with("$argon2id$"), "replaced at the sign-in");
    let (_, without, _) = tool(stage.app.folder(), &["export"], "");
    assert!(!without.contains("password_hash"));

    // What is exported is imported elsewhere, and CSV is as good.
    let elsewhere = App::local();
    let (status, answer, err) = tool(elsewhere.folder(), &["import", "-", "--json"], &out);
    assert_eq!(status, 0, "{answer}{err}");
    let table = elsewhere.folder().join("users.csv");
    let csv =
        format!("username,password_hash,roles\ncee1,{HASH},user trader\ncee2,{HASH}\ncee3,nonsense,user\n");
    std::fs::write(&table, csv).unwrap();
    let (status, answer, _) = tool(elsewhere.folder(), &["import", table.to_str().unwrap()], "");
    assert_eq!(status, 1);
    let said: Vec<&str> = answer.lines().collect();
    assert!(said[0].starts_with("line 3: ") && said[1].starts_with("line 4: "), "{answer}");
    assert_eq!(said[2], "1 imported, 0 there already, 2 refused");
}

#[tokio::test]
async fn the_trail_is_verified_and_exported() {
    let stage = Stage::new();
    stage.done(&["create-user", "asha", "--role", "user"], PASSWORD);
    stage.login("asha", PASSWORD).await;
    let verified = stage.done(&["audit", "verify"], "");
    assert_eq!((&verified["whole"], &verified["records"]), (&json!(true), &json!(2)));
    let (status, out, _) = tool(stage.app.folder(), &["audit", "verify"], "");
    assert_eq!((status, out.as_str()), (0, "2 records in 2 chains: nothing was changed or removed\n"));
    let (status, out, err) = tool(stage.app.folder(), &["audit", "export"], "");
    assert_eq!(status, 0, "{err}");
    let records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&records[0]["type"], &records[0]["actor"]), (&json!("login_succeeded"), &json!("self")));
    assert_eq!(
        (&records[1]["type"], &records[1]["actor"]),
        (&json!("account_registered"), &json!("cli:tester"))
    );
    let (_, nothing, _) = tool(stage.app.folder(), &["audit", "export", "--to", "2026-01-01T00:00:00Z"], "");
    assert_eq!(nothing, "");
    let (_, all, _) = tool(stage.app.folder(), &["audit", "export", "--from", "2026-01-01T00:00:00Z"], "");
    assert_eq!(all, out);
    // With another key nothing could be told from what was changed.
    let secret = [("PORTFOLIO_API_KEY_SECRET", "another secret of more than thirty-two letters")];
    let (status, out, err) = tool_with(stage.app.folder(), &["audit", "verify"], "", &secret);
    assert_eq!((status, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("other keys"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_and_the_service_write_at_once() {
    let stage = Stage::new();
    stage.done(&["create-user", "asha", "--role", "user"], PASSWORD);
    let folder = stage.app.folder().to_owned();
    let tools: Vec<_> = (0..4)
        .map(|number| {
            let folder = folder.clone();
            std::thread::spawn(move || {
                for round in 0..3 {
                    let name = format!("t{number}r{round}");
                    let (status, _, err) = tool(&folder, &["create-user", &name, "--role", "user"], PASSWORD);
                    assert_eq!(status, 0, "{err}");
                    let (status, _, err) = tool(&folder, &["unlock", "asha"], "");
                    assert_eq!(status, 0, "{err}");
                }
            })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(stage.login("asha", PASSWORD).await, 200);
    }
    for tool in tools {
        tool.join().unwrap();
    }
    assert_eq!(stage.done(&["list-users"], "").as_array().unwrap().len(), 13);
    let verified = stage.done(&["audit", "verify"], "");
    assert_eq!((&verified["whole"], &verified["records"]), (&json!(true), &json!(1 + 20 + 12 + 12)));
}

#[tokio::test]
async fn broker_credentials_are_sealed_anew_while_the_service_runs() {
    let stage = Stage::new();
    stage.done(&["create-user", "asha", "--role", "trader", "--email", "asha@example.com"], PASSWORD);
    let asha = stage.app.sign_in("asha").await;
    let credentials = json!({"broker": "kite", "user_id_broker": "AB1234", "api_key": "kitekeyofasha9f3c",
        "api_secret": "kitesecretofasha"});
    let linked = asha.post("/v1/trading-accounts", credentials).await.assert_status(201);

    let rotated = stage.done(&["rotate-credentials"], "");
    assert_eq!((&rotated["sealed"], &rotated["unreadable"]), (&json!(1), &json!(0)));
    let again = stage.done(&["rotate-credentials", "--before", rotated["before"].as_str().unwrap()], "");
    assert_eq!(
        (&again["sealed"], &again["recent"]),
        (&json!(0), &json!(1)),
        "what is done is not done twice"
    );

    // The way to log in has the key in it, so the service opened the new seal.
    let path = format!("/v1/trading-accounts/{}/verify", linked.text("account_id"));
    let verified = asha.post(path, json!({})).await;
    assert!(verified.text("login_url").contains("kitekeyofasha9f3c"), "{}", verified.text);
}
