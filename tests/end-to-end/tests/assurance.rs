//! What somebody has proved, what it is enough for, and what a stolen token comes to: assurance levels, step-up, the
//! enrolment that a role requires, and fresh proofs.
#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response};
use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, code, password};
use portcullis_identity::{
    AccountStatus, AccountUpdate, AuditFilter, Caller, ClientContext, Email, Error, FirstPassword, Login,
    MfaSignIn, Operator, PersonName, Principal, ShownToken, StepUp,
};
use portcullis_platform::{Clock, Environment, SystemEntropy};
use portcullis_service::{Operations, Settings};
use portcullis_verifier::{Assurance, Claims};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tower::ServiceExt;

const SEED: u64 = 20_261_130;
const STEP: Duration = Duration::from_secs(30);
/// Longer than the grace period of a refresh token, and than an access token lives.
const LATER: Duration = Duration::from_mins(16);
const ASHA: &str = "asha@example.com";
const ROOT: &str = "root@example.com";

static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

fn claims(token: &str) -> Claims {
    jsonwebtoken::dangerous::insecure_decode(token).unwrap().claims
}

fn operator() -> Operator {
    Operator::CommandLine("tester".to_owned())
}

fn by_password() -> StepUp {
    StepUp::Password(password(PASSWORD))
}

fn by_code(text: &str) -> StepUp {
    StepUp::Code(code(text))
}

async fn made(world: &World, email: &str, role: &str) {
    let request = portcullis_identity::AccountRequest {
        email: Some(Email::parse(email).unwrap()),
        name: PersonName::parse("Somebody").unwrap(),
        username: None,
        phone: None,
        password: FirstPassword::Chosen(password(PASSWORD)),
        roles: vec![role.to_owned()],
        status: AccountStatus::Active,
        email_verified: true,
    };
    world.identity.create_account(&operator(), request, &ORIGIN).await.unwrap();
}

async fn give_roles(world: &World, caller: &Caller, roles: &[&str]) {
    let roles = Some(roles.iter().map(|role| (*role).to_owned()).collect());
    let update = AccountUpdate { roles, status: None };
    world.identity.update_account(&operator(), caller.account.id, &update, &ORIGIN).await.unwrap();
}

/// The token of a sign-in that waits for a first factor.
async fn enrolment(world: &World, email: &str) -> SecretString {
    match world.login(email).await.unwrap() {
        Login::EnrolmentRequired(challenge) => challenge.token.secret().clone(),
        other => panic!("no enrolment is asked for: {other:?}"),
    }
}

async fn step_up(world: &World, token: &str, proof: &StepUp) -> Result<Claims, Error> {
    let raised = world.identity.step_up(ShownToken::Access(token), proof, &ORIGIN).await?;
    Ok(claims(&raised.access_token))
}

fn needs(outcome: &Result<impl Sized, Error>) -> Option<Assurance> {
    match outcome {
        Err(Error::InsufficientAuthentication(needed)) => needed.acr,
        _ => None,
    }
}

