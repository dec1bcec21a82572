//! Administration: who may, what takes effect when, and that somebody always may.
#![cfg(test)]

use std::path::Path;

use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_harness::process::{Running, Target, tool};
use portcullis_identity::{
    Account, AccountRequest, AccountStatus, Email, Error, FirstPassword, Operator, Origin, PersonName,
    StandingUpdate,
};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

fn operator() -> Operator {
    Operator::CommandLine("tester".to_owned())
}

async fn made(world: &World, email: &str, role: &str) -> Account {
    let request = AccountRequest {
        email: Email::parse(email).unwrap(),
        name: PersonName::parse("Somebody").unwrap(),
        username: None,
        phone: None,
        password: FirstPassword::Chosen(password(PASSWORD)),
        roles: vec![role.to_owned()],
        status: AccountStatus::Active,
    };
    world.identity.create_account(&operator(), request, &Origin::default()).await.unwrap()
}

fn roles(names: &[&str]) -> StandingUpdate {
    let roles = names.iter().map(|name| (*name).to_owned()).collect();
    StandingUpdate { roles: Some(roles), status: None }
}

fn off() -> StandingUpdate {
    StandingUpdate { roles: None, status: Some(AccountStatus::Disabled) }
}

async fn change(world: &World, account: &Account, update: &StandingUpdate) -> Result<Account, Error> {
    world.identity.change_standing(&operator(), account.id, update, &Origin::default()).await
}

