//! Administration on AWS: the command line tool on a table there, and the functions with no rights but the template's.
#![cfg(test)]

use portcullis_gateway::{Cloud, notifications_to, template, token_in};
use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::person::Person;
use portcullis_harness::process::{Target, tool_with};
use portcullis_platform::{CallTimeouts, Environment};
use portcullis_platform_aws::AwsConnection;
use serde_json::{Value, json};

/// What the template writes down for operators, in its words.
async fn write_variables_of_operators(cloud: &Cloud) {
    let Cloud { secret, key, sender, table } = cloud;
    let url = "https://app.example.com";
    let variables = format!(
        "TABLE_NAME={table}\nAWS_SECRET_NAME={secret}\nKMS_KEY_ID={key}\nMAIL_FROM={sender}\nFRONTEND_URL={url}\nSERVICES=\n"
    );
    let name = format!("portcullis/{}/operators", table.strip_prefix("portcullis-").unwrap());
    let timeouts = CallTimeouts::read(&[("CALL_TIMEOUT_MS", "30000")].into_iter().collect()).unwrap();
    let client = aws_sdk_secretsmanager::Client::new(AwsConnection::of_process(timeouts).await.config());
    client.create_secret().name(name).secret_string(variables).send().await.unwrap();
}

/// A broker that is marked as unhealthy takes no orders where the policy says so, and another is named.
async fn orders_go_elsewhere(root: &Person) {
    let order = json!({"permission": "order:place", "provider": "kite", "fallbacks": ["alpaca"]});
    let decided = root.post("/v1/authz/check", order).await.assert_status(200).body;
    assert_eq!(
        (&decided["reason"], &decided["fallback"]),
        (&json!("provider_unavailable"), &json!("alpaca"))
    );
}

/// The policy that ships, with orders of administrators that depend on the broker's health.
fn policy_with_health() -> String {
    let ships = concat!(env!("CARGO_MANIFEST_DIR"), "/../../edge/verifier/src/default_policy.json");
    let mut policy: Value = serde_json::from_str(&std::fs::read_to_string(ships).unwrap()).unwrap();
    policy["admin"]["requires"]["healthy_provider"] = json!(["order:*"]);
    policy.to_string()
}

/// Opens the link of an invitation, signs in with the password chosen there, and erases the account.
async fn accept_and_leave(app: &App, invitation: &Value, address: &str) {
    let chosen = json!({"token": token_in(invitation).unwrap(), "new_password": PASSWORD});
    app.post("/v1/auth/password/reset", chosen).await.assert_status(200);
    let invited = app.sign_in(address).await;
    invited.delete("/v1/users/me").json(json!({"password": PASSWORD})).await.assert_status(204);
}