async fn kinds(world: &World, caller: &Caller) -> Vec<String> {
    let found = world.identity.audit_of(caller.account.id, &AuditFilter::default(), 50, None).await.unwrap();
    found.records.iter().map(|record| record.kind.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_token_says_what_was_proved_and_when_and_a_refresh_changes_neither() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let begun = world.unix_now();
    let first = claims(&asha.access_token);
    assert_eq!((first.acr, first.auth_time), (Assurance::Aal1, begun));
    let asha = asha.enrol().await;
    let refreshed = world.identity.refresh(asha.refresh.token.secret(), &ORIGIN).await.unwrap();
    let seen = claims(&refreshed.access_token);
    assert_eq!(
        (seen.acr, seen.auth_time),
        (Assurance::Aal1, begun),
        "a factor proves nothing of a session before it"
    );
    let with_code = asha.sign_in(&asha.code()).await.unwrap();
    let begun = world.unix_now();
    world.clock.advance(LATER);
    let refreshed = world.identity.refresh(with_code.refresh.token.secret(), &ORIGIN).await.unwrap();
    let seen = claims(&refreshed.access_token);
    assert_eq!((seen.acr, seen.auth_time, seen.iat), (Assurance::Aal2, begun, begun + 960));
}

#[tokio::test]
async fn a_session_below_its_roles_is_not_let_on_and_lives_until_it_is_raised() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    // Her session is of before the factor. Now she becomes an administrator.
    give_roles(&world, &asha.caller, &["admin"]).await;
    let mut token = asha.refresh.token.secret().clone();
    for round in 0..3 {
        world.clock.advance(LATER);
        let refused = world.identity.refresh(&token, &ORIGIN).await;
        assert_eq!(needs(&refused), Some(Assurance::Aal2), "round {round}: {refused:?}");
        // The answer may have been lost: the same token once more, at once and after the grace period.
        assert_eq!(needs(&world.identity.refresh(&token, &ORIGIN).await), Some(Assurance::Aal2));
    }
    // Her access token has expired; the refresh token says which session it is.
    let shown = ShownToken::Refresh(&token);
    let raised = world.identity.step_up(shown, &by_code(&asha.code()), &ORIGIN).await.unwrap();
    let seen = claims(&raised.access_token);
    assert_eq!((seen.acr, seen.auth_time), (Assurance::Aal2, world.unix_now()));
    assert_eq!(
        (&seen.session_id, seen.roles),
        (&claims(&asha.access_token).session_id, vec!["admin".to_owned()])
    );
    let refreshed = world.identity.refresh(&token, &ORIGIN).await.unwrap();
    assert_eq!(claims(&refreshed.access_token).acr, Assurance::Aal2);
    token = refreshed.refresh.token.secret().clone();
    world.clock.advance(LATER);
    world.identity.refresh(&token, &ORIGIN).await.unwrap();
    assert!(!kinds(&world, &asha.caller).await.contains(&"refresh_token_reuse".to_owned()));
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);
}

#[tokio::test]
async fn a_need_that_is_lowered_counts_from_the_next_refresh_on() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    made(&world, ROOT, "admin").await;
    give_roles(&world, &asha.caller, &["admin"]).await;
    let token = asha.refresh.token.secret();
    world.clock.advance(LATER);
    assert_eq!(needs(&world.identity.refresh(token, &ORIGIN).await), Some(Assurance::Aal2));
    give_roles(&world, &asha.caller, &["user"]).await;
    let refreshed = world.identity.refresh(token, &ORIGIN).await.unwrap();
    assert_ne!(refreshed.refresh.token.secret().expose_secret(), token.expose_secret());
    // The token that was refused is what it would be had it never been shown: replaced, and good within the grace period.
    world.identity.refresh(token, &ORIGIN).await.unwrap();
    world.clock.advance(STEP);
    assert!(matches!(world.identity.refresh(token, &ORIGIN).await, Err(Error::SessionRevoked)));
}

#[tokio::test]
async fn refused_refreshes_side_by_side_end_no_session() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    give_roles(&world, &asha.caller, &["admin"]).await;
    world.clock.advance(LATER);
    let token = asha.refresh.token.secret();
    let racing: Vec<_> = (0..32)
        .map(|_| {
            let (world, token) = (world.clone(), token.clone());
            tokio::spawn(async move { world.identity.refresh(&token, &ORIGIN).await })
        })
        .collect();
    for racer in racing {
        assert_eq!(needs(&racer.await.unwrap()), Some(Assurance::Aal2));
    }
    world.clock.advance(LATER);
    assert_eq!(needs(&world.identity.refresh(token, &ORIGIN).await), Some(Assurance::Aal2));
    let shown = ShownToken::Refresh(token);
    world.identity.step_up(shown, &by_code(&asha.code()), &ORIGIN).await.unwrap();
    world.identity.refresh(token, &ORIGIN).await.unwrap();
}

#[tokio::test]
async fn a_role_counts_for_nothing_in_a_session_that_falls_short_of_it() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    give_roles(&world, &asha.caller, &["admin"]).await;
    // The access token is of before: it lives on, and administers nothing.
    let caller = world.identity.authenticate(&asha.access_token).await.unwrap();
    let refused = world.identity.require_admin(caller.clone(), "GET /v1/admin/users", &ORIGIN).await;
    assert_eq!(needs(&refused), Some(Assurance::Aal2));
    let (policy, permission) = (&world.identity.settings.policy, "user:disable".parse().unwrap());
    assert_eq!(needs(&caller.require(policy, "provider", "mark")), Some(Assurance::Aal2));
    let decision = Principal::Person(Box::new(caller)).decide(policy, &permission);
    assert_eq!((decision.is_allowed(), decision.as_str()), (false, "insufficient_user_authentication"));
    let proof = by_code(&asha.code());
    let raised = world.identity.step_up(ShownToken::Access(&asha.access_token), &proof, &ORIGIN);
    let raised = world.identity.authenticate(&raised.await.unwrap().access_token).await.unwrap();
    world.identity.require_admin(raised, "GET /v1/admin/users", &ORIGIN).await.unwrap();
    // Whoever still holds the earlier token administers nothing with it, although its session was raised.
    let earlier = world.identity.authenticate(&asha.access_token).await.unwrap();
    let refused = world.identity.require_admin(earlier, "GET /v1/admin/users", &ORIGIN).await;
    assert_eq!(needs(&refused), Some(Assurance::Aal2));
}

