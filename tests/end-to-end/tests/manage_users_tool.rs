//! What makes `manage-users` a tool one trusts: it makes no state, says what it read, names who ran it, and asks before
//! what cannot be undone.
#![cfg(test)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::{tool, tool_with};
use serde_json::{Value, json};

const OTHER: &str = "seven green kites over the harbour";

/// Runs a command that is carried out, and returns what it prints in JSON.
fn done(app: &App, arguments: &[&str], typed: &str) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let (status, out, err) = tool(app.folder(), &arguments, typed);
    assert_eq!(status, 0, "{arguments:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn nothing_is_made_in_a_folder_that_is_no_data_folder() {
    let empty = tempfile::tempdir().unwrap();
    for command in [&["list-users"][..], &["audit", "verify"], &["create-user", "asha", "--role", "user"]] {
        let (status, out, err) = tool(empty.path(), command, PASSWORD);
        assert_eq!((status, out.as_str()), (2, ""), "{command:?}: {err}");
        assert!(err.contains("is no data folder"), "{err}");
        assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "{command:?}");
    }
    let (status, _, _) = tool(&empty.path().join("deeper"), &["list-users"], "");
    assert!(status == 2 && !empty.path().join("deeper").exists());
}

#[test]
fn secrets_that_the_service_has_from_its_environment_are_not_made_up_beside_it() {
    let app = App::local();
    let key = app.folder().join("keys/api-key-secret");
    let secret = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let (status, _, err) = tool(app.folder(), &["list-users"], "");
    assert!(status == 2 && err.contains("PORTFOLIO_API_KEY_SECRET"), "{err}");
    assert!(!key.exists());
    let set = [("PORTFOLIO_API_KEY_SECRET", secret.trim())];
    assert_eq!(tool_with(app.folder(), &["list-users"], "", &set).0, 0);
}

#[test]
fn every_read_says_what_it_read() {
    let app = App::local();
    done(&app, &["create-user", "asha", "--role", "user"], PASSWORD);
    for command in [
        &["list-users"][..],
        &["show", "asha"],
        &["find", "asha"],
        &["list-sessions", "asha"],
        &["list-keys", "asha"],
        &["export"],
        &["audit", "search"],
        &["audit", "export"],
        &["audit", "verify"],
        &["service-tokens", "list"],
        &["proof-key", "portfolio"],
    ] {
        let (status, _, err) = tool(app.folder(), command, "");
        assert_eq!(status, 0, "{command:?}: {err}");
        assert!(
            err.contains(&format!("read the folder \"{}\": ", app.folder().display())),
            "{command:?}: {err}"
        );
    }
    let verified = done(&app, &["audit", "verify"], "");
    assert_eq!((&verified["chains"], &verified["first_record_at"]), (&json!(1), &verified["last_record_at"]));
    assert!(verified["first_record_at"].is_string(), "{verified}");
}

#[test]
fn whoever_runs_it_is_named() {
    let app = App::local();
    let create = |name: &str, more: &[&str], set: &[(&str, &str)]| {
        let all: Vec<&str> = ["create-user", name, "--role", "user"].iter().chain(more).copied().collect();
        let (status, _, err) = tool_with(app.folder(), &all, PASSWORD, set);
        assert_eq!(status, 0, "{err}");
    };
    create("first", &["--as", "on-call"], &[]);
    create("second", &[], &[("SUDO_USER", "asha")]);
    create("third", &[], &[("USER", ""), ("LOGNAME", ""), ("SUDO_USER", "")]);
    let found = done(&app, &["audit", "search", "--type", "account_registered"], "");
    let actors: Vec<&str> =
        found.as_array().unwrap().iter().map(|one| one["actor"].as_str().unwrap()).collect();
    assert_eq!(actors[1..], ["cli:asha", "cli:on-call"]);
    assert!(actors[0].len() > 4 && actors[0] != "cli:unknown", "{actors:?}");
}

