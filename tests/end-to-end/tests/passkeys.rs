//! Passkeys under races, bent answers and faults: a challenge is worth one session, and nothing but the right key, on the right
//! page, with its user verified, is worth any.
#![cfg(test)]

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use futures_util::future::join_all;
use portcullis_harness::in_process::{Begun, PASSWORD, World, login, password};
use portcullis_harness::passkey::{BACKED_UP, BACKUP_ELIGIBLE, PRESENT, SoftPasskey, VERIFIED};
use portcullis_identity::{
    ClientContext, Error, Login, MOST_PASSKEYS, PasskeyName, SignedIn, StepUp, StoreError,
};
use portcullis_platform::Clock;
use secrecy::SecretString;
use serde_json::{Value, json};

const SEED: u64 = 20_261_130;
const ASHA: &str = "asha@example.com";
const RAVI: &str = "ravi@example.com";
const UNLIMITED: [(&str, &str); 1] = [("RATE_LIMIT", "off")];

fn proof() -> StepUp {
    StepUp::Password(password(PASSWORD))
}

fn nobody() -> ClientContext {
    ClientContext::default()
}

fn is_refused(outcome: &Result<SignedIn, Error>) -> bool {
    matches!(outcome, Err(Error::InvalidCredentials))
}

fn is_spent(outcome: &Result<SignedIn, Error>) -> bool {
    matches!(outcome, Err(Error::InvalidSessionToken))
}

async fn amr(world: &World, session: &SignedIn) -> Vec<String> {
    world.caller(session).await.claims.amr
}

/// Signs in with the passkey after it was bent, and expects a refusal.
async fn refused_when(world: &World, passkey: &SoftPasskey, what: &str, bend: impl FnOnce(&mut SoftPasskey)) {
    let mut changed = passkey.clone();
    bend(&mut changed);
    let outcome = world.sign_in_with(&changed).await;
    assert!(is_refused(&outcome), "{what}: {outcome:?}");
}

#[tokio::test]
async fn a_passkey_signs_in_without_a_name_and_the_session_says_how() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, added) = asha.with_passkey().await;
    let session = world.sign_in_with(&passkey).await.unwrap();
    assert_eq!(session.account.id, asha.account.id);
    assert_eq!(amr(&world, &session).await, ["hwk", "user"]);
    let refreshed = world.identity.refresh(session.refresh.token.secret(), &nobody()).await.unwrap();
    let seen = world.identity.authenticate(&refreshed.access_token).await.unwrap();
    assert_eq!(seen.claims.amr, ["hwk", "user"], "a refresh forgets nothing");

    world.clock.advance(Duration::from_secs(1));
    let mut synced = world.authenticator();
    synced.flags |= BACKUP_ELIGIBLE | BACKED_UP;
    let kept = asha.add(&mut synced).await.unwrap();
    assert!(kept.backed_up && !added.backed_up);
    assert_eq!(amr(&world, &world.sign_in_with(&synced).await.unwrap()).await, ["swk", "user"]);

    let listed = world.identity.list_passkeys(&asha.caller).await.unwrap();
    assert_eq!(
        listed.iter().map(|passkey| passkey.id).collect::<Vec<_>>(),
        [kept.id, added.id],
        "newest first"
    );
    let used = listed.iter().map(|passkey| passkey.last_used_at).collect::<Vec<_>>();
    assert_eq!(used, [Some(world.clock.now()), Some(world.clock.now() - Duration::from_secs(1))]);
    assert_eq!(listed[0].user_handle.len(), 64);
    assert_eq!(listed[0].user_handle, listed[1].user_handle, "one account is one user");
    let text = String::from_utf8_lossy(&listed[0].user_handle).into_owned();
    assert!(!text.contains("asha") && !text.contains(&asha.account.id.digits()));
}