#[tokio::test]
async fn who_needs_a_factor_and_has_none_enrols_one_and_is_signed_in() {
    let world = World::new(SEED).await;
    made(&world, ROOT, "admin").await;
    let token = enrolment(&world, ROOT).await;
    world.notifications.take();
    let enrolment = world.identity.set_up_first_mfa(&token, &ORIGIN).await.unwrap();
    let app = portcullis_harness::authenticator::Authenticator::scan(enrolment.uri.expose_secret());
    let wrong = code(&app.wrong_code_at(world.unix_now()));
    let refused = world.identity.enable_first_mfa(&token, &wrong, &ORIGIN).await;
    assert!(matches!(refused, Err(Error::InvalidCode)), "{refused:?}");
    let right = code(&app.code_at(world.unix_now()));
    let enrolled = world.identity.enable_first_mfa(&token, &right, &ORIGIN).await.unwrap();
    let root = world.caller(&enrolled.session).await;
    assert_eq!((root.claims.acr, root.claims.auth_time), (Assurance::Aal2, world.unix_now()));
    assert_eq!(
        (root.claims.amr.as_slice(), enrolled.backup_codes.len()),
        (&["pwd".to_owned(), "otp".to_owned()][..], 10)
    );
    assert!(enrolled.session.account.mfa_enabled);
    let told: Vec<_> = world.notifications.take().into_iter().map(|sent| sent.to).collect();
    assert_eq!(told, [ROOT], "that a factor was added");
    world.identity.require_admin(root.clone(), "GET /v1/admin/users", &ORIGIN).await.unwrap();
    world.clock.advance(LATER);
    world.identity.refresh(enrolled.session.refresh.token.secret(), &ORIGIN).await.unwrap();
    let words = kinds(&world, &root).await;
    for kind in ["mfa_enrolment_required", "mfa_set_up", "mfa_failed", "mfa_enabled", "login_succeeded"] {
        assert!(words.contains(&kind.to_owned()), "{kind}: {words:?}");
    }
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);
    // From now on a code is asked for.
    assert!(matches!(world.login(ROOT).await.unwrap(), Login::MfaRequired(_)));
}

