//! Administration: who may, what takes effect when, and that somebody always may.
#![cfg(test)]

use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_harness::person::Person;
use portcullis_harness::process::{Target, tool};
use portcullis_identity::{
    Account, AccountRequest, AccountStatus, AccountUpdate, ClientContext, Email, Error, FirstPassword,
    Invitation, Operator, PersonName,
};
use serde_json::{Value, json};

static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

fn operator() -> Operator {
    Operator::CommandLine("tester".to_owned())
}

async fn made(world: &World, email: &str, role: &str) -> Account {
    made_with(world, email, role, true).await
}

async fn made_with(world: &World, email: &str, role: &str, email_verified: bool) -> Account {
    let request = AccountRequest {
        email: Some(Email::parse(email).unwrap()),
        name: PersonName::parse("Somebody").unwrap(),
        username: None,
        phone: None,
        password: FirstPassword::Chosen(password(PASSWORD)),
        roles: vec![role.to_owned()],
        status: AccountStatus::Active,
        email_verified,
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
    let erased =
        world.identity.erase_account(&caller, &password(PASSWORD).into(), &ClientContext::default()).await;
    assert!(matches!(erased, Err(Error::LastAdmin)));
    assert!(world.identity.authenticate(&session.access_token).await.is_ok(), "a refusal ends no session");
    // One who is switched off does not count, and counts again afterwards.
    change(&world, &one, &roles(&["admin", "trader"])).await.unwrap();
    change(&world, &one, &off()).await.unwrap();
    assert!(matches!(change(&world, &two, &off()).await, Err(Error::LastAdmin)));
    let on = AccountUpdate { roles: None, status: Some(AccountStatus::Active) };
    change(&world, &one, &on).await.unwrap();
    world
        .identity
        .erase_account(&caller, &password(PASSWORD).into(), &ClientContext::default())
        .await
        .unwrap();
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
                    .erase_account(&caller, &password(PASSWORD).into(), &ClientContext::default())
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
async fn roles_and_status_change_together_or_not_at_all() {
    let world = World::new(3).await;
    let root = made(&world, "root@example.com", "admin").await;
    let both = |role: &str| AccountUpdate {
        roles: Some(vec![role.to_owned(), "trader".to_owned()]),
        status: Some(AccountStatus::Disabled),
    };
    assert!(matches!(change(&world, &root, &both("admin")).await, Err(Error::LastAdmin)));
    assert_eq!(world.identity.account_by_id(root.id).await.unwrap(), root, "nothing of it took place");
    assert_eq!(world.trail(&root).await, ["account_registered", "administration_refused"]);

    let asha = made(&world, "asha@example.com", "user").await;
    let changed = change(&world, &asha, &both("viewer")).await.unwrap();
    assert_eq!((changed.roles, changed.session_epoch), (vec!["viewer".to_owned(), "trader".to_owned()], 1));
    assert_eq!(world.trail(&asha).await, ["account_registered", "roles_changed", "account_disabled"]);
    change(&world, &asha, &both("viewer")).await.unwrap();
    assert_eq!(world.trail(&asha).await.len(), 3, "what is so already is no change");
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_leaves_both_or_neither() {
    for seed in 0..24 {
        let world = World::with_default_timeouts(seed).await;
        let asha = made(&world, "asha@example.com", "user").await;
        world.faults.set_per_mille(250);
        let update = AccountUpdate { roles: Some(vec!["viewer".to_owned()]), ..off() };
        let _ = change(&world, &asha, &update).await;
        world.faults.set_per_mille(0);
        // Requests the engine got late are carried out by now.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let now = world.identity.account_by_id(asha.id).await.unwrap();
        let is_done = (now.roles == ["viewer"], now.status == AccountStatus::Disabled);
        let told = world.trail(&asha).await;
        if is_done.0 {
            assert_eq!(
                (is_done.1, told[1..].join(" ")),
                (true, "roles_changed account_disabled".to_owned()),
                "{seed}"
            );
        } else {
            assert_eq!((now, told.len()), (asha, 1), "seed {seed}");
        }
        assert_eq!(world.identity.verify_audit().await.unwrap().findings, [], "seed {seed}");
    }
}

async fn invited(world: &World, email: &str) -> Account {
    let invitation = Invitation {
        email: Email::parse(email).unwrap(),
        name: PersonName::parse("Somebody").unwrap(),
        username: None,
        roles: vec!["admin".to_owned()],
    };
    world.identity.invite(&operator(), invitation, &ClientContext::default()).await.unwrap()
}

#[tokio::test]
async fn an_administrator_who_cannot_sign_in_keeps_nobody_from_being_the_last() {
    let world = World::with_variables(4, &[("EMAIL_VERIFICATION", "required")]).await;
    let root = made(&world, "root@example.com", "admin").await;
    let pending = made_with(&world, "pending@example.com", "admin", false).await;
    let second = invited(&world, "second@example.com").await;
    let token = world.notifications.take()[0].token().unwrap().into();
    for update in [roles(&["user"]), off()] {
        assert!(matches!(change(&world, &root, &update).await, Err(Error::LastAdmin)));
    }
    let session = world.sign_in("root@example.com").await.unwrap();
    let caller = world.caller(&session).await;
    let typed = password(PASSWORD).into();
    let erase = || world.identity.erase_account(&caller, &typed, &ORIGIN);
    assert!(matches!(erase().await, Err(Error::LastAdmin)));
    // Those who cannot sign in may go, and count once they can.
    change(&world, &pending, &off()).await.unwrap();
    world.identity.reset_password(&token, &password(PASSWORD), &ORIGIN).await.unwrap();
    erase().await.unwrap();
    assert!(matches!(change(&world, &second, &off()).await, Err(Error::LastAdmin)));

    // Where no address has to be confirmed, one that is not counts.
    let world = World::new(5).await;
    let root = made(&world, "root@example.com", "admin").await;
    made_with(&world, "pending@example.com", "admin", false).await;
    change(&world, &root, &off()).await.unwrap();
}

#[tokio::test]
async fn refused_administration_is_on_record_and_fills_no_table() {
    let world = World::new(6).await;
    let mallory = world.person("mallory@example.com").await;
    for hour in 1..=2 {
        for _ in 0..25 {
            let request = "GET /v1/admin/users";
            let refused = world.identity.require_admin(mallory.caller.clone(), request, &ORIGIN).await;
            assert!(matches!(refused, Err(Error::Forbidden(_))));
        }
        let trail = world.trail(&mallory.caller.account).await;
        let recorded = trail.iter().filter(|kind| *kind == "administration_refused").count();
        assert_eq!(recorded, 20 * hour, "twenty an hour");
        world.clock.advance(std::time::Duration::from_hours(1));
    }
    // What cannot be recorded is refused all the same.
    world.faults.go_down_after(0);
    let refused = world.identity.require_admin(mallory.caller.clone(), "GET /v1/admin/users", &ORIGIN).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
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

#[tokio::test]
async fn administrators_see_what_each_role_permits() {
    let policy = r#"{"desk": {"permissions": ["order:place"], "services": ["execution"], "requires": {"healthy_provider": ["order:*"], "approval": [{"permission": "order:place", "keys": true}]}},
            "user": {}, "admin": {}}"#;
    let (app, root) = with_administrator(&[("ROLE_DEFINITIONS", policy)]).await;
    let roles = root.get("/v1/admin/roles").await.assert_status(200).body;
    let desk = json!({
        "role": "desk",
        "permissions": ["order:place"],
        "services": ["execution"],
        "requires": "aal1",
        "healthy_provider": ["order:*"],
        "approval": ["order:place: with an API key"],
    });
    assert!(roles.as_array().unwrap().contains(&desk), "{roles}");
    let asha = json!({"email": "asha@example.com", "password": PASSWORD, "name": "Asha", "roles": ["desk"]});
    root.post("/v1/admin/users", asha).await.assert_status(201);
    let asha = app.sign_in("asha@example.com").await;
    asha.get("/v1/admin/roles").await.assert_problem(403, "forbidden");
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
async fn the_trail_says_what_was_changed_and_what_was_refused() {
    let (app, root) = with_administrator(&[]).await;
    create(&app, "asha", "viewer");
    let asha = app.sign_in("asha@example.com").await;
    let path = format!("/v1/admin/users/{}", asha.user_id());
    root.patch(&path, json!({"roles": ["trader", "user"]})).await.assert_status(200);
    asha.get(&path).await.assert_status(403);
    let body = json!({"roles": ["user"]});
    root.patch(format!("/v1/admin/users/{}", root.user_id()), body).await.assert_problem(409, "last_admin");
    let key = json!({"name": "nightly", "scopes": ["market:read"]});
    let key = asha.post("/v1/api-keys", key).await.assert_status(201);
    let key_path = format!("/v1/api-keys/{}", key.text("key_id"));
    asha.post(format!("{key_path}/rotate"), Value::Null).await.assert_status(200);
    asha.delete(&key_path).await.assert_status(204);

    let found = async |query: &str| root.get(format!("/v1/admin/audit?{query}")).await.assert_status(200);
    let changed = found("type=roles_changed").await;
    let details = json!({"roles_before": ["viewer"], "roles_after": ["trader", "user"]});
    assert_eq!(changed.items()[0]["details"], details);
    for kind in ["api_key_created", "api_key_rotated", "api_key_deleted"] {
        let of_key = found(&format!("type={kind}")).await;
        assert_eq!(of_key.items()[0]["target"], key["key_id"]);
        let details = json!({"key_name": "nightly", "scopes": ["market:read"]});
        assert_eq!(of_key.items()[0]["details"], details, "{kind}");
    }
    let refused = found("type=administration_refused").await;
    let [last_admin, forbidden] = refused.items() else { panic!("{refused}") };
    let by = |item: &Value| (item["user_id"].clone(), item["actor"].clone(), item["outcome"].clone());
    assert_eq!(by(forbidden), (asha.user_id().into(), "self".into(), "refused".into()));
    let details = json!({"request": "GET /v1/admin/users/{id}", "reason": "forbidden"});
    assert_eq!(forbidden["details"], details);
    assert_eq!(by(last_admin), (root.user_id().into(), "self".into(), "refused".into()));
    assert_eq!(
        (&last_admin["target"], &last_admin["details"]),
        (&root.user_id().into(), &json!({"reason": "last_admin"}))
    );
    let registered = found("type=account_registered&limit=1").await;
    assert_eq!(registered.items()[0]["details"], Value::Null);
    let (status, exported, _) = tool(app.folder(), &["audit", "export"], "");
    assert!(status == 0 && exported.contains(r#""roles_after":["trader","user"]"#), "{exported}");
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
