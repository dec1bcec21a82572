//! A passkey as the first factor of somebody whose sign-in waits for one: worth one session, whoever shows what how often.
#![cfg(test)]

use std::time::Duration;

use futures_util::future::join_all;
use portcullis_harness::app::App;
use portcullis_harness::in_process::{Begun, PASSWORD, World, code, password};
use portcullis_harness::passkey::SoftPasskey;
use portcullis_identity::{
    AccountRequest, AccountStatus, Assurance, AuditFilter, ClientContext, Email, EnrolmentMethod, Error,
    FirstPassword, Login, MfaConfirmation, MfaSignIn, Operator, PersonName, StepUp,
};
use portcullis_platform::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

const SEED: u64 = 20_261_130;
const ROOT: &str = "root@example.com";
const OTHER: &str = "other@example.com";

static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

/// Somebody whose role requires a second factor, who has none.
async fn make(world: &World, email: &str) {
    let request = AccountRequest {
        email: Some(Email::parse(email).unwrap()),
        name: PersonName::parse("Root").unwrap(),
        username: None,
        phone: None,
        password: FirstPassword::Chosen(password(PASSWORD)),
        roles: vec!["admin".to_owned()],
        status: AccountStatus::Active,
        email_verified: true,
    };
    let operator = Operator::CommandLine("tester".to_owned());
    world.identity.create_account(&operator, request, &ORIGIN).await.unwrap();
}

/// Shows the password, and returns the token to enrol with.
async fn waiting(world: &World, email: &str) -> SecretString {
    let Login::EnrolmentRequired(challenge) = world.login(email).await.unwrap() else {
        panic!("a factor is to be set up")
    };
    assert_eq!(challenge.methods, [EnrolmentMethod::Totp, EnrolmentMethod::Passkey]);
    challenge.token.secret().clone()
}

async fn begun(world: &World, token: &SecretString) -> (SoftPasskey, Begun) {
    let begun = world.begin_first_passkey(token).await.unwrap();
    (world.authenticator(), begun)
}

fn is_over(outcome: &Result<impl Sized, Error>) -> bool {
    matches!(outcome, Err(Error::InvalidSessionToken))
}

fn is_no_ceremony(outcome: &Result<impl std::fmt::Debug, Error>) -> bool {
    matches!(outcome, Err(Error::Invalid(_))) && format!("{outcome:?}").contains("CeremonyToken")
}

#[tokio::test]
async fn the_passkey_ends_the_sign_in_with_a_session_and_the_codes_are_the_way_back() {
    let world = World::new(SEED).await;
    make(&world, ROOT).await;
    let token = waiting(&world, ROOT).await;
    world.notifications.take();
    let (mut passkey, ceremony) = begun(&world, &token).await;
    let made = passkey.create(&ceremony.options);
    let (added, enrolled) = world.finish_first_passkey(&token, &ceremony.token, made).await.unwrap();
    let root = world.caller(&enrolled.session).await;
    assert_eq!((root.claims.acr, root.claims.auth_time), (Assurance::Phr, world.unix_now()));
    assert_eq!(root.claims.amr, ["pwd", "hwk", "user"]);
    assert_eq!((added.account, enrolled.backup_codes.len()), (root.account.id, 10));
    assert_eq!((root.account.passkeys, root.account.mfa_enabled), (1, true));
    let told: Vec<_> = world.notifications.take().into_iter().map(|sent| sent.to).collect();
    assert_eq!(told, [ROOT], "that a passkey was added");
    world.identity.require_admin(root.clone(), "GET /v1/admin/users", &ORIGIN).await.unwrap();
    let trail = world.identity.audit_of(root.account.id, &AuditFilter::default(), 50, None).await.unwrap();
    let trail: Vec<_> = trail.records.iter().map(|record| record.kind.as_str()).collect();
    for kind in ["mfa_enrolment_required", "passkey_added", "mfa_enabled", "login_succeeded"] {
        assert!(trail.contains(&kind), "{kind}: {trail:?}");
    }
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);

    // It signs in by itself; and the password leads on with a backup code, never with six digits: there is no app.
    world.sign_in_with(&passkey).await.unwrap();
    let Login::MfaRequired(asked) = world.login(ROOT).await.unwrap() else { panic!("a code is asked for") };
    assert!(asked.has_passkeys && asked.has_codes_only);
    let by = |text: &str| MfaSignIn { session_token: asked.token.secret().clone(), code: code(text) };
    let guessed = world.identity.sign_in_with_code(&by("050471"), &ORIGIN).await;
    assert!(matches!(guessed, Err(Error::InvalidCode)), "{guessed:?}");
    let backup = enrolled.backup_codes[0].expose_secret();
    let back = world.identity.sign_in_with_code(&by(backup), &ORIGIN).await.unwrap();
    assert_eq!(world.caller(&back).await.claims.acr, Assurance::Aal2);
}

