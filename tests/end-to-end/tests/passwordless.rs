//! People without a password: passkeys sign in, and a link in a mail and a backup code together are the way back.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::time::Duration;

use futures_util::future::join_all;
use portcullis_harness::in_process::{PASSWORD, Person, World, code, password};
use portcullis_harness::passkey::SoftPasskey;
use portcullis_identity::{
    Assurance, Caller, ClientContext, EnrolmentMethod, Error, Login, LostPasskeys, StepUp,
};
use portcullis_platform::Clock;
use secrecy::{ExposeSecret, SecretString};

const SEED: u64 = 20_261_130;
const ASHA: &str = "asha@example.com";
const NEXT_PASSWORD: &str = "granite harbour sings at noon";

static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

/// Somebody who removed their password.
struct Without {
    asha: Person,
    caller: Caller,
    passkey: SoftPasskey,
    codes: Vec<SecretString>,
}

/// Asha adds a passkey, signs in with it and removes her password; the session of the password is over then.
async fn without(world: &World) -> Without {
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    let session = world.sign_in_with(&passkey).await.unwrap();
    let caller = world.caller(&session).await;
    let shown = world.shown(&passkey);
    let codes = world.identity.remove_password(&caller, &shown, &ORIGIN).await.unwrap();
    let caller = world.identity.authenticate(&session.access_token).await.unwrap();
    Without { asha, caller, passkey, codes }
}

fn lost(token: &SecretString, text: &str) -> LostPasskeys {
    LostPasskeys { token: token.clone(), code: code(text) }
}

fn is_wrong(outcome: &Result<Login, Error>) -> bool {
    matches!(outcome, Err(Error::InvalidCredentials))
}

#[tokio::test]
async fn a_password_is_removed_by_a_passkey_and_set_again_by_one() {
    let world = World::new(SEED).await;
    let Without { asha, caller, passkey, codes } = without(&world).await;
    assert_eq!(codes.len(), 10, "there were none");
    assert!(caller.account.is_passwordless && caller.account.mfa_has_codes_only);
    let told: Vec<_> = world.notifications.take().into_iter().map(|sent| sent.to).collect();
    assert!(told.contains(&ASHA.to_owned()));
    assert!(world.identity.authenticate(&asha.access_token).await.is_err(), "other sessions are over");
    assert!(is_wrong(&world.login(ASHA).await));
    world.sign_in_with(&passkey).await.unwrap();
    let again = world.identity.remove_password(&caller, &world.shown(&passkey), &ORIGIN).await;
    assert!(matches!(again, Err(Error::NotFound)), "{again:?}");
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);

    let weak =
        world.identity.set_password(&caller, &world.shown(&passkey), &password("12345"), &ORIGIN).await;
    assert!(matches!(weak, Err(Error::WeakPassword(_))), "{weak:?}");
    let foreign = world.authenticator();
    let next = password(NEXT_PASSWORD);
    let refused = world.identity.set_password(&caller, &world.shown(&foreign), &next, &ORIGIN).await;
    assert!(matches!(refused, Err(Error::WrongPasskey)), "{refused:?}");
    world.identity.set_password(&caller, &world.shown(&passkey), &next, &ORIGIN).await.unwrap();
    assert!(is_wrong(&world.login(ASHA).await), "the one of before stays gone");
    let Ok(Login::MfaRequired(_)) = world.login_with(ASHA, NEXT_PASSWORD).await else { panic!("a code") };
}