#[test]
fn what_cannot_be_undone_is_confirmed() {
    let app = App::local();
    done(&app, &["create-user", "asha", "--role", "user"], PASSWORD);
    for command in ["delete", "revoke-sessions", "reset-mfa"] {
        let (status, _, err) = tool(app.folder(), &[command, "asha"], "");
        assert!(status == 2 && err.contains("--yes"), "{command}: {err}");
    }
    done(&app, &["revoke-sessions", "asha", "--yes"], "");
    done(&app, &["delete", "asha", "--yes"], "");
    assert_eq!(tool(app.folder(), &["show", "asha"], "").0, 1);
    done(&app, &["create-user", "asha", "--role", "user"], PASSWORD);
    done(&app, &["create-user", "root", "--role", "admin"], PASSWORD);
    let (status, _, err) = tool(app.folder(), &["delete", "root", "--yes"], "");
    assert!(status == 1 && err.contains("last administrator"), "{err}");
    assert_eq!(done(&app, &["audit", "verify"], "")["whole"], true);
}

/// Makes one folder what another is.
fn replace(with: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    let copied = Command::new("cp").arg("-a").arg(with.join(".")).arg(folder).status().unwrap();
    assert!(copied.success());
}

#[tokio::test]
async fn what_ended_since_is_alive_in_a_restored_table_until_every_session_is_ended() {
    let mut app = App::local();
    let (asha, bela) = (app.person("asha@example.com").await, app.person("bela@example.com").await);
    // More accounts than are ended side by side.
    let hash = "pbkdf2_sha256$1000$g3fPBK6dwHe0mSYOQ3dT7N$4pc1eHj26SRED2v9f/wQEiU5eF66Gkh+19Vh2You4dw=";
    let person =
        |number| json!({"email": format!("{number}@example.com"), "password_hash": hash}).to_string();
    let people: Vec<String> = (0..60).map(person).collect();
    let (status, _, err) = tool(app.folder(), &["import", "-", "--format", "jsonl"], &people.join("\n"));
    assert_eq!(status, 0, "{err}");

    app.terminate();
    let earlier = tempfile::tempdir().unwrap();
    replace(app.folder(), earlier.path());
    app.start_again(&[]);
    app.post("/v1/auth/logout", json!({"refresh_token": asha.refresh_token()})).await.assert_status(200);
    app.refresh(asha.refresh_token()).await.assert_status(401);

    // The table as it was an hour ago: the sign-out never happened.
    app.terminate();
    replace(earlier.path(), app.folder());
    app.start_again(&[]);
    let revived = app.refresh(asha.refresh_token()).await.assert_status(200);
    asha.me().await.assert_status(200);

    let (status, _, err) = tool(app.folder(), &["revoke-all-sessions"], "");
    assert!(status == 2 && err.contains("every account in the folder") && err.contains("--yes"), "{err}");
    app.refresh(revived.text("refresh_token")).await.assert_status(200);
    assert_eq!(done(&app, &["revoke-all-sessions", "--yes"], "")["accounts"], 62);
    app.refresh(revived.text("refresh_token")).await.assert_status(401);
    asha.me().await.assert_status(401);
    bela.me().await.assert_status(401);
    app.sign_in("bela@example.com").await.me().await.assert_status(200);
    assert_eq!(done(&app, &["audit", "verify"], "")["whole"], true);
}