#[tokio::test]
async fn the_token_of_an_enrolment_is_good_for_one_enrolment_and_nothing_else() {
    let world = World::new(SEED).await;
    made(&world, ROOT, "admin").await;
    let (token, other) = (enrolment(&world, ROOT).await, enrolment(&world, ROOT).await);
    let sign_in = MfaSignIn { session_token: token.clone(), code: code("000000") };
    let as_code = world.identity.sign_in_with_code(&sign_in, &ORIGIN).await;
    assert!(matches!(as_code, Err(Error::InvalidSessionToken)), "{as_code:?}");
    let as_access = world.identity.authenticate(token.expose_secret()).await;
    assert!(matches!(as_access, Err(Error::UnverifiedAccessToken(_))), "{as_access:?}");
    let another = password("marble orchard whispers northward");
    let as_rotation = world.identity.rotate_password(&token, &another, &ORIGIN);
    assert!(matches!(as_rotation.await, Err(Error::InvalidSessionToken)));
    // Nor is the token of another half of a sign-in good for an enrolment.
    let asha = world.enrolled(ASHA).await;
    let challenge = asha.challenge().await;
    assert!(matches!(
        world.identity.set_up_first_mfa(&challenge, &ORIGIN).await,
        Err(Error::InvalidSessionToken)
    ));
    let (enrolled, app) = world.enrol_first(&token).await.unwrap();
    // It was spent, and so is any other that was begun beside it.
    for token in [&token, &other] {
        let again = world.identity.set_up_first_mfa(token, &ORIGIN).await;
        assert!(matches!(again, Err(Error::InvalidSessionToken)), "{again:?}");
        let shown = code(&app.code_at(world.unix_now()));
        let again = world.identity.enable_first_mfa(token, &shown, &ORIGIN).await;
        assert!(matches!(again, Err(Error::InvalidSessionToken)), "{again:?}");
    }
    // Nor does it come back to life when an administrator takes the factor away.
    world.identity.reset_mfa(&operator(), enrolled.session.account.id, &ORIGIN).await.unwrap();
    let again = world.enrol_first(&token).await;
    assert!(matches!(again, Err(Error::InvalidSessionToken)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_enrolments_at_once_make_one_session() {
    let world = World::new(SEED).await;
    made(&world, ROOT, "admin").await;
    let token = enrolment(&world, ROOT).await;
    let enrolment = world.identity.set_up_first_mfa(&token, &ORIGIN).await.unwrap();
    let app = portcullis_harness::authenticator::Authenticator::scan(enrolment.uri.expose_secret());
    let shown = code(&app.code_at(world.unix_now()));
    let racing: Vec<_> = (0..64)
        .map(|_| {
            let (world, token, shown) = (world.clone(), token.clone(), shown.clone());
            tokio::spawn(async move { world.identity.enable_first_mfa(&token, &shown, &ORIGIN).await })
        })
        .collect();
    let mut sessions = Vec::new();
    for racer in racing {
        match racer.await.unwrap() {
            Ok(enrolled) => sessions.push(enrolled.session),
            Err(error) => assert!(matches!(error, Error::InvalidSessionToken), "{error:?}"),
        }
    }
    assert_eq!(sessions.len(), 1);
    let account = world.caller(&sessions[0]).await.account;
    let live = world.truth.live_sessions(&account, world.clock.now(), 100, None).await.unwrap();
    assert_eq!(live.sessions.len(), 1);
}

#[tokio::test]
async fn an_enrolment_ends_when_its_time_is_over_or_everything_of_the_account_is_ended() {
    let world = World::new(SEED).await;
    made(&world, ROOT, "admin").await;
    let token = enrolment(&world, ROOT).await;
    world.clock.advance(Duration::from_mins(15));
    assert!(matches!(
        world.identity.set_up_first_mfa(&token, &ORIGIN).await,
        Err(Error::InvalidSessionToken)
    ));
    let token = enrolment(&world, ROOT).await;
    let enrolment = world.identity.set_up_first_mfa(&token, &ORIGIN).await.unwrap();
    let link = world.reset_token(ROOT).await;
    world
        .identity
        .reset_password(&link, &password("marble orchard whispers northward"), &ORIGIN)
        .await
        .unwrap();
    let app = portcullis_harness::authenticator::Authenticator::scan(enrolment.uri.expose_secret());
    let shown = code(&app.code_at(world.unix_now()));
    let late = world.identity.enable_first_mfa(&token, &shown, &ORIGIN).await;
    assert!(
        matches!(late, Err(Error::InvalidSessionToken)),
        "whoever had the old password has nothing: {late:?}"
    );
}

#[tokio::test]
async fn an_expired_password_is_replaced_before_the_factor_is_enrolled() {
    let world = World::with_variables(SEED, &[("PASSWORD_ROTATION_DAYS", "90")]).await;
    made(&world, ROOT, "admin").await;
    world.clock.advance(Duration::from_hours(91 * 24));
    let Err(Error::PasswordExpired(token)) = world.login(ROOT).await else { panic!() };
    let chosen = password("marble orchard whispers northward");
    let rotated = world.identity.rotate_password(token.secret(), &chosen, &ORIGIN).await.unwrap();
    let Login::EnrolmentRequired(challenge) = rotated else { panic!("{rotated:?}") };
    let (enrolled, _) = world.enrol_first(challenge.token.secret()).await.unwrap();
    assert_eq!(world.caller(&enrolled.session).await.claims.acr, Assurance::Aal2);
}

#[tokio::test]
async fn a_password_raises_the_session_of_somebody_without_a_factor() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    world.clock.advance(Duration::from_mins(14));
    assert!(world.identity.require_fresh_proof(&asha.caller).is_err());
    let raised = world
        .identity
        .step_up(ShownToken::Access(&asha.access_token), &by_password(), &ORIGIN)
        .await
        .unwrap();
    let caller = world.identity.authenticate(&raised.access_token).await.unwrap();
    assert_eq!((caller.claims.acr, caller.claims.auth_time), (Assurance::Aal1, world.unix_now()));
    world.identity.require_fresh_proof(&caller).unwrap();
    // Whoever stole the token of before has what they had.
    let stolen = world.identity.authenticate(&asha.access_token).await.unwrap();
    assert!(world.identity.require_fresh_proof(&stolen).is_err());
    world.clock.advance(Duration::from_mins(10));
    world.identity.require_fresh_proof(&caller).unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert!(world.identity.require_fresh_proof(&caller).is_err());
    assert!(kinds(&world, &caller).await.contains(&"stepped_up".to_owned()));
}

#[tokio::test]
async fn a_refresh_returns_what_a_lost_answer_said() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    let shown = asha.code();
    step_up(&world, &asha.access_token, &by_code(&shown)).await.unwrap();
    let proved_at = world.unix_now();
    world.clock.advance(Duration::from_secs(5));
    // The answer did not arrive. The code is spent, and a refresh has what it led to.
    let again = step_up(&world, &asha.access_token, &by_code(&shown)).await;
    assert!(matches!(again, Err(Error::WrongCode)), "{again:?}");
    let refreshed = world.identity.refresh(asha.refresh.token.secret(), &ORIGIN).await.unwrap();
    let seen = claims(&refreshed.access_token);
    assert_eq!((seen.acr, seen.auth_time), (Assurance::Aal2, proved_at));
}

#[tokio::test]
async fn the_password_of_somebody_with_a_factor_raises_nothing() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    let refused = step_up(&world, &asha.access_token, &by_password()).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let wrong = StepUp::Password(password("not the password at all"));
    let bela = world.person("bela@example.com").await;
    let refused = step_up(&world, &bela.access_token, &wrong).await;
    assert!(matches!(refused, Err(Error::WrongPassword)), "{refused:?}");
    let refused = step_up(&world, &bela.access_token, &by_code("050471")).await;
    assert!(matches!(refused, Err(Error::MfaNotSetUp)), "{refused:?}");
    let refreshed = world.identity.refresh(bela.refresh.token.secret(), &ORIGIN).await.unwrap();
    assert_eq!(claims(&refreshed.access_token).auth_time, claims(&bela.access_token).auth_time);
}

