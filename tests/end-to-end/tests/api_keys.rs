//! API keys, services and the policy: a key does less than its owner, and nothing that would make it more.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::app::App;
use portcullis_harness::call::Call;
use portcullis_harness::in_process::{PASSWORD, World, password};
use portcullis_harness::person::Person;
use portcullis_identity::{
    Account, ApiKeyName, ApiKeyRequest, Caller, ClientContext, Decision, Error, IssuedApiKey, ManagedKey,
    Operator, Principal,
};
use portcullis_platform::Clock;
use portcullis_store::{AuditEvent, AuditKind};
use portcullis_verifier::policy::Policy;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

const SEED: u64 = 20_261_121;

fn wanted(scopes: Option<&[&str]>) -> ApiKeyRequest {
    ApiKeyRequest {
        name: ApiKeyName::parse("nightly").unwrap(),
        scopes: scopes.map(|scopes| scopes.iter().map(|&scope| scope.to_owned()).collect()),
        expires_at: None,
        idempotency_key: None,
    }
}

async fn create(world: &World, caller: &Caller, wanted: ApiKeyRequest) -> Result<IssuedApiKey, Error> {
    world.identity.create_api_key(caller, wanted, &ClientContext::default()).await
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused_without_a_look_at_any_record() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    let issued = create(&world, &asha, wanted(None)).await.unwrap();
    let text = issued.text.expose_secret();
    let before = world.faults.requests();
    // What does not begin like ours may have been made elsewhere, so that it is looked for.
    for place in "pk_".len()..text.len() {
        let mut typo = text.to_owned();
        typo.replace_range(place..=place, if &text[place..=place] == "a" { "b" } else { "a" });
        let refused = world.identity.authenticate_key(&typo.into()).await;
        assert!(matches!(refused, Err(Error::InvalidApiKey)), "{place}");
    }
    assert_eq!(world.faults.requests(), before);
    world.identity.authenticate_key(&issued.text).await.unwrap();

    // The right shape and even the right id, with another secret.
    let made_up = portcullis_verifier::api_key::compose(&issued.key.id.digits(), &"0".repeat(43));
    let refused = world.identity.authenticate_key(&made_up.into()).await;
    assert!(matches!(refused, Err(Error::InvalidApiKey)));
}

#[tokio::test]
async fn a_key_is_never_wider_than_its_owner_and_never_about_keys_or_factors() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    for scope in [
        "*:*",
        "trading:place",
        "*:read",
        "api-key:create",
        "mfa:*",
        "password:change",
        "session:read",
        "nonsense",
    ] {
        let refused = create(&world, &asha, wanted(Some(&[scope]))).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{scope}");
    }
    assert!(matches!(create(&world, &asha, wanted(Some(&[]))).await, Err(Error::Invalid(_))));

    let issued = create(&world, &asha, wanted(None)).await.unwrap();
    let mut holder = world.identity.authenticate_key(&issued.text).await.unwrap();
    let policy = Policy::default();
    let decide = |holder: &portcullis_identity::KeyHolder, permission: &str| {
        Principal::Key(Box::new(holder.clone())).decide(&policy, &permission.parse().unwrap())
    };
    assert_eq!(decide(&holder, "profile:read"), Decision::Granted);
    assert_eq!(decide(&holder, "trading:place"), Decision::NotGrantedByRoles);
    for permission in ["api-key:create", "mfa:enable", "password:change", "session:revoke"] {
        assert_eq!(decide(&holder, permission), Decision::NeverWithAKey, "{permission}");
    }
    // Asha becomes an administrator: the key stays what it was. She loses everything: so does the key.
    holder.account.roles = vec!["admin".to_owned()];
    assert_eq!(decide(&holder, "trading:place"), Decision::OutsideScopes);
    holder.account.roles = vec!["guest".to_owned()];
    assert_eq!(decide(&holder, "profile:read"), Decision::NotGrantedByRoles);
    // Nor does a scope that was planted in the table.
    holder.account.roles = vec!["admin".to_owned()];
    holder.scopes = vec!["*:*".parse().unwrap()];
    assert_eq!(decide(&holder, "api-key:create"), Decision::NeverWithAKey);
}