async fn admins(world: &World) -> usize {
    let (all, _) = world.identity.list_accounts(100, None).await.unwrap();
    all.iter().filter(|listed| listed.account.is_active_admin()).count()
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let world = World::new(1).await;
    let (one, two) =
        (made(&world, "one@example.com", "admin").await, made(&world, "two@example.com", "admin").await);
    let demoted = change(&world, &one, &roles(&["user"])).await.unwrap();
    assert_eq!(demoted.roles, ["user"]);
    assert!(matches!(change(&world, &two, &roles(&["user"])).await, Err(Error::LastAdmin)));
    assert!(matches!(change(&world, &two, &off()).await, Err(Error::LastAdmin)));
    let session = world.sign_in("two@example.com").await.unwrap();
    let caller = world.identity.authenticate(&session.access_token).await.unwrap();
    let erased = world.identity.erase_account(&caller, &password(PASSWORD), &Origin::default()).await;
    assert!(matches!(erased, Err(Error::LastAdmin)));
    assert!(world.identity.authenticate(&session.access_token).await.is_ok(), "a refusal ends no session");
    // One who is switched off does not count, and counts again afterwards.
    change(&world, &one, &roles(&["admin", "trader"])).await.unwrap();
    change(&world, &one, &off()).await.unwrap();
    assert!(matches!(change(&world, &two, &off()).await, Err(Error::LastAdmin)));
    let on = StandingUpdate { roles: None, status: Some(AccountStatus::Active) };
    change(&world, &one, &on).await.unwrap();
    world.identity.erase_account(&caller, &password(PASSWORD), &Origin::default()).await.unwrap();
    assert!(matches!(change(&world, &one, &off()).await, Err(Error::LastAdmin)));
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_administrators_who_remove_each_other_at_once_leave_one() {
    for round in 0..24 {
        let world = World::new(round).await;
        let (one, two) =
            (made(&world, "one@example.com", "admin").await, made(&world, "two@example.com", "admin").await);
        let ways = [roles(&["user"]), off()];
        let start = |account: Account, update: StandingUpdate| {
            let world = world.clone();
            tokio::spawn(async move { change(&world, &account, &update).await })
        };
        let way = |number: u64| ways[usize::try_from(number % 2).unwrap()].clone();
        let erase = round % 3 == 2;
        let (first, second) = if erase {
            let session = world.sign_in("two@example.com").await.unwrap();
            let caller = world.identity.authenticate(&session.access_token).await.unwrap();
            let going = world.clone();
            let erased = tokio::spawn(async move {
                let identity = &going.identity;
                identity.erase_account(&caller, &password(PASSWORD), &Origin::default()).await.map(|()| two)
            });
            (start(one, way(round)), erased)
        } else {
            (start(one, way(round)), start(two, way(round / 2)))
        };
        let done = [first.await.unwrap(), second.await.unwrap()];
        let refused = done.iter().filter(|done| matches!(done, Err(Error::LastAdmin))).count();
        assert_eq!((refused, admins(&world).await), (1, 1), "round {round}: {done:?}");
    }
}

#[tokio::test]
async fn roles_are_those_of_the_policy() {
    let world = World::new(2).await;
    made(&world, "admin@example.com", "admin").await;
    let account = made(&world, "asha@example.com", "user").await;
    let many: Vec<&str> = std::iter::repeat_n("user", 21).collect();
    for bad in [&["wizard"][..], &["user", "user"], &["Admin"], &many] {
        assert!(matches!(change(&world, &account, &roles(bad)).await, Err(Error::Invalid(_))), "{bad:?}");
    }
    assert_eq!(change(&world, &account, &roles(&[])).await.unwrap().roles, [""; 0]);
}

/// The service with an administrator made on the command line beside it.
struct Stage {
    service: Running,
    client: Client,
    folder: TempDir,
}

fn create(folder: &Path, name: &str, role: &str) {
    let email = format!("{name}@example.com");
    let made =
        tool(folder, &["create-user", name, "--role", role, "--email", &email], &format!("{PASSWORD}\n"));
    assert_eq!(made.0, 0, "{}", made.2);
}

impl Stage {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Running::start_target(Target::Local, folder.path(), variables).unwrap();
        create(folder.path(), "root", "admin");
        Self { service, client: Client::new(), folder }
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Response {
        let mut request =
            self.client.request(method, format!("{}{path}", self.service.url)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn login(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "token_delivery": "body"});
        let answer = self.client.post(format!("{}/v1/auth/login", self.service.url)).json(&body);
        answer.send().await.unwrap().json().await.unwrap()
    }

    async fn token(&self, email: &str) -> String {
        self.login(email).await["access_token"].as_str().unwrap().to_owned()
    }
}

async fn json_of(answer: Response, status: u16) -> Value {
    let is = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    assert_eq!(is, status, "{body}");
    body
}

#[tokio::test]
async fn an_administrator_makes_changes_and_switches_off_and_the_trail_names_them() {
    let stage = Stage::new();
    let root = stage.token("root@example.com").await;
    let asha =
        json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha", "roles": ["viewer"]});
    let made =
        json_of(stage.send(Method::POST, "/v1/admin/users", &root, Some(asha.clone())).await, 201).await;
    let again = json_of(stage.send(Method::POST, "/v1/admin/users", &root, Some(asha)).await, 409).await;
    assert_eq!(again["code"], "email_taken");
    let path = format!("/v1/admin/users/{}", made["user_id"].as_str().unwrap());

    // Roles count from the next refresh on.
    let session = stage.login("asha@example.com").await;
    let token = session["access_token"].as_str().unwrap();
    let promoted = stage.send(Method::PATCH, &path, &root, Some(json!({"roles": ["trader"]}))).await;
    assert_eq!(json_of(promoted, 200).await["roles"], json!(["trader"]));
    let refresh = json!({"refresh_token": session["refresh_token"]});
    let refreshed = stage.client.post(format!("{}/v1/auth/refresh", stage.service.url)).json(&refresh);
    let refreshed: Value = refreshed.send().await.unwrap().json().await.unwrap();
    let claims = |token: &Value| {
        let key = jsonwebtoken::dangerous::insecure_decode::<Value>(token.as_str().unwrap()).unwrap();
        key.claims
    };
    assert_eq!(claims(&session["access_token"])["roles"], json!(["viewer"]));
    assert_eq!(claims(&refreshed["access_token"])["roles"], json!(["trader"]));
    let unknown = stage.send(Method::PATCH, &path, &root, Some(json!({"roles": ["wizard"]}))).await;
    assert_eq!(json_of(unknown, 422).await["errors"][0]["pointer"], "/roles");

    for action in ["unlock", "reset-mfa"] {
        let answer = stage.send(Method::POST, &format!("{path}/{action}"), &root, None).await;
        assert_eq!(answer.status().as_u16(), 204, "{action}");
    }
    assert_eq!(stage.send(Method::GET, "/v1/users/me", token, None).await.status(), 200);
    let revoked = stage.send(Method::POST, &format!("{path}/revoke-sessions"), &root, None).await;
    assert_eq!(revoked.status().as_u16(), 204);
    json_of(stage.send(Method::GET, "/v1/users/me", token, None).await, 401).await;

    let token = stage.token("asha@example.com").await;
    let off = stage.send(Method::PATCH, &path, &root, Some(json!({"status": "disabled"}))).await;
    assert_eq!(json_of(off, 200).await["status"], "disabled");
    json_of(stage.send(Method::GET, "/v1/users/me", &token, None).await, 401).await;
    assert_eq!(stage.login("asha@example.com").await["code"], "invalid_credentials");
    json_of(stage.send(Method::PATCH, &path, &root, Some(json!({"status": "active"}))).await, 200).await;
    json_of(stage.send(Method::GET, "/v1/users/me", &token, None).await, 401).await;
    stage.token("asha@example.com").await;

    let me = json_of(stage.send(Method::GET, "/v1/users/me", &root, None).await, 200).await;
    let actor = format!("admin:{}", me["user_id"].as_str().unwrap());
    let query = format!("/v1/admin/audit?user_id={}", made["user_id"].as_str().unwrap());
    let trail = json_of(stage.send(Method::GET, &query, &root, None).await, 200).await;
    let items = trail["items"].as_array().unwrap();
    let by_admin: Vec<&str> = items
        .iter()
        .rev()
        .filter(|item| item["actor"] == actor)
        .inspect(|item| assert_eq!(item["user_id"], made["user_id"]))
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        by_admin,
        [
            "account_registered",
            "roles_changed",
            "account_unlocked",
            "mfa_reset",
            "sessions_revoked",
            "account_disabled",
            "account_enabled"
        ]
    );
    let everybody =
        json_of(stage.send(Method::GET, "/v1/admin/audit?limit=100", &root, None).await, 200).await;
    assert!(everybody["items"].as_array().unwrap().len() > items.len());
    let one_kind = "/v1/admin/audit?type=roles_changed";
    let found = json_of(stage.send(Method::GET, one_kind, &root, None).await, 200).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let last = format!("/v1/admin/users/{}", me["user_id"].as_str().unwrap());
    for body in [json!({"roles": ["user"]}), json!({"status": "disabled"})] {
        let refused = stage.send(Method::PATCH, &last, &root, Some(body)).await;
        assert_eq!(json_of(refused, 409).await["code"], "last_admin");
    }
    let nobody = "/v1/admin/users/usr_0190f5d7a0007000800000000000000a";
    json_of(stage.send(Method::GET, nobody, &root, None).await, 404).await;
    json_of(stage.send(Method::GET, "/v1/admin/users/me", &root, None).await, 404).await;
}