#[tokio::test]
async fn password_and_codes_stay_and_a_sign_in_is_told_of_passkeys_without_another_read() {
    let world = World::new(SEED).await;
    let asha = world.enrolled(ASHA).await;
    let before = world.faults.requests();
    let Login::MfaRequired(asked) = world.login(ASHA).await.unwrap() else { panic!("a code is asked for") };
    let without = world.faults.requests() - before;
    assert!(!asked.has_passkeys);

    let code = asha.code();
    let code = StepUp::Code(portcullis_harness::in_process::code(&code));
    let mut passkey = world.authenticator();
    let creation = world.identity.begin_passkey(&asha.caller, &code, &nobody()).await.unwrap();
    let options = json!({
        "challenge": base64url(&creation.challenge),
        "rp": {"id": "localhost"},
        "user": {"id": base64url(&creation.user_handle)},
    });
    let credential = passkey.create(&options);
    world.finish_passkey(&asha.caller, creation.token.secret(), credential).await.unwrap();

    world.clock.advance(Duration::from_secs(30));
    let before = world.faults.requests();
    let Login::MfaRequired(asked) = world.login(ASHA).await.unwrap() else { panic!("a code is asked for") };
    assert_eq!(world.faults.requests() - before, without, "no new read");
    assert!(asked.has_passkeys);
    world.sign_in_with(&passkey).await.expect("neither password nor code");
    asha.sign_in(&asha.code()).await.expect("both go on working");
}

