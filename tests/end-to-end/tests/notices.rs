//! Whatever takes protection away is told to the owner by mail: once, without a secret, and never at the request's cost.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::in_process::{Enrolled, PASSWORD, Person, World, password};
use portcullis_harness::notifications::Sent;
use portcullis_identity::{
    ApiKeyName, ApiKeyRequest, ClientContext, Error, IssuedApiKey, ManagedKey, Operator,
};
use secrecy::ExposeSecret;

const ASHA: &str = "asha@example.com";
const ANOTHER: &str = "velvet harbour counts seventeen";
/// Longer than any lockout after wrong codes.
const LONG: Duration = Duration::from_hours(2);

fn client() -> ClientContext {
    ClientContext {
        ip: Some("203.0.113.9".to_owned()),
        user_agent: Some("visit evil.example".to_owned()),
        ..ClientContext::default()
    }
}

fn operator() -> Operator {
    Operator::CommandLine("tester".to_owned())
}

/// The mails since this was last asked, all of them to Asha and in nobody else's words.
fn sent(world: &World) -> Vec<Sent> {
    let sent = world.notifications.take();
    assert!(sent.iter().all(|mail| mail.to == ASHA && !mail.body.contains("evil")), "{sent:?}");
    sent
}

fn subjects(world: &World) -> Vec<String> {
    sent(world).into_iter().map(|mail| mail.subject).collect()
}

async fn key(asha: &Person, world: &World) -> IssuedApiKey {
    let request = ApiKeyRequest {
        name: ApiKeyName::parse("nightly").unwrap(),
        scopes: None,
        expires_at: None,
        idempotency_key: None,
    };
    world.identity.create_api_key(&asha.caller, request, &client()).await.unwrap()
}

#[tokio::test]
async fn the_second_factor_and_its_codes() {
    let world = World::new(1).await;
    let asha = world.enrolled(ASHA).await;
    assert_eq!(subjects(&world), ["A second factor was added to your account"]);
    world.identity.renew_backup_codes(&asha.caller, &Enrolled::proof(&asha.code()), &client()).await.unwrap();
    let [renewed] = <[Sent; 1]>::try_from(sent(&world)).unwrap();
    assert_eq!(renewed.subject, "Your backup codes were replaced");
    assert!(renewed.body.contains("203.0.113.9"), "{}", renewed.body);
    let id = asha.caller.account.id;
    world.identity.reset_mfa(&operator(), id, &client()).await.unwrap();
    let [reset] = <[Sent; 1]>::try_from(sent(&world)).unwrap();
    assert_eq!(reset.subject, "An administrator removed the second factor of your account");
    assert!(!reset.body.contains("203.0.113.9"), "where administrators work is theirs: {}", reset.body);
    world.identity.reset_mfa(&operator(), id, &client()).await.unwrap();
    assert_eq!(subjects(&world), [""; 0], "there was none any more");
}

#[tokio::test]
async fn a_right_password_with_wrong_codes_behind_it_once_for_each_row_of_them() {
    const WRONG: &str = "Wrong codes were entered for your account";
    let world = World::new(2).await;
    let asha = world.person(ASHA).await;
    let app = asha.set_up_factor(None).await.unwrap();
    for _ in 0..4 {
        assert!(matches!(
            asha.enable_factor(&app.wrong_code_at(world.unix_now())).await,
            Err(Error::WrongCode)
        ));
    }
    assert_eq!(subjects(&world), [""; 0], "there is nothing to guess at yet");
    let asha = asha.enrol().await;
    for round in 0..2 {
        world.notifications.take();
        for _ in 0..2 {
            assert!(matches!(asha.sign_in(&asha.wrong_code()).await, Err(Error::InvalidCode)));
        }
        assert_eq!(subjects(&world), [""; 0], "round {round}: people mistype");
        assert!(matches!(asha.sign_in(&asha.wrong_code()).await, Err(Error::InvalidCode)));
        assert_eq!(subjects(&world), [WRONG], "round {round}");
        for _ in 0..12 {
            world.clock.advance(LONG);
            assert!(matches!(asha.sign_in(&asha.wrong_code()).await, Err(Error::InvalidCode)));
        }
        assert_eq!(subjects(&world), [""; 0], "round {round}: no flood");
        world.clock.advance(LONG);
        asha.sign_in(&asha.code()).await.unwrap();
    }
}

