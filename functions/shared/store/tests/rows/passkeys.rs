//! Passkeys, as factors and in sign-ins.

use portcullis_store::{
    Account, ActiveFactor, AttemptSource, AuditKind, ChallengeKind, Factor, FirstFactor, FirstFactorSignIn,
    NewSession, Passkey, PasskeyEnrolment, PasskeyOutcome, PasskeyRemoval, PasskeySignIn, PasskeyUse,
    SealedSecret, SignInStep, SpentCeremony,
};

use crate::story::{MINUTE, Story, at, digest, new_challenge, pinned, words};

fn passkey(story: &Story, account: &Account, letter: u8) -> Passkey {
    Passkey {
        id: story.id(i64::from(letter)),
        account: account.id,
        name: "Phone".to_owned(),
        credential_id: vec![letter; 16],
        public_key: vec![letter + 1; 8],
        user_handle: vec![9; 64],
        sign_count: 0,
        backup_eligible: letter.is_multiple_of(2),
        backed_up: false,
        transports: words(&["internal", "hybrid"]),
        aaguid: [letter; 16],
        created_at: at(i64::from(letter)),
        last_used_at: None,
    }
}

fn ceremony(kind: ChallengeKind, letter: u8) -> SpentCeremony {
    SpentCeremony { kind, digest: digest(letter), expires_at: at(5 * MINUTE) }
}

/// Somebody whose sign-in waits for a factor makes a passkey, and has codes beside it.
async fn sign_in_by_first_passkey(story: &mut Story) {
    let chetan = story.register("chetan@example.com", None, &["user"], None).await;
    let challenge = new_challenge(ChallengeKind::Enrolment, &chetan, 15);
    let codes = vec![digest(1), digest(2)];
    let secret = SealedSecret { wrapped_key: vec![3; 3], ciphertext: vec![4; 4] };
    let active = ActiveFactor { secret, last_step: 0, backup_codes: codes, codes_only: true };
    let next = Factor { active: Some(active), ..Factor::default() };
    let (passkey, other) = (passkey(story, &chetan, 20), passkey(story, &chetan, 10));
    let finished = ceremony(ChallengeKind::FirstPasskeyCreation, 16);
    let session =
        NewSession { methods: words(&["pwd", "swk", "user"]), ..story.session(&chetan, 25, 8, false) };
    let step = SignInStep::SignedIn { source: AttemptSource::Stranger, seen_as: vec![3; 8] };
    let events = [
        story.event(AuditKind::PasskeyAdded, chetan.id, 25),
        story.event(AuditKind::MfaEnabled, chetan.id, 25),
        story.event(AuditKind::LoginSucceeded, chetan.id, 25).of_sign_in_with(&chetan.email, step),
    ];
    let first = FirstFactorSignIn {
        challenge: &challenge,
        account: &chetan,
        next: &next,
        passkey: Some((&other, &finished)),
        session: &session,
    };
    // Its credential is somebody's already: nothing of it is written.
    let begun = story.store.sign_in_by_first_factor(&first, &events).await;
    assert_eq!(begun.unwrap(), FirstFactor::Taken);
    story.meter.take();
    let first = FirstFactorSignIn { passkey: Some((&passkey, &finished)), ..first };
    let begun = story.store.sign_in_by_first_factor(&first, &events).await;
    assert_eq!(begun.unwrap(), FirstFactor::Started);
    story.cost("sign in by a first passkey");
    let now = story.store.account(chetan.id).await.unwrap().unwrap();
    assert_eq!((now.passkeys, now.mfa_enabled, now.mfa_has_codes_only), (1, true, true));
    story.meter.take();
}

#[tokio::test]
async fn passkeys() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    story.meter.take();
    let (one, two) = (passkey(&story, &asha, 10), passkey(&story, &asha, 11));
    for (passkey, letter) in [(&one, 1), (&two, 2)] {
        let event = story.event(AuditKind::PasskeyAdded, asha.id, 20);
        let ceremony = ceremony(ChallengeKind::PasskeyCreation, letter);
        let added = story.store.add_passkey(passkey, &asha, &ceremony, &event).await.unwrap();
        assert_eq!(added, PasskeyEnrolment::Added);
        story.cost("add a passkey");
        let again = story.store.add_passkey(passkey, &asha, &ceremony, &event).await.unwrap();
        assert_eq!(again, PasskeyEnrolment::CeremonySpent);
        story.meter.take();
    }
    assert_eq!(story.store.passkeys(asha.id).await.unwrap(), [two.clone(), one.clone()]);
    story.cost("list passkeys");

    sign_in_by_first_passkey(&mut story).await;

    let used = PasskeyUse {
        passkey: one.clone(),
        sign_count: 4,
        backed_up: true,
        ceremony: ceremony(ChallengeKind::PasskeyAssertion, 3),
        at: at(30),
    };
    let session = NewSession { methods: words(&["swk", "user"]), ..story.session(&asha, 30, 5, false) };
    let step = SignInStep::SignedIn { source: AttemptSource::Stranger, seen_as: vec![3; 8] };
    let event = story.event(AuditKind::LoginSucceeded, asha.id, 30).of_sign_in_with(&asha.email, step);
    let leads_to = || PasskeySignIn::Session(&session);
    let outcome = story.store.sign_in_by_passkey(&used, leads_to(), &event).await.unwrap();
    assert_eq!(outcome, PasskeyOutcome::Done);
    story.cost("sign in with a passkey");
    for (sign_count, letter, expected) in [
        (5, 3, PasskeyOutcome::CeremonySpent),
        (4, 4, PasskeyOutcome::CounterFell),
        (0, 5, PasskeyOutcome::CounterFell),
    ] {
        let ceremony = ceremony(ChallengeKind::PasskeyAssertion, letter);
        let used = PasskeyUse { sign_count, ceremony, ..used.clone() };
        let outcome = story.store.sign_in_by_passkey(&used, leads_to(), &event).await.unwrap();
        assert_eq!(outcome, expected);
    }
    story.meter.take();

    let event = story.event(AuditKind::PasskeyRenamed, asha.id, 40);
    assert!(story.store.rename_passkey(asha.id, one.id, "Key on the desk", &event).await.unwrap());
    story.cost("rename a passkey");
    let event = story.event(AuditKind::PasskeyRemoved, asha.id, 50);
    let removed = story.store.remove_passkey(&two, &asha, true, &event).await.unwrap();
    assert_eq!(removed, PasskeyRemoval::Removed);
    story.cost("remove a passkey");
    let removed = story.store.remove_passkey(&one, &asha, true, &event).await.unwrap();
    assert_eq!(removed, PasskeyRemoval::LastOne);
    let removed = story.store.remove_passkey(&two, &asha, false, &event).await.unwrap();
    assert_eq!(removed, PasskeyRemoval::Unknown);
    let gone = PasskeyUse { passkey: two, ceremony: ceremony(ChallengeKind::PasskeyAssertion, 6), ..used };
    let outcome = story.store.sign_in_by_passkey(&gone, leads_to(), &event).await.unwrap();
    assert_eq!(outcome, PasskeyOutcome::Removed);

    let kept = Passkey {
        name: "Key on the desk".to_owned(),
        sign_count: 4,
        backed_up: true,
        last_used_at: Some(at(30)),
        ..one
    };
    assert_eq!(story.store.passkeys(asha.id).await.unwrap(), [kept]);
    pinned("rows_of_passkeys", &story.table().await);
    pinned("costs_of_passkeys", &story.costs);
}
