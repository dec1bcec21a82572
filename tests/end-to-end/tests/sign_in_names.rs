//! A change of the address or the username: confirmed at the new address, undone from the old one, and never a way into
//! somebody else's account.
#![cfg(test)]

use std::time::Duration;

use portcullis_harness::in_process::{PASSWORD, Person, UNLIMITED, World, code, newcomer, password};
use portcullis_identity::{
    Account, ApiKeyName, ApiKeyRequest, ClientContext, Email, Error, Login, LoginAttempt, LoginName,
    ProfileUpdate, SignedIn, StepUp, Username,
};
use secrecy::SecretString;

const ASHA: &str = "asha@example.com";
const NEW: &str = "asha@example.org";
const MALLORY: &str = "mallory@example.com";
const ANOTHER: &str = "velvet harbour counts seventeen";

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn origin() -> ClientContext {
    ClientContext::default()
}

fn proof() -> StepUp {
    StepUp::Password(password(PASSWORD))
}

/// Somebody whose address is confirmed.
async fn confirmed(world: &World, address: &str) -> Person {
    let mut person = world.person(address).await;
    world.truth.vouch_for_address(&person.caller.account, &confirmation(world, &person)).await.unwrap();
    sign_in_again(world, &mut person, address).await;
    person
}

async fn sign_in_again(world: &World, person: &mut Person, address: &str) {
    person.session = world.sign_in(address).await.unwrap();
    person.caller = world.caller(&person.session).await;
}

fn confirmation(world: &World, person: &Person) -> portcullis_store::AuditEvent {
    let kind = portcullis_store::AuditKind::EmailVerified;
    world.identity.audit_event(kind, person.caller.account.id, &origin()).unwrap()
}

async fn request(world: &World, person: &Person, to: &str) -> Result<(), Error> {
    world.identity.request_email_change(&person.caller, &email(to), &proof(), &origin()).await
}

/// Asks for another address and returns the token that was sent there.
async fn requested(world: &World, person: &Person, to: &str) -> SecretString {
    world.notifications.take();
    request(world, person, to).await.unwrap();
    let [sent] = world.notifications.take().try_into().unwrap();
    assert_eq!(
        (sent.to.as_str(), sent.subject.as_str()),
        (to, "Confirm the new e-mail address of your account")
    );
    sent.token().unwrap().into()
}

async fn confirm(world: &World, token: &SecretString) -> Result<Account, Error> {
    world.identity.change_email(token, &origin()).await
}

/// Changes an address and returns the token of the way back.
async fn changed(world: &World, person: &Person, to: &str) -> SecretString {
    let before = person.caller.account.email.clone();
    confirm(world, &requested(world, person, to).await).await.unwrap();
    let [sent] = world.notifications.take().try_into().unwrap();
    assert_eq!(
        (sent.to.as_str(), sent.subject.as_str()),
        (before.as_str(), "The e-mail address of your account was changed")
    );
    sent.token().unwrap().into()
}

async fn by_username(world: &World, name: &str) -> Result<SignedIn, Error> {
    let name = LoginName::Username(Username::parse(name).unwrap());
    let attempt = LoginAttempt { name, ..world.attempt(ASHA, PASSWORD) };
    match world.identity.sign_in(attempt, &origin()).await? {
        Login::SignedIn(session) => Ok(*session),
        Login::MfaRequired(_) | Login::EnrolmentRequired(_) => panic!("a factor is asked for"),
    }
}

async fn is_live(world: &World, person: &Person) -> bool {
    world.identity.authenticate(&person.access_token).await.is_ok()
}

#[tokio::test]
async fn an_address_is_changed_by_the_link_that_was_sent_there_and_by_nothing_before() {
    let world = World::new(1).await;
    let asha = confirmed(&world, ASHA).await;
    let elsewhere = world.sign_in(ASHA).await.unwrap();
    let token = requested(&world, &asha, NEW).await;
    world.sign_in(ASHA).await.unwrap();
    assert!(world.sign_in(NEW).await.is_err());

    let account = confirm(&world, &token).await.unwrap();
    assert_eq!((account.email.as_str(), account.email_verified), (NEW, true));
    assert_eq!(account, world.truth.account(account.id).await.unwrap().unwrap());
    let record = world.truth.login_record_by_email(NEW).await.unwrap().unwrap();
    assert_eq!(record.account, account);
    // The session that asked goes on, and no other.
    assert!(is_live(&world, &asha).await);
    assert!(world.identity.authenticate(&elsewhere.access_token).await.is_err());
    assert!(world.sign_in(ASHA).await.is_err());
    assert_eq!(world.sign_in(NEW).await.unwrap().account.id, account.id);
    let again = confirm(&world, &token).await;
    assert!(matches!(again, Err(Error::InvalidMailToken)), "{again:?}");
}