#[tokio::test]
async fn keys_and_passwords_that_an_operator_or_the_owner_replaces() {
    const BY_OPERATOR: &str = "An administrator set an API key of your account";
    let world = World::new(3).await;
    let asha = world.person(ASHA).await;
    let made = key(&asha, &world).await;
    world.notifications.take();
    let rotated = world.identity.rotate_api_key(&asha.caller, made.key.id, &client()).await.unwrap();
    let [mail] = <[Sent; 1]>::try_from(sent(&world)).unwrap();
    assert_eq!(mail.subject, "An API key of your account was rotated");
    assert!(!mail.body.contains(rotated.text.expose_secret()) && !mail.body.contains("pk_"));

    let (identity, account) = (&world.identity, &asha.caller.account);
    identity.set_managed_key(&operator(), account, ManagedKey::default(), &client()).await.unwrap();
    assert_eq!(subjects(&world), [BY_OPERATOR]);
    identity.rotate_managed_key(&operator(), account, None, &client()).await.unwrap();
    assert_eq!(subjects(&world), [BY_OPERATOR]);
    identity.override_password(&operator(), account, &password(ANOTHER), &client()).await.unwrap();
    assert_eq!(subjects(&world), ["An administrator replaced your password"]);
}

#[tokio::test]
async fn a_stolen_refresh_token_by_the_request_that_ended_the_session() {
    let world = World::new(4).await;
    let asha = world.person(ASHA).await;
    let stolen = asha.refresh.token.secret().clone();
    world.identity.refresh(&stolen, &client()).await.unwrap();
    world.clock.advance(Duration::from_mins(5));
    world.notifications.take();
    let reused = world.identity.refresh(&stolen, &client()).await;
    assert!(matches!(reused, Err(Error::SessionRevoked)), "{reused:?}");
    assert_eq!(subjects(&world), ["One of your sessions may have been stolen"]);
    world.identity.refresh(&stolen, &client()).await.unwrap_err();
    assert_eq!(subjects(&world), [""; 0], "it is over already");
}

#[tokio::test]
async fn the_erasure_and_none_that_was_refused() {
    let world = World::new(5).await;
    let asha = world.person(ASHA).await;
    world.notifications.take();
    world.identity.erase_account(&asha.caller, &password("wrong").into(), &client()).await.unwrap_err();
    assert_eq!(subjects(&world), [""; 0]);
    world.identity.erase_account(&asha.caller, &password(PASSWORD).into(), &client()).await.unwrap();
    assert_eq!(subjects(&world), ["Your account was erased"]);
}

#[tokio::test]
async fn without_a_mailer_everything_is_done_all_the_same() {
    let world = World::new(6).await;
    let asha = world.enrolled(ASHA).await;
    world.notifications.set_failing(true);
    let (identity, account) = (&world.identity, &asha.caller.account);
    identity.renew_backup_codes(&asha.caller, &Enrolled::proof(&asha.code()), &client()).await.unwrap();
    for _ in 0..4 {
        assert!(matches!(asha.sign_in(&asha.wrong_code()).await, Err(Error::InvalidCode)));
    }
    identity.set_managed_key(&operator(), account, ManagedKey::default(), &client()).await.unwrap();
    let made = key(&asha, &world).await;
    identity.rotate_api_key(&asha.caller, made.key.id, &client()).await.unwrap();
    let stolen = asha.refresh.token.secret().clone();
    identity.refresh(&stolen, &client()).await.unwrap();
    world.clock.advance(Duration::from_mins(5));
    assert!(matches!(identity.refresh(&stolen, &client()).await, Err(Error::SessionRevoked)));
    identity.reset_mfa(&operator(), account.id, &client()).await.unwrap();
    identity.override_password(&operator(), account, &password(ANOTHER), &client()).await.unwrap();
    assert_eq!(identity.verify_audit().await.unwrap().findings, []);
}