fn base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_sign_in_takes_two_rounds_of_reads_and_one_write_that_decides() {
    let world = World::new(SEED).await;
    let (passkey, _) = world.person(ASHA).await.with_passkey().await;
    let before = world.faults.requests();
    let begun = world.begin_passkey_sign_in();
    assert_eq!(world.faults.requests(), before, "nothing is stored for whoever opens the page");
    let credential = passkey.get(&begun.options);
    world.finish_passkey_sign_in(&begun.token, credential).await.unwrap();
    let asked = "the owner; the account, the passkey and the end of the trail; all that is written at once";
    assert_eq!(world.faults.requests() - before, 5, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_challenge_shown_by_sixty_four_at_once_begins_one_session() {
    let world = World::with_variables(SEED, &UNLIMITED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    for round in 0..3 {
        let begun = world.begin_passkey_sign_in();
        let credential = passkey.get(&begun.options);
        let racing = (0..64).map(|_| {
            let (world, token, credential) = (world.clone(), begun.token.clone(), credential.clone());
            tokio::spawn(async move { world.finish_passkey_sign_in(&token, credential).await })
        });
        let outcomes: Vec<_> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| is_spent(outcome)).count(), 63);
        let sessions = world.rows(&format!("SESSIONS#{}", asha.account.id), "SES#").await;
        assert_eq!(sessions.len(), round + 2, "that of the registration, and one of each round");
        assert!(is_spent(&world.finish_passkey_sign_in(&begun.token, credential).await), "nor afterwards");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_challenge_is_worth_one_session_whichever_passkey_answers_it() {
    let world = World::new(SEED).await;
    let (asha, ravi) = (world.person(ASHA).await, world.person(RAVI).await);
    let ((one, _), (two, _), (other, _)) =
        (asha.with_passkey().await, asha.with_passkey().await, ravi.with_passkey().await);
    let begun = world.begin_passkey_sign_in();
    world.finish_passkey_sign_in(&begun.token, one.get(&begun.options)).await.unwrap();
    for passkey in [two, other] {
        assert!(is_spent(&world.finish_passkey_sign_in(&begun.token, passkey.get(&begun.options)).await));
    }
}

#[tokio::test]
async fn a_challenge_ends_after_five_minutes_and_is_nobody_elses() {
    let world = World::new(SEED).await;
    let (passkey, _) = world.person(ASHA).await.with_passkey().await;
    let begun = world.begin_passkey_sign_in();
    let credential = passkey.get(&begun.options);
    world.clock.advance(Duration::from_mins(5));
    assert!(is_spent(&world.finish_passkey_sign_in(&begun.token, credential.clone()).await));
    let other = world.begin_passkey_sign_in();
    assert!(
        is_refused(&world.finish_passkey_sign_in(&other.token, credential).await),
        "of another challenge"
    );
    for made_up in ["", "pkg_", "pkg_AAAA", "mfa_AAAA"] {
        let outcome = world.finish_passkey_sign_in(&made_up.into(), passkey.get(&other.options)).await;
        assert!(is_spent(&outcome), "{made_up}");
    }
}

#[tokio::test]
async fn kinds_of_ceremony_never_interchange() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (mut passkey, _) = asha.with_passkey().await;
    let making = world.begin_passkey(&asha.caller).await.unwrap();
    let showing = world.begin_passkey_sign_in();

    // The token of one kind, with what was signed for it, for the other.
    let shown = json!({"challenge": making.options["challenge"], "rpId": "localhost"});
    assert!(is_spent(&world.finish_passkey_sign_in(&making.token, passkey.get(&shown)).await));
    let mut another = world.authenticator();
    let mut as_made = making.options.clone();
    as_made["challenge"] = showing.options["challenge"].clone();
    let refused = world.finish_passkey(&asha.caller, &showing.token, another.create(&as_made)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");

    // The right token, and what the browser says was done for the other.
    passkey.client_data.insert("type".to_owned(), "webauthn.create".into());
    assert!(is_refused(&world.finish_passkey_sign_in(&showing.token, passkey.get(&showing.options)).await));
    another.client_data.insert("type".to_owned(), "webauthn.get".into());
    let refused = world.finish_passkey(&asha.caller, &making.token, another.create(&making.options)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");

    // Nothing of all that spent either.
    passkey.client_data.clear();
    another.client_data.clear();
    world.finish_passkey_sign_in(&showing.token, passkey.get(&showing.options)).await.unwrap();
    world.finish_passkey(&asha.caller, &making.token, another.create(&making.options)).await.unwrap();
}

#[tokio::test]
async fn an_authenticator_that_does_not_verify_its_user_gets_nothing() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    for (what, flags) in [("unverified", PRESENT), ("absent", VERIFIED), ("neither", 0)] {
        refused_when(&world, &passkey, what, |bent| bent.flags = flags).await;
        let mut new = world.authenticator();
        new.flags = flags;
        assert!(matches!(asha.add(&mut new).await, Err(Error::Invalid(_))), "{what}");
    }
    world.sign_in_with(&passkey).await.unwrap();
}

#[tokio::test]
async fn pages_of_other_origins_and_frames_in_them_get_nothing() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    let frame = |member: &str, value: Value| {
        let member = member.to_owned();
        move |bent: &mut SoftPasskey| drop(bent.client_data.insert(member, value))
    };
    refused_when(&world, &passkey, "a frame", frame("crossOrigin", true.into())).await;
    refused_when(&world, &passkey, "a frame", frame("topOrigin", "https://evil.example".into())).await;
    for origin in [
        "http://localhost:9999",
        "https://localhost:8001",
        "http://localhost:8001/",
        "http://evil.localhost:8001",
    ] {
        refused_when(&world, &passkey, origin, |bent| origin.clone_into(&mut bent.origin)).await;
        let mut new = world.authenticator();
        origin.clone_into(&mut new.origin);
        assert!(matches!(asha.add(&mut new).await, Err(Error::Invalid(_))), "{origin}");
    }
    refused_when(&world, &passkey, "another domain", |bent| bent.rp_id = Some("example.com".to_owned()))
        .await;
    for (member, value) in [("crossOrigin", json!(true)), ("topOrigin", json!("https://evil.example"))] {
        let mut new = world.authenticator();
        new.client_data.insert(member.to_owned(), value);
        assert!(matches!(asha.add(&mut new).await, Err(Error::Invalid(_))), "{member}");
    }
}

#[tokio::test]
async fn a_counter_that_falls_is_refused_and_reported_and_the_passkey_is_kept() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (mut passkey, added) = asha.with_passkey().await;
    for counter in [0, 0, 7, 8] {
        passkey.counter = counter;
        world.sign_in_with(&passkey).await.unwrap();
    }
    world.notifications.take();
    for counter in [8, 7, 1, 0] {
        refused_when(&world, &passkey, "it fell", |bent| bent.counter = counter).await;
        let sent = world.notifications.take();
        assert_eq!(
            sent.iter().filter(|mail| mail.subject.contains("copy of one of your passkeys")).count(),
            1
        );
    }
    let fell = world.trail(&asha.account).await.into_iter().filter(|kind| kind == "passkey_counter_fell");
    assert_eq!(fell.count(), 4);
    passkey.counter = 9;
    world.sign_in_with(&passkey).await.expect("it was kept");
    let kept = world.truth.passkey(asha.account.id, added.id).await.unwrap().unwrap();
    assert_eq!(kept.sign_count, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_authenticators_with_one_key_and_one_counter_one_signs_in() {
    let world = World::with_variables(SEED, &UNLIMITED).await;
    let asha = world.person(ASHA).await;
    let (mut passkey, _) = asha.with_passkey().await;
    for counter in 1..=5 {
        passkey.counter = counter;
        let begun: Vec<Begun> = (0..16).map(|_| world.begin_passkey_sign_in()).collect();
        let racing = begun.into_iter().map(|begun| {
            let (world, credential) = (world.clone(), passkey.get(&begun.options));
            tokio::spawn(async move { world.finish_passkey_sign_in(&begun.token, credential).await })
        });
        let outcomes: Vec<_> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{counter}");
        assert_eq!(outcomes.iter().filter(|outcome| is_refused(outcome)).count(), 15, "{counter}");
    }
}

#[tokio::test]
async fn whether_a_passkey_may_be_copied_never_changes_and_whether_it_was_is_kept() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (bound, _) = asha.with_passkey().await;
    refused_when(&world, &bound, "it became one that may", |bent| bent.flags |= BACKUP_ELIGIBLE).await;
    refused_when(&world, &bound, "and was", |bent| bent.flags |= BACKUP_ELIGIBLE | BACKED_UP).await;
    refused_when(&world, &bound, "it was and may not", |bent| bent.flags |= BACKED_UP).await;

    let mut synced = world.authenticator();
    synced.flags |= BACKUP_ELIGIBLE;
    let added = asha.add(&mut synced).await.unwrap();
    refused_when(&world, &synced, "it became one that may not", |bent| bent.flags = PRESENT | VERIFIED).await;
    let is_backed_up =
        async || world.truth.passkey(asha.account.id, added.id).await.unwrap().unwrap().backed_up;
    assert!(!is_backed_up().await);
    for flags in [BACKED_UP, 0] {
        let mut said = synced.clone();
        said.flags |= flags;
        world.sign_in_with(&said).await.unwrap();
        assert_eq!(is_backed_up().await, flags == BACKED_UP);
    }
    let mut impossible = world.authenticator();
    impossible.flags |= BACKED_UP;
    assert!(matches!(asha.add(&mut impossible).await, Err(Error::Invalid(_))));
}

/// What was asked of the table, without what is different each time: the operations, and of each the kinds of its keys.
fn asked(world: &World) -> Vec<String> {
    let kinds = |body: &[u8]| {
        let text = String::from_utf8_lossy(body).into_owned();
        let kinds = ["ACCOUNT#", "PASSKEYS#", "PASSKEY#", "SIGNIN#", "SESSIONS#", "CHAL#", "AUDIT#", "RATE#"];
        kinds.into_iter().filter(|kind| text.contains(&format!("\"{kind}"))).collect::<Vec<_>>().join(" ")
    };
    let mut heard: Vec<String> =
        world.faults.heard().iter().map(|(operation, body)| format!("{operation} {}", kinds(body))).collect();
    heard.sort();
    heard
}

#[tokio::test]
async fn unknown_foreign_and_deleted_credentials_and_wrong_signatures_look_alike() {
    let world = World::new(SEED).await;
    let (asha, ravi) = (world.person(ASHA).await, world.person(RAVI).await);
    let (passkey, _) = asha.with_passkey().await;
    let (foreign, _) = ravi.with_passkey().await;
    let (deleted, gone) = asha.with_passkey().await;
    world.identity.remove_passkey(&asha.caller, gone.id, &proof(), &nobody()).await.unwrap();
    let (disabled, _) = {
        let off = world.person("off@example.com").await;
        let made = off.with_passkey().await;
        world.disable(&off.account).await;
        made
    };
    let unknown = passkey.another();
    let mut forged = passkey.another();
    forged.credential_id.clone_from(&passkey.credential_id);
    let mut of_another_user = foreign.clone();
    of_another_user.user_handle.clone_from(&passkey.user_handle);
    let mut of_nobody = passkey.clone();
    of_nobody.user_handle = None;

    let mut seen = Vec::new();
    for (what, passkey) in [
        ("unknown", unknown),
        ("deleted", deleted),
        ("a wrong signature", forged),
        ("another person's", of_another_user),
        ("without a user", of_nobody),
        ("of an account that is switched off", disabled),
    ] {
        world.faults.listen();
        let outcome = world.sign_in_with(&passkey).await;
        assert!(is_refused(&outcome), "{what}: {outcome:?}");
        seen.push((what, asked(&world)));
    }
    let (_, first) = &seen[0];
    assert!(first.len() >= 6, "{first:?}");
    for (what, asked) in &seen {
        assert_eq!(asked, first, "{what}");
    }
    world.sign_in_with(&passkey).await.unwrap();
}

/// The private key of RFC 6979, A.2.5: everybody has it.
#[tokio::test]
async fn nobody_signs_in_with_the_key_that_unknown_credentials_are_judged_by() {
    let world = World::new(SEED).await;
    world.person(ASHA).await;
    let private = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let public = hex(
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    );
    let key =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &private, &public);
    let mut stand_in = SoftPasskey::with_key(&world.authenticator().origin, key.unwrap());
    for handle in [None, Some(Vec::new()), Some(vec![1; 64])] {
        stand_in.user_handle = handle;
        assert!(is_refused(&world.sign_in_with(&stand_in).await));
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let byte = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[tokio::test]
async fn strangers_are_throttled_by_their_address_and_lock_nobody_out() {
    let world = World::new(SEED).await;
    let (passkey, _) = world.person(ASHA).await.with_passkey().await;
    let mut forged = passkey.another();
    forged.credential_id.clone_from(&passkey.credential_id);
    let from = |ip: &str| ClientContext { ip: Some(ip.to_owned()), ..ClientContext::default() };
    let attempt = async |passkey: &SoftPasskey, client: &ClientContext| {
        let begun = world.begin_passkey_sign_in();
        let shown = login(&begun.token, passkey.get(&begun.options));
        world.identity.sign_in_with_passkey(&shown, client).await
    };
    let stranger = from("192.0.2.7");
    for _ in 0..100 {
        assert!(is_refused(&attempt(&forged, &stranger).await));
    }
    for passkey in [&forged, &passkey] {
        let outcome = attempt(passkey, &stranger).await;
        assert!(matches!(outcome, Err(Error::TooManyAttempts { .. })), "{outcome:?}");
    }
    attempt(&passkey, &from("192.0.2.8")).await.expect("from elsewhere");
    world.sign_in(ASHA).await.expect("nor is the password locked");
}

#[tokio::test]
async fn a_session_of_a_passkey_ends_like_any_other_and_a_lost_right_counts_at_once() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, added) = asha.with_passkey().await;
    let session = world.sign_in_with(&passkey).await.unwrap();
    world.disable(&asha.account).await;
    assert!(world.identity.authenticate(&session.access_token).await.is_err());
    assert!(is_refused(&world.sign_in_with(&passkey).await));
    assert!(world.truth.passkey(asha.account.id, added.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_passkey_goes_on_when_the_address_becomes_another_one() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    let wanted = portcullis_identity::Email::parse("asha@example.org").unwrap();
    world.notifications.take();
    world.identity.request_email_change(&asha.caller, &wanted, &proof(), &nobody()).await.unwrap();
    let sent = world.notifications.take();
    let token: SecretString = sent.iter().find_map(|mail| mail.token()).unwrap().into();
    world.identity.change_email(&token, &nobody()).await.unwrap();
    let session = world.sign_in_with(&passkey).await.unwrap();
    assert_eq!(session.account.email, "asha@example.org");
    let caller = world.caller(&session).await;
    assert_eq!(caller.account.passkeys, 1, "the count moved along");
    let id = world.identity.list_passkeys(&caller).await.unwrap()[0].id;
    world.identity.remove_passkey(&caller, id, &proof(), &nobody()).await.unwrap();
    assert!(is_refused(&world.sign_in_with(&passkey).await));
}

#[tokio::test]
async fn a_password_that_is_too_old_is_replaced_first() {
    let world = World::with_variables(SEED, &[("PASSWORD_ROTATION_DAYS", "90")]).await;
    let (passkey, _) = world.person(ASHA).await.with_passkey().await;
    world.clock.advance(Duration::from_hours(91 * 24));
    let begun = world.begin_passkey_sign_in();
    let credential = passkey.get(&begun.options);
    let Err(Error::PasswordExpired(token)) =
        world.finish_passkey_sign_in(&begun.token, credential.clone()).await
    else {
        panic!("another password is asked for")
    };
    assert!(is_spent(&world.finish_passkey_sign_in(&begun.token, credential).await));
    let next = password("granite otter sings at dawn");
    let rotated = world.identity.rotate_password(token.secret(), &next, &nobody()).await.unwrap();
    let Login::SignedIn(session) = rotated else { panic!("a passkey is as much as any role requires") };
    assert_eq!(amr(&world, &session).await, ["hwk", "user"]);
    world.sign_in_with(&passkey).await.unwrap();
}

/// Every request to the table fails once, from each place on: nothing was half done, and a challenge whose write did not
/// happen is good for another attempt.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_spends_no_challenge() {
    let world = World::with_default_timeouts(SEED).await;
    let (passkey, _) = world.person(ASHA).await.with_passkey().await;
    let mut failed = 0;
    for allowed in 0..8 {
        let begun = world.begin_passkey_sign_in();
        let credential = passkey.get(&begun.options);
        world.faults.go_down_after(allowed);
        let outcome = world.finish_passkey_sign_in(&begun.token, credential.clone()).await;
        world.faults.come_back();
        match outcome {
            Err(Error::Store(StoreError::Unavailable { .. })) => {
                failed += 1;
                world.finish_passkey_sign_in(&begun.token, credential).await.expect("unspent");
            }
            Ok(_) => assert!(is_spent(&world.finish_passkey_sign_in(&begun.token, credential).await)),
            other => panic!("{allowed}: {other:?}"),
        }
    }
    assert_eq!(failed, 5, "the owner; the account, the passkey and the trail; the write");
}

#[tokio::test]
async fn a_passkey_is_made_after_a_proof_in_one_session_and_once() {
    let world = World::new(SEED).await;
    let (asha, ravi) = (world.person(ASHA).await, world.person(RAVI).await);
    let wrong = StepUp::Password(password("copper lantern drifts downstream"));
    let refused = world.identity.begin_passkey(&asha.caller, &wrong, &nobody()).await;
    assert!(matches!(refused, Err(Error::WrongPassword)), "{refused:?}");

    let begun = world.begin_passkey(&asha.caller).await.unwrap();
    let mut passkey = world.authenticator();
    let credential = passkey.create(&begun.options);
    let elsewhere = world.caller(&world.sign_in(ASHA).await.unwrap()).await;
    for (whose, caller) in [("another person's", &ravi.caller), ("of another session", &elsewhere)] {
        let refused = world.finish_passkey(caller, &begun.token, credential.clone()).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{whose}: {refused:?}");
    }
    world.notifications.take();
    let added = world.finish_passkey(&asha.caller, &begun.token, credential.clone()).await.unwrap();
    assert_eq!(world.notifications.take().len(), 1, "its owner is told");
    let again = world.finish_passkey(&asha.caller, &begun.token, credential).await.unwrap();
    assert_eq!(again, added, "the answer was lost");
    assert_eq!(world.notifications.take().len(), 0);
    let mut other = world.authenticator();
    let refused = world.finish_passkey(&asha.caller, &begun.token, other.create(&begun.options)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "a second passkey of one ceremony: {refused:?}");
    assert_eq!(world.caller(&asha.session).await.account.passkeys, 1);

    let late = world.begin_passkey(&asha.caller).await.unwrap();
    world.clock.advance(Duration::from_mins(5));
    let refused = world.finish_passkey(&asha.caller, &late.token, other.create(&late.options)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn a_credential_is_one_accounts_and_has_the_id_that_it_is_shown_with() {
    let world = World::new(SEED).await;
    let (asha, ravi) = (world.person(ASHA).await, world.person(RAVI).await);
    let (passkey, _) = asha.with_passkey().await;
    let mut claimed = world.authenticator();
    claimed.credential_id.clone_from(&passkey.credential_id);
    for person in [&asha, &ravi] {
        let refused = person.add(&mut claimed).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    let begun = world.begin_passkey(&ravi.caller).await.unwrap();
    let mut renamed = world.authenticator();
    let mut credential = renamed.create(&begun.options);
    for member in ["id", "rawId"] {
        credential[member] = base64url(&passkey.credential_id).into();
    }
    let refused = world.finish_passkey(&ravi.caller, &begun.token, credential).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    assert_eq!(world.sign_in_with(&passkey).await.unwrap().account.id, asha.account.id);
    assert_eq!(world.caller(&ravi.session).await.account.passkeys, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_twenty_passkeys_at_most_however_many_are_added_at_once() {
    let world = World::with_variables(SEED, &UNLIMITED).await;
    let asha = world.person(ASHA).await;
    for _ in 1..MOST_PASSKEYS {
        asha.with_passkey().await;
    }
    let mut begun = Vec::new();
    for _ in 0..8 {
        begun.push(world.begin_passkey(&asha.caller).await.unwrap());
    }
    let racing = begun.into_iter().map(|begun| {
        let (world, caller) = (world.clone(), asha.caller.clone());
        let credential = world.authenticator().create(&begun.options);
        tokio::spawn(async move { world.finish_passkey(&caller, &begun.token, credential).await })
    });
    let outcomes: Vec<_> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let full = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::TooManyPasskeys)));
    assert_eq!(full.count(), 7);
    assert!(matches!(world.begin_passkey(&asha.caller).await, Err(Error::TooManyPasskeys)));
    let listed = world.identity.list_passkeys(&asha.caller).await.unwrap();
    assert_eq!(u64::try_from(listed.len()).unwrap(), MOST_PASSKEYS);
    world.identity.remove_passkey(&asha.caller, listed[0].id, &proof(), &nobody()).await.unwrap();
    asha.with_passkey().await;
}

#[tokio::test]
async fn passkeys_are_named_and_removed_by_their_owner_alone() {
    let world = World::new(SEED).await;
    let (asha, ravi) = (world.person(ASHA).await, world.person(RAVI).await);
    let (passkey, added) = asha.with_passkey().await;
    assert_eq!(added.name, "Passkey");
    let name = PasskeyName::parse("Key on the desk").unwrap();
    let (identity, client) = (&world.identity, nobody());
    let renamed = identity.rename_passkey(&asha.caller, added.id, &name, &client).await.unwrap();
    assert_eq!(renamed.name, "Key on the desk");
    assert_eq!(identity.list_passkeys(&asha.caller).await.unwrap(), [renamed]);
    assert!(identity.list_passkeys(&ravi.caller).await.unwrap().is_empty());
    let refused = identity.rename_passkey(&ravi.caller, added.id, &name, &client).await;
    assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    let refused = identity.remove_passkey(&ravi.caller, added.id, &proof(), &client).await;
    assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    let wrong = StepUp::Password(password("copper lantern drifts downstream"));
    let refused = identity.remove_passkey(&asha.caller, added.id, &wrong, &client).await;
    assert!(matches!(refused, Err(Error::WrongPassword)), "{refused:?}");
    world.sign_in_with(&passkey).await.unwrap();

    identity.remove_passkey(&asha.caller, added.id, &proof(), &client).await.unwrap();
    assert!(is_refused(&world.sign_in_with(&passkey).await));
    let refused = identity.remove_passkey(&asha.caller, added.id, &proof(), &client).await;
    assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    let about = world.trail(&asha.account).await;
    let about: Vec<&str> =
        about.iter().map(String::as_str).filter(|kind| kind.starts_with("passkey_")).collect();
    assert_eq!(about, ["passkey_added", "passkey_renamed", "passkey_removed"]);
    let mut again = passkey;
    asha.add(&mut again).await.expect("a removed credential is nobody's");
}

/// The role of administrators needs more than a password.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_factor_of_an_administrator_stays_however_it_is_removed() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let ((passkey, one), (_, two)) = (asha.with_passkey().await, asha.with_passkey().await);
    world.give_roles(&asha.account, &["admin"]).await;
    let session = world.sign_in_with(&passkey).await.unwrap();
    let caller = world.caller(&session).await;
    let remove = |id| {
        let (world, caller) = (world.clone(), caller.clone());
        async move { world.identity.remove_passkey(&caller, id, &proof(), &nobody()).await }
    };
    let (first, second) = tokio::join!(remove(one.id), remove(two.id));
    let outcomes = [&first, &second];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(Error::LastFactor))), "{outcomes:?}");
    assert_eq!(world.identity.list_passkeys(&caller).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_of_an_erased_account_signs_in_or_is_left() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    world.identity.erase_account(&asha.caller, &password(PASSWORD).into(), &nobody()).await.unwrap();
    assert!(is_refused(&world.sign_in_with(&passkey).await));
    assert!(world.items("PASSKEY").await.is_empty());
    let ravi = world.person(RAVI).await;
    let mut again = passkey;
    ravi.add(&mut again).await.expect("its credential is nobody's");
}

#[tokio::test]
async fn pages_with_an_ip_address_have_no_passkeys_and_say_so() {
    let world = World::with_variables(SEED, &[("PUBLIC_URL", "http://127.0.0.1:8001")]).await;
    let asha = world.person(ASHA).await;
    assert!(matches!(world.identity.begin_passkey_sign_in(), Err(Error::PasskeysUnavailable)));
    let refused = world.identity.begin_passkey(&asha.caller, &proof(), &nobody()).await;
    assert!(matches!(refused, Err(Error::PasskeysUnavailable)), "{refused:?}");
}

/// What step-up and approvals are going to ask.
#[tokio::test]
async fn an_assertion_for_an_account_is_one_of_its_own_passkeys() {
    let world = World::new(SEED).await;
    let (asha, ravi) = (world.person(ASHA).await, world.person(RAVI).await);
    let ((own, added), (foreign, _)) = (asha.with_passkey().await, ravi.with_passkey().await);
    let shown = |passkey: &SoftPasskey| {
        let begun = world.begin_passkey_sign_in();
        login(&begun.token, passkey.get(&begun.options)).shown
    };
    let used = world.identity.assert_passkey(&asha.account, &shown(&own), &nobody()).await.unwrap();
    assert_eq!((used.passkey.id, used.at), (added.id, world.clock.now()));
    for passkey in [foreign, own.another()] {
        let refused = world.identity.assert_passkey(&asha.account, &shown(&passkey), &nobody()).await;
        assert!(matches!(refused, Err(Error::WrongPasskey)), "{refused:?}");
    }
}