#[tokio::test]
async fn an_account_is_found_shown_confirmed_and_sent_a_link() {
    let app = App::local();
    let asha = ["create-user", "asha", "--role", "trader", "--email", "asha@example.com", "--unverified"];
    done(&app, &asha, PASSWORD);
    done(&app, &["create-user", "bela", "--role", "viewer", "--inactive"], PASSWORD);
    app.sign_in("asha").await;
    let names = |arguments: &[&str]| {
        let found = done(&app, arguments, "");
        let users = found.as_array().unwrap().iter();
        users.map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["find", "ASHA@"]), ["asha"]);
    assert_eq!(names(&["find", "--role", "viewer"]), ["bela"]);
    assert_eq!(names(&["find", "--status", "disabled"]), ["bela"]);
    assert_eq!(names(&["find", "--since", "-1d"]), ["asha"]);
    assert_eq!(names(&["find", "--not-since", "yesterday"]), ["bela"]);
    assert_eq!(names(&["list-users", "--filter", "role=trader", "--filter", "status=active"]), ["asha"]);
    let page = done(&app, &["list-users", "--limit", "1"], "");
    let after = page[0]["user_id"].as_str().unwrap();
    assert_eq!(
        (page[0]["username"].as_str(), names(&["list-users", "--after", after])),
        (Some("bela"), vec!["asha".to_owned()])
    );
    let (_, out, _) = tool(app.folder(), &["list-users", "--columns", "username,status"], "");
    assert_eq!(out, "USERNAME  STATUS\nbela      disabled\nasha      active\n");
    let (status, _, err) = tool(app.folder(), &["list-users", "--columns", "nope"], "");
    assert!(status == 2 && err.contains("username"), "{err}");
    assert_eq!(tool(app.folder(), &["find", "--role", "wizard"], "").0, 1);

    let shown = done(&app, &["show", "asha"], "");
    assert_eq!((&shown["sessions"], &shown["email_verified"]), (&json!(1), &json!(false)));
    assert!(shown.get("password_expires_at").is_some());
    assert_eq!(done(&app, &["list-sessions", "asha"], "").as_array().unwrap().len(), 1);
    assert_eq!(done(&app, &["verify-email", "asha"], "")["email_verified"], true);
    let before = app.outbox().len();
    done(&app, &["send-reset", "asha"], "");
    let mails = app.outbox();
    assert_eq!(mails.len(), before + 1);
    let chosen = json!({"token": mails[before].token(), "new_password": OTHER});
    app.post("/v1/auth/password/reset", chosen).await.assert_status(200);
    for nobody in ["send-reset", "verify-email"] {
        let (status, _, err) = tool(app.folder(), &[nobody, "bela"], "");
        assert!(status == 1 && err.contains("no address"), "{err}");
    }
}

#[tokio::test]
async fn a_key_has_scopes_and_an_end_and_comes_with_its_account_or_not_at_all() {
    let app = App::local();
    done(&app, &["create-user", "robot", "--role", "trader"], PASSWORD);
    let scoped = ["set-api-key", "robot", "--scope", "profile:read", "--expires", "+90d"];
    let key = done(&app, &scoped, "");
    assert_eq!(key["scopes"], json!(["profile:read"]));
    assert!(key["expires_at"].is_string());
    let rotated = done(&app, &["rotate-api-key", "robot"], "");
    assert_eq!((&rotated["scopes"], &rotated["expires_at"]), (&key["scopes"], &key["expires_at"]));
    let listed = done(&app, &["list-keys", "robot"], "");
    assert_eq!((&listed[0]["key_id"], &listed[0]["managed"]), (&key["key_id"], &json!(true)));
    for bad in [["--scope", "user:erase-all"], ["--expires", "yesterday"]] {
        let all: Vec<&str> = ["set-api-key", "robot"].into_iter().chain(bad).collect();
        assert_eq!(tool(app.folder(), &all, "").0, 1, "{bad:?}");
    }
    let with_key = |key: &str| {
        let all = ["create-user", "second", "--role", "trader", "--api-key", key];
        tool(app.folder(), &all, PASSWORD)
    };
    let (status, _, err) = with_key("hunter2");
    assert!(status == 1 && err.contains("warning: --api-key"), "{err}");
    assert_eq!(tool(app.folder(), &["show", "second"], "").0, 1, "a bad key leaves no account behind");
    let taken = rotated["api_key"].as_str().unwrap();
    assert_eq!(with_key(taken).0, 1, "somebody has it");
    done(&app, &["delete", "robot", "--yes"], "");
    let (status, _, err) = with_key(taken);
    assert_eq!(status, 0, "{err}");
    assert_eq!(app.get("/v1/users/me").header("x-api-key", taken).await.status, 200);
    assert_eq!(done(&app, &["audit", "verify"], "")["whole"], true);

    let (status, _, err) = tool(app.folder(), &["rotate-password", "second", "--password", OTHER], "");
    assert!(status == 0 && err.contains("warning: --password"), "{err}");
    assert_eq!(app.login("second", OTHER).await.status, 200);
}

