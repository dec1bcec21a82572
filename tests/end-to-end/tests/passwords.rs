//! Passwords through their life: changed, forgotten, reset by mail, too old; and addresses that are confirmed first.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::app::App;
use portcullis_harness::in_process::{PASSWORD, World, code, newcomer, password};
use portcullis_harness::process::Target;
use portcullis_identity::{
    ClientContext, Email, Error, Invitation, Login, MfaSignIn, Operator, PersonName, SignedIn,
};
use portcullis_platform::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

const ANOTHER: &str = "marble orchard whispers northward";
const DAY: Duration = Duration::from_hours(24);

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn origin() -> ClientContext {
    ClientContext::default()
}

async fn reset(world: &World, token: &SecretString) -> Result<SecretString, Error> {
    world.identity.reset_password(token, &password(ANOTHER), &origin()).await
}

/// The session that a right password led to.
fn begun(outcome: Result<Login, Error>) -> SignedIn {
    match outcome.unwrap() {
        Login::SignedIn(session) => *session,
        other => panic!("no session: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_password_is_chosen_anew_once_and_ends_every_session() {
    let world = World::new(1).await;
    let session = world.person("asha@example.com").await;
    let token = world.reset_token("asha@example.com").await;
    let short = world.identity.reset_password(&token, &password("short"), &origin()).await;
    assert!(matches!(short, Err(Error::WeakPassword(_))), "a weak password does not spend the link");
    reset(&world, &token).await.unwrap();
    assert!(matches!(reset(&world, &token).await, Err(Error::InvalidMailToken)));
    assert_eq!(world.notifications.take()[0].subject, "Your password was changed");

    let refreshed = world.identity.refresh(session.refresh.token.secret(), &origin()).await;
    assert!(matches!(refreshed, Err(Error::InvalidRefreshToken)), "{refreshed:?}");
    assert!(matches!(
        world.identity.authenticate(&session.access_token).await,
        Err(Error::InvalidAccessToken)
    ));
    assert!(matches!(world.sign_in("asha@example.com").await, Err(Error::InvalidCredentials)));
    world.login_with("asha@example.com", ANOTHER).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_link_works_for_thirty_minutes_and_dies_with_the_password_it_was_asked_for() {
    let world = World::new(2).await;
    world.person("asha@example.com").await;
    let late = world.reset_token("asha@example.com").await;
    world.clock.advance(Duration::from_mins(30));
    assert!(matches!(reset(&world, &late).await, Err(Error::InvalidMailToken)));
    let (one, two) =
        (world.reset_token("asha@example.com").await, world.reset_token("asha@example.com").await);
    reset(&world, &one).await.unwrap();
    assert!(matches!(reset(&world, &two).await, Err(Error::InvalidMailToken)), "the other link is dead, too");
}

#[tokio::test]
async fn of_thirty_two_uses_of_one_link_at_once_one_counts() {
    let world = World::new(3).await;
    world.person("asha@example.com").await;
    let token = world.reset_token("asha@example.com").await;
    let uses: Vec<_> = (0..32)
        .map(|number| {
            let (world, token) = (world.clone(), token.clone());
            tokio::spawn(async move {
                let chosen = password(&format!("{ANOTHER} {number}"));
                world.identity.reset_password(&token, &chosen, &origin()).await.is_ok()
            })
        })
        .collect();
    let mut winners = Vec::new();
    for (number, one) in uses.into_iter().enumerate() {
        if one.await.unwrap() {
            winners.push(number);
        }
    }
    let [winner] = winners.try_into().expect("one winner");
    world.login_with("asha@example.com", &format!("{ANOTHER} {winner}")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_token_of_another_kind_resets_a_password() {
    let world = World::with_variables(4, &[("PASSWORD_ROTATION_DAYS", "90")]).await;
    let session = world.person("asha@example.com").await;
    world.clock.advance(91 * DAY);
    let Err(Error::PasswordExpired(rotation)) = world.login("asha@example.com").await else {
        panic!("the password is too old");
    };
    let rotation = rotation.secret().expose_secret().to_owned();
    let (_, random) = rotation.split_once('_').unwrap();
    let reset_link = world.reset_token("asha@example.com").await;
    let reset_link = reset_link.expose_secret();
    let swapped = |kind: &str| format!("{kind}_{random}");
    for token in [
        &rotation,
        &swapped("rst"),
        &swapped("mfa"),
        session.refresh.token.secret().expose_secret(),
        &reset_link.replace("rst", "rot"),
        "",
        "rst_",
    ] {
        let refused = reset(&world, &token.into()).await;
        assert!(matches!(refused, Err(Error::InvalidMailToken)), "{token}: {refused:?}");
        let confirmed = world.identity.confirm_address(&token.into(), &origin()).await;
        assert!(matches!(confirmed, Err(Error::InvalidMailToken)), "{token}");
    }
    let rotated = world.identity.rotate_password(&reset_link.into(), &password(ANOTHER), &origin()).await;
    assert!(matches!(rotated, Err(Error::InvalidSessionToken)));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_a_disabled_and_an_erased_account_get_no_letter_and_no_other_answer() {
    let world = World::new(5).await;
    let over = world.person("over@example.com").await;
    let disabled = world.reset_token("over@example.com").await;
    world.disable(&over.account).await;
    assert!(matches!(reset(&world, &disabled).await, Err(Error::InvalidMailToken)));
    for address in ["nobody@example.com", "over@example.com"] {
        world.identity.forgot_password(&email(address), &origin()).await.unwrap();
    }
    assert_eq!(world.notifications.take(), []);
}

#[tokio::test(start_paused = true)]
async fn one_address_is_not_flooded_with_mail() {
    let world = World::new(6).await;
    world.person("asha@example.com").await;
    for _ in 0..10 {
        world.identity.forgot_password(&email("asha@example.com"), &origin()).await.unwrap();
    }
    assert_eq!(world.notifications.take().len(), 3);
    world.clock.advance(Duration::from_mins(1));
    world.identity.forgot_password(&email("asha@example.com"), &origin()).await.unwrap();
    assert_eq!(world.notifications.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_fifty_requests_at_once_from_as_many_networks_eight_send_a_link() {
    let world = World::new(16).await;
    let person = world.person("asha@example.com").await;
    let forgot = |client: ClientContext| {
        let world = world.clone();
        async move { world.identity.forgot_password(&email("asha@example.com"), &client).await.unwrap() }
    };
    let from = |number| ClientContext { ip: Some(format!("192.0.2.{number}")), ..origin() };
    let asked: Vec<_> = (0..50).map(|number| tokio::spawn(forgot(from(number)))).collect();
    for one in asked {
        one.await.unwrap();
    }
    let links = world.notifications.take();
    assert_eq!(links.len(), 8);
    // A device of the owner has no part in what strangers use up.
    forgot(ClientContext { device: Some(person.session.device.clone()), ..from(99) }).await;
    assert_eq!(world.notifications.take().len(), 1);
    forgot(from(99)).await;
    assert_eq!(world.notifications.take(), []);
    world.clock.advance(Duration::from_mins(15));
    forgot(from(99)).await;
    assert_eq!(world.notifications.take().len(), 1, "and one more in a while");
    let oldest: SecretString = links[0].token().unwrap().into();
    reset(&world, &oldest).await.expect("the oldest link, which ends the others");
    let next: SecretString = links[1].token().unwrap().into();
    assert!(matches!(reset(&world, &next).await, Err(Error::InvalidMailToken)));
}

#[tokio::test(start_paused = true)]
async fn whoever_registers_a_taken_address_uses_up_no_link_of_its_owner() {
    let world = World::with_variables(17, &[("EMAIL_VERIFICATION", "required")]).await;
    let register = || world.identity.register_unconfirmed(newcomer("asha@example.com", None), &ORIGIN);
    for _ in 0..10 {
        register().await.unwrap();
    }
    world.notifications.take();
    world.identity.resend_confirmation(&email("asha@example.com"), &ORIGIN).await.unwrap();
    let [sent] = world.notifications.take().try_into().expect("one notification");
    assert!(sent.token().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_mailer_that_fails_stops_nobody() {
    let world = World::new(7).await;
    world.person("asha@example.com").await;
    world.notifications.set_failing(true);
    world.identity.forgot_password(&email("asha@example.com"), &origin()).await.unwrap();
    let elsewhere = ClientContext { ip: Some("192.0.2.9".to_owned()), ..origin() };
    let attempt = world.attempt("asha@example.com", PASSWORD);
    world.identity.sign_in(attempt, &elsewhere).await.unwrap();
}

#[tokio::test]
async fn a_change_wants_the_old_password_and_ends_the_other_sessions() {
    let world = World::new(8).await;
    let other = world.person("asha@example.com").await;
    let own = world.sign_in("asha@example.com").await.unwrap();
    let caller = world.caller(&own).await;
    let change = |current: &'static str, new: &'static str| {
        let (identity, caller) = (&world.identity, &caller);
        async move { identity.change_password(caller, &password(current), &password(new), &origin()).await }
    };
    assert!(matches!(change("not this one, surely", ANOTHER).await, Err(Error::WrongPassword)));
    assert!(matches!(change(PASSWORD, PASSWORD).await, Err(Error::WeakPassword(_))));
    assert!(matches!(change(PASSWORD, "qwertyqwerty").await, Err(Error::WeakPassword(_))));
    change(PASSWORD, ANOTHER).await.unwrap();
    assert_eq!(world.notifications.take().last().unwrap().subject, "Your password was changed");

    let refreshed = world.identity.refresh(other.refresh.token.secret(), &origin()).await;
    assert!(matches!(refreshed, Err(Error::InvalidRefreshToken)));
    world.identity.refresh(own.refresh.token.secret(), &origin()).await.unwrap();
    world.identity.authenticate(&own.access_token).await.unwrap();
    world.login_with("asha@example.com", ANOTHER).await.unwrap();
}

#[tokio::test]
async fn whoever_stole_a_session_cannot_guess_at_the_password_for_long() {
    let world = World::new(9).await;
    let caller = world.person("asha@example.com").await.caller;
    let attempts: Vec<_> = (0..40)
        .map(|number| {
            let (world, caller) = (world.clone(), caller.clone());
            tokio::spawn(async move {
                let wrong = password(&format!("guess {number}"));
                world.identity.change_password(&caller, &wrong, &password(ANOTHER), &origin()).await
            })
        })
        .collect();
    let mut looked_at = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Err(Error::WrongPassword) => looked_at += 1,
            Err(Error::TooManyAttempts { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(looked_at, 5);
    world.sign_in("asha@example.com").await.expect("the owner signs in all the while");
}

#[tokio::test(start_paused = true)]
async fn a_password_that_is_too_old_leads_to_its_rotation_and_nowhere_else() {
    let world = World::with_variables(10, &[("PORTFOLIO_PASSWORD_ROTATION_DAYS", "90")]).await;
    let session = world.person("asha@example.com").await;
    let ends = world.identity.password_expires_at(&session.account).unwrap();
    assert_eq!(ends, session.account.password_changed_at + 90 * DAY);
    world.clock.advance(89 * DAY);
    let early = world.sign_in("asha@example.com").await.unwrap();
    world.clock.advance(DAY);

    let refreshed = world.identity.refresh(early.refresh.token.secret(), &origin()).await;
    assert!(matches!(refreshed, Err(Error::InvalidRefreshToken)));
    assert!(matches!(
        world.login_with("asha@example.com", "not this one, surely").await,
        Err(Error::InvalidCredentials)
    ));
    let Err(Error::PasswordExpired(token)) = world.login("asha@example.com").await else {
        panic!("the password is too old");
    };
    let rotate = |chosen: &'static str| {
        let (identity, token) = (&world.identity, token.secret());
        async move { identity.rotate_password(token, &password(chosen), &origin()).await }
    };
    assert!(matches!(rotate(PASSWORD).await, Err(Error::WeakPassword(_))), "the old one is no new one");
    assert!(matches!(rotate("passwordpassword").await, Err(Error::WeakPassword(_))));
    let rotated = begun(rotate(ANOTHER).await);
    assert!(matches!(rotate("yet another one of mine").await, Err(Error::InvalidSessionToken)));
    let caller = world.caller(&rotated).await;
    assert_eq!(caller.account.password_changed_at, world.clock.now());
    assert_eq!(caller.claims.amr, ["pwd"]);
    world.identity.refresh(rotated.refresh.token.secret(), &origin()).await.unwrap();
    world.login_with("asha@example.com", ANOTHER).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_old_password_and_no_code_rotate_nothing() {
    let world = World::with_variables(11, &[("PASSWORD_ROTATION_DAYS", "90")]).await;
    let asha = world.person("asha@example.com").await;
    let app = asha.set_up_factor(None).await.unwrap();
    asha.enable_factor(&app.code_at(world.unix_now())).await.unwrap();
    assert_eq!(
        world.notifications.take().last().unwrap().subject,
        "A second factor was added to your account"
    );
    world.clock.advance(90 * DAY);
    let Ok(portcullis_identity::Login::MfaRequired(challenge)) = world.login("asha@example.com").await else {
        panic!("the code comes first");
    };
    let early = world.identity.rotate_password(challenge.token.secret(), &password(ANOTHER), &origin()).await;
    assert!(matches!(early, Err(Error::InvalidSessionToken)));
    let sign_in = MfaSignIn {
        session_token: challenge.token.secret().clone(),
        code: code(&app.code_at(world.unix_now())),
    };
    let Err(Error::PasswordExpired(token)) = world.identity.sign_in_with_code(&sign_in, &origin()).await
    else {
        panic!("the password is too old");
    };
    let again = world.identity.sign_in_with_code(&sign_in, &origin()).await;
    assert!(matches!(again, Err(Error::InvalidSessionToken)), "{again:?}");
    let rotated = begun(world.identity.rotate_password(token.secret(), &password(ANOTHER), &origin()).await);
    let caller = world.caller(&rotated).await;
    assert_eq!(caller.claims.amr, ["pwd", "otp"]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_does_not_go_around_the_second_factor() {
    let world = World::new(12).await;
    world.enrolled("asha@example.com").await;
    let token = world.reset_token("asha@example.com").await;
    reset(&world, &token).await.unwrap();
    let login = world.login_with("asha@example.com", ANOTHER).await.unwrap();
    assert!(matches!(login, portcullis_identity::Login::MfaRequired(_)));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_confirmed_before_its_account_can_be_used() {
    let world = World::with_variables(13, &[("EMAIL_VERIFICATION", "required")]).await;
    let register =
        |address: &'static str| world.identity.register_unconfirmed(newcomer(address, None), &ORIGIN);
    register("asha@example.com").await.unwrap();
    let [sent] = world.notifications.take().try_into().expect("one notification");
    assert!(matches!(world.login("asha@example.com").await, Err(Error::EmailNotVerified)));
    assert!(matches!(
        world.login_with("asha@example.com", "not this one, surely").await,
        Err(Error::InvalidCredentials)
    ));
    // Whoever has the address already is told, and nobody else.
    register("asha@example.com").await.unwrap();
    let [told] = world.notifications.take().try_into().expect("one notification");
    assert_eq!((told.subject.as_str(), told.token()), ("You already have an account", None));

    world.identity.resend_confirmation(&email("asha@example.com"), &ORIGIN).await.unwrap();
    world.identity.resend_confirmation(&email("nobody@example.com"), &ORIGIN).await.unwrap();
    let [again] = world.notifications.take().try_into().expect("one notification");
    assert_ne!(again.token(), sent.token());
    let token: SecretString = sent.token().unwrap().into();
    let confirmed = world.identity.confirm_address(&token, &ORIGIN).await.unwrap();
    assert!(confirmed.email_verified);
    assert!(matches!(world.identity.confirm_address(&token, &ORIGIN).await, Err(Error::InvalidMailToken)));
    world.sign_in("asha@example.com").await.unwrap();
    world.clock.advance(Duration::from_hours(1));
    world.identity.resend_confirmation(&email("asha@example.com"), &ORIGIN).await.unwrap();
    assert_eq!(world.notifications.take(), [], "there is nothing left to confirm");
}

#[tokio::test(start_paused = true)]
async fn a_username_does_not_tell_whether_an_address_is_taken() {
    let world = World::with_variables(14, &[("EMAIL_VERIFICATION", "required")]).await;
    let register =
        |address, name| world.identity.register_unconfirmed(newcomer(address, Some(name)), &ORIGIN);
    register("asha@example.com", "asha").await.unwrap();
    let token: SecretString = world.notifications.take()[0].token().unwrap().into();
    for address in ["asha@example.com", "free@example.com"] {
        register(address, "asha").await.expect("nobody has the name before an address is confirmed");
    }
    let confirmed = world.identity.confirm_address(&token, &ORIGIN).await.unwrap();
    assert_eq!(confirmed.username.as_deref(), Some("asha"));
    for address in ["asha@example.com", "another@example.com"] {
        let refused = register(address, "asha").await;
        assert!(matches!(refused, Err(Error::UsernameTaken)), "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_confirms_the_address_as_well() {
    let world = World::with_variables(15, &[("EMAIL_VERIFICATION", "required")]).await;
    world.identity.register_unconfirmed(newcomer("asha@example.com", None), &ORIGIN).await.unwrap();
    let confirmation: SecretString = world.notifications.take()[0].token().unwrap().into();
    let token = world.reset_token("asha@example.com").await;
    reset(&world, &token).await.unwrap();
    world.login_with("asha@example.com", ANOTHER).await.unwrap();
    let late = world.identity.confirm_address(&confirmation, &ORIGIN).await;
    assert!(matches!(late, Err(Error::InvalidMailToken)), "of the time before the reset");
}

static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

#[tokio::test]
async fn an_invitation_works_for_three_days_once_and_not_for_a_disabled_account() {
    let operator = Operator::CommandLine("tester".to_owned());
    for (hours, works) in [(0, true), (71, true), (73, false)] {
        let world = World::with_variables(16, &[("EMAIL_VERIFICATION", "required")]).await;
        let invitation = Invitation {
            email: Email::parse("asha@example.com").unwrap(),
            name: PersonName::parse("Asha").unwrap(),
            username: None,
            roles: vec!["user".to_owned()],
        };
        let invited = world.identity.invite(&operator, invitation.clone(), &ORIGIN).await.unwrap();
        let token: SecretString = world.notifications.take()[0].token().unwrap().into();
        assert!(matches!(world.login("asha@example.com").await, Err(Error::InvalidCredentials)));
        world.clock.advance(Duration::from_hours(hours));
        let chosen = world.identity.reset_password(&token, &password(PASSWORD), &ORIGIN).await;
        assert_eq!(chosen.is_ok(), works, "{hours}");
        assert_eq!(world.login("asha@example.com").await.is_ok(), works, "{hours}");
        if works {
            continue;
        }
        // A mailer that fails is the operator's to know, and the same command sends the link again.
        world.notifications.set_failing(true);
        let unsent = world.identity.invite(&operator, invitation.clone(), &ORIGIN).await;
        assert!(matches!(unsent, Err(Error::MailNotSent(_))), "{unsent:?}");
        world.notifications.set_failing(false);
        world.identity.invite(&operator, invitation, &ORIGIN).await.unwrap();
        let token: SecretString = world.notifications.take()[0].token().unwrap().into();
        world.disable(&invited).await;
        let chosen = world.identity.reset_password(&token, &password(PASSWORD), &ORIGIN).await;
        assert!(matches!(chosen, Err(Error::InvalidMailToken)));
    }
}

#[tokio::test]
async fn no_header_of_a_request_finds_its_way_into_a_link() {
    let app = App::local();
    app.register("asha@example.com").await.assert_status(201);
    let forgot = |email: &str| {
        let lies = [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-host", "evil.example"),
            ("forwarded", "host=evil.example"),
            ("origin", "https://evil.example"),
            ("referer", "https://evil.example/"),
        ];
        let call = app.post("/v1/auth/password/forgot", json!({"email": email}));
        lies.into_iter().fold(call, |call, (name, value)| call.header(name, value))
    };
    let known = forgot("asha@example.com").await.assert_status(202);
    let unknown = forgot("nobody@example.com").await.assert_status(202);
    assert_eq!(known.text, unknown.text);
    let [message] = app.outbox().try_into().expect("one message");
    assert!(message.0.contains("http://localhost:8001/reset-password#token"), "{message:?}");
    assert!(!message.0.contains("evil"), "{message:?}");

    let reset = |chosen: &str| {
        app.post("/v1/auth/password/reset", json!({"token": message.token(), "new_password": chosen}))
    };
    assert_eq!(reset("short").await["errors"][0]["pointer"], "/new_password");
    let done = reset(ANOTHER).await.assert_status(200);
    assert!(done.header("set-cookie").unwrap().starts_with("device=dv_"));
    reset(ANOTHER).await.assert_status(401);
    app.login("asha@example.com", ANOTHER).await.assert_status(200);
}

#[tokio::test]
async fn registering_with_confirmation_looks_the_same_for_a_taken_address() {
    let app = App::on(Target::Local, &[("EMAIL_VERIFICATION", "required")]);
    for _ in 0..2 {
        let pending = app.register("asha@example.com").await.assert_status(202);
        assert_eq!(pending.text, r#"{"status":"verification_required"}"#);
    }
    assert_eq!(app.login("asha@example.com", PASSWORD).await["code"], "email_not_verified");
    let token = app.outbox()[0].token();
    let user = app.post("/v1/auth/email/verify", json!({"token": token})).await;
    assert_eq!((&user["email_verified"], &user["email"]), (&json!(true), &json!("asha@example.com")));
    app.login("asha@example.com", PASSWORD).await.assert_status(200);
}
