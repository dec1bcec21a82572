//! Accounts, passwords, and registrations that wait for a confirmation.

use portcullis_store::{
    AccountStatus, AuditDetails, AuditKind, ChallengeKind, Finished, FirstRegistration, IdempotentRequest,
    NewAccount, NewPassword, PasswordChange, ProfileChange, Registration, RolesAndStatus,
    RolesAndStatusChange, SignInStep, UsernameClaim,
};

use crate::story::{Story, abcd, at, digest, new_challenge, pinned, words};

#[tokio::test]
async fn accounts_and_passwords() {
    let mut story = Story::begin().await;
    let admin = story.register("root@example.com", None, &["admin"], None).await;
    story.cost("register an administrator");
    let asha = story.register("asha@example.com", Some("asha"), &["user", "viewer"], Some("key-1")).await;
    story.cost("register with a username and a key");
    assert!(
        story.store.replace_password_hash(&asha.email, "$argon2id$first", "$argon2id$again").await.unwrap()
    );
    story.cost("replace a hash");
    let session = story.sign_in(&asha, 10, 2, true).await;
    story.cost("sign in");

    let event = story.event(AuditKind::ProfileChanged, asha.id, 20);
    let change = ProfileChange { name: Some("Asha R.".to_owned()), phone: Some(None) };
    assert!(story.store.change_profile(&asha, &change, &event).await.unwrap());
    let event = story.event(AuditKind::ProfileChanged, asha.id, 21);
    let change = ProfileChange { name: None, phone: Some(Some("+44 20 7946 0000".to_owned())) };
    assert!(story.store.change_profile(&asha, &change, &event).await.unwrap());
    story.cost("change a profile twice");

    let event = story.event(AuditKind::PasswordChanged, asha.id, 30);
    let new = NewPassword { hash: "$argon2id$second".to_owned(), at: at(30) };
    let changed =
        story.store.change_password(&asha, "$argon2id$again", &new, session.id, &event).await.unwrap();
    assert_eq!(changed, PasswordChange::Changed);
    story.cost("change a password");

    let asha = story.now(&asha).await;
    let challenge = new_challenge(ChallengeKind::EmailVerification, &asha, 11);
    story.begin_challenge(&challenge, AuditKind::VerificationRequested).await;
    story.cost("begin a challenge");
    let event = story.event(AuditKind::EmailVerified, asha.id, 40);
    assert_eq!(story.store.confirm_address(&challenge, &asha, &event).await.unwrap(), Finished::Done);
    story.cost("confirm an address");

    let challenge = new_challenge(ChallengeKind::PasswordReset, &asha, 12);
    story.begin_challenge(&challenge, AuditKind::PasswordResetRequested).await;
    story.meter.take();
    let event = story.event(AuditKind::PasswordReset, asha.id, 50);
    let new = NewPassword { hash: "$argon2id$third".to_owned(), at: at(50) };
    assert_eq!(
        story.store.reset_password(&challenge, &asha, &new, false, &event).await.unwrap(),
        Finished::Done
    );
    story.cost("reset a password");

    let asha = story.now(&asha).await;
    let challenge = new_challenge(ChallengeKind::PasswordRotation, &asha, 13);
    story.begin_challenge(&challenge, AuditKind::PasswordExpired).await;
    story.meter.take();
    let session = story.session(&asha, 60, 4, false);
    let new = NewPassword { hash: "$argon2id$fourth".to_owned(), at: at(60) };
    let step = SignInStep::SignedIn { source: abcd(), seen_as: vec![3; 8] };
    let events = [
        story.event(AuditKind::PasswordRotated, asha.id, 60),
        story.event(AuditKind::LoginSucceeded, asha.id, 60).of_sign_in_with(&asha.email, step),
    ];
    let rotated = story
        .store
        .rotate_password(&challenge, &asha, "$argon2id$third", &new, Some(&session), &events)
        .await
        .unwrap();
    assert_eq!(rotated, Finished::Done);
    story.cost("replace an expired password");

    let event = story.event(AuditKind::PasswordOverridden, asha.id, 70);
    let asha = story.now(&asha).await;
    assert!(story.store.override_password(&asha, "$argon2id$fifth", &event).await.unwrap());
    story.cost("override a password");
    // Decided on an account that is not as it was any more: it is read from the failed write, not by another read.
    let event = story.event(AuditKind::PasswordOverridden, asha.id, 71);
    assert!(story.store.override_password(&asha, "$argon2id$sixth", &event).await.unwrap());
    story.cost("override a password behind another one");

    let asha = story.now(&asha).await;
    let next = RolesAndStatus { roles: words(&["user", "admin"]), status: AccountStatus::Active };
    let mut event = story.event(AuditKind::RolesChanged, asha.id, 80);
    event.details = AuditDetails::of_roles(&asha.roles, &next.roles);
    assert_eq!(
        story.store.change_roles_and_status(&asha, &next, None, &[event]).await.unwrap(),
        RolesAndStatusChange::Changed
    );
    story.cost("make somebody an administrator");
    let asha = story.now(&asha).await;
    let next = RolesAndStatus { roles: Vec::new(), status: AccountStatus::Disabled };
    let mut events =
        [AuditKind::RolesChanged, AuditKind::AccountDisabled].map(|kind| story.event(kind, asha.id, 81));
    events[0].details = AuditDetails::of_roles(&asha.roles, &next.roles);
    assert_eq!(
        story.store.change_roles_and_status(&asha, &next, Some(admin.id), &events).await.unwrap(),
        RolesAndStatusChange::Changed
    );
    story.cost("demote and disable an administrator");
    let last = RolesAndStatus { roles: Vec::new(), status: AccountStatus::Active };
    let event = story.event(AuditKind::RolesChanged, admin.id, 82);
    assert_eq!(
        story.store.change_roles_and_status(&admin, &last, None, &[event]).await.unwrap(),
        RolesAndStatusChange::LastAdmin
    );
    story.cost("refuse to demote the last administrator");
    let event = story
        .event(AuditKind::AccountUnlocked, asha.id, 83)
        .of_sign_in_with(&asha.email, SignInStep::Unlocked);
    story.store.unlock_account("confirm:asha", &event).await.unwrap();
    story.cost("unlock an account");

    let listed = story.store.accounts(10, None).await.unwrap();
    assert_eq!(listed.accounts.len(), 2);
    story.cost("list accounts");
    let last = story.store.last_logins(&listed.accounts).await.unwrap();
    assert_eq!(last.iter().flatten().count(), 1);
    story.cost("read last sign-ins");

    pinned("rows_of_accounts", &story.table().await);
    pinned("costs_of_accounts", &story.costs);
}

