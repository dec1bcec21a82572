//! Sessions, attempts, revocations and second factors.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    ActiveFactor, Actor, AttemptSource, AuditFilter, AuditKind, ChallengeKind, Factor, FactorSignIn,
    FactorSwap, FirstFactor, FirstFactorSignIn, PendingFactor, RaisedSession, Revocation, Rotation,
    RotationResult, SessionRaise, SignInStep, Throttled, Use, Wait,
};

use crate::story::{MINUTE, Story, abcd, at, digest, new_challenge, pinned, secret, words};

#[tokio::test]
async fn sessions_attempts_and_revocations() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    let first = story.sign_in(&asha, 10, 2, true).await;
    let second = story.sign_in(&asha, 11, 3, false).await;
    let third = story.sign_in(&asha, 12, 4, false).await;
    story.meter.take();

    let step = Rotation {
        account: asha.id,
        session: first.id,
        generation: 0,
        presented: digest(2),
        next: digest(22),
        successor: vec![5; 12],
        now: at(20),
        last_step_by: at(10),
        idle_expires_at: at(61 * MINUTE),
    };
    assert!(matches!(story.store.rotate(&step).await.unwrap(), RotationResult::Rotated(_)));
    story.cost("rotate");
    assert!(matches!(story.store.rotate(&step).await.unwrap(), RotationResult::Refused(_)));
    story.cost("replay");
    let soon =
        Rotation { generation: 1, presented: digest(22), next: digest(23), last_step_by: at(19), ..step };
    let RotationResult::Refused(young) = story.store.rotate(&soon).await.unwrap() else {
        panic!("rotated within the grace");
    };
    assert_eq!((young.generation, young.made.current), (1, digest(22)));
    story.cost("rotate too soon");
    let event = story.event(AuditKind::SessionRevoked, asha.id, 30);
    let ended = story.store.revoke_session(asha.id, second.id, &event).await.unwrap();
    assert_eq!(ended, Revocation::Revoked);
    story.cost("revoke a session");
    let ended = story.store.revoke_session(asha.id, second.id, &event).await.unwrap();
    assert_eq!(ended, Revocation::AlreadyEnded);
    story.cost("revoke it again");
    let event = story.event(AuditKind::SessionsRevoked, asha.id, 31);
    let ended = story.store.revoke_sessions(&asha, Some(first.id), &event).await.unwrap();
    assert_eq!(ended, Revocation::Revoked);
    story.cost("revoke all sessions but one");
    let asha = story.now(&asha).await;
    let event = story.event(AuditKind::SessionsRevoked, asha.id, 32);
    // The kept one is not live any more: nothing happens.
    let ended = story.store.revoke_sessions(&asha, Some(third.id), &event).await.unwrap();
    assert_eq!(ended, Revocation::AlreadyEnded);
    story.cost("keep a session that is over");
    assert_eq!(story.store.live_sessions(&asha, at(33), 10, None).await.unwrap().sessions.len(), 1);
    story.cost("list sessions");
    assert_eq!(story.store.revocations(at(0), at(33), 100).await.unwrap().entries.len(), 2);
    story.cost("read revocations");

    let waits = [Wait { after: 1, wait: Duration::from_secs(10) }];
    for (source, seconds) in [(AttemptSource::Stranger, 40), (abcd(), 41)] {
        let event = story
            .event(AuditKind::LoginFailed, asha.id, seconds)
            .of_sign_in_with(&asha.email, SignInStep::Wrong(source));
        story.store.record_attempt(&event, &waits).await.unwrap().unwrap();
    }
    story.cost("two wrong passwords");
    let event = story
        .event(AuditKind::LoginFailed, asha.id, 42)
        .of_sign_in_with(&asha.email, SignInStep::Wrong(abcd()));
    assert_eq!(story.store.record_attempt(&event, &waits).await.unwrap(), Err(Throttled { until: at(51) }));
    story.cost("a wrong password too early");
    let session = story.session(&asha, 43, 6, false);
    let event = story
        .event(AuditKind::LoginSucceeded, asha.id, 43)
        .of_sign_in_with(&asha.email, SignInStep::Right(abcd()));
    let early = story.store.start_session(&session, &event, &waits).await.unwrap();
    assert_eq!(early, Err(Throttled { until: at(51) }));
    story.cost("a right password too early");

    story.store.reserve_attempt("confirm:asha", &waits, [1; 16], at(50)).await.unwrap().unwrap();
    let early = story.store.reserve_attempt("confirm:asha", &waits, [2; 16], at(51)).await.unwrap();
    assert_eq!(early, Err(Throttled { until: at(60) }));
    story.store.reserve_attempt("mail:asha", &waits, [3; 16], at(52)).await.unwrap().unwrap();
    story.store.withdraw_attempt("mail:asha").await.unwrap();
    story.store.reserve_attempt("forgiven", &waits, [4; 16], at(53)).await.unwrap().unwrap();
    story.store.forgive_attempts("forgiven").await.unwrap();
    story.cost("attempts");
    assert_eq!(story.store.reserve_request("credentials", "ticker", 1, at(54)).await.unwrap(), None);
    assert!(story.store.reserve_request("credentials", "ticker", 1, at(54)).await.unwrap().is_some());
    assert!(story.store.count_failure("203.0.113.7", 3, 5, at(600)).await.unwrap());
    assert_eq!(story.store.failures_of("203.0.113.7", 3).await.unwrap(), 1);
    let used = Use { what: "register", who: "203.0.113.7", window: 3, ends: at(600) };
    assert!(story.store.count_use(used, 1).await.unwrap());
    assert!(!story.store.count_use(used, 1).await.unwrap());
    assert_eq!(story.store.uses(used).await.unwrap(), 1);
    story.cost("rates");

    let mut event = story.event(AuditKind::CredentialsRead, asha.id, 60);
    event.actor = Actor::Service("ticker".to_owned());
    event.service = Some("ticker".to_owned());
    event.target = Some("acc_1".to_owned());
    event.purpose = Some("market-stream".to_owned());
    story.store.record(&event).await.unwrap();
    story.cost("record an event");
    let filter = AuditFilter::default();
    let page = story.store.audit_of_account(asha.id, Some(&asha.email), &filter, 4, None).await.unwrap();
    assert_eq!(page.records.len(), 4);
    story.cost("read the trail of an account");
    let page = story.store.audit_by_time(&filter, (at(0), at(100)), 4, None).await.unwrap();
    assert_eq!(page.records.len(), 4);
    story.cost("read the trail by time");
    let verified = story.store.verify_audit(&story.seal, at(100)).await.unwrap();
    assert_eq!((verified.chains, verified.findings.len()), (2, 0));

    pinned("rows_of_sessions", &story.table().await);
    pinned("costs_of_sessions", &story.costs);
}