#[tokio::test]
async fn the_link_is_over_after_a_day_and_when_the_password_or_the_address_changes() {
    let world = World::with_variables(2, &[UNLIMITED]).await;
    let mut asha = confirmed(&world, ASHA).await;
    let late = requested(&world, &asha, NEW).await;
    world.clock.advance(Duration::from_hours(24));
    assert!(matches!(confirm(&world, &late).await, Err(Error::InvalidMailToken)));

    sign_in_again(&world, &mut asha, ASHA).await;
    let before = requested(&world, &asha, NEW).await;
    world
        .identity
        .change_password(&asha.caller, &password(PASSWORD), &password(ANOTHER), &origin())
        .await
        .unwrap();
    assert!(matches!(confirm(&world, &before).await, Err(Error::InvalidMailToken)));

    let bela = confirmed(&world, MALLORY).await;
    let [first, second] =
        [requested(&world, &bela, NEW).await, requested(&world, &bela, "b@example.org").await];
    confirm(&world, &second).await.unwrap();
    assert!(matches!(confirm(&world, &first).await, Err(Error::InvalidMailToken)));
}

#[tokio::test]
async fn a_link_does_one_thing_once_and_nothing_for_an_account_that_is_disabled() {
    let world = World::with_variables(12, &[UNLIMITED]).await;
    let mut asha = confirmed(&world, ASHA).await;
    let forwards = requested(&world, &asha, NEW).await;
    let restored = world.identity.restore_email(&forwards, &origin()).await;
    assert!(matches!(restored, Err(Error::InvalidMailToken)), "{restored:?}");
    let confirming = || Box::pin(confirm(&world, &forwards));
    let (one, other) = (confirming(), confirming());
    let (one, other) = tokio::join!(one, other);
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");

    // The owner goes back and, later, on to a third address: the link back is one of the past.
    sign_in_again(&world, &mut asha, NEW).await;
    let back = changed(&world, &asha, "third@example.org").await;
    assert!(matches!(confirm(&world, &back).await, Err(Error::InvalidMailToken)));
    world.identity.restore_email(&back, &origin()).await.unwrap();
    let token = SecretString::from(world.notifications.take().pop().unwrap().token().unwrap());
    world.identity.reset_password(&token, &password(PASSWORD), &origin()).await.unwrap();
    sign_in_again(&world, &mut asha, NEW).await;
    changed(&world, &asha, "third@example.org").await;
    let again = world.identity.restore_email(&back, &origin()).await;
    assert!(matches!(again, Err(Error::InvalidMailToken)), "{again:?}");

    let mut mallory = confirmed(&world, MALLORY).await;
    let back = changed(&world, &mallory, "m@example.org").await;
    sign_in_again(&world, &mut mallory, "m@example.org").await;
    let token = requested(&world, &mallory, "n@example.org").await;
    world.disable(&mallory.caller.account).await;
    assert!(matches!(confirm(&world, &token).await, Err(Error::InvalidMailToken)));
    let restored = world.identity.restore_email(&back, &origin()).await;
    assert!(matches!(restored, Err(Error::InvalidMailToken)), "{restored:?}");
}

#[tokio::test]
async fn a_link_counts_also_where_the_session_that_asked_is_over() {
    let world = World::new(13).await;
    let asha = confirmed(&world, ASHA).await;
    let token = requested(&world, &asha, NEW).await;
    world.identity.revoke_session(&asha.caller, asha.caller.session.made.id, &origin()).await.unwrap();
    assert_eq!(confirm(&world, &token).await.unwrap().email, NEW);
    assert!(!is_live(&world, &asha).await);
    world.sign_in(NEW).await.unwrap();
}

#[tokio::test]
async fn what_a_thief_asked_for_before_the_way_back_is_over_with_it() {
    let world = World::with_variables(14, &[UNLIMITED]).await;
    let mut asha = confirmed(&world, ASHA).await;
    let back = changed(&world, &asha, NEW).await;
    sign_in_again(&world, &mut asha, NEW).await;
    let pending = requested(&world, &asha, "thief@example.net").await;
    world.identity.restore_email(&back, &origin()).await.unwrap();
    assert!(matches!(confirm(&world, &pending).await, Err(Error::InvalidMailToken)));
    world.person(NEW).await;
}

