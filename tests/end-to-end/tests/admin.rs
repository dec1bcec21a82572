//! Administration: who may, what takes effect when, and that somebody always may.
#![cfg(test)]

use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_harness::person::Person;
use portcullis_harness::process::{Target, tool};
use portcullis_identity::{
    Account, AccountRequest, AccountStatus, AccountUpdate, ClientContext, Email, Error, FirstPassword,
    Operator, PersonName,
};
use serde_json::{Value, json};

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
    world.identity.create_account(&operator(), request, &ClientContext::default()).await.unwrap()
}

fn roles(names: &[&str]) -> AccountUpdate {
    let roles = names.iter().map(|name| (*name).to_owned()).collect();
    AccountUpdate { roles: Some(roles), status: None }
}

fn off() -> AccountUpdate {
    AccountUpdate { roles: None, status: Some(AccountStatus::Disabled) }
}

async fn change(world: &World, account: &Account, update: &AccountUpdate) -> Result<Account, Error> {
    world.identity.update_account(&operator(), account.id, update, &ClientContext::default()).await
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
    let caller = world.caller(&session).await;
    let erased = world.identity.erase_account(&caller, &password(PASSWORD), &ClientContext::default()).await;
    assert!(matches!(erased, Err(Error::LastAdmin)));
    assert!(world.identity.authenticate(&session.access_token).await.is_ok(), "a refusal ends no session");
    // One who is switched off does not count, and counts again afterwards.
    change(&world, &one, &roles(&["admin", "trader"])).await.unwrap();
    change(&world, &one, &off()).await.unwrap();
    assert!(matches!(change(&world, &two, &off()).await, Err(Error::LastAdmin)));
    let on = AccountUpdate { roles: None, status: Some(AccountStatus::Active) };
    change(&world, &one, &on).await.unwrap();
    world.identity.erase_account(&caller, &password(PASSWORD), &ClientContext::default()).await.unwrap();
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
        let start = |account: Account, update: AccountUpdate| {
            let world = world.clone();
            tokio::spawn(async move { change(&world, &account, &update).await })
        };
        let way = |number: u64| ways[usize::try_from(number % 2).unwrap()].clone();
        let erase = round % 3 == 2;
        let (first, second) = if erase {
            let session = world.sign_in("two@example.com").await.unwrap();
            let caller = world.caller(&session).await;
            let going = world.clone();
            let erased = tokio::spawn(async move {
                let identity = &going.identity;
                identity
                    .erase_account(&caller, &password(PASSWORD), &ClientContext::default())
                    .await
                    .map(|()| two)
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

/// The service, and an administrator who was made on the command line beside it.
async fn with_administrator(variables: &[(&str, &str)]) -> (App, Person) {
    let app = App::on(Target::Local, variables);
    create(&app, "root", "admin");
    let root = app.sign_in("root@example.com").await;
    (app, root)
}

fn create(app: &App, name: &str, role: &str) {
    let email = format!("{name}@example.com");
    let arguments = ["create-user", name, "--role", role, "--email", &email];
    let made = tool(app.folder(), &arguments, &format!("{PASSWORD}\n"));
    assert_eq!(made.0, 0, "{}", made.2);
}

fn claims(person: &Person) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(person.access_token()).unwrap().claims
}

#[tokio::test]
async fn an_administrator_makes_changes_and_switches_off_and_the_trail_names_them() {
    let (app, root) = with_administrator(&[]).await;
    let asha =
        json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha", "roles": ["viewer"]});
    let made = root.post("/v1/admin/users", asha.clone()).await.assert_status(201);
    root.post("/v1/admin/users", asha).await.assert_problem(409, "email_taken");
    let path = format!("/v1/admin/users/{}", made.text("user_id"));

    // Roles count from the next refresh on.
    let mut asha = app.sign_in("asha@example.com").await;
    let promoted = root.patch(&path, json!({"roles": ["trader"]})).await.assert_status(200);
    assert_eq!(promoted["roles"], json!(["trader"]));
    let before = asha.clone();
    asha.refresh().await.assert_status(200);
    assert_eq!(claims(&before)["roles"], json!(["viewer"]));
    assert_eq!(claims(&asha)["roles"], json!(["trader"]));
    let unknown = root.patch(&path, json!({"roles": ["wizard"]})).await.assert_status(422);
    assert_eq!(unknown["errors"][0]["pointer"], "/roles");

    for action in ["unlock", "reset-mfa"] {
        root.post(format!("{path}/{action}"), Value::Null).await.assert_status(204);
    }
    before.me().await.assert_status(200);
    root.post(format!("{path}/revoke-sessions"), Value::Null).await.assert_status(204);
    before.me().await.assert_status(401);

    let asha = app.sign_in("asha@example.com").await;
    let off = root.patch(&path, json!({"status": "disabled"})).await.assert_status(200);
    assert_eq!(off["status"], "disabled");
    asha.me().await.assert_status(401);
    assert_eq!(app.login("asha@example.com", PASSWORD).await["code"], "invalid_credentials");
    root.patch(&path, json!({"status": "active"})).await.assert_status(200);
    asha.me().await.assert_status(401);
    app.sign_in("asha@example.com").await;

    let actor = format!("admin:{}", root.user_id());
    let trail =
        root.get(format!("/v1/admin/audit?user_id={}", made.text("user_id"))).await.assert_status(200);
    let by_admin: Vec<&str> = trail
        .items()
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
    let everybody = root.get("/v1/admin/audit?limit=100").await.assert_status(200);
    assert!(everybody.items().len() > trail.items().len());
    let found = root.get("/v1/admin/audit?type=roles_changed").await.assert_status(200);
    assert_eq!(found.items().len(), 1);
    for body in [json!({"roles": ["user"]}), json!({"status": "disabled"})] {
        let refused = root.patch(format!("/v1/admin/users/{}", root.user_id()), body).await;
        refused.assert_problem(409, "last_admin");
    }
    root.get("/v1/admin/users/usr_0190f5d7a0007000800000000000000a").await.assert_status(404);
    root.get("/v1/admin/users/me").await.assert_status(404);
}

#[tokio::test]
async fn a_demoted_administrator_is_refused_with_the_token_they_still_have() {
    let (app, root) = with_administrator(&[]).await;
    create(&app, "second", "admin");
    let second = app.sign_in("second@example.com").await;
    second.get("/v1/admin/users").await.assert_status(200);
    let path = format!("/v1/admin/users/{}", second.user_id());
    root.patch(path, json!({"roles": ["user"]})).await.assert_status(200);
    second.get("/v1/admin/users").await.assert_status(403);
}

#[tokio::test]
async fn administrators_see_when_a_password_expires_as_its_owner_does() {
    let (_app, root) = with_administrator(&[("PASSWORD_ROTATION_DAYS", "90")]).await;
    let me = root.me().await.assert_status(200);
    assert!(me["password_expires_at"].is_string(), "{me}");
    let shown = root.get(format!("/v1/admin/users/{}", root.user_id())).await.assert_status(200);
    assert_eq!(shown["password_expires_at"], me["password_expires_at"]);
    let listed = root.get("/v1/admin/users").await.assert_status(200);
    assert_eq!(listed["items"][0]["password_expires_at"], me["password_expires_at"]);
    let asha = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha"});
    let made = root.post("/v1/admin/users", asha).await.assert_status(201);
    assert!(made["password_expires_at"].is_string(), "{made}");
    let path = format!("/v1/admin/users/{}", made.text("user_id"));
    let changed = root.patch(path, json!({"roles": ["trader"]})).await.assert_status(200);
    assert_eq!(changed["password_expires_at"], made["password_expires_at"]);
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