#[tokio::test]
async fn registrations_that_wait_for_a_confirmation() {
    let mut story = Story::begin().await;
    let asha = story.account("asha@example.com", Some("asha"), &["user"]);
    let request = |key: &str| IdempotentRequest { key_digest: key.to_owned(), fingerprint: digest(9) };
    let mut new = NewAccount {
        account: asha.clone(),
        password_hash: Some("$argon2id$first".to_owned()),
        claim: UsernameClaim::OnConfirmation,
        api_key: None,
    };
    let event = story.event(AuditKind::AccountRegistered, asha.id, 0);
    let registered = story.store.register(&new, Some(&request("key-1")), None, &event).await.unwrap();
    assert_eq!(registered, Registration::Created);
    story.cost("register with a username that waits, and a key");
    new.account.id = story.id(1);
    let registered = story.store.register(&new, Some(&request("key-2")), None, &event).await.unwrap();
    assert_eq!(registered, Registration::EmailTaken(asha.id));
    let found = FirstRegistration { account: asha.id, created_at: at(1) };
    assert!(story.store.remember_registration(&request("key-2"), found).await.unwrap());
    story.cost("find the address taken, and remember the key");
    pinned("rows_of_pending_registrations", &story.table().await);

    let challenge = new_challenge(ChallengeKind::EmailVerification, &asha, 11);
    story.begin_challenge(&challenge, AuditKind::VerificationRequested).await;
    story.meter.take();
    let event = story.event(AuditKind::EmailVerified, asha.id, 40);
    let asha = story.now(&asha).await;
    assert_eq!(story.store.confirm_address(&challenge, &asha, &event).await.unwrap(), Finished::Done);
    story.cost("confirm the address");
    let confirmed = story.store.login_record_by_username("asha").await.unwrap().unwrap().account;
    assert_eq!((confirmed.id, confirmed.email_verified), (asha.id, true));
    pinned("costs_of_pending_registrations", &story.costs);
}