#[test]
fn failures_and_reports_are_for_programs_too() {
    let app = App::local();
    // No password is asked for: nothing is there to be read.
    let (status, out, err) = tool(app.folder(), &["create-user", "asha", "--role", "wizard", "--json"], "");
    assert_eq!((status, out.as_str()), (1, ""));
    let failure: Value = serde_json::from_str(&err).unwrap();
    let text = failure["error"].as_str().unwrap();
    assert!(text.contains("wizard") && text.contains("admin") && text.contains("trader"), "{text}");
    let (status, _, err) = tool(app.folder(), &["fly", "--json"], "");
    assert_eq!((status, serde_json::from_str::<Value>(&err).unwrap()["status"].clone()), (2, json!(2)));

    let row = r#"{"username": "cee", "password_hash": "$2b$04$abcdefghijklmnopqrstuuGjmVZyWnhPgKYH5ZBhwEhTrcwHNRhvG"}"#;
    let dry = |row: &str| tool(app.folder(), &["import", "-", "--dry-run"], row);
    let (status, said, err) = dry(row);
    assert!(
        status == 0 && said.contains("1 imported") && said.contains("nothing was written"),
        "{said}{err}"
    );
    assert_eq!(done(&app, &["list-users"], ""), json!([]));
    let (status, said, _) = dry(r#"{"username": "cee", "password_hash": "hunter2"}"#);
    assert!(status == 1 && said.contains("line 1: "), "{said}");
}

#[tokio::test]
async fn lists_of_sessions_and_keys_come_in_pages_with_columns() {
    let app = App::local();
    done(&app, &["create-user", "asha", "--role", "trader", "--email", "asha@example.com"], PASSWORD);
    for _ in 0..3 {
        app.sign_in("asha").await;
    }
    let asha = app.sign_in("asha").await;
    for name in ["one", "two"] {
        asha.post("/v1/api-keys", json!({"name": name})).await.assert_status(201);
    }
    done(&app, &["set-api-key", "asha", "--api-key", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"], "");
    for (list, id, number) in [("list-sessions", "session_id", 4), ("list-keys", "key_id", 3)] {
        let ids = |arguments: &[&str]| {
            let found = done(&app, &[&[list, "asha"], arguments].concat(), "");
            let ids = found.as_array().unwrap().iter().map(|row| row[id].as_str().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        };
        let all = ids(&[]);
        assert_eq!(all.len(), number, "{list}");
        let first = ids(&["--limit", "2"]);
        let rest = ids(&["--after", &first[1]]);
        assert_eq!([first, rest].concat(), all, "{list}");
        let (_, out, err) = tool(app.folder(), &[list, "asha", "--limit", "1", "--columns", id], "");
        assert_eq!(out, format!("{}\n{}\n", id.to_uppercase(), all[0]));
        assert!(err.contains(&format!("go on with --after {}", all[0])), "{err}");
        let (status, _, err) = tool(app.folder(), &[list, "asha", "--after", "nonsense"], "");
        assert!(status == 2 && err.contains("--after"), "{err}");
    }
}

#[tokio::test]
async fn a_search_in_the_trail_goes_on_where_its_page_ended() {
    let app = App::local();
    for name in ["asha", "bela"] {
        done(&app, &["create-user", name, "--role", "trader"], PASSWORD);
        for _ in 0..3 {
            app.sign_in(name).await;
        }
    }
    for whose in [&[][..], &["--user", "asha"], &["--actor", "self"], &["--type", "login_succeeded"]] {
        let page = |more: &[&str]| {
            let found = done(&app, &[&["audit", "search"], whose, more].concat(), "");
            let ids =
                found.as_array().unwrap().iter().map(|row| row["event_id"].as_str().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        };
        let all = page(&[]);
        assert!(all.len() >= 3, "{whose:?}: {all:?}");
        let mut paged = page(&["--limit", "2"]);
        while let Some(last) = paged.last().filter(|last| Some(*last) != all.last()).cloned() {
            let next = page(&["--limit", "2", "--after", &last]);
            assert!(!next.is_empty() && next.len() <= 2, "{whose:?} after {last}: {next:?}");
            paged.extend(next);
        }
        assert_eq!(paged, all, "{whose:?}");
    }
    let (_, _, err) = tool(app.folder(), &["audit", "search", "--limit", "1"], "");
    assert!(err.contains("go on with --after"), "{err}");
    let (status, _, err) = tool(app.folder(), &["audit", "search", "--after", "nonsense"], "");
    assert!(status == 2 && err.contains("--after"), "{err}");
}

#[test]
fn a_type_of_event_that_does_not_exist_is_refused_with_those_that_do() {
    let app = App::local();
    let (status, out, err) = tool(app.folder(), &["audit", "search", "--type", "nope"], "");
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(err.contains("nope") && err.contains("login_failed"), "{err}");
    let (status, _, err) = tool(app.folder(), &["audit", "search", "--type", "nope", "--json"], "");
    let failure: Value = serde_json::from_str(&err).unwrap();
    let told = failure["error"].as_str().unwrap();
    assert!(status == 2 && told.contains("nope") && told.contains("login_failed"), "{told}");
}

#[test]
fn a_whole_address_or_id_finds_its_account_alone() {
    let app = App::local();
    for (name, email) in [("asha", "asha@example.com"), ("natasha", "natasha@example.com")] {
        done(&app, &["create-user", name, "--role", "user", "--email", email], PASSWORD);
    }
    let found = |arguments: &[&str]| {
        let found = done(&app, &[&["find"], arguments].concat(), "");
        let users = found.as_array().unwrap().iter();
        users.map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(&["asha@"]), ["natasha", "asha"]);
    assert_eq!(found(&["Asha@Example.com"]), ["asha"]);
    assert_eq!(found(&["Asha@Example.com", "--status", "disabled"]), Vec::<String>::new());
    assert_eq!(found(&["sha@example.com"]), ["natasha", "asha"], "nobody has this one");
    let id = done(&app, &["show", "asha"], "")["user_id"].clone();
    assert_eq!(found(&[id.as_str().unwrap()]), ["asha"]);
    assert_eq!(found(&["asha"]), ["natasha", "asha"], "a username may be a part of another");
}

#[test]
fn a_dry_run_tells_of_lines_that_get_in_the_way_of_each_other() {
    let app = App::local();
    let hash = "$2b$04$abcdefghijklmnopqrstuuGjmVZyWnhPgKYH5ZBhwEhTrcwHNRhvG";
    let key = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c";
    let line = |email: &str, username: &str, name: &str, key: &str| {
        let row = json!({"email": email, "username": username, "name": name, "password_hash": hash, "api_key": key});
        row.to_string()
    };
    let lines = [
        line("asha@example.com", "asha", "Asha Rao", key),
        line("asha@example.com", "asha", "Asha Rao", ""),
        line("ASHA@example.com", "", "Somebody else", ""),
        line("", "asha", "Somebody else", ""),
        line("bela@example.com", "asha", "Bela Kun", ""),
        line("cee@example.com", "", "Cee", key),
        line("dee@example.com", "", "Dee", "hunter2"),
        line("eve@example.com", "eve", "Eve", ""),
    ]
    .join("\n");
    let import = |more: &[&str]| {
        let (status, out, err) = tool(app.folder(), &[&["import", "-", "--json"], more].concat(), &lines);
        assert_eq!(status, 1, "{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let planned = import(&["--dry-run"]);
    let refused = |report: &Value| {
        report["refused"].as_array().unwrap().iter().map(|one| one["line"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((&planned["imported"], &planned["present"]), (&json!(2), &json!(1)), "{planned}");
    assert_eq!(refused(&planned), [3, 4, 5, 6, 7]);
    assert_eq!(done(&app, &["list-users"], ""), json!([]), "nothing was written");
    let done_so = import(&[]);
    assert_eq!((&done_so["imported"], &done_so["present"]), (&planned["imported"], &planned["present"]));
    assert_eq!(refused(&done_so), refused(&planned));
    let again = import(&[]);
    assert_eq!((&again["imported"], &again["present"]), (&json!(0), &json!(3)), "{again}");
    assert_eq!(done(&app, &["list-keys", "asha"], "")[0]["managed"], true);
}

#[tokio::test]
async fn keys_that_people_have_are_imported_with_them_and_work() {
    let app = App::local();
    let key = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c";
    let file = app.scratch().join("people.csv");
    let hash = "$2b$04$abcdefghijklmnopqrstuuGjmVZyWnhPgKYH5ZBhwEhTrcwHNRhvG";
    std::fs::write(
        &file,
        format!("email,password_hash,api_key\na@example.com,{hash},{key}\nb@example.com,{hash},\n"),
    )
    .unwrap();
    assert_eq!(done(&app, &["import", file.to_str().unwrap()], "")["imported"], 2);
    assert_eq!(
        app.get("/v1/users/me").header("x-api-key", key).await.assert_status(200)["email"],
        "a@example.com"
    );
    assert_eq!(done(&app, &["list-keys", "b@example.com"], ""), json!([]));
}

#[test]
fn roles_policies_completions_and_the_manual_need_no_data_folder() {
    let empty = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| tool(empty.path(), arguments, "");
    let (status, out, _) = run(&["roles"]);
    assert!(status == 0 && out.contains("admin") && out.contains("trader"), "{out}");
    let file = empty.path().join("policy.json");
    std::fs::write(&file, r#"{"user": {}, "admin": {}, "desk": {"permissions": ["portfolio:read"]}}"#)
        .unwrap();
    let (status, out, err) = run(&["policy", "check", file.to_str().unwrap(), "--json"]);
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("portfolio:read"), "{out}");
    std::fs::write(&file, r#"{"user": {}}"#).unwrap();
    let (status, _, err) = run(&["policy", "check", file.to_str().unwrap()]);
    assert!(status == 1 && err.contains("admin"), "{err}");
    std::fs::write(&file, r#"{"user": ["portfolio:read"], "admin": {"*": ["*"]}}"#).unwrap();
    let (status, _, err) = run(&["policy", "check", file.to_str().unwrap()]);
    assert!(status == 1 && err.contains(r#"older form; write {"admin":{"permissions":["*:*"]}"#), "{err}");
    for shell in ["bash", "zsh", "fish"] {
        let (status, out, _) = run(&["completions", shell]);
        assert!(status == 0 && out.contains("revoke-sessions"), "{shell}");
    }
    let (status, out, _) = run(&["man"]);
    assert!(status == 0 && out.contains(".TH") && out.contains("dry\\-run"), "{out}");
    let sections: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    let all = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "COMMANDS",
        "ACCOUNTS",
        "TIMES",
        "EXIT STATUS",
        "ENVIRONMENT",
    ];
    assert_eq!(sections[..all.len()], all, "{sections:?}");
    for command in ["find", "audit search", "service\\-tokens withdraw"] {
        assert!(out.contains(&format!(".SS \"manage\\-users {command}\"")), "{command}");
    }
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    use std::process::{Command, Stdio};

    let app = App::local();
    done(&app, &["create-user", "asha", "--role", "user"], PASSWORD);
    let mut command = Command::new(portcullis_harness::process::manage_users());
    command.args(["list-users"]).env("DATA_DIR", app.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned()),
        (Some(0), String::new())
    );
}

#[test]
fn tokens_of_services_are_listed_added_and_withdrawn() {
    let app = App::local();
    let file = app.folder().join("keys/service-tokens.json");
    let edge = || -> Vec<String> {
        let tokens: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        serde_json::from_value(tokens["edge"].clone()).unwrap()
    };
    let first = edge()[0].clone();
    let made = done(&app, &["service-tokens", "add", "edge"], "");
    assert_eq!(edge(), [made["token"].as_str().unwrap(), &first]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = done(&app, &["service-tokens", "list"], "");
    let of_edge =
        listed["service_tokens"].as_array().unwrap().iter().filter(|token| token["service"] == "edge");
    assert_eq!(of_edge.map(|token| token["is_newest"] == true).collect::<Vec<_>>(), [true, false]);
    assert!(!listed.to_string().contains("svc_"), "no token is shown");

    let withdraw = ["service-tokens", "withdraw", "edge"];
    let (status, _, err) = tool(app.folder(), &withdraw, "");
    assert!(status == 2 && err.contains("--yes") && edge().len() == 2, "{err}");
    assert_eq!(done(&app, &[&withdraw[..], &["--yes"]].concat(), "")["withdrawn"], 1);
    assert_eq!(edge(), [made["token"].as_str().unwrap()]);
    let last = done(&app, &[&withdraw[..], &["--all", "--yes"]].concat(), "");
    assert!(edge() == [last["token"].as_str().unwrap()] && last["token"] != made["token"]);

    let (status, _, err) = tool(app.folder(), &["service-tokens", "withdraw", "nobody", "--yes"], "");
    assert!(status == 1 && err.contains("no such service"), "{err}");
    let set = [("SERVICE_TOKENS", std::fs::read_to_string(&file).unwrap())];
    let set = set.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (status, _, err) = tool_with(app.folder(), &["service-tokens", "add", "edge"], "", &set);
    assert!(status == 1 && err.contains("the variable SERVICE_TOKENS"), "{err}");
}

#[test]
fn the_key_of_a_service_is_printed_alone_and_is_that_of_no_other() {
    let app = App::local();
    let (status, key, err) = tool(app.folder(), &["proof-key", "portfolio"], "");
    assert_eq!(status, 0, "{err}");
    assert!(
        key.starts_with("1:") && key.len() == 46 && key.ends_with('\n'),
        "a line and nothing else: {key}"
    );
    assert!(err.contains("EDGE_PROOF_KEY") && err.contains("secret: whoever has it"), "{err}");
    let keys = |arguments: &[&str]| {
        done(&app, &[&["proof-key"], arguments].concat(), "")["keys"].as_str().unwrap().to_owned()
    };
    assert_eq!(keys(&["portfolio"]), key.trim_end());
    assert_ne!(keys(&["trading"]), key.trim_end());
    let both = keys(&["portfolio", "--id", "1", "--id", "2026-11"]);
    let (first, second) = both.split_once(',').unwrap();
    assert_eq!(first, key.trim_end());
    assert!(second.starts_with("2026-11:") && second.strip_prefix("2026-11:") != first.strip_prefix("1:"));
    assert_eq!(keys(&["portfolio", "--id", "2026-11"]), second);
    let root = std::fs::read_to_string(app.folder().join("keys/edge-proof-key")).unwrap();
    assert!(!both.contains(root.trim()));
    for refused in
        [&["identity"][..], &["Portfolio"], &["portfolio", "--id", "1 of a"], &["portfolio", "--id", ""]]
    {
        let (status, out, err) = tool(app.folder(), &[&["proof-key"], refused].concat(), "");
        assert_eq!((status, out.as_str()), (1, ""), "{refused:?}: {err}");
    }
}

#[test]
fn only_the_id_of_a_key_is_withdrawn() {
    let app = App::local();
    let kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    assert_eq!(done(&app, &["withdraw-key", kid, "--yes"], "")["kid"], kid);
    let (status, _, err) = tool(app.folder(), &["withdraw-key", &kid[1..], "--yes"], "");
    assert!(status == 1 && err.contains("no id of a signing key"), "{err}");
}