#[tokio::test]
async fn the_token_is_spent_and_so_are_all_that_were_begun_beside_it() {
    let world = World::new(SEED).await;
    make(&world, ROOT).await;
    let (token, other) = (waiting(&world, ROOT).await, waiting(&world, ROOT).await);
    let (mut passkey, ceremony) = begun(&world, &token).await;
    let (mut second, beside) = begun(&world, &other).await;
    let made = passkey.create(&ceremony.options);
    world.finish_first_passkey(&token, &ceremony.token, made.clone()).await.unwrap();
    let again = world.finish_first_passkey(&token, &ceremony.token, made).await;
    assert!(is_over(&again), "{again:?}");
    let made = second.create(&beside.options);
    let late = world.finish_first_passkey(&other, &beside.token, made).await;
    assert!(is_over(&late), "{late:?}");
    assert!(is_over(&world.begin_first_passkey(&other).await));
    assert!(is_over(&world.identity.set_up_first_mfa(&other, &ORIGIN).await), "nor is an app set up");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_make_one_passkey_and_one_session() {
    let world = World::new(SEED).await;
    make(&world, ROOT).await;
    let token = waiting(&world, ROOT).await;
    let (mut passkey, ceremony) = begun(&world, &token).await;
    let made = passkey.create(&ceremony.options);
    let racing = (0..64).map(|_| world.finish_first_passkey(&token, &ceremony.token, made.clone()));
    let mut enrolled = Vec::new();
    for outcome in join_all(racing).await {
        match outcome {
            Ok(won) => enrolled.push(won.1),
            Err(error) => assert!(matches!(error, Error::InvalidSessionToken), "{error:?}"),
        }
    }
    assert_eq!(enrolled.len(), 1);
    let account = world.caller(&enrolled[0].session).await.account;
    let live = world.truth.live_sessions(&account, world.clock.now(), 100, None).await.unwrap();
    assert_eq!((live.sessions.len(), account.passkeys), (1, 1));
    assert_eq!(world.truth.passkeys(account.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_app_and_a_passkey_that_are_finished_side_by_side_are_one_factor_and_one_session() {
    for seed in SEED..SEED + 8 {
        let world = World::new(seed).await;
        make(&world, ROOT).await;
        let (token, other) = (waiting(&world, ROOT).await, waiting(&world, ROOT).await);
        let (mut passkey, ceremony) = begun(&world, &token).await;
        let made = passkey.create(&ceremony.options);
        let by_passkey = world.finish_first_passkey(&token, &ceremony.token, made);
        let (by_passkey, by_app) = tokio::join!(by_passkey, world.enrol_first(&other));
        assert_eq!(u8::from(by_passkey.is_ok()) + u8::from(by_app.is_ok()), 1, "{by_passkey:?} {by_app:?}");
    }
}

#[tokio::test]
async fn ceremonies_and_tokens_of_other_kinds_and_sign_ins_are_refused() {
    let world = World::new(SEED).await;
    make(&world, ROOT).await;
    make(&world, OTHER).await;
    let asha = world.enrolled("asha@example.com").await;
    let token = waiting(&world, ROOT).await;
    for (what, wrong) in [
        ("of a code", asha.challenge().await),
        ("of a session", asha.refresh.token.secret().clone()),
        ("an access token", asha.access_token.clone().into()),
        ("of a ceremony", world.begin_passkey_sign_in().token),
    ] {
        assert!(is_over(&world.begin_first_passkey(&wrong).await), "{what}");
        let (mut passkey, ceremony) = begun(&world, &token).await;
        let made = passkey.create(&ceremony.options);
        let refused = world.finish_first_passkey(&wrong, &ceremony.token, made).await;
        assert!(is_over(&refused), "{what}: {refused:?}");
    }
    // A ceremony is finished in the sign-in that it was begun in: not in another one of the account, nor of anybody else.
    let (mut passkey, ceremony) = begun(&world, &token).await;
    for another in [waiting(&world, ROOT).await, waiting(&world, OTHER).await] {
        let made = passkey.create(&ceremony.options);
        let refused = world.finish_first_passkey(&another, &ceremony.token, made).await;
        assert!(is_no_ceremony(&refused), "{refused:?}");
    }
    // Nor in a session, and no ceremony of a session is finished here.
    let ravi = world.person("ravi@example.com").await;
    let made = passkey.create(&ceremony.options);
    let refused = world.finish_passkey(&ravi.caller, &ceremony.token, made).await;
    assert!(is_no_ceremony(&refused), "{refused:?}");
    let in_session = world.begin_passkey(&ravi.caller).await.unwrap();
    let made = passkey.create(&in_session.options);
    let refused = world.finish_first_passkey(&token, &in_session.token, made).await;
    assert!(is_no_ceremony(&refused), "{refused:?}");
    // None of this spent anything.
    let made = passkey.create(&ceremony.options);
    world.finish_first_passkey(&token, &ceremony.token, made).await.unwrap();
}

#[tokio::test]
async fn what_does_not_verify_or_is_somebodys_or_comes_late_ends_nothing() {
    let world = World::new(SEED).await;
    make(&world, ROOT).await;
    let ravi = world.person("ravi@example.com").await;
    let (mut of_ravi, _) = ravi.with_passkey().await;
    let token = waiting(&world, ROOT).await;
    let (mut passkey, ceremony) = begun(&world, &token).await;
    let of_another = of_ravi.create(&ceremony.options);
    let mut bent = passkey.create(&ceremony.options);
    bent["response"]["clientDataJSON"] = "e30".into();
    for credential in [of_another, bent] {
        let refused = world.finish_first_passkey(&token, &ceremony.token, credential).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    world.clock.advance(Duration::from_mins(5));
    let made = passkey.create(&ceremony.options);
    let late = world.finish_first_passkey(&token, &ceremony.token, made).await;
    assert!(is_no_ceremony(&late), "{late:?}");
    world.clock.advance(Duration::from_mins(5));
    let (mut passkey, ceremony) = begun(&world, &token).await;
    world.clock.advance(Duration::from_mins(5));
    let made = passkey.create(&ceremony.options);
    let late = world.finish_first_passkey(&token, &ceremony.token, made).await;
    assert!(is_over(&late), "{late:?}");
}

#[tokio::test]
async fn where_there_can_be_no_passkeys_none_is_offered() {
    let world = World::with_variables(SEED, &[("PUBLIC_URL", "http://127.0.0.1:8001")]).await;
    make(&world, ROOT).await;
    let Login::EnrolmentRequired(challenge) = world.login(ROOT).await.unwrap() else { panic!("a factor") };
    assert_eq!(challenge.methods, [EnrolmentMethod::Totp]);
    let refused = world.begin_first_passkey(challenge.token.secret()).await;
    assert!(matches!(refused, Err(Error::PasskeysUnavailable)), "{refused:?}");
}

#[tokio::test]
async fn an_app_takes_the_place_of_the_codes_after_one_of_them() {
    let world = World::new(SEED).await;
    make(&world, ROOT).await;
    let token = waiting(&world, ROOT).await;
    let (mut passkey, ceremony) = begun(&world, &token).await;
    let made = passkey.create(&ceremony.options);
    let (_, enrolled) = world.finish_first_passkey(&token, &ceremony.token, made).await.unwrap();
    let root = world.caller(&enrolled.session).await;
    let none = world.identity.set_up_mfa(&root, None, &ORIGIN).await;
    assert!(matches!(none, Err(Error::Invalid(_))), "a stolen session adds no app: {none:?}");
    // The password proves nothing by itself any more; the passkey proves that another one may be made.
    let alone = StepUp::Password(password(PASSWORD));
    assert!(matches!(world.identity.begin_passkey(&root, &alone, &ORIGIN).await, Err(Error::Invalid(_))));
    let shown = StepUp::Passkey(Box::new(world.shown(&passkey)));
    world.identity.begin_passkey(&root, &shown, &ORIGIN).await.unwrap();
    let backup = code(enrolled.backup_codes[1].expose_secret());
    let setup = world.identity.set_up_mfa(&root, Some(&backup), &ORIGIN).await.unwrap();
    let app = portcullis_harness::authenticator::Authenticator::scan(setup.uri.expose_secret());
    let right = code(&app.code_at(world.unix_now()));
    world.identity.enable_mfa(&root, &right, &ORIGIN).await.unwrap();
    let Login::MfaRequired(asked) = world.login(ROOT).await.unwrap() else { panic!("a code is asked for") };
    assert!(!asked.has_codes_only);
    // The codes of before are worth nothing.
    let proof = MfaConfirmation {
        password: password(PASSWORD),
        code: code(enrolled.backup_codes[2].expose_secret()),
    };
    assert!(matches!(world.identity.renew_backup_codes(&root, &proof, &ORIGIN).await, Err(Error::WrongCode)));
}

#[tokio::test]
async fn over_http_one_token_of_two_is_wanted_and_the_answer_has_codes_and_a_session() {
    let app = App::start();
    let create = ["create-user", "root", "--email", ROOT, "--role", "admin"];
    let (status, _, err) = portcullis_harness::process::tool(app.folder(), &create, PASSWORD);
    assert_eq!(status, 0, "{err}");
    let root = app.login(ROOT, PASSWORD).await.assert_status(200);
    let waiting = root.text("session_token");
    assert_eq!(
        (root.text("status"), &root["methods"]),
        ("mfa_enrolment_required", &json!(["totp", "passkey"]))
    );
    let origins = app.get("/.well-known/webauthn").await.assert_status(200);
    let origin = origins["origins"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    let body = json!({"session_token": waiting});
    app.post("/v1/passkeys/options", json!({})).await.assert_problem(401, "authentication_required");
    app.post("/v1/passkeys/options", json!({"session_token": "enr_x"}))
        .await
        .assert_problem(401, "invalid_session_token");
    let asha = app.person("asha@example.com").await;
    asha.post("/v1/passkeys/options", body.clone()).await.assert_problem(400, "bad_request");
    let begun = app.post("/v1/passkeys/options", body).await.assert_status(200);
    let credential = SoftPasskey::on(&origin).create(&begun["publicKey"]);
    let ceremony = begun.text("ceremony_token");
    assert!(ceremony.starts_with("pkf_"));
    let body = json!({"session_token": waiting, "ceremony_token": ceremony, "credential": credential});
    asha.post("/v1/passkeys", body.clone()).await.assert_problem(400, "bad_request");
    let added = app.post("/v1/passkeys", body.clone()).await.assert_status(201);
    assert_eq!(added["backup_codes"].as_array().unwrap().len(), 10);
    assert_eq!(added["session"]["status"], "authenticated");
    assert!(added.text("passkey_id").starts_with("psk_"));
    let session = app.get("/v1/auth/status").bearer(added["session"]["access_token"].as_str().unwrap());
    assert_eq!(session.await.assert_status(200)["acr"], "phr");
    app.post("/v1/passkeys", body).await.assert_problem(401, "invalid_session_token");
}