#[tokio::test]
async fn what_would_leave_no_way_in_or_back_is_refused() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let none =
        world.identity.remove_password(&asha.caller, &world.shown(&world.authenticator()), &ORIGIN).await;
    assert!(matches!(none, Err(Error::WrongPasskey)), "who has no passkey shows none: {none:?}");
    let (passkey, added) = asha.with_passkey().await;
    world.identity.remove_password(&asha.caller, &world.shown(&passkey), &ORIGIN).await.unwrap();
    let session = world.sign_in_with(&passkey).await.unwrap();
    let caller = world.caller(&session).await;
    let proof = StepUp::Passkey(Box::new(world.shown(&passkey)));
    let last = world.identity.remove_passkey(&caller, added.id, &proof, &ORIGIN).await;
    assert!(matches!(last, Err(Error::LastFactor)), "{last:?}");
    assert_eq!(world.identity.list_passkeys(&caller).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_the_last_passkey_and_the_password_one_stays_when_both_go_at_once() {
    for seed in SEED..SEED + 8 {
        let world = World::new(seed).await;
        let asha = world.person(ASHA).await;
        let (passkey, added) = asha.with_passkey().await;
        let (one, two) = (world.shown(&passkey), StepUp::Password(password(PASSWORD)));
        let (password_gone, passkey_gone) = tokio::join!(
            world.identity.remove_password(&asha.caller, &one, &ORIGIN),
            world.identity.remove_passkey(&asha.caller, added.id, &two, &ORIGIN),
        );
        assert!(!(password_gone.is_ok() && passkey_gone.is_ok()), "seed {seed}");
        let account = world.truth.account(asha.account.id).await.unwrap().unwrap();
        assert!(!account.is_passwordless || account.passkeys > 0, "seed {seed}");
    }
}

#[tokio::test]
async fn outside_an_account_without_a_password_looks_like_a_wrong_one() {
    let world = World::new(SEED).await;
    world.person("ravi@example.com").await;
    without(&world).await;
    world.clock.advance(Duration::from_hours(1));
    let mut seen = Vec::new();
    for email in [ASHA, "ravi@example.com", "nobody@example.com"] {
        let mut asked = Vec::new();
        for _ in 0..8 {
            let before = world.faults.requests();
            let outcome = world.login_with(email, "not the password at all").await;
            asked.push((world.faults.requests() - before, format!("{:?}", outcome.err())));
        }
        seen.push(asked);
    }
    assert_eq!(seen[0], seen[1], "as many calls, and the same answers, throttled alike");
    assert_eq!(seen[0], seen[2], "nor is it told from a name that nobody has");
}

#[tokio::test]
async fn a_link_and_a_code_lead_to_a_new_passkey_and_end_everything_of_before() {
    let world = World::new(SEED).await;
    let Without { caller, codes, passkey, .. } = without(&world).await;
    let link = world.reset_token(ASHA).await;
    let backup = codes[0].expose_secret();
    // Neither is worth anything without the other.
    let alone = world.identity.reset_password(&link, &password(NEXT_PASSWORD), &ORIGIN).await;
    assert!(matches!(alone, Err(Error::Invalid(_))), "{alone:?}");
    for wrong in ["abcde-fghij", "050471", ""] {
        let refused = world.identity.begin_recovery(&lost(&link, wrong), false, &ORIGIN).await;
        assert!(matches!(refused, Err(Error::InvalidCode)), "{wrong}: {refused:?}");
    }
    let no_link = world.identity.begin_recovery(&lost(&"rst_x".into(), backup), false, &ORIGIN).await;
    assert!(matches!(no_link, Err(Error::InvalidMailToken)), "{no_link:?}");

    let asked = world.identity.begin_recovery(&lost(&link, backup), false, &ORIGIN).await.unwrap();
    assert_eq!(asked.methods, [EnrolmentMethod::Passkey]);
    let ended = world.identity.refresh(&SecretString::from("nothing"), &ORIGIN).await;
    assert!(ended.is_err());
    let account = world.truth.account(caller.account.id).await.unwrap().unwrap();
    assert!(
        account.has_ended_keys_of(world.clock.now()) && account.session_epoch > caller.account.session_epoch
    );
    let again = world.identity.begin_recovery(&lost(&link, codes[1].expose_secret()), false, &ORIGIN).await;
    assert!(matches!(again, Err(Error::InvalidMailToken)), "the link is spent: {again:?}");

    let token = asked.token.secret();
    assert!(matches!(world.identity.set_up_first_mfa(token, &ORIGIN).await, Err(Error::InvalidSessionToken)));
    let begun = world.begin_first_passkey(token).await.unwrap();
    let mut next = world.authenticator();
    next.user_handle.clone_from(&passkey.user_handle);
    let made = next.create(&begun.options);
    let (_, enrolled) = world.finish_first_passkey(token, &begun.token, made.clone()).await.unwrap();
    let back = world.caller(&enrolled.session).await;
    assert_eq!((back.claims.acr, back.account.passkeys), (Assurance::Phr, 2));
    assert_eq!((enrolled.backup_codes.len(), back.account.is_passwordless), (10, true));
    let twice = world.finish_first_passkey(token, &begun.token, made).await;
    assert!(matches!(twice, Err(Error::InvalidSessionToken)), "{twice:?}");
    world.sign_in_with(&next).await.unwrap();
    assert_eq!(world.identity.verify_audit().await.unwrap().findings, []);
}

#[tokio::test]
async fn a_link_and_a_code_may_set_a_password_and_the_last_owner_of_either_is_out() {
    let world = World::new(SEED).await;
    let Without { codes, .. } = without(&world).await;
    let link = world.reset_token(ASHA).await;
    let shown = lost(&link, codes[3].expose_secret());
    let weak = world.identity.recover_with_password(&shown, &password("12345"), &ORIGIN).await;
    assert!(matches!(weak, Err(Error::WeakPassword(_))), "it spends neither: {weak:?}");
    world.identity.recover_with_password(&shown, &password(NEXT_PASSWORD), &ORIGIN).await.unwrap();
    let Ok(Login::MfaRequired(_)) = world.login_with(ASHA, NEXT_PASSWORD).await else { panic!("a code") };
    // With a password the link alone chooses another one, as ever, and a code is for the sign-in.
    world.clock.advance(Duration::from_mins(30));
    let link = world.reset_token(ASHA).await;
    let refused = world.identity.begin_recovery(&lost(&link, codes[4].expose_secret()), false, &ORIGIN).await;
    assert!(matches!(refused, Err(Error::InvalidMailToken)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_that_show_one_link_and_one_code_recover_once() {
    let world = World::new(SEED).await;
    let Without { codes, .. } = without(&world).await;
    let link = world.reset_token(ASHA).await;
    let shown = lost(&link, codes[0].expose_secret());
    let racing = (0..64).map(|_| world.identity.begin_recovery(&shown, false, &ORIGIN));
    let outcomes = join_all(racing).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn codes_are_renewed_by_a_passkey() {
    let world = World::new(SEED).await;
    let Without { caller, passkey, codes, .. } = without(&world).await;
    let shown = world.shown(&passkey);
    let renewed = world.identity.renew_backup_codes_by_passkey(&caller, shown, &ORIGIN).await.unwrap();
    assert_eq!(renewed.len(), 10);
    let link = world.reset_token(ASHA).await;
    let old = world.identity.begin_recovery(&lost(&link, codes[0].expose_secret()), false, &ORIGIN).await;
    assert!(matches!(old, Err(Error::InvalidCode)), "{old:?}");
    world.identity.begin_recovery(&lost(&link, renewed[0].expose_secret()), false, &ORIGIN).await.unwrap();
}