#[tokio::test]
async fn a_demoted_administrator_is_refused_with_the_token_they_still_have() {
    let stage = Stage::new();
    create(stage.folder.path(), "second", "admin");
    let (root, second) = (stage.token("root@example.com").await, stage.token("second@example.com").await);
    let me = json_of(stage.send(Method::GET, "/v1/users/me", &second, None).await, 200).await;
    let path = format!("/v1/admin/users/{}", me["user_id"].as_str().unwrap());
    json_of(stage.send(Method::GET, "/v1/admin/users", &second, None).await, 200).await;
    json_of(stage.send(Method::PATCH, &path, &root, Some(json!({"roles": ["user"]}))).await, 200).await;
    json_of(stage.send(Method::GET, "/v1/admin/users", &second, None).await, 403).await;
}

#[tokio::test]
async fn administrators_see_when_a_password_expires_as_its_owner_does() {
    let stage = Stage::with(&[("PASSWORD_ROTATION_DAYS", "90")]);
    let root = stage.token("root@example.com").await;
    let me = json_of(stage.send(Method::GET, "/v1/users/me", &root, None).await, 200).await;
    assert!(me["password_expires_at"].is_string(), "{me}");
    let path = format!("/v1/admin/users/{}", me["user_id"].as_str().unwrap());
    let shown = json_of(stage.send(Method::GET, &path, &root, None).await, 200).await;
    assert_eq!(shown["password_expires_at"], me["password_expires_at"]);
    let listed = json_of(stage.send(Method::GET, "/v1/admin/users", &root, None).await, 200).await;
    assert_eq!(listed["items"][0]["password_expires_at"], me["password_expires_at"]);
    let asha = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    let made = json_of(stage.send(Method::POST, "/v1/admin/users", &root, Some(asha)).await, 201).await;
    assert!(made["password_expires_at"].is_string(), "{made}");
    let path = format!("/v1/admin/users/{}", made["user_id"].as_str().unwrap());
    let changed = stage.send(Method::PATCH, &path, &root, Some(json!({"roles": ["trader"]}))).await;
    assert_eq!(json_of(changed, 200).await["password_expires_at"], made["password_expires_at"]);
}

#[tokio::test]
async fn accounts_are_listed_in_pages_newest_first() {
    let world = World::new(3).await;
    let mut expected = Vec::new();
    for number in 0..23 {
        world.clock.advance(std::time::Duration::from_millis(3));
        expected.push(made(&world, &format!("p{number}@example.com"), "user").await.id);
    }
    expected.reverse();
    world.sign_in("p7@example.com").await.unwrap();
    for limit in [1, 4, 23, 100] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = world.identity.list_accounts(limit, after).await.unwrap();
            listed.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed.iter().map(|one| one.account.id).collect::<Vec<_>>(), expected, "pages of {limit}");
        let signed_in: Vec<&str> = listed
            .iter()
            .filter(|one| one.last_login.is_some())
            .map(|one| one.account.email.as_str())
            .collect();
        assert_eq!(signed_in, ["p7@example.com"]);
    }
}
