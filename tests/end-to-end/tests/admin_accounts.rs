//! What administrators find, see and do of the accounts of others over HTTP.
#![cfg(test)]

use portcullis_harness::app::App;
use portcullis_harness::in_process::PASSWORD;
use portcullis_harness::process::tool;
use serde_json::{Value, json};

#[tokio::test]
async fn administrators_find_see_confirm_and_erase_accounts() {
    let app = App::local();
    for (name, role) in [("root", "admin"), ("asha", "trader"), ("bela", "viewer")] {
        let email = format!("{name}@example.com");
        let all = ["create-user", name, "--role", role, "--email", &email, "--unverified"];
        assert_eq!(tool(app.folder(), &all, PASSWORD).0, 0);
    }
    let root = app.sign_in("root").await;
    let asha = app.sign_in("asha").await;
    let key = json!({"name": "nightly", "scopes": ["profile:read"]});
    let key = asha.post("/v1/api-keys", key).await.assert_status(201);

    for (query, found) in [
        ("search=ASHA%40", vec!["asha"]),
        ("search=example.com&role=viewer", vec!["bela"]),
        ("status=disabled", vec![]),
        ("signed_in_since=2020-01-01T00:00:00Z", vec!["asha", "root"]),
        ("not_signed_in_since=2020-01-01T00:00:00Z", vec!["bela"]),
        ("search=&role=&signed_in_since=", vec!["bela", "asha", "root"]),
    ] {
        let listed = root.get(format!("/v1/admin/users?{query}")).await.assert_status(200);
        let names: Vec<&str> = listed.items().iter().filter_map(|user| user["username"].as_str()).collect();
        assert_eq!(names, found, "{query}");
    }
    for refused in ["role=wizard", "status=asleep", "signed_in_since=soon"] {
        root.get(format!("/v1/admin/users?{refused}")).await.assert_status(422);
    }

    let path = format!("/v1/admin/users/{}", asha.user_id());
    let sessions = root.get(format!("{path}/sessions")).await.assert_status(200);
    assert_eq!((sessions.items().len(), &sessions["items"][0]["current"]), (1, &json!(false)));
    let keys = root.get(format!("{path}/api-keys")).await.assert_status(200);
    assert_eq!(keys["items"][0]["key_id"], key["key_id"]);
    assert!(!keys.text.contains(key["api_key"].as_str().unwrap()));
    let linked = json!({"broker": "alpaca", "user_id_broker": "PA3ASHA", "api_key": "PKASHA9F3C", "api_secret": "hunter2"});
    asha.post("/v1/trading-accounts", linked).await.assert_status(201);
    asha.post("/v1/trading-accounts/freeze", Value::Null).await.assert_status(200);
    let trading = root.get(format!("{path}/trading-accounts")).await.assert_status(200);
    assert_eq!(
        (&trading["status"], &trading["accounts"][0]["status"]),
        (&json!("frozen"), &json!("pending"))
    );
    assert!(trading["frozen_at"].is_string());
    for known_at_the_broker in ["PA3ASHA", "PKASHA9F3C", "9F3C", "hunter2"] {
        assert!(!trading.text.contains(known_at_the_broker), "{}", trading.text);
    }
    asha.get(format!("{path}/trading-accounts")).await.assert_status(403);
    let confirmed = root.post(format!("{path}/verify-email"), Value::Null).await.assert_status(200);
    assert_eq!(confirmed["email_verified"], true);
    let before = app.outbox().len();
    root.post(format!("{path}/send-reset"), Value::Null).await.assert_status(204);
    assert_eq!(app.outbox().len(), before + 1);

    asha.delete(&path).await.assert_status(403);
    root.delete(&path).await.assert_status(204);
    asha.me().await.assert_status(401);
    assert_eq!(app.login("asha", PASSWORD).await.status, 401);
    root.get(&path).await.assert_status(404);
    root.delete(&path).await.assert_status(404);
    let own = format!("/v1/admin/users/{}", root.user_id());
    root.delete(own).await.assert_problem(409, "last_admin");
    let erased = root.get("/v1/admin/audit?type=account_erased").await.assert_status(200);
    assert_eq!(erased["items"][0]["actor"], format!("admin:{}", root.user_id()));
}