#[tokio::test]
async fn a_code_that_was_spent_here_is_spent_everywhere_and_the_other_way_round() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    let shown = asha.code();
    step_up(&world, &asha.access_token, &by_code(&shown)).await.unwrap();
    assert!(matches!(asha.sign_in(&shown).await, Err(Error::InvalidCode)));
    let confirmed = world.identity.confirm(&asha.caller, &by_code(&shown), &ORIGIN).await;
    assert!(matches!(confirmed, Err(Error::WrongCode)));
    world.clock.advance(STEP);
    let shown = asha.code();
    asha.sign_in(&shown).await.unwrap();
    assert!(matches!(step_up(&world, &asha.access_token, &by_code(&shown)).await, Err(Error::WrongCode)));
    let backup = asha.backup_codes[0].expose_secret();
    step_up(&world, &asha.access_token, &by_code(backup)).await.unwrap();
    assert!(matches!(asha.sign_in(backup).await, Err(Error::InvalidCode)));
}

#[tokio::test]
async fn wrong_codes_here_and_at_sign_ins_are_one_budget() {
    let world = World::with_variables(SEED, &[("RATE_LIMIT", "off")]).await;
    let asha = world.enrolled(ASHA).await;
    for _ in 0..3 {
        let refused = step_up(&world, &asha.access_token, &by_code(&asha.wrong_code())).await;
        assert!(matches!(refused, Err(Error::WrongCode)), "{refused:?}");
    }
    for _ in 0..2 {
        assert!(matches!(asha.sign_in(&asha.wrong_code()).await, Err(Error::InvalidCode)));
    }
    let throttled = step_up(&world, &asha.access_token, &by_code(&asha.code())).await;
    assert!(matches!(throttled, Err(Error::TooManyAttempts { .. })), "a right one, too: {throttled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_code_raises_one_of_sixty_four_sessions_that_show_it_at_once() {
    let world = World::with_variables(SEED, &[("RATE_LIMIT", "off")]).await;
    let asha = world.enrolled(ASHA).await;
    let shown = asha.code();
    let racing: Vec<_> = (0..64)
        .map(|_| {
            let (world, token, shown) = (world.clone(), asha.access_token.clone(), shown.clone());
            tokio::spawn(async move { step_up(&world, &token, &by_code(&shown)).await })
        })
        .collect();
    let mut raised = 0;
    for racer in racing {
        match racer.await.unwrap() {
            Ok(_) => raised += 1,
            Err(error) => assert!(matches!(error, Error::WrongCode), "{error:?}"),
        }
    }
    assert_eq!(raised, 1);
}

#[tokio::test]
async fn a_session_that_is_over_is_not_raised_and_its_code_is_not_spent() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    let shown = asha.code();
    // It ends between the look at it and the write.
    let held =
        world.faults.hold(|request| request.contains("TransactWriteItems") && request.contains("auth_time"));
    let racing = {
        let (world, token, shown) = (world.clone(), asha.access_token.clone(), shown.clone());
        tokio::spawn(async move { step_up(&world, &token, &by_code(&shown)).await })
    };
    held.reached().await;
    let caller = asha.caller.clone();
    let id = caller.session.made.id;
    world.identity.revoke_session(&caller, id, &ORIGIN).await.unwrap();
    held.release();
    let refused = racing.await.unwrap();
    assert!(matches!(refused, Err(Error::InvalidAccessToken)), "{refused:?}");
    asha.sign_in(&shown).await.expect("the code was not spent");
}

