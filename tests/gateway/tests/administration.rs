//! Administration on AWS: the command line tool on a table there, and the functions with no rights but the template's.
#![cfg(test)]

use portcullis_gateway::Cloud;
use portcullis_harness::process::{Running, Target, tool_with};
use portcullis_platform::Environment;
use reqwest::{Client, Method};
use serde_json::{Value, json};

const PASSWORD: &str = "copper lantern drifts upstream";

struct World {
    gateway: Running,
    client: Client,
}

impl World {
    async fn call(&self, method: Method, path: &str, token: &Value, body: Value, expected: u16) -> Value {
        let mut request = self.client.request(method, format!("{}{path}", self.gateway.url));
        if let Some(token) = token.as_str() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        assert_eq!(status, expected, "{path}: {body}");
        body
    }

    async fn login(&self, username: &str) -> Value {
        let body = json!({"username": username, "password": PASSWORD, "token_delivery": "body"});
        self.call(Method::POST, "/v1/auth/login", &Value::Null, body, 200).await["access_token"].clone()
    }
}

#[tokio::test]
async fn an_administrator_made_on_the_table_uses_every_route() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Running::start_target(Target::Functions, folder.path(), &[]).unwrap();
    let world = World { gateway, client: Client::new() };
    let cloud = Cloud::of_folder(folder.path(), &Environment::of_process()).await.unwrap();
    let variables: Vec<(&str, &str)> = vec![
        ("AWS_SECRET_NAME", &cloud.secret),
        ("KMS_KEY_ID", &cloud.key),
        ("MAIL_FROM", "portcullis@example.com"),
    ];
    let manage = |arguments: &[&str], typed: &str| {
        let all: Vec<&str> =
            arguments.iter().copied().chain(["--json", "--table", cloud.table.as_str()]).collect();
        let (status, out, err) = tool_with(folder.path(), &all, typed, &variables);
        (status, serde_json::from_str::<Value>(&out).unwrap_or_default(), err)
    };
    let (status, _, err) = manage(&["create-user", "root", "--role", "admin"], PASSWORD);
    assert_eq!(status, 0, "{err}");
    let (status, _, err) = manage(&["deactivate", "root"], "");
    assert_eq!(status, 1, "{err}");
    let (status, _, err) = tool_with(folder.path(), &["list-users", "--table", "nowhere"], "", &variables);
    assert_eq!(status, 1, "{err}");
    let (status, _, err) = tool_with(folder.path(), &["list-users", "--table", &cloud.table], "", &[]);
    assert_eq!((status, err.as_str()), (2, "manage-users: AWS_SECRET_NAME: must be set\n"));

    let root = world.login("root").await;
    let asha = json!({"email": "asha@example.com", "username": "asha", "password": PASSWORD, "name": "Asha"});
    let made = world.call(Method::POST, "/v1/admin/users", &root, asha, 201).await;
    let path = format!("/v1/admin/users/{}", made["user_id"].as_str().unwrap());
    let token = world.login("asha").await;
    let none = Value::Null;
    let listed = world.call(Method::GET, "/v1/admin/users", &root, none.clone(), 200).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(listed["items"].as_array().unwrap().iter().all(|user| user["last_login_at"].is_string()));
    world.call(Method::GET, &path, &root, none.clone(), 200).await;
    let mark = "/v1/admin/providers/kite/mark";
    let body = json!({"status": "unhealthy", "expires_in": 60});
    world.call(Method::PUT, mark, &token, body.clone(), 403).await;
    assert_eq!(world.call(Method::PUT, mark, &root, body, 200).await["status"], "unhealthy");
    world.call(Method::DELETE, mark, &root, none.clone(), 204).await;
    let told = "/v1/admin/audit?type=provider_marked";
    let told = world.call(Method::GET, told, &root, none.clone(), 200).await;
    assert_eq!(told["items"][0]["target"], "kite", "{told}");
    assert!(told["items"][0]["purpose"].as_str().unwrap().starts_with("unhealthy until "), "{told}");
    for change in [
        json!({"roles": ["admin"]}),
        json!({"roles": ["user"], "status": "disabled"}),
        json!({"status": "active"}),
    ] {
        world.call(Method::PATCH, &path, &root, change, 200).await;
    }
    for action in ["unlock", "reset-mfa", "revoke-sessions"] {
        world.call(Method::POST, &format!("{path}/{action}"), &root, none.clone(), 204).await;
    }
    world.call(Method::GET, "/v1/audit", &token, none.clone(), 401).await;
    let token = world.login("asha").await;
    let own = world.call(Method::GET, "/v1/audit?limit=3", &token, none.clone(), 200).await;
    assert_eq!(own["items"].as_array().unwrap().len(), 3);
    let user = made["user_id"].as_str().unwrap();
    let of_user = format!("/v1/admin/audit?user_id={user}&type=roles_changed");
    let found = world.call(Method::GET, &of_user, &root, none.clone(), 200).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    let all = world.call(Method::GET, "/v1/admin/audit?type=roles_changed", &root, none.clone(), 200).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    world.call(Method::GET, "/v1/admin/users", &token, none.clone(), 403).await;
    world.call(Method::DELETE, "/v1/users/me", &token, json!({"password": PASSWORD}), 204).await;
    world.call(Method::DELETE, "/v1/users/me", &root, json!({"password": PASSWORD}), 409).await;
    let (status, verified, err) = manage(&["audit", "verify"], "");
    assert_eq!((status, &verified["whole"]), (0, &json!(true)), "{verified}{err}");
    let (status, users, _) = manage(&["list-users"], "");
    assert_eq!((status, users.as_array().unwrap().len()), (0, 1));
}