#[tokio::test]
async fn nobody_changes_names_more_often_than_the_limits_say() {
    let world = World::new(15).await;
    let asha = confirmed(&world, ASHA).await;
    for number in 0..5 {
        request(&world, &asha, &format!("a{number}@example.org")).await.unwrap();
    }
    world.notifications.take();
    let wrong = StepUp::Password(password("not it at all"));
    let over = world.identity.request_email_change(&asha.caller, &email(NEW), &wrong, &origin()).await;
    assert!(matches!(over, Err(Error::TooManyAttempts { .. })), "no password is tried: {over:?}");
    assert!(world.notifications.take().is_empty());
    for number in 0..60 {
        let name = Username::parse(&format!("asha{number}")).unwrap();
        let caller = world.identity.authenticate(&asha.access_token).await.unwrap();
        world.identity.change_username(&caller, &name, &proof(), &origin()).await.unwrap();
    }
    let caller = world.identity.authenticate(&asha.access_token).await.unwrap();
    let name = Username::parse("asha").unwrap();
    let over = world.identity.change_username(&caller, &name, &proof(), &origin()).await;
    assert!(matches!(over, Err(Error::TooManyAttempts { .. })), "{over:?}");
}

#[tokio::test]
async fn a_change_takes_the_password_or_with_a_second_factor_a_code() {
    let world = World::with_variables(3, &[UNLIMITED]).await;
    let asha = world.enrolled(ASHA).await;
    let mut caller = asha.caller.clone();
    caller.account.mfa_enabled = true;
    world.notifications.take();
    let by_password = world.identity.request_email_change(&caller, &email(NEW), &proof(), &origin()).await;
    assert!(matches!(by_password, Err(Error::Invalid(_))), "{by_password:?}");
    let wrong = StepUp::Code(code(&asha.wrong_code()));
    let refused = world.identity.request_email_change(&caller, &email(NEW), &wrong, &origin()).await;
    assert!(matches!(refused, Err(Error::WrongCode)), "{refused:?}");
    let wrong = StepUp::Password(password("not it at all"));
    let mallory = world.person(MALLORY).await;
    let same = request(&world, &mallory, MALLORY).await;
    assert!(matches!(same, Err(Error::Invalid(_))), "{same:?}");
    let refused = world.identity.request_email_change(&mallory.caller, &email(NEW), &wrong, &origin()).await;
    assert!(matches!(refused, Err(Error::WrongPassword)), "{refused:?}");
    assert!(world.notifications.take().is_empty());
    let right = StepUp::Code(code(&asha.code()));
    world.identity.request_email_change(&caller, &email(NEW), &right, &origin()).await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_told_to_its_owner_alone_and_merges_nothing() {
    let world = World::new(4).await;
    let (asha, mallory) = (confirmed(&world, ASHA).await, confirmed(&world, MALLORY).await);
    world.notifications.take();
    request(&world, &mallory, ASHA).await.unwrap();
    let [sent] = world.notifications.take().try_into().unwrap();
    assert_eq!((sent.to.as_str(), sent.token()), (ASHA, None));

    // Free when it was asked for, and taken when the link is opened.
    let token = requested(&world, &mallory, NEW).await;
    let other = world.person(NEW).await;
    assert!(matches!(confirm(&world, &token).await, Err(Error::EmailTaken)));
    for person in [&asha, &mallory, &other] {
        let account = &person.caller.account;
        assert_eq!(world.sign_in(&account.email).await.unwrap().account.id, account.id);
    }
}

#[tokio::test]
async fn of_two_accounts_that_confirm_one_address_at_once_one_gets_it() {
    let world = World::new(5).await;
    let (asha, mallory) = (confirmed(&world, ASHA).await, confirmed(&world, MALLORY).await);
    let [one, other] = [requested(&world, &asha, NEW).await, requested(&world, &mallory, NEW).await];
    let (one, other) = tokio::join!(confirm(&world, &one), confirm(&world, &other));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");
    let owner = world.sign_in(NEW).await.unwrap().account.id;
    let loser = if one.is_ok() { (MALLORY, &mallory) } else { (ASHA, &asha) };
    assert_ne!(owner, loser.1.caller.account.id);
    world.sign_in(loser.0).await.unwrap();
}

#[tokio::test]
async fn whoever_took_an_account_over_does_not_keep_it() {
    let world = World::with_variables(6, &[UNLIMITED]).await;
    let mut asha = confirmed(&world, ASHA).await;
    let id = asha.caller.account.id;
    // A thief has the session and the password, moves the account twice, and wants the old address for an account too.
    let back = changed(&world, &asha, NEW).await;
    sign_in_again(&world, &mut asha, NEW).await;
    let thief = asha;
    let wanted = ApiKeyRequest {
        name: ApiKeyName::parse("for later").unwrap(),
        scopes: None,
        expires_at: None,
        idempotency_key: None,
    };
    let key = world.identity.create_api_key(&thief.caller, wanted, &origin()).await.unwrap();
    changed(&world, &thief, "thief@example.net").await;
    world.identity.authenticate_key(&key.text).await.unwrap();
    let blocked = world.identity.register(newcomer(ASHA, None), &origin()).await;
    assert!(matches!(blocked, Err(Error::EmailTaken)), "{blocked:?}");
    let mallory = confirmed(&world, MALLORY).await;
    request(&world, &mallory, ASHA).await.unwrap();
    assert!(world.notifications.take().iter().all(|sent| sent.token().is_none()));

    world.clock.advance(Duration::from_hours(6 * 24));
    world.notifications.take();
    world.identity.restore_email(&back, &origin()).await.unwrap();
    let [sent] = world.notifications.take().try_into().unwrap();
    assert_eq!((sent.to.as_str(), sent.subject.as_str()), (ASHA, "Choose a new password"));
    assert!(!is_live(&world, &thief).await);
    let kept = world.identity.authenticate_key(&key.text).await;
    assert!(matches!(kept, Err(Error::InvalidApiKey)), "nor does a key of the thief's: {kept:?}");
    for address in [ASHA, NEW, "thief@example.net"] {
        assert!(world.sign_in(address).await.is_err(), "the password is no good any more: {address}");
    }
    let token = SecretString::from(sent.token().unwrap());
    world.identity.reset_password(&token, &password(ANOTHER), &origin()).await.unwrap();
    let account = world.truth.account(id).await.unwrap().unwrap();
    assert_eq!(account.email, ASHA);
    world.login_with(ASHA, ANOTHER).await.unwrap();
    assert!(matches!(world.identity.restore_email(&back, &origin()).await, Err(Error::InvalidMailToken)));
}

#[tokio::test]
async fn the_way_back_and_the_old_address_are_held_for_a_week() {
    let world = World::with_variables(7, &[UNLIMITED]).await;
    let asha = confirmed(&world, ASHA).await;
    let back = changed(&world, &asha, NEW).await;
    world.clock.advance(Duration::from_hours(7 * 24));
    assert!(matches!(world.identity.restore_email(&back, &origin()).await, Err(Error::InvalidMailToken)));
    // The row may still be there.
    let newcomer = world.person(ASHA).await;
    assert_ne!(newcomer.caller.account.id, asha.caller.account.id);
}

#[tokio::test]
async fn the_owner_may_go_back_by_themselves() {
    let world = World::with_variables(8, &[UNLIMITED]).await;
    let mut asha = confirmed(&world, ASHA).await;
    let back = changed(&world, &asha, NEW).await;
    sign_in_again(&world, &mut asha, NEW).await;
    changed(&world, &asha, ASHA).await;
    world.sign_in(ASHA).await.unwrap();
    // There is nothing left for the link back to do.
    let restored = world.identity.restore_email(&back, &origin()).await;
    assert!(matches!(restored, Err(Error::InvalidMailToken)), "{restored:?}");
    world.sign_in(ASHA).await.unwrap();
}

#[tokio::test]
async fn an_address_that_was_never_confirmed_gets_no_way_into_the_account() {
    let world = World::new(9).await;
    // Mistyped at the registration: a stranger reads its mail.
    let asha = world.person("ahsa@example.com").await;
    let token = requested(&world, &asha, ASHA).await;
    confirm(&world, &token).await.unwrap();
    assert!(world.notifications.take().is_empty());
    world.person("ahsa@example.com").await;
}

#[tokio::test]
async fn what_was_read_before_the_change_writes_nothing_beside_the_account() {
    let world = World::with_variables(10, &[UNLIMITED]).await;
    let mut asha = confirmed(&world, ASHA).await;
    let before = asha.caller.account.clone();
    changed(&world, &asha, NEW).await;
    let rename = portcullis_store::ProfileChange { name: Some("Late".to_owned()), phone: None };
    let late = confirmation(&world, &asha);
    assert!(!world.truth.change_profile(&before, &rename, &late).await.unwrap());
    let renamed = world.truth.change_username(&before, "late", &late).await.unwrap();
    assert_eq!(renamed, portcullis_store::UsernameChange::Outdated);
    let gone = confirmation(&world, &asha);
    assert!(!world.truth.erase(&before, None, None, &late, &gone).await.unwrap());
    let account = world.truth.account(before.id).await.unwrap().unwrap();
    assert_eq!(account.name, before.name);
    assert_eq!(world.truth.login_record_by_email(NEW).await.unwrap().unwrap().account, account);
    let update =
        ProfileUpdate { name: Some(portcullis_identity::PersonName::parse("Asha K").unwrap()), phone: None };
    // The erasure that was refused had ended her sessions.
    sign_in_again(&world, &mut asha, NEW).await;
    world.identity.update_profile(&asha.caller, update, &origin()).await.unwrap();
    let record = world.truth.login_record_by_email(NEW).await.unwrap().unwrap();
    assert_eq!(record.account.name, "Asha K");
}

#[tokio::test]
async fn what_changes_while_an_address_moves_is_not_lost() {
    let world = World::new(16).await;
    let asha = confirmed(&world, ASHA).await;
    let account = asha.caller.account.clone();
    let token = requested(&world, &asha, NEW).await;
    let held = world.faults.hold(|request| request.contains("TransactWriteItems"));
    let moving = tokio::spawn({
        let (world, token) = (world.clone(), token.clone());
        async move { confirm(&world, &token).await }
    });
    held.reached().await;
    let rename = portcullis_store::ProfileChange { name: Some("Asha K".to_owned()), phone: None };
    let event = confirmation(&world, &asha);
    assert!(world.truth.change_profile(&account, &rename, &event).await.unwrap());
    held.release();
    let moved = moving.await.unwrap();
    assert!(matches!(moved, Err(Error::Contended)), "{moved:?}");
    confirm(&world, &token).await.unwrap();
    let record = world.truth.login_record_by_email(NEW).await.unwrap().unwrap();
    assert_eq!(record.account.name, "Asha K");
}

#[tokio::test]
async fn a_username_is_changed_with_proof_and_moves_along_with_the_address() {
    let world = World::with_variables(11, &[UNLIMITED]).await;
    let (mut asha, mallory) = (confirmed(&world, ASHA).await, confirmed(&world, MALLORY).await);
    let change = async |person: &Person, name: &str, proof: StepUp| {
        let name = Username::parse(name).unwrap();
        world.identity.change_username(&person.caller, &name, &proof, &origin()).await
    };
    let wrong = change(&asha, "asha", StepUp::Password(password("not it at all"))).await;
    assert!(matches!(wrong, Err(Error::WrongPassword)), "{wrong:?}");
    assert_eq!(change(&asha, "asha", proof()).await.unwrap().username.as_deref(), Some("asha"));
    // Two changes that read the account as it was: the second one would leave the name of the first behind.
    let late = confirmation(&world, &asha);
    let second = world.truth.change_username(&asha.caller.account, "second", &late).await.unwrap();
    assert_eq!(second, portcullis_store::UsernameChange::Outdated);
    asha.caller = world.identity.authenticate(&asha.access_token).await.unwrap();
    let same = change(&asha, "asha", proof()).await;
    assert!(matches!(same, Err(Error::Invalid(_))), "{same:?}");
    let taken = change(&mallory, "asha", proof()).await;
    assert!(matches!(taken, Err(Error::UsernameTaken)), "{taken:?}");
    by_username(&world, "asha").await.unwrap();

    changed(&world, &asha, NEW).await;
    assert_eq!(by_username(&world, "asha").await.unwrap().account.email, NEW);
    asha.caller = world.identity.authenticate(&asha.access_token).await.unwrap();
    change(&asha, "asha.k", proof()).await.unwrap();
    assert!(by_username(&world, "asha").await.is_err());
    by_username(&world, "asha.k").await.unwrap();
    change(&mallory, "asha", proof()).await.unwrap();
}