#[tokio::test]
async fn while_the_store_is_down_no_code_is_spent() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    let shown = asha.code();
    // Account and session, factor and end of the trail are read; the write does not arrive.
    world.faults.go_down_after(4);
    let refused = step_up(&world, &asha.access_token, &by_code(&shown)).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    world.faults.come_back();
    step_up(&world, &asha.access_token, &by_code(&shown)).await.unwrap();
}

#[tokio::test]
async fn a_session_is_raised_in_two_rounds_behind_its_token() {
    let world = World::new(SEED).await;
    let (asha, bela) = (world.enrolled(ASHA).await, world.person("bela@example.com").await);
    let before = world.faults.requests();
    step_up(&world, &asha.access_token, &by_code(&asha.code())).await.unwrap();
    // Account and session; the factor and the end of the trail; code, session, record and head at once.
    assert_eq!(world.faults.requests() - before, 5);
    let before = world.faults.requests();
    step_up(&world, &bela.access_token, &by_password()).await.unwrap();
    // Account and session; the count, the credentials and the end of the trail; count, session, record and head at once.
    assert_eq!(world.faults.requests() - before, 6);
}

#[tokio::test]
async fn a_stolen_refresh_token_raises_nothing_without_a_proof_and_one_that_was_replaced_ends_the_session() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    let stolen = asha.refresh.token.secret().clone();
    let guess =
        world.identity.step_up(ShownToken::Refresh(&stolen), &by_code(&asha.wrong_code()), &ORIGIN).await;
    assert!(matches!(guess, Err(Error::WrongCode)), "{guess:?}");
    let next = world.identity.refresh(&stolen, &ORIGIN).await.unwrap();
    world.clock.advance(LATER);
    let late = world.identity.step_up(ShownToken::Refresh(&stolen), &by_code(&asha.code()), &ORIGIN).await;
    assert!(matches!(late, Err(Error::SessionRevoked)), "{late:?}");
    let over = world.identity.refresh(next.refresh.token.secret(), &ORIGIN).await;
    assert!(matches!(over, Err(Error::InvalidRefreshToken)), "{over:?}");
    asha.sign_in(&asha.code()).await.expect("the code was not spent");
}

/// The whole service without a socket, so that its clock can be moved.
struct Service {
    world: World,
    router: axum::Router,
}

impl Service {
    async fn start() -> Self {
        let world = World::with_variables(SEED, &[("RATE_LIMIT", "off")]).await;
        let operations =
            Operations { identity: Arc::clone(&world.identity), vault: Arc::clone(&world.vault) };
        let state = operations.state(&Settings::read(&Environment::default()).unwrap());
        let router = portcullis_local::router(state, world.clock.clone(), Arc::new(SystemEntropy)).unwrap();
        Self { world, router }
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Response<Body> {
        let request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }));
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }

    async fn status(&self, method: &str, path: &str, token: &str, body: &Value) -> u16 {
        self.ask(method, path, token, body).await.status().as_u16()
    }

    async fn json(&self, method: &str, path: &str, token: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, token, body).await;
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        serde_json::from_slice(&to_bytes(answer.into_body(), 100_000).await.unwrap()).unwrap()
    }
}