#[tokio::test]
async fn factors() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    let bela = story.register("bela@example.com", None, &["user"], None).await;
    story.meter.take();

    let pending = PendingFactor { secret: secret(1), expires_at: at(15 * MINUTE) };
    let next = Factor { pending: Some(pending.clone()), ..Factor::default() };
    let event = story.event(AuditKind::MfaSetUp, asha.id, 10);
    assert_eq!(story.store.swap_factor(asha.id, &next, &event).await.unwrap(), FactorSwap::Swapped);
    let event = story.event(AuditKind::MfaSetUp, bela.id, 10);
    assert_eq!(story.store.swap_factor(bela.id, &next, &event).await.unwrap(), FactorSwap::Swapped);
    assert_eq!(story.store.swap_factor(bela.id, &next, &event).await.unwrap(), FactorSwap::Outdated);
    story.cost("set a factor up");
    let active = ActiveFactor {
        secret: secret(3),
        last_step: 59_000_000,
        backup_codes: vec![digest(1), digest(2)],
        codes_only: false,
    };
    let next = Factor { version: 1, active: Some(active.clone()), ..Factor::default() };
    let event = story.event(AuditKind::MfaEnabled, asha.id, 20);
    assert_eq!(story.store.switch_factor(&asha, &next, &event).await.unwrap(), FactorSwap::Swapped);
    story.cost("switch a factor on");

    let challenge = new_challenge(ChallengeKind::Mfa, &asha, 14);
    story.begin_challenge(&challenge, AuditKind::MfaRequired).await;
    story.meter.take();
    let session = story.session(&asha, 30, 5, false);
    let step = SignInStep::SignedIn { source: AttemptSource::Stranger, seen_as: vec![3; 8] };
    let event = story.event(AuditKind::LoginSucceeded, asha.id, 30).of_sign_in_with(&asha.email, step);
    let active = ActiveFactor { last_step: 59_000_001, ..active };
    let next = Factor { version: 2, active: Some(active.clone()), ..Factor::default() };
    let signed_in = story.store.sign_in_by_factor(&challenge, &next, &session, &event).await.unwrap();
    assert_eq!(signed_in, FactorSignIn::Started);
    story.cost("sign in by a code");
    let spent = story.store.factor(asha.id).await.unwrap().spent;
    story.meter.take();
    let next = Factor { version: 3, spent: spent.clone(), ..next };
    let event = story.event(AuditKind::LoginSucceeded, asha.id, 31);
    let signed_in = story.store.sign_in_by_factor(&challenge, &next, &session, &event).await.unwrap();
    assert_eq!(signed_in, FactorSignIn::ChallengeSpent);
    story.cost("sign in twice");

    let challenge = new_challenge(ChallengeKind::Mfa, &asha, 16);
    story.begin_challenge(&challenge, AuditKind::MfaRequired).await;
    story.meter.take();
    let continued = new_challenge(ChallengeKind::PasswordRotation, &asha, 17);
    let event = story.event(AuditKind::PasswordExpired, asha.id, 40);
    let next = Factor {
        version: 3,
        active: Some(ActiveFactor { backup_codes: Vec::new(), ..active }),
        pending: Some(pending),
        failures: 2,
        blocked_until: Some(at(20 * MINUTE)),
        spent,
    };
    let continued = story.store.continue_by_factor(&challenge, &next, &continued, &event).await.unwrap();
    assert_eq!(continued, FactorSignIn::Started);
    story.cost("go on by a code");

    let mut after = story.store.factor(asha.id).await.unwrap();
    assert_eq!(after.spent.len(), 2, "both challenges were finished");
    after.spent.clone_from(&next.spent);
    assert_eq!(after, Factor { version: 4, ..next });
    pinned("rows_of_factors", &story.table().await);
    pinned("costs_of_factors", &story.costs);
}

