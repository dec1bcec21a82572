//! The second factor under races, guesses and faults: a code is worth one sign-in, and guessing leads nowhere.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use portcullis_harness::in_process::{Enrolled, PASSWORD, World, code, password};
use portcullis_identity::{ClientContext, Error, MfaConfirmation, SignedIn};
use portcullis_platform::Clock;
use secrecy::{ExposeSecret, SecretString};

const SEED: u64 = 20_261_121;
const STEP: Duration = Duration::from_secs(30);
/// For stories with more right passwords than anybody types in a quarter of an hour.
const MANY_SIGN_INS: [(&str, &str); 1] = [("RATE_LIMIT", "off")];

fn count(outcomes: &[Result<SignedIn, Error>], matching: fn(&Result<SignedIn, Error>) -> bool) -> usize {
    outcomes.iter().filter(|outcome| matching(outcome)).count()
}

#[tokio::test]
async fn a_code_turns_a_right_password_into_a_session_that_says_so() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let signed_in = asha.sign_in(&asha.code()).await.unwrap();
    let seen = world.caller(&signed_in).await;
    assert_eq!(seen.claims.amr, ["pwd", "otp"]);
    assert!(seen.account.mfa_enabled);
    let refreshed =
        world.identity.refresh(signed_in.refresh.token.secret(), &ClientContext::default()).await.unwrap();
    let seen = world.identity.authenticate(&refreshed.access_token).await.unwrap();
    assert_eq!(seen.claims.amr, ["pwd", "otp"], "a refresh forgets nothing");
}