/// What makes a moment's access permanent, or takes protection away, with a body that would do.
fn of_owners() -> Vec<(&'static str, &'static str, Value)> {
    let key = json!({"name": "a key"});
    let link = json!({"broker": "alpaca", "user_id_broker": "X", "api_key": "key", "api_secret": "secret"});
    let replace = json!({"api_key": "another", "api_secret": "secret"});
    vec![
        ("POST", "/v1/mfa/totp/setup", json!({})),
        ("POST", "/v1/api-keys", key),
        ("POST", "/v1/api-keys/{id}/rotate", Value::Null),
        ("POST", "/v1/trading-accounts", link),
        ("PUT", "/v1/trading-accounts/{id}/credentials", replace),
        ("DELETE", "/v1/trading-accounts/{id}", Value::Null),
    ]
}

fn of_administrators() -> Vec<(&'static str, &'static str, Value)> {
    let new = json!({"email": "new@example.com", "password": PASSWORD, "name": "New", "roles": ["admin"]});
    vec![
        ("POST", "/v1/admin/users", new),
        ("PATCH", "/v1/admin/users/{id}", json!({"roles": ["admin"]})),
        ("POST", "/v1/admin/users/{id}/unlock", Value::Null),
        ("POST", "/v1/admin/users/{id}/send-reset", Value::Null),
        ("POST", "/v1/admin/users/{id}/verify-email", Value::Null),
        ("POST", "/v1/admin/users/{id}/revoke-sessions", Value::Null),
        ("POST", "/v1/admin/users/{id}/reset-mfa", Value::Null),
        ("POST", "/v1/admin/users/{id}/unfreeze", Value::Null),
        ("POST", "/v1/admin/freeze", json!({"reason": "maintenance"})),
        ("POST", "/v1/admin/unfreeze", Value::Null),
        ("DELETE", "/v1/admin/users/{id}", Value::Null),
    ]
}