#[tokio::test]
async fn a_key_made_elsewhere_is_found_by_its_digest() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    let mallory = world.person("mallory@example.com").await.caller;
    let (operator, origin) = (Operator::CommandLine("ops".to_owned()), ClientContext::default());
    let wanted = |text: &SecretString| ManagedKey { text: Some(text.clone()), ..ManagedKey::default() };
    let set = async |account: &Account, text: &SecretString| {
        world.identity.set_managed_key(&operator, account, wanted(text), &origin).await
    };
    let text: SecretString = "5d41402abc4b2a76b9719d911017c592aeb63bf04df2a5cc19c7f8a1bd0e36f7".into();
    assert!(matches!(world.identity.authenticate_key(&text).await, Err(Error::InvalidApiKey)));
    let issued = set(&asha.account, &text).await.unwrap();
    let holder = world.identity.authenticate_key(&text).await.unwrap();
    assert_eq!((holder.account.id, holder.key.id), (asha.account.id, issued.key.id));
    for other in
        ["5d41402abc4b2a76b9719d911017c592aeb63bf04df2a5cc19c7f8a1bd0e36f8", issued.key.id.digits().as_str()]
    {
        let refused = world.identity.authenticate_key(&other.into()).await;
        assert!(matches!(refused, Err(Error::InvalidApiKey)), "{other}");
    }
    // Nobody else gets it, and a key of few bits is no key.
    assert!(matches!(set(&mallory.account, &text).await, Err(Error::Invalid(_))));
    assert!(matches!(set(&mallory.account, &"ab".repeat(32).into()).await, Err(Error::Invalid(_))));
    // A rotation gives it our form, and the old text is dead.
    let rotated = world.identity.rotate_managed_key(&operator, &asha.account, None, &origin).await.unwrap();
    assert!(matches!(world.identity.authenticate_key(&text).await, Err(Error::InvalidApiKey)));
    world.identity.authenticate_key(&rotated.text).await.unwrap();
}