#[tokio::test]
async fn an_administrator_made_on_the_table_uses_every_route() {
    // What a deployment has unless somebody says otherwise: an administrator of the command line signs in there, too.
    let template = std::fs::read_to_string(template::path()).unwrap();
    let (_, parameter) = template.split_once("  EmailVerification:\n").unwrap();
    assert!(parameter.lines().take(3).any(|line| line.trim() == "Default: required"), "{parameter}");
    let policy = policy_with_health();
    let settings = [("EMAIL_VERIFICATION", "required"), ("ROLE_DEFINITIONS", policy.as_str())];
    let app = App::on(Target::Functions, &settings);
    let cloud = Cloud::of_folder(app.folder(), &Environment::of_process()).await.unwrap();
    let variables: Vec<(&str, &str)> =
        vec![("AWS_SECRET_NAME", &cloud.secret), ("KMS_KEY_ID", &cloud.key), ("MAIL_FROM", &cloud.sender)];
    let manage = |arguments: &[&str], typed: &str| {
        let all: Vec<&str> =
            arguments.iter().copied().chain(["--json", "--table", cloud.table.as_str()]).collect();
        let (status, out, err) = tool_with(app.folder(), &all, typed, &variables);
        (status, serde_json::from_str::<Value>(&out).unwrap_or_default(), err)
    };
    let (status, _, err) = manage(&["create-user", "root", "--role", "admin"], PASSWORD);
    assert_eq!(status, 0, "{err}");
    let address = "invited@administration.example.com";
    let (status, _, err) = manage(&["invite-user", address, "--role", "user"], "");
    assert_eq!(status, 0, "{err}");
    let moto = Environment::of_process().raw("AWS_ENDPOINT_URL").unwrap().to_owned();
    accept_and_leave(&app, &notifications_to(&moto, address).await.unwrap()[0], address).await;
    let (status, _, err) = manage(&["deactivate", "root"], "");
    assert_eq!(status, 1, "{err}");
    let (status, _, err) = tool_with(app.folder(), &["list-users", "--table", "nowhere"], "", &variables);
    assert_eq!(status, 1, "{err}");
    let (status, _, err) = tool_with(app.folder(), &["list-users", "--table", &cloud.table], "", &[]);
    assert_eq!((status, err.as_str()), (2, "manage-users: AWS_SECRET_NAME: must be set\n"));

    write_variables_of_operators(&cloud).await;
    let address = "second@administration.example.com";
    let command = ["invite-user", address, "--role", "user", "--table", &cloud.table];
    let (status, _, err) = tool_with(app.folder(), &command, "", &[]);
    assert_eq!(status, 0, "nothing is set, and the deployment says it all: {err}");
    let sent = notifications_to(&moto, address).await.unwrap();
    assert!(sent[0].to_string().contains("https://app.example.com/reset-password#token="), "{}", sent[0]);
    accept_and_leave(&app, &sent[0], address).await;

    let root = app.sign_in("root").await;
    let asha = json!({"email": "asha@example.com", "username": "asha", "password": PASSWORD, "name": "Asha"});
    let made = root.post("/v1/admin/users", asha).await.assert_status(201);
    let path = format!("/v1/admin/users/{}", made.text("user_id"));
    let asha = app.sign_in("asha").await;
    let listed = root.get("/v1/admin/users").await.assert_status(200);
    assert_eq!(listed.items().len(), 2);
    assert!(listed.items().iter().all(|user| user["last_login_at"].is_string()));
    root.get(&path).await.assert_status(200);
    let mark = "/v1/admin/providers/kite/mark";
    let body = json!({"status": "unhealthy", "expires_in": 60});
    asha.put(mark, body.clone()).await.assert_status(403);
    assert_eq!(root.put(mark, body).await.assert_status(200)["status"], "unhealthy");
    orders_go_elsewhere(&root).await;
    root.delete(mark).await.assert_status(204);
    let marked = root.get("/v1/admin/audit?type=provider_marked").await.assert_status(200);
    assert_eq!(marked["items"][0]["target"], "kite", "{marked}");
    let purpose = marked["items"][0]["purpose"].as_str().unwrap();
    assert!(purpose.starts_with("unhealthy until "), "{marked}");
    for change in [
        json!({"roles": ["admin"]}),
        json!({"roles": ["user"], "status": "disabled"}),
        json!({"status": "active"}),
    ] {
        root.patch(&path, change).await.assert_status(200);
    }
    for action in ["unlock", "reset-mfa", "revoke-sessions"] {
        root.post(format!("{path}/{action}"), Value::Null).await.assert_status(204);
    }
    asha.get("/v1/audit").await.assert_status(401);
    root.post(format!("{path}/verify-email"), Value::Null).await.assert_status(200);
    root.post(format!("{path}/send-reset"), Value::Null).await.assert_status(204);
    for list in ["sessions", "api-keys", "trading-accounts"] {
        root.get(format!("{path}/{list}")).await.assert_status(200);
    }
    assert_eq!(root.get("/v1/admin/users?search=asha%40").await.assert_status(200).items().len(), 1);
    let bela = json!({"email": "bela@example.com", "username": "bela", "password": PASSWORD, "name": "Bela"});
    let bela = root.post("/v1/admin/users", bela).await.assert_status(201);
    app.sign_in("bela").await;
    root.delete(format!("/v1/admin/users/{}", bela.text("user_id"))).await.assert_status(204);
    let asha = app.sign_in("asha").await;
    let own = asha.get("/v1/audit?limit=3").await.assert_status(200);
    assert_eq!(own.items().len(), 3);
    let whole = asha.get("/v1/audit/integrity").await.assert_status(200);
    assert_eq!(whole["status"], "whole", "{whole}");
    let of_asha = format!("/v1/admin/audit?user_id={}&type=roles_changed", asha.user_id());
    assert_eq!(root.get(of_asha).await.assert_status(200).items().len(), 2);
    let all = root.get("/v1/admin/audit?type=roles_changed").await.assert_status(200);
    assert_eq!(all.items().len(), 2);
    asha.get("/v1/admin/users").await.assert_status(403);
    let proof = json!({"password": PASSWORD});
    asha.delete("/v1/users/me").json(proof.clone()).await.assert_status(204);
    root.delete("/v1/users/me").json(proof).await.assert_status(409);
    let (status, verified, err) = manage(&["audit", "verify"], "");
    assert_eq!((status, &verified["whole"]), (0, &json!(true)), "{verified}{err}");
    let (status, made, _) = manage(&["audit", "search", "--type", "account_invited"], "");
    let actor = made[0]["actor"].as_str().unwrap_or_default();
    assert!(status == 0 && actor.starts_with("cli:arn:aws:"), "who calls is whom AWS names: {made}");
    let (status, users, _) = manage(&["list-users"], "");
    assert_eq!((status, users.as_array().unwrap().len()), (0, 1));
}