#[tokio::test]
async fn a_sign_in_costs_one_round_of_reads_and_one_of_writes_with_and_without_a_factor() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    world.person("ravi@example.com").await;
    // The credentials and the end of the trail; then record and head, beside a session where no code is asked for.
    for (email, asked) in [("asha@example.com", 4), ("ravi@example.com", 5)] {
        let before = world.faults.requests();
        world.login(email).await.unwrap();
        assert_eq!(world.faults.requests() - before, asked, "{email}");
    }
    let token = asha.challenge().await;
    let before = world.faults.requests();
    asha.finish(&token, &asha.code()).await.unwrap();
    let asked = "the account and the end of the trail; the factor; the session; code, challenge and record at once; the head";
    assert_eq!(world.faults.requests() - before, 6, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_code_sent_by_thirty_two_at_once_signs_in_one() {
    let world = World::with_variables(SEED, &MANY_SIGN_INS).await;
    let asha = world.enrolled("asha@example.com").await;
    for _ in 0..5 {
        let outcomes = asha.race(&vec![asha.code(); 32]).await;
        assert_eq!(count(&outcomes, Result::is_ok), 1);
        assert_eq!(count(&outcomes, |outcome| matches!(outcome, Err(Error::InvalidCode))), 31);
        assert!(matches!(asha.sign_in(&asha.code()).await, Err(Error::InvalidCode)), "nor afterwards");
        world.clock.advance(STEP);
    }
    asha.sign_in(&asha.code()).await.expect("nobody was locked out by pressing a button twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_challenge_is_finished_once() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let token = asha.challenge().await;
    asha.finish(&token, &asha.code()).await.unwrap();
    world.clock.advance(STEP);
    assert!(matches!(asha.finish(&token, &asha.code()).await, Err(Error::InvalidSessionToken)));
    // Two good codes at once, one challenge.
    let token = asha.challenge().await;
    let backup = asha.backup_codes[0].expose_secret().to_owned();
    let code = asha.code();
    let (one, two) = tokio::join!(asha.finish(&token, &code), asha.finish(&token, &backup));
    assert_eq!([&one, &two].iter().filter(|outcome| outcome.is_ok()).count(), 1, "{one:?} {two:?}");
}

#[tokio::test]
async fn a_time_step_is_spent_for_good_and_the_past_with_it() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let (previous, current) = (asha.app.code_at(world.unix_now() - 30), asha.code());
    assert!(matches!(asha.sign_in(&previous).await, Err(Error::InvalidCode)), "it enabled the factor");
    asha.sign_in(&current).await.unwrap();
    world.clock.advance(STEP);
    assert!(matches!(asha.sign_in(&current).await, Err(Error::InvalidCode)));
    let late = asha.code();
    world.clock.advance(STEP);
    asha.sign_in(&late).await.expect("the step before is good for people who type slowly");
    world.clock.advance(STEP);
    let too_late = asha.app.code_at(world.unix_now() - 60);
    assert!(matches!(asha.sign_in(&too_late).await, Err(Error::InvalidCode)));
    let early = asha.app.code_at(world.unix_now() + 30);
    assert!(matches!(asha.sign_in(&early).await, Err(Error::InvalidCode)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_code_sent_by_thirty_two_at_once_signs_in_one() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let backup = asha.backup_codes[3].expose_secret().to_owned();
    let outcomes = asha.race(&vec![backup.clone(); 32]).await;
    assert_eq!(count(&outcomes, Result::is_ok), 1);
    world.clock.advance(Duration::from_hours(2));
    assert!(matches!(asha.sign_in(&backup).await, Err(Error::InvalidCode)), "nor afterwards");
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(
        world.truth.factor(asha.caller.account.id).await.unwrap().active.unwrap().backup_codes.len(),
        9
    );
    let capitals = asha.backup_codes[4].expose_secret().to_uppercase();
    asha.sign_in(&capitals).await.expect("another one, in capitals");
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_wrong_backup_codes_at_once_consume_nothing_and_answer_five() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let outcomes = asha.race(&vec!["aaaaa-aaaaa".to_owned(); 32]).await;
    assert_eq!(count(&outcomes, |outcome| matches!(outcome, Err(Error::InvalidCode))), 5);
    assert_eq!(count(&outcomes, |outcome| matches!(outcome, Err(Error::TooManyAttempts { .. }))), 27);
    world.clock.advance(Duration::from_secs(1));
    for backup in &asha.backup_codes {
        asha.sign_in(backup.expose_secret()).await.expect("every one of the ten is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_counted_by_account_however_many_sign_ins_they_are_spread_over() {
    let world = World::with_variables(SEED, &MANY_SIGN_INS).await;
    let asha = world.enrolled("asha@example.com").await;
    let ravi = world.enrolled("ravi@example.com").await;
    let outcomes = asha.race(&vec![asha.wrong_code(); 200]).await;
    assert_eq!(count(&outcomes, |outcome| matches!(outcome, Err(Error::InvalidCode))), 5);
    // On a busy machine a few of the two hundred wait too long for the store and are told so, which is no answer either.
    let unanswered =
        |outcome: &Result<_, _>| matches!(outcome, Err(Error::TooManyAttempts { .. } | Error::Store(_)));
    assert_eq!(count(&outcomes, unanswered), 195);

    let right = asha.code();
    assert!(matches!(asha.sign_in(&right).await, Err(Error::TooManyAttempts { .. })), "not even a right one");
    ravi.sign_in(&ravi.code()).await.expect("nobody else waits");
    // Every other place where a code is tried shares the count.
    let origin = ClientContext::default();
    let proof = Enrolled::proof(&right);
    let disabled = world.identity.disable_mfa(&asha.caller, &proof, &origin).await;
    assert!(matches!(disabled, Err(Error::TooManyAttempts { .. })));
    let renewed = world.identity.renew_backup_codes(&asha.caller, &proof, &origin).await;
    assert!(matches!(renewed, Err(Error::TooManyAttempts { .. })));
    let moved = asha.set_up_factor(Some(&code(&right))).await;
    assert!(matches!(moved, Err(Error::TooManyAttempts { .. })));

    // A day of guessing at every opportunity.
    let (mut answered, day) = (0, world.unix_now() + 86_400);
    while world.unix_now() < day {
        match asha.sign_in(&asha.wrong_code()).await {
            Err(Error::InvalidCode) => answered += 1,
            Err(Error::TooManyAttempts { retry_after }) => world.clock.advance(retry_after),
            other => panic!("{other:?}"),
        }
    }
    assert!(answered <= 36, "{answered} guesses were answered in a day");
    world.clock.advance(Duration::from_hours(1));
    asha.sign_in(&asha.code()).await.expect("the owner is not locked out for good");
    asha.sign_in(&asha.wrong_code()).await.unwrap_err();
    world.clock.advance(STEP);
    asha.sign_in(&asha.code()).await.expect("a right code forgives what was wrong before it");
}

#[tokio::test]
async fn a_stolen_session_cannot_replace_remove_or_go_round_the_factor() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let origin = ClientContext::default();
    assert!(matches!(asha.set_up_factor(None).await, Err(Error::Invalid(_))));
    let wrong = code(&asha.wrong_code());
    assert!(matches!(asha.set_up_factor(Some(&wrong)).await, Err(Error::WrongCode)));
    assert!(matches!(asha.enable_factor(&asha.code()).await, Err(Error::MfaNotSetUp)));
    let proof = MfaConfirmation { password: password("not it"), code: code(&asha.code()) };
    assert!(matches!(
        world.identity.disable_mfa(&asha.caller, &proof, &origin).await,
        Err(Error::WrongPassword)
    ));
    let proof = Enrolled::proof(&asha.wrong_code());
    assert!(matches!(world.identity.disable_mfa(&asha.caller, &proof, &origin).await, Err(Error::WrongCode)));
    assert!(matches!(
        world.identity.renew_backup_codes(&asha.caller, &proof, &origin).await,
        Err(Error::WrongCode)
    ));

    // With the factor it works, and the old one is asked for until the new one is proven.
    let new_app = asha.set_up_factor(Some(&code(&asha.code()))).await.unwrap();
    world.clock.advance(STEP);
    asha.sign_in(&asha.code()).await.expect("the old app still works");
    asha.enable_factor(&new_app.code_at(world.unix_now())).await.unwrap();
    world.clock.advance(STEP);
    assert!(matches!(asha.sign_in(&asha.code()).await, Err(Error::InvalidCode)), "the old app is out");
    let backup = asha.backup_codes[0].expose_secret();
    assert!(matches!(asha.sign_in(backup).await, Err(Error::InvalidCode)), "and so are its backup codes");
    asha.sign_in(&new_app.code_at(world.unix_now())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolments_that_race_leave_one_factor_and_no_way_round_it() {
    for seed in SEED..SEED + 40 {
        let world = World::new(seed).await;
        let asha = Arc::new(world.person("asha@example.com").await);
        let app = asha.set_up_factor(None).await.unwrap();
        let shown = app.code_at(world.unix_now());
        // Mallory has the session too, and sets up an app of his own while Asha enables hers.
        let mallory = {
            let asha = Arc::clone(&asha);
            async move { asha.set_up_factor(None).await }
        };
        let enabling = {
            let asha = Arc::clone(&asha);
            async move { asha.enable_factor(&shown).await }
        };
        let (mallory, enabled) = (tokio::spawn(mallory), tokio::spawn(enabling));
        let (mallory, enabled) = (mallory.await.unwrap(), enabled.await.unwrap());
        if enabled.is_ok() {
            world.clock.advance(STEP);
            if let Ok(mallory) = mallory {
                let taken_over = asha.enable_factor(&mallory.code_at(world.unix_now())).await;
                assert!(matches!(taken_over, Err(Error::MfaNotSetUp)), "seed {seed}: {taken_over:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_factor_that_is_not_proven_in_time_is_none() {
    let world = World::new(SEED).await;
    let asha = world.person("asha@example.com").await;
    let app = asha.set_up_factor(None).await.unwrap();
    world.sign_in("asha@example.com").await.expect("nothing is asked for yet");
    assert!(matches!(asha.enable_factor(&app.wrong_code_at(world.unix_now())).await, Err(Error::WrongCode)));
    world.clock.advance(Duration::from_mins(15));
    let late = asha.enable_factor(&app.code_at(world.unix_now())).await;
    assert!(matches!(late, Err(Error::MfaNotSetUp)));
}

#[tokio::test]
async fn new_backup_codes_end_the_old_ones_and_none_is_needed_once_it_is_disabled() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let origin = ClientContext::default();
    let proof = Enrolled::proof(&asha.code());
    let renewed = world.identity.renew_backup_codes(&asha.caller, &proof, &origin).await.unwrap();
    assert_eq!(renewed.len(), 10);
    let spent = world.identity.renew_backup_codes(&asha.caller, &proof, &origin).await;
    assert!(matches!(spent, Err(Error::WrongCode)), "the code was spent");
    let old = asha.backup_codes[0].expose_secret();
    assert!(matches!(asha.sign_in(old).await, Err(Error::InvalidCode)));
    asha.sign_in(renewed[0].expose_secret()).await.unwrap();
    let begun = asha.challenge().await;
    world
        .identity
        .disable_mfa(&asha.caller, &Enrolled::proof(renewed[1].expose_secret()), &origin)
        .await
        .unwrap();
    assert!(!world.sign_in("asha@example.com").await.unwrap().account.mfa_enabled);
    let finished = asha.finish(&begun, renewed[2].expose_secret()).await;
    assert!(matches!(finished, Err(Error::InvalidSessionToken)));
}

#[tokio::test]
async fn a_challenge_ends_with_its_time_its_account_and_its_epoch() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let late = asha.challenge().await;
    world.clock.advance(Duration::from_mins(5));
    assert!(
        matches!(asha.finish(&late, &asha.code()).await, Err(Error::InvalidSessionToken)),
        "its row is still there"
    );

    let begun = asha.challenge().await;
    world.identity.revoke_other_sessions(&asha.caller, &ClientContext::default()).await.unwrap();
    assert!(matches!(asha.finish(&begun, &asha.code()).await, Err(Error::InvalidSessionToken)));

    let ravi = world.enrolled("ravi@example.com").await;
    let begun = ravi.challenge().await;
    world.disable(&ravi.caller.account).await;
    assert!(matches!(ravi.finish(&begun, &ravi.code()).await, Err(Error::InvalidSessionToken)));

    let begun = asha.challenge().await;
    world
        .identity
        .erase_account(&asha.caller, &password(PASSWORD).into(), &ClientContext::default())
        .await
        .unwrap();
    assert!(matches!(asha.finish(&begun, &asha.code()).await, Err(Error::InvalidSessionToken)));
    assert_eq!(world.truth.factor(asha.caller.account.id).await.unwrap().version, 0, "nothing of it is left");
}

#[tokio::test]
async fn no_other_token_stands_for_a_challenge_and_no_record_is_asked() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let signed_in = asha.sign_in(&asha.code()).await.unwrap();
    let challenge = asha.challenge().await;
    let random = challenge.expose_secret().strip_prefix("mfa_").unwrap();
    let before = world.faults.requests();
    for token in [
        "",
        random,
        &format!("reset_{random}"),
        &format!("MFA_{random}"),
        &format!("{}=", challenge.expose_secret()),
        &signed_in.access_token,
        signed_in.refresh.token.secret().expose_secret(),
        asha.backup_codes[0].expose_secret(),
    ] {
        let finished = asha.finish(&SecretString::from(token), &asha.code()).await;
        assert!(matches!(finished, Err(Error::InvalidSessionToken)), "{token}");
    }
    assert_eq!(world.faults.requests(), before);
    // And it stands for no other token.
    assert!(world.identity.authenticate(challenge.expose_secret()).await.is_err());
    assert!(world.identity.refresh(&challenge, &ClientContext::default()).await.is_err());
}

#[tokio::test]
async fn a_code_is_not_consumed_while_the_store_or_the_master_key_is_out_of_reach() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let (token, code) = (asha.challenge().await, asha.code());
    world.key_wrap.set_down(true);
    assert!(matches!(asha.finish(&token, &code).await, Err(Error::KeyWrap(_))));
    assert!(matches!(asha.finish(&token, &asha.wrong_code()).await, Err(Error::KeyWrap(_))));
    world.key_wrap.set_down(false);
    // The store goes away at one gap after the other between the requests of a sign-in, until there is none left.
    for gap in 0.. {
        world.faults.go_down_after(gap);
        let finished = asha.finish(&token, &code).await;
        world.faults.come_back();
        match finished {
            Err(Error::Store(_)) => {
                let untouched = world.truth.factor(asha.caller.account.id).await.unwrap();
                let nothing_counted = (untouched.failures, untouched.version) == (0, 2);
                assert!(nothing_counted, "no failure of ours counts as one of hers");
            }
            Ok(_) => return assert_eq!(gap, 5),
            Err(other) => panic!("gap {gap}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn under_faults_no_code_signs_in_twice_and_no_success_is_denied_for_good() {
    let world = World::with_default_timeouts(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let mut finished = 0;
    for round in 0..40 {
        let token = asha.challenge().await;
        let code = asha.code();
        world.faults.set_per_mille(300);
        let mut successes = 0;
        for _ in 0..4 {
            match asha.finish(&token, &code).await {
                Ok(_) => successes += 1,
                Err(Error::Store(_) | Error::InvalidSessionToken) => {}
                Err(other) => panic!("round {round}: {other:?}"),
            }
        }
        world.faults.set_per_mille(0);
        assert!(successes <= 1, "round {round}: one code signed in {successes} times");
        finished += successes;
        world.clock.advance(STEP);
    }
    assert!(world.faults.injected() > 30);
    assert!(finished >= 32, "{finished} of 40 sign-ins were told that they succeeded");
}

#[tokio::test]
async fn a_secret_moved_to_another_account_does_not_open() {
    let world = World::new(SEED).await;
    let asha = world.enrolled("asha@example.com").await;
    let mallory = world.enrolled("mallory@example.com").await;
    // Mallory can write to the table and puts his own secret in the place of Asha's.
    let theirs = world.truth.factor(mallory.caller.account.id).await.unwrap();
    let mut hers = world.truth.factor(asha.caller.account.id).await.unwrap();
    hers.active = theirs.active;
    let event = portcullis_store::AuditEvent::new(
        portcullis_store::AuditKind::MfaEnabled,
        asha.caller.account.id,
        world.clock.now(),
        &world.identity.audit_seal().unwrap(),
        world.identity.entropy.as_ref(),
    );
    world.truth.swap_factor(asha.caller.account.id, &hers, &event.unwrap()).await.unwrap();
    assert!(matches!(asha.sign_in(&mallory.code()).await, Err(Error::Internal(_))));
}