#[tokio::test]
async fn a_viewer_makes_no_keys() {
    let world = World::new(SEED).await;
    let mut asha = world.person("asha@example.com").await.caller;
    asha.account.roles = vec!["viewer".to_owned()];
    assert!(matches!(create(&world, &asha, wanted(None)).await, Err(Error::Forbidden(_))));
    assert!(matches!(world.identity.list_api_keys(&asha, 10, None).await, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn a_key_ends_with_its_time_its_removal_its_rotation_and_its_owner() {
    let world = World::new(SEED).await;
    let (asha, mallory) =
        (world.person("asha@example.com").await.caller, world.person("mallory@example.com").await.caller);
    let origin = ClientContext::default();
    let alive = async |text: &SecretString| world.identity.authenticate_key(text).await.is_ok();

    let hour =
        ApiKeyRequest { expires_at: Some(world.clock.now() + Duration::from_hours(1)), ..wanted(None) };
    let mortal = create(&world, &asha, hour).await.unwrap();
    assert!(alive(&mortal.text).await);
    world.clock.advance(Duration::from_hours(1));
    assert!(!alive(&mortal.text).await);
    let revived = world.identity.rotate_api_key(&asha, mortal.key.id, &origin).await;
    assert!(matches!(revived, Err(Error::NotFound)), "a rotation does not make a key outlive its end");
    let past = ApiKeyRequest { expires_at: Some(world.clock.now()), ..wanted(None) };
    assert!(matches!(create(&world, &asha, past).await, Err(Error::Invalid(_))));

    let first = create(&world, &asha, wanted(None)).await.unwrap();
    assert!(matches!(
        world.identity.rotate_api_key(&mallory, first.key.id, &origin).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        world.identity.delete_api_key(&mallory, first.key.id, &origin).await,
        Err(Error::NotFound)
    ));
    let second = world.identity.rotate_api_key(&asha, first.key.id, &origin).await.unwrap();
    assert_eq!((&second.key.scopes, second.key.id), (&first.key.scopes, first.key.id));
    assert!(!alive(&first.text).await && alive(&second.text).await);
    world.identity.delete_api_key(&asha, first.key.id, &origin).await.unwrap();
    assert!(!alive(&second.text).await);

    let shut = create(&world, &mallory, wanted(None)).await.unwrap();
    world.disable(&mallory.account).await;
    assert!(!alive(&shut.text).await);

    let orphan = create(&world, &asha, wanted(None)).await.unwrap();
    world.identity.erase_account(&asha, &password(PASSWORD).into(), &origin).await.unwrap();
    assert!(!alive(&orphan.text).await);
    assert!(world.truth.api_key_owner(orphan.key.id).await.unwrap().is_none(), "nothing of it is left");
    assert!(world.truth.api_key(asha.account.id, mortal.key.id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_rotations_one_hands_out_the_key_that_works() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    let key = create(&world, &asha, wanted(None)).await.unwrap().key;
    let racing: Vec<_> = (0..16)
        .map(|_| {
            let (world, asha) = (world.clone(), asha.clone());
            tokio::spawn(async move {
                world.identity.rotate_api_key(&asha, key.id, &ClientContext::default()).await
            })
        })
        .collect();
    let mut issued = Vec::new();
    for racer in racing {
        issued.extend(racer.await.unwrap().ok());
    }
    // Only when all are done: a key that works now may be rotated away by a racer that starts later.
    let mut working = 0;
    for one in &issued {
        working += usize::from(world.identity.authenticate_key(&one.text).await.is_ok());
    }
    assert_eq!(working, 1);

    // Two that saw the same key: one is told that it took its place, and the other that it did not.
    let seen = world.truth.api_key(asha.account.id, key.id).await.unwrap().unwrap();
    let event = AuditEvent::new(
        AuditKind::ApiKeyRotated,
        asha.account.id,
        world.clock.now(),
        &world.identity.audit_seal().unwrap(),
        world.identity.entropy.as_ref(),
    )
    .unwrap();
    assert!(world.truth.rotate_api_key(&seen, &[1; 32], &event).await.unwrap());
    assert!(!world.truth.rotate_api_key(&seen, &[2; 32], &event).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_key_and_makes_no_second_one() {
    let world = World::new(SEED).await;
    let (asha, ravi) =
        (world.person("asha@example.com").await.caller, world.person("ravi@example.com").await.caller);
    let repeatable = |name: &str| ApiKeyRequest {
        name: ApiKeyName::parse(name).unwrap(),
        idempotency_key: Some("form-7".to_owned()),
        ..wanted(None)
    };
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let (world, asha, wanted) = (world.clone(), asha.clone(), repeatable("nightly"));
            tokio::spawn(async move { create(&world, &asha, wanted).await.unwrap() })
        })
        .collect();
    let mut texts = Vec::new();
    for racer in racing {
        texts.push(racer.await.unwrap().text.expose_secret().to_owned());
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
    world.identity.authenticate_key(&texts[0].as_str().into()).await.unwrap();
    assert_eq!(world.identity.list_api_keys(&asha, 50, None).await.unwrap().keys.len(), 1);
    assert!(matches!(create(&world, &asha, repeatable("other")).await, Err(Error::IdempotencyKeyReused)));
    let his = create(&world, &ravi, repeatable("nightly")).await.unwrap();
    assert_ne!(his.text.expose_secret(), texts[0], "another account, another request");
    world.clock.advance(Duration::from_hours(24));
    assert_ne!(create(&world, &asha, repeatable("other")).await.unwrap().text.expose_secret(), texts[0]);
}

#[tokio::test(start_paused = true)]
async fn under_faults_a_repeated_request_makes_one_key() {
    let world = World::with_default_timeouts(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    for round in 0..40 {
        let request = || ApiKeyRequest { idempotency_key: Some(format!("round {round}")), ..wanted(None) };
        world.faults.set_per_mille(400);
        let issued = loop {
            match create(&world, &asha, request()).await {
                Ok(issued) => break issued,
                Err(Error::Store(_)) => {}
                Err(other) => panic!("round {round}: {other:?}"),
            }
        };
        world.faults.set_per_mille(0);
        world.identity.authenticate_key(&issued.text).await.unwrap();
        let found = world.identity.list_api_keys(&asha, 50, None).await.unwrap().keys.len();
        assert_eq!(found, round + 1, "round {round}");
    }
    assert!(world.faults.injected() > 40);
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_once_a_minute_and_never_in_its_way() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    let issued = create(&world, &asha, wanted(None)).await.unwrap();
    let cost = async || {
        let before = world.faults.requests();
        world.identity.authenticate_key(&issued.text).await.unwrap();
        world.faults.requests() - before
    };
    assert_eq!(cost().await, 4, "owner, account and key, then the note");
    let noted = world.clock.now();
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(cost().await, 3);
    let listed = world.identity.list_api_keys(&asha, 50, None).await.unwrap().keys;
    assert_eq!(listed[0].last_used_at, Some(noted));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(cost().await, 4);
}

#[tokio::test]
async fn an_account_has_fifty_keys_and_pages_through_them() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    for _ in 0..50 {
        create(&world, &asha, wanted(None)).await.unwrap();
        world.clock.advance(Duration::from_millis(1));
    }
    assert!(matches!(create(&world, &asha, wanted(None)).await, Err(Error::TooManyApiKeys)));
    let page = world.identity.list_api_keys(&asha, 30, None).await.unwrap();
    let rest = world.identity.list_api_keys(&asha, 30, page.next).await.unwrap();
    assert_eq!((page.keys.len(), rest.keys.len(), rest.next.is_none()), (30, 20, true));
    let all: Vec<_> = page.keys.iter().chain(&rest.keys).map(|key| key.id.to_string()).collect();
    assert!(all.is_sorted_by(|newer, older| newer > older));
}

/// Asha and the API key that she made.
struct Holder {
    app: App,
    asha: Person,
    issued: Value,
}

impl Holder {
    async fn new() -> Self {
        let app = App::start();
        let asha = app.person("asha@example.com").await;
        let wanted = json!({"name": "nightly", "scopes": ["profile:read", "market:read"]});
        let issued = asha.post("/v1/api-keys", wanted).await.assert_status(201).body;
        Self { app, asha, issued }
    }

    fn api_key(&self) -> &str {
        self.issued["api_key"].as_str().unwrap()
    }

    fn key_id(&self) -> &str {
        self.issued["key_id"].as_str().unwrap()
    }

    /// A request of the program that has the key.
    fn call(&self, method: Method, path: impl Into<String>) -> Call {
        self.app.call(method, path).header("x-api-key", self.api_key())
    }
}

#[tokio::test]
async fn a_key_opens_the_routes_that_say_so_and_no_other() {
    let holder = Holder::new().await;
    let contract = holder.app.get("/openapi.json").await.assert_status(200);
    let mut welcomed = Vec::new();
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(schemes) = operation["security"].as_array() else { continue };
            let takes = |name: &str| schemes.iter().any(|scheme| scheme.get(name).is_some());
            let method = method.to_uppercase();
            let name = format!("{method} {path}");
            let call = holder.call(method.parse().unwrap(), path.replace("{id}", holder.key_id()));
            let reply = call.json(json!({"permission": "market:read"})).await;
            if takes("api_key") {
                // A key of this scope may ask for no approval, and there is none to read.
                let expected = match path.as_str() {
                    "/v1/approvals" => 422,
                    "/v1/approvals/{id}" => 404,
                    _ => 200,
                };
                reply.assert_status(expected);
                welcomed.push(name);
            } else if takes("access_token") || takes("service_token") {
                reply.assert_status(401);
            }
        }
    }
    welcomed.sort();
    let expected = [
        "GET /v1/approvals/{id}",
        "GET /v1/authz/permissions",
        "GET /v1/users/me",
        "POST /v1/approvals",
        "POST /v1/authz/check",
    ];
    assert_eq!(welcomed, expected);

    // Nor does it work as another kind of token, nor beside one.
    let as_bearer = holder.app.post("/v1/api-keys", json!({"name": "more"})).bearer(holder.api_key());
    as_bearer.await.assert_problem(401, "invalid_token");
    let both = holder.asha.me().header("x-api-key", holder.api_key());
    both.await.assert_problem(400, "bad_request");
    // What is no access token stands in nobody's way.
    for other in ["Basic YWxpY2U6", ""] {
        let beside = holder.call(Method::GET, "/v1/users/me").header("authorization", other);
        beside.await.assert_status(200);
    }
    holder.asha.me().header("x-api-key", "").await.assert_status(200);
    let twice = holder.call(Method::GET, "/v1/users/me").header("x-api-key", "pk_");
    twice.await.assert_problem(401, "invalid_api_key");
}

#[tokio::test]
async fn the_policy_answers_people_and_programs() {
    let holder = Holder::new().await;
    let by_person = |body: &Value| holder.asha.post("/v1/authz/check", body.clone());
    let by_key = |body: &Value| holder.call(Method::POST, "/v1/authz/check").json(body.clone());
    for (body, person, key) in [
        (json!({"permission": "market:read"}), "granted", "granted"),
        (json!({"resource": "market", "action": "read"}), "granted", "granted"),
        (json!({"permission": "portfolio:read"}), "granted", "outside_scopes"),
        (json!({"permission": "mfa:enable"}), "granted", "never_with_api_key"),
        (json!({"permission": "trading:place"}), "not_granted_by_roles", "not_granted_by_roles"),
    ] {
        for (call, reason) in [(by_person(&body), person), (by_key(&body), key)] {
            let decided = call.await.assert_status(200).body;
            assert_eq!(decided, json!({"allowed": reason == "granted", "reason": reason}), "{body}");
        }
    }
    for (body, pointer) in [
        (json!({"permission": "*:*"}), "/permission"),
        (json!({"permission": "everything"}), "/permission"),
        (json!({"resource": "market", "action": "*"}), "/action"),
        (json!({"resource": "*", "action": "read"}), "/resource"),
        (json!({"resource": "market"}), "/permission"),
        (json!({"permission": "market:read", "resource": "market", "action": "read"}), "/permission"),
        (json!({}), "/permission"),
    ] {
        let refused = by_person(&body).await.assert_status(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{body}");
    }
    let of_key = holder.call(Method::GET, "/v1/authz/permissions").await.assert_status(200);
    assert_eq!(of_key["permissions"], json!(["market:read", "profile:read"]));
    let of_person = holder.asha.get("/v1/authz/permissions").await.assert_status(200);
    assert_eq!(
        (&of_person["roles"], &of_person["services"]),
        (&json!(["user"]), &json!(["market", "portfolio", "strategy"]))
    );
    assert!(of_person["permissions"].as_array().unwrap().contains(&json!("mfa:*")));
}

#[tokio::test]
async fn a_service_verifies_a_key_with_a_token_of_its_own() {
    const PATH: &str = "/v1/internal/api-keys/verify";
    let mut holder = Holder::new().await;
    let verify = |holder: &Holder, token: &str, key: &str| {
        holder.app.service(token).post(PATH, json!({"api_key": key}))
    };
    let tokens = holder.app.generated_service_tokens();
    let edge = tokens["edge"][0].as_str().unwrap();
    let verified = verify(&holder, edge, holder.api_key()).await.assert_status(200);
    assert_eq!((&verified["active"], &verified["roles"]), (&json!(true), &json!(["user"])));
    assert_eq!(verified["scopes"], json!(["profile:read", "market:read"]));
    assert!(verified.text("user_id").starts_with("usr_"));
    let access_token = holder.asha.access_token();
    for key in ["", "pk_made_up", access_token, &format!("{}0", holder.api_key())] {
        let verified = verify(&holder, edge, key).await.assert_status(200);
        assert_eq!(verified.body, json!({"active": false}), "{key}");
    }
    for token in ["", "edge", &edge[1..], holder.api_key(), access_token] {
        verify(&holder, token, holder.api_key()).await.assert_problem(401, "invalid_service_token");
    }
    let without = holder.app.post(PATH, json!({"api_key": holder.api_key()}));
    without.await.assert_problem(401, "authentication_required");

    // During a rotation both tokens are good; a service without the right, or no longer listed, is refused.
    let (old, new) = ("o".repeat(40), "n".repeat(40));
    let tokens = json!({"edge": [old, new], "trading": "t".repeat(40), "gone": "g".repeat(40)}).to_string();
    let rights = r#"{"edge":["api-key:verify"],"trading":[]}"#;
    holder.app.terminate();
    holder.app.start_again(&[("SERVICE_TOKENS", &tokens), ("SERVICES", rights)]);
    for token in [&old, &new] {
        let verified = verify(&holder, token, holder.api_key()).await.assert_status(200);
        assert_eq!(verified["active"], true);
    }
    verify(&holder, edge, holder.api_key()).await.assert_problem(401, "invalid_service_token");
    verify(&holder, &"t".repeat(40), holder.api_key()).await.assert_problem(403, "forbidden");
    verify(&holder, &"g".repeat(40), holder.api_key()).await.assert_problem(401, "invalid_service_token");

    holder.asha.delete(format!("/v1/api-keys/{}", holder.key_id())).await.assert_status(204);
    let verified = verify(&holder, &new, holder.api_key()).await.assert_status(200);
    assert_eq!(verified.body, json!({"active": false}));
}

#[tokio::test]
async fn the_clear_key_is_shown_once_and_lies_nowhere() {
    let holder = Holder::new().await;
    let listed = holder.asha.get("/v1/api-keys").await.assert_status(200).body;
    let mut expected = holder.issued.clone();
    expected.as_object_mut().unwrap().remove("api_key");
    assert_eq!(listed, json!({"items": [expected], "next_cursor": null}));
    assert!(holder.api_key().starts_with(listed["items"][0]["prefix"].as_str().unwrap()));
    let secret = &holder.api_key()[holder.api_key().len() - 49..];
    let files = ["portcullis.db", "portcullis.db-wal"].map(|file| holder.app.folder().join(file));
    let content = files.map(|file| std::fs::read(file).unwrap_or_default()).concat();
    let holds = |text: &str| content.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("nightly"), "its name is there, so this is where the key would be");
    assert!(!holds(secret));
}

#[tokio::test]
async fn a_key_ends_unless_an_operator_says_that_keys_do_not() {
    const YEAR: Duration = Duration::from_hours(366 * 24);
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await.caller;
    let made = world.clock.now();
    let repeatable = || ApiKeyRequest { idempotency_key: Some("once".to_owned()), ..wanted(None) };
    let key = create(&world, &asha, repeatable()).await.unwrap();
    assert_eq!(key.key.expires_at, Some(made + YEAR));
    // The repetition is of a later time, and about the same key.
    world.clock.advance(Duration::from_mins(5));
    let again = create(&world, &asha, repeatable()).await.unwrap();
    assert_eq!((again.key.id, again.key.expires_at), (key.key.id, Some(made + YEAR)));
    let until = |end| ApiKeyRequest { expires_at: Some(end), ..wanted(None) };
    let latest = world.clock.now() + YEAR;
    assert_eq!(create(&world, &asha, until(latest)).await.unwrap().key.expires_at, Some(latest));
    let refused = create(&world, &asha, until(latest + Duration::from_millis(1))).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    world.clock.set(made + YEAR);
    assert!(matches!(world.identity.authenticate_key(&key.text).await, Err(Error::InvalidApiKey)));

    let world = World::with_variables(SEED, &[("API_KEY_MAX_AGE", "0")]).await;
    let bela = world.person("bela@example.com").await.caller;
    assert_eq!(create(&world, &bela, wanted(None)).await.unwrap().key.expires_at, None);
    create(&world, &bela, until(world.clock.now() + YEAR + YEAR)).await.unwrap();
}

#[tokio::test]
async fn a_reset_ends_all_keys_where_that_is_wanted_and_none_where_it_is_not() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await;
    let (origin, chosen) = (ClientContext::default(), password("marble orchard whispers northward"));
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(create(&world, &asha.caller, wanted(None)).await.unwrap());
    }
    let alive = async |text: &SecretString| world.identity.authenticate_key(text).await.is_ok();
    let token = world.reset_token("asha@example.com").await;
    world.identity.reset_password(&token, &chosen, &origin).await.unwrap();
    assert!(alive(&keys[0].text).await, "programs go on");

    world.clock.advance(Duration::from_mins(30));
    let token = world.reset_token("asha@example.com").await;
    world.identity.reset_password_and_end_keys(&token, &password(PASSWORD), &origin).await.unwrap();
    for key in &keys {
        assert!(!alive(&key.text).await);
    }
    world.clock.advance(Duration::from_secs(1));
    let caller = world.caller(&world.sign_in("asha@example.com").await.unwrap()).await;
    assert!(world.identity.list_api_keys(&caller, 10, None).await.unwrap().keys.is_empty());
    let revived = world.identity.rotate_api_key(&caller, keys[0].key.id, &origin).await;
    assert!(matches!(revived, Err(Error::NotFound)), "{revived:?}");
    let next = create(&world, &caller, wanted(None)).await.unwrap();
    assert!(alive(&next.text).await, "the account itself goes on");
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);
}