#[tokio::test]
async fn sessions_that_are_raised() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    let bela = story.register("bela@example.com", None, &["admin"], None).await;
    let session = story.sign_in(&asha, 10, 2, false).await;
    let raised = |at: Timestamp, methods: Option<Vec<String>>| RaisedSession {
        account: asha.id,
        id: session.id,
        session_epoch: 0,
        methods,
        at,
    };
    let waits = [Wait { after: 5, wait: Duration::from_secs(10) }];
    story.store.reserve_attempt("confirm:asha", &waits, [1; 16], at(20)).await.unwrap().unwrap();
    story.meter.take();

    let end = story.store.account_trail_end(asha.id).await.unwrap();
    let event = story.event(AuditKind::SteppedUp, asha.id, 20).behind(end);
    let outcome = story.store.raise_by_password(&raised(at(20), None), "confirm:asha", &event).await;
    assert_eq!(outcome.unwrap(), SessionRaise::Raised);
    story.cost("raise a session by the password");

    let active = ActiveFactor {
        secret: secret(3),
        last_step: 59_000_000,
        backup_codes: Vec::new(),
        codes_only: false,
    };
    let next = Factor { active: Some(active.clone()), ..Factor::default() };
    let event = story.event(AuditKind::MfaEnabled, asha.id, 30);
    assert_eq!(story.store.switch_factor(&asha, &next, &event).await.unwrap(), FactorSwap::Swapped);
    story.meter.take();
    let (factor, end) = story.store.factor_and_trail(asha.id).await.unwrap();
    let next = Factor { active: Some(ActiveFactor { last_step: 59_000_001, ..active.clone() }), ..factor };
    let event = story.event(AuditKind::SteppedUp, asha.id, 40).behind(end);
    let by_code = raised(at(40), Some(words(&["pwd", "otp"])));
    assert_eq!(story.store.raise_by_factor(&by_code, &next, &event).await.unwrap(), SessionRaise::Raised);
    story.cost("raise a session by a code");
    // The code was spent by that write, and with it the copy of the factor that it was judged by.
    let again = story.store.raise_by_factor(&by_code, &next, &event).await.unwrap();
    assert_eq!(again, SessionRaise::FactorOutdated);
    story.cost("spend a code twice");

    let step = Rotation {
        account: asha.id,
        session: session.id,
        generation: 0,
        presented: digest(2),
        next: digest(22),
        successor: vec![5; 12],
        now: at(50),
        last_step_by: at(40),
        idle_expires_at: at(61 * MINUTE),
    };
    let RotationResult::Rotated(rotated) = story.store.rotate(&step).await.unwrap() else {
        panic!("not rotated");
    };
    story.meter.take();
    story.store.take_back_rotation(&rotated, digest(2)).await.unwrap();
    story.cost("take a rotation back");
    let back = story.store.session(asha.id, session.id).await.unwrap().unwrap();
    assert_eq!((back.generation, back.made.current, back.previous), (0, digest(2), None));
    assert_eq!((back.proved_at(), back.made.methods), (at(40), words(&["pwd", "otp"])));

    let challenge = new_challenge(ChallengeKind::Enrolment, &bela, 14);
    let next = Factor { active: Some(active), ..Factor::default() };
    let step = SignInStep::SignedIn { source: AttemptSource::Stranger, seen_as: vec![3; 8] };
    let events = [
        story.event(AuditKind::MfaEnabled, bela.id, 60),
        story.event(AuditKind::LoginSucceeded, bela.id, 60).of_sign_in_with(&bela.email, step),
    ];
    let first = story.session(&bela, 60, 7, false);
    story.meter.take();
    let sign_in = FirstFactorSignIn {
        challenge: &challenge,
        account: &bela,
        next: &next,
        passkey: None,
        session: &first,
    };
    let begun = story.store.sign_in_by_first_factor(&sign_in, &events).await;
    assert_eq!(begun.unwrap(), FirstFactor::Started);
    story.cost("sign in by a first factor");
    let again =
        Factor { version: 1, spent: story.store.factor(bela.id).await.unwrap().spent, ..next.clone() };
    let sign_in = FirstFactorSignIn { next: &again, ..sign_in };
    let begun = story.store.sign_in_by_first_factor(&sign_in, &events).await;
    assert_eq!(begun.unwrap(), FirstFactor::ChallengeSpent);

    let verified = story.store.verify_audit(&story.seal, at(100)).await.unwrap();
    assert_eq!(verified.findings.len(), 0);
    pinned("rows_of_raised_sessions", &story.table().await);
    pinned("costs_of_raised_sessions", &story.costs);
}