/// A token is stolen. The thief has it for as long as it lives, and nothing that is theirs afterwards.
#[tokio::test]
async fn nothing_permanent_comes_of_a_stolen_token() {
    let service = Service::start().await;
    let world = &service.world;
    let asha = world.person(ASHA).await;
    let key = service.json("POST", "/v1/api-keys", &asha.access_token, &json!({"name": "first"})).await;
    let link = &of_owners()[3].2;
    let account = service.json("POST", "/v1/trading-accounts", &asha.access_token, link).await;
    world.clock.advance(Duration::from_secs(601));
    let stolen = &asha.access_token;
    assert_eq!(
        service.status("GET", "/v1/users/me", stolen, &Value::Null).await,
        200,
        "it is good for what it was"
    );
    let filled = |path: &str| {
        let id = if path.contains("api-keys") { &key["key_id"] } else { &account["account_id"] };
        path.replace("{id}", id.as_str().unwrap())
    };
    for (method, path, body) in of_owners() {
        let refused = service.ask(method, &filled(path), stolen, &body).await;
        assert_eq!(refused.status(), 401, "{method} {path}");
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge, r#"Bearer error="insufficient_user_authentication", max_age="600""#);
    }
    // What takes a proof in its body wants one from the thief, too.
    for (method, path, body) in [
        ("POST", "/v1/users/me/email", json!({"email": "thief@example.com"})),
        ("PUT", "/v1/users/me/username", json!({"username": "thief"})),
        ("POST", "/v1/trading-accounts/unfreeze", json!({})),
        ("POST", "/v1/auth/step-up", json!({})),
    ] {
        assert_eq!(service.status(method, path, stolen, &body).await, 422, "{method} {path}");
    }
    let keys = world.truth.api_keys(asha.caller.account.id, 10, None).await.unwrap().keys;
    assert_eq!(keys.len(), 1);
    // Its owner proves who she is, and all of it goes on; the stolen token stays what it is.
    let raised = service.json("POST", "/v1/auth/step-up", stolen, &json!({"password": PASSWORD})).await;
    let fresh = raised["access_token"].as_str().unwrap();
    assert_eq!((&raised["token_type"], &raised["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(service.status("POST", "/v1/api-keys", stolen, &json!({"name": "x"})).await, 401);
    for (method, path, body) in of_owners() {
        let status = service.status(method, &filled(path), fresh, &body).await;
        assert!((200..300).contains(&status) || status == 409, "{method} {path}: {status}");
    }
}

#[tokio::test]
async fn nothing_is_granted_or_taken_away_with_a_stolen_token_of_an_administrator() {
    let service = Service::start().await;
    let world = &service.world;
    made(world, ROOT, "admin").await;
    let token = enrolment(world, ROOT).await;
    let (root, app) = world.enrol_first(&token).await.unwrap();
    let bela = world.person("bela@example.com").await;
    world.clock.advance(Duration::from_secs(601));
    let stolen = &root.session.access_token;
    let of_bela = |path: &str| path.replace("{id}", &bela.caller.account.id.to_string());
    assert_eq!(service.status("GET", &of_bela("/v1/admin/users/{id}"), stolen, &Value::Null).await, 200);
    for (method, path, body) in of_administrators() {
        assert_eq!(service.status(method, &of_bela(path), stolen, &body).await, 401, "{method} {path}");
    }
    let proof = json!({"code": app.code_at(world.unix_now())});
    let raised = service.json("POST", "/v1/auth/step-up", stolen, &proof).await;
    for (method, path, body) in of_administrators() {
        let status =
            service.status(method, &of_bela(path), raised["access_token"].as_str().unwrap(), &body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }
}

/// Whoever adds a write says here whether it needs a fresh proof.
#[test]
fn every_write_of_administrators_is_asked_for_a_fresh_proof_or_says_why_not() {
    let document: Value = serde_json::from_str(include_str!("../../../functions/openapi.json")).unwrap();
    let listed: BTreeSet<String> =
        of_administrators().iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let others = [
        // How a provider is says nothing about anybody's rights.
        "PUT /v1/admin/providers/{name}/mark",
        "DELETE /v1/admin/providers/{name}/mark",
        // Stopping is one click; starting again asks.
        "POST /v1/admin/users/{id}/freeze",
    ];
    let writes = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        methods.filter(|method| method != "GET").map(move |method| format!("{method} {path}"))
    });
    for write in writes.filter(|write| write.contains("/v1/admin/")) {
        assert!(listed.contains(&write) || others.contains(&write.as_str()), "{write}");
    }
}

/// The same over a socket: what clients see of a sign-in that has to wait for its factor.
#[tokio::test]
async fn clients_see_what_is_missing_and_get_a_session_in_the_end() {
    let app = App::start();
    let create = ["create-user", "root", "--email", ROOT, "--role", "admin"];
    let (status, _, err) = portcullis_harness::process::tool(app.folder(), &create, PASSWORD);
    assert_eq!(status, 0, "{err}");
    let asked = app.login(ROOT, PASSWORD).await.assert_status(200);
    assert_eq!(asked["status"], "mfa_enrolment_required");
    assert_eq!((&asked["methods"], &asked["expires_in"]), (&json!(["totp", "passkey"]), &json!(900)));
    assert!(asked["access_token"].is_null() && asked["user"].is_null());
    let token = json!({"session_token": asked["session_token"]});
    app.post("/v1/mfa/totp/enable", json!({"session_token": asked["session_token"], "code": "050471"}))
        .await
        .assert_problem(409, "mfa_not_set_up");
    let secret = app.post("/v1/mfa/totp/setup", token).await.assert_status(200);
    let scanned = portcullis_harness::authenticator::Authenticator::scan(secret.text("otpauth_uri"));
    let now = portcullis_harness::person::unix_now();
    let body = |code: String| json!({"session_token": asked["session_token"], "code": code});
    app.post("/v1/mfa/totp/enable", body(scanned.wrong_code_at(now)))
        .await
        .assert_problem(401, "invalid_code");
    let enabled = app.post("/v1/mfa/totp/enable", body(scanned.code_at(now))).await.assert_status(200);
    assert_eq!(enabled["backup_codes"].as_array().unwrap().len(), 10);
    let session = &enabled["session"];
    assert_eq!(
        (&session["status"], &session["user"]["mfa_enabled"]),
        (&json!("authenticated"), &json!(true))
    );
    let access = session["access_token"].as_str().unwrap();
    let status = app.get("/v1/auth/status").bearer(access).await.assert_status(200);
    assert_eq!(status["acr"], "aal2");
    app.get("/v1/admin/users").bearer(access).await.assert_status(200);
    app.refresh(session["refresh_token"].as_str().unwrap()).await.assert_status(200);
    let again = app.post("/v1/mfa/totp/enable", body(scanned.code_at(now))).await;
    again.assert_problem(401, "invalid_session_token");
}
