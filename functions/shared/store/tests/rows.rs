//! The form of every stored row, and what each operation costs: both are promises to tables that exist already.
//!
//! Every operation that writes is driven once on an engine in memory, with a fixed clock and fixed "random" bytes, so
//! that the table it leaves is the same in every run, down to the ids and the MACs of the audit trail. Nothing is
//! masked. A difference in these snapshots is a change of the stored format or of the price of a request.
#![cfg(test)]
#![allow(clippy::too_many_lines, reason = "a story is told in one go")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Region;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use portcullis_platform::{CallTimeouts, Entropy, EntropyUnavailable};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_store::{
    Account, AccountId, AccountStatus, ActiveFactor, Actor, ApiKey, ApiKeyCreation, Approval, ApprovalAsked,
    ApprovalDecision, ApprovalEnd, ApprovalOutcome, ApprovalProof, ApprovalRate, ApprovalStatus, Assertion,
    AttemptSource, AuditDetails, AuditEvent, AuditFilter, AuditKind, AuditSeal, BrokerSession, ChainEnd,
    Challenge, ChallengeKind, Digest, DueSessionNews, Factor, FactorSignIn, FactorSwap, Finished,
    FirstFactor, FirstFactorSignIn, FirstRegistration, FreezableSwap, Freeze, Freezer, Id, IdempotentApiKey,
    IdempotentRequest, Kind, KnownDevice, LeaseKind, Link, LoginUrl, Meter, NewAccount, NewPassword,
    NewSession, OpenApprovals, Passkey, PasskeyEnrolment, PasskeyOutcome, PasskeyRemoval, PasskeySignIn,
    PasskeyUse, PasswordChange, PendingFactor, ProfileChange, ProviderMark, RaisedSession, ReadingLease,
    Redemption, Registration, Revocation, RolesAndStatus, RolesAndStatusChange, Rotation, RotationResult,
    SealedSecret, SessionNews, SessionRaise, SignInStep, SpentCeremony, Store, StoredTradingAccount,
    Throttled, TradingAccountId, TradingAccountStatus, UnfinishedFreeze, Usage, Use, UsernameClaim, Wait,
    client_config,
};

const TABLE: &str = "rows";
const MINUTE: i64 = 60;

/// Bytes that are different each time and the same in every run.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        let drawn = self.0.fetch_add(1, Ordering::SeqCst);
        let digits = drawn.to_be_bytes();
        for (byte, digit) in buffer.iter_mut().rev().zip(digits.iter().rev()) {
            *byte = *digit;
        }
        Ok(())
    }
}

struct Story {
    store: Store,
    client: Client,
    meter: Meter,
    entropy: Counting,
    seal: AuditSeal,
    costs: String,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

fn digest(letter: u8) -> Digest {
    [letter; 32]
}

fn secret(letter: u8) -> SealedSecret {
    SealedSecret { wrapped_key: vec![letter; 4], ciphertext: vec![letter + 1; 6] }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Story {
    async fn begin() -> Self {
        let engine = EmbeddedDynamoDb::in_memory().unwrap();
        let meter = Meter::default();
        let config = || {
            client_config(CallTimeouts::default())
                .http_client(engine.http_client())
                .region(Region::from_static("local"))
                .endpoint_url("http://in-process")
                .allow_no_auth()
        };
        let store = Store::connect(config().interceptor(meter.clone()), TABLE);
        store.create_table_if_missing().await.unwrap();
        meter.take();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        Self {
            store,
            client: Client::from_conf(config().build()),
            meter,
            entropy: Counting::default(),
            seal: AuditSeal::new(key, Vec::new(), Duration::from_hours(24 * 365)),
            costs: String::new(),
        }
    }

    fn id<K: Kind>(&self, seconds: i64) -> Id<K> {
        Id::generate(at(seconds), &self.entropy).unwrap()
    }

    fn event(&self, kind: AuditKind, account: AccountId, seconds: i64) -> AuditEvent {
        AuditEvent::new(kind, account, at(seconds), &self.seal, &self.entropy).unwrap()
    }

    /// Notes what the calls since the last note cost.
    fn cost(&mut self, operation: &str) {
        let Usage { calls, rounds, read_units, write_units } = self.meter.take();
        writeln!(
            self.costs,
            "{operation}: {calls} calls in {rounds} rounds, {read_units} read, {write_units} written"
        )
        .unwrap();
    }

    async fn rows(&self) -> Vec<BTreeMap<String, AttributeValue>> {
        let mut pages = self.client.scan().table_name(TABLE).into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(row) = pages.next().await {
            rows.push(row.unwrap().into_iter().collect::<BTreeMap<_, _>>());
        }
        rows.sort_by_key(|row| (text_of(row, "pk"), text_of(row, "sk")));
        rows
    }

    /// The whole table: one paragraph for each row, one line for each attribute.
    async fn table(&self) -> String {
        self.rows_that(|_| true).await
    }

    /// The rows that say that credentials are frozen.
    async fn freezes(&self) -> String {
        let of_freezes = |key: &str| key.starts_with("FREEZE");
        self.rows_that(|row| of_freezes(&text_of(row, "pk")) || of_freezes(&text_of(row, "sk"))).await
    }

    async fn rows_that(&self, are_wanted: impl Fn(&BTreeMap<String, AttributeValue>) -> bool) -> String {
        let mut written = String::new();
        for row in self.rows().await.into_iter().filter(are_wanted) {
            writeln!(written, "{} | {}", text_of(&row, "pk"), text_of(&row, "sk")).unwrap();
            for (name, value) in row.iter().filter(|(name, _)| !["pk", "sk"].contains(&name.as_str())) {
                writeln!(written, "    {name}: {}", shown(value)).unwrap();
            }
        }
        written
    }

    fn account(&self, email: &str, username: Option<&str>, roles: &[&str]) -> Account {
        Account {
            id: self.id(0),
            email: email.to_owned(),
            username: username.map(str::to_owned),
            name: "Asha Rao".to_owned(),
            phone: username.map(|_| "+91 98765 43210".to_owned()),
            roles: words(roles),
            status: AccountStatus::Active,
            mfa_enabled: false,
            mfa_has_codes_only: false,
            is_passwordless: false,
            passkeys: 0,
            email_verified: false,
            session_epoch: 0,
            password_changed_at: at(0),
            created_at: at(0),
            mfa_enabled_at: None,
            keys_ended_at: None,
        }
    }

    async fn register(
        &self,
        email: &str,
        username: Option<&str>,
        roles: &[&str],
        key: Option<&str>,
    ) -> Account {
        let account = self.account(email, username, roles);
        let new = NewAccount {
            account: account.clone(),
            password_hash: Some("$argon2id$first".to_owned()),
            claim: UsernameClaim::Now,
            api_key: None,
        };
        let request = key.map(|key| IdempotentRequest { key_digest: key.to_owned(), fingerprint: digest(9) });
        let event = self.event(AuditKind::AccountRegistered, account.id, 0);
        let registered = self.store.register(&new, request.as_ref(), None, &event).await.unwrap();
        assert_eq!(registered, Registration::Created);
        account
    }

    /// The account as it is now.
    async fn now(&self, account: &Account) -> Account {
        let now = self.store.account(account.id).await.unwrap().unwrap();
        self.meter.take();
        now
    }

    fn session(&self, account: &Account, seconds: i64, letter: u8, named: bool) -> NewSession {
        let named = |name: &str| named.then(|| name.to_owned());
        NewSession {
            id: self.id(seconds),
            account: account.id,
            session_epoch: account.session_epoch,
            current: digest(letter),
            methods: words(&["pwd"]),
            persistent: letter.is_multiple_of(2),
            device_name: named("Phone"),
            user_agent: named("Firefox"),
            ip: named("203.0.113.7"),
            created_at: at(seconds),
            idle_expires_at: at(seconds + 60 * MINUTE),
            expires_at: at(seconds + 600 * MINUTE),
        }
    }

    async fn sign_in(&self, account: &Account, seconds: i64, letter: u8, named: bool) -> NewSession {
        let session = self.session(account, seconds, letter, named);
        let step = SignInStep::SignedIn { source: AttemptSource::Stranger, seen_as: vec![letter; 8] };
        let mut event =
            self.event(AuditKind::LoginSucceeded, account.id, seconds).of_sign_in_with(&account.email, step);
        event.session = Some(session.id);
        event.ip.clone_from(&session.ip);
        event.user_agent.clone_from(&session.user_agent);
        event.request_id = format!("request-{seconds}");
        self.store.start_session(&session, &event, &[]).await.unwrap().unwrap();
        session
    }

    async fn begin_challenge(&self, challenge: &Challenge, kind: AuditKind) {
        let event = self.event(kind, challenge.account, 10);
        self.store.begin_challenge(challenge, &event, &[]).await.unwrap().unwrap();
    }
}

fn abcd() -> AttemptSource {
    AttemptSource::Device(KnownDevice { password_since: at(0), id: "abcd".to_owned() })
}

fn new_challenge(kind: ChallengeKind, account: &Account, letter: u8) -> Challenge {
    Challenge {
        kind,
        digest: digest(letter),
        account: account.id,
        email: account.email.clone(),
        session_epoch: account.session_epoch,
        methods: words(&["pwd"]),
        persistent: true,
        token_in_body: false,
        device_name: letter.is_multiple_of(2).then(|| "Laptop".to_owned()),
        wanted_email: None,
        session: None,
        expires_at: at(5 * MINUTE),
    }
}

fn text_of(row: &BTreeMap<String, AttributeValue>, name: &str) -> String {
    row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

/// DynamoDB's type before each value; bytes in hexadecimal.
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("S {text:?}"),
        AttributeValue::N(digits) => format!("N {digits}"),
        AttributeValue::Bool(flag) => format!("BOOL {flag}"),
        AttributeValue::B(bytes) => {
            format!("B {}", hex::encode(bytes))
        }
        AttributeValue::L(values) => {
            format!("L [{}]", values.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        AttributeValue::Ss(values) => {
            let mut values = values.clone();
            values.sort();
            format!("SS {values:?}")
        }
        AttributeValue::M(attributes) => {
            let sorted: BTreeMap<_, _> = attributes.iter().collect();
            let inner: Vec<_> =
                sorted.iter().map(|(name, value)| format!("{name}: {}", shown(value))).collect();
            format!("M {{{}}}", inner.join(", "))
        }
        other => panic!("no row has {other:?}"),
    }
}

fn pinned(name: &str, written: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, written);
    });
}

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

/// The session in which everything is decided, the trading account, and an approval that is pending.
async fn asked(story: &Story, asha: &Account) -> (NewSession, Approval) {
    let session = story.sign_in(asha, 5, 5, false).await;
    let account = trading_account(asha.id, story.id(6), None);
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 6);
    story.store.link_trading_account(&account, None, &event).await.unwrap();
    let approval = Approval {
        id: story.id(10),
        owner: asha.id,
        session_epoch: asha.session_epoch,
        freezes: 0,
        trading_account: account.id,
        details: r#"[{"type":"order"}]"#.to_owned(),
        digest: digest(7),
        display: "Buy 10 INFY.".to_owned(),
        asked_by: "self".to_owned(),
        place: 3,
        status: ApprovalStatus::Pending,
        created_at: at(10),
        expires_at: at(310),
        decision: None,
        redemption: None,
    };
    (session, approval)
}

#[tokio::test]
async fn approvals() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    let (session, approval) = asked(&story, &asha).await;
    story.meter.take();
    let ground = story.store.approval_ground(asha.id, approval.trading_account, at(10));
    let ground = Box::pin(ground).await.unwrap();
    story.cost("read what a request for an approval is decided on");
    let rate = ApprovalRate { window: 1, ends: at(3_600), most: 2 };
    let request = IdempotentRequest { key_digest: "again".to_owned(), fingerprint: digest(9) };
    let event = story.event(AuditKind::ApprovalRequested, asha.id, 10);
    let table = story.store.clone();
    let ask = async |approval: &Approval, open: &OpenApprovals, end: ChainEnd| {
        let event = event.clone().behind(end);
        let (open, kept) = ((open, &rate), at(9_999));
        table.ask_for_approval(approval, open, Some(&request), kept, &event).await.unwrap()
    };
    assert!(matches!(ask(&approval, &ground.open, ground.end.clone()).await, ApprovalAsked::Asked));
    story.cost("ask for an approval");
    let again = Approval { id: story.id(11), ..approval.clone() };
    let repeated = ask(&again, &ground.open, ground.end).await;
    assert!(matches!(repeated, ApprovalAsked::Repeated(first) if first == approval.id), "{repeated:?}");
    story.meter.take();

    let end = story.store.account_trail_end(asha.id).await.unwrap();
    let mut decision = ApprovalDecision::new(at(20), session.id, digest(8));
    decision.acr = Some("phr".to_owned());
    decision.assertion = Some(Assertion {
        passkey: story.id(9),
        public_key: vec![1; 4],
        client_data_json: b"{}".to_vec(),
        authenticator_data: vec![2; 4],
        signature: vec![3; 4],
    });
    let event = story.event(AuditKind::ApprovalGranted, asha.id, 20).behind(end);
    let decide = async |approval: &Approval| {
        let (status, proof) = (ApprovalStatus::Approved, ApprovalProof::Nothing);
        table.decide_approval(approval, status, &decision, proof, &event).await.unwrap()
    };
    story.meter.take();
    assert!(matches!(decide(&approval).await, ApprovalOutcome::Done));
    story.cost("decide an approval, without what its proof costs");
    assert!(matches!(decide(&approval).await, ApprovalOutcome::Changed(_)));
    story.meter.take();

    let approved = story.store.approval_by_id(approval.id).await.unwrap().unwrap();
    story.cost("read an approval by its id");
    assert_eq!(story.store.approval(asha.id, approval.id).await.unwrap(), Some(approved.clone()));
    assert_eq!((approved.status, approved.expires_at), (ApprovalStatus::Approved, at(140)));
    story.meter.take();
    let redemption = Redemption { at: at(30), service: "trading".to_owned(), mark: Some(digest(6)) };
    let event = story.event(AuditKind::ApprovalRedeemed, asha.id, 30).behind(approved.trail_then().unwrap());
    let redeemed = story.store.redeem_approval(&approved, &redemption, &event).await.unwrap();
    assert!(matches!(redeemed, ApprovalOutcome::Done));
    story.cost("redeem an approval");
    let again = story.store.redeem_approval(&approved, &redemption, &event).await.unwrap();
    assert!(matches!(again, ApprovalOutcome::Changed(now) if now.redemption == Some(redemption)));
    story.meter.take();
    let listed = story.store.approvals(asha.id, 10, None, |_| true).await.unwrap();
    assert_eq!(listed.approvals.len(), 1);
    story.cost("list approvals");
    let event = story.event(AuditKind::CredentialsFrozen, asha.id, 40);
    let own = (asha.id, Freezer::Owner);
    let frozen = story.store.put_freeze(own, &Freeze::of(&event), None, &[event]).await.unwrap();
    frozen.unwrap().write().await;
    let ended = story.store.check_approval(&approved).await.unwrap();
    assert!(matches!(ended, ApprovalOutcome::Ended(ApprovalEnd::Frozen)), "{ended:?}");
    pinned("rows_of_approvals", &story.table().await);
    pinned("costs_of_approvals", &story.costs);
}

fn trading_account(owner: AccountId, id: TradingAccountId, label: Option<&str>) -> StoredTradingAccount {
    StoredTradingAccount {
        id,
        owner,
        broker: "kite".to_owned(),
        broker_user: "AB1234".to_owned(),
        label: label.map(str::to_owned),
        status: TradingAccountStatus::Pending,
        created_at: at(5),
        verified_at: None,
        api_key_hint: "9f3c".to_owned(),
        login_url: Some(LoginUrl("https://kite.zerodha.com/connect/login".to_owned())),
        order_ips: label.map(|_| vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]),
        credentials: secret(40),
        sealed_at: at(5),
        session: None,
        version: 1,
    }
}

#[tokio::test]
async fn keys_trading_accounts_and_providers() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    story.meter.take();
    let key = ApiKey {
        id: story.id(10),
        account: asha.id,
        digest: digest(31),
        name: "backtest".to_owned(),
        managed: false,
        scopes: words(&["orders:read", "orders:write"]),
        created_at: at(10),
        expires_at: Some(at(600)),
        last_used_at: None,
    };
    let request = IdempotentApiKey {
        request: IdempotentRequest { key_digest: "key-2".to_owned(), fingerprint: digest(8) },
        answer: secret(20),
    };
    let mut event = story.event(AuditKind::ApiKeyCreated, asha.id, 10);
    event.details = AuditDetails::of_key(&key);
    let created = story.store.create_api_key(&key, Some(&request), &event).await.unwrap();
    assert!(matches!(created, ApiKeyCreation::Created));
    let again = ApiKey { id: story.id(11), ..key.clone() };
    let repeated = story.store.create_api_key(&again, Some(&request), &event).await.unwrap();
    assert!(matches!(repeated, ApiKeyCreation::Repeated(first) if first.id == key.id));
    let other = ApiKey { id: story.id(12), expires_at: None, managed: true, ..key.clone() };
    let event = story.event(AuditKind::ApiKeyCreated, asha.id, 12);
    story.store.create_api_key(&other, None, &event).await.unwrap();
    story.cost("make API keys");
    let event = story.event(AuditKind::ApiKeyRotated, asha.id, 13);
    assert!(story.store.rotate_api_key(&key, &digest(32), &event).await.unwrap());
    story.store.touch_api_key(&key, at(14), at(0)).await.unwrap();
    story.cost("rotate and use an API key");
    let event = story.event(AuditKind::ApiKeyDeleted, asha.id, 15);
    assert!(story.store.delete_api_key(asha.id, other.id, &event).await.unwrap());
    assert!(!story.store.delete_api_key(asha.id, other.id, &event).await.unwrap());
    story.cost("remove an API key twice");
    assert_eq!(story.store.api_keys(asha.id, 10, None).await.unwrap().keys.len(), 1);
    story.cost("list API keys");

    let linked = trading_account(asha.id, story.id(20), Some("main"));
    let request = IdempotentRequest { key_digest: "key-3".to_owned(), fingerprint: digest(7) };
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 20);
    let link = story.store.link_trading_account(&linked, Some(&request), &event).await.unwrap();
    assert!(matches!(link, Link::Linked));
    let again = StoredTradingAccount { id: story.id(21), ..linked.clone() };
    let link = story.store.link_trading_account(&again, Some(&request), &event).await.unwrap();
    assert!(matches!(link, Link::Repeated(first) if first.id == linked.id));
    story.cost("link a trading account twice");
    let other = trading_account(asha.id, story.id(22), None);
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 22);
    story.store.link_trading_account(&other, None, &event).await.unwrap();
    let gone = trading_account(story.id(0), story.id(23), None);
    let event = story.event(AuditKind::TradingAccountLinked, gone.owner, 23);
    let link = story.store.link_trading_account(&gone, None, &event).await.unwrap();
    assert!(matches!(link, Link::OwnerGone));
    story.cost("link for an owner who is gone");
    let session = BrokerSession { sealed: secret(50), expires_at: at(700) };
    let verified = StoredTradingAccount {
        status: TradingAccountStatus::Active,
        verified_at: Some(at(25)),
        session: Some(session),
        ..linked.clone()
    };
    let event = story.event(AuditKind::BrokerSessionStarted, asha.id, 25);
    let news = DueSessionNews {
        owner: asha.id,
        id: linked.id,
        news: SessionNews::EndsSoon,
        due_at: at(600),
        session_ends_at: at(700),
    };
    let swapped = story.store.swap_trading_account_unless_frozen(&verified, &news, &event).await.unwrap();
    assert_eq!(swapped, FreezableSwap::Swapped);
    assert!(!story.store.swap_trading_account(&verified, &event).await.unwrap());
    story.cost("keep a broker's session");
    let event = story.event(AuditKind::CredentialsFrozen, asha.id, 26);
    let own = (asha.id, Freezer::Owner);
    let freeze = Freeze { cancel_until: Some(at(46)), ..Freeze::of(&event) };
    let used = story.event(AuditKind::CredentialsUsed, asha.id, 26);
    let events = [event.clone(), used];
    let unwritten = story.store.put_freeze(own, &freeze, Some(at(46)), &events).await.unwrap();
    unwritten.unwrap().write().await;
    let next = StoredTradingAccount { version: 2, ..verified };
    let swapped = story.store.swap_trading_account_unless_frozen(&next, &news, &event).await.unwrap();
    assert_eq!(swapped, FreezableSwap::Frozen);
    story.cost("freeze");
    let shard = async |now| {
        let mut due = Vec::new();
        for shard in 0..Store::SESSION_NEWS_SHARDS {
            due.extend(story.store.due_session_news(shard, now, 10).await.unwrap());
        }
        due
    };
    assert_eq!((shard(at(599)).await, shard(at(600)).await), (vec![], vec![news]));
    story.meter.take();
    let ended = DueSessionNews { news: SessionNews::Ended, due_at: at(700), ..news };
    assert!(story.store.take_session_news(&news, Some(&ended)).await.unwrap());
    assert!(!story.store.take_session_news(&news, Some(&ended)).await.unwrap());
    story.cost("take a letter about a session twice");
    let event = story.event(AuditKind::TradingAccountUnlinked, asha.id, 27);
    assert!(story.store.unlink_trading_account(asha.id, other.id, &event).await.unwrap());
    story.cost("unlink a trading account");
    assert_eq!(story.store.trading_accounts(asha.id, 10).await.unwrap(), [next]);
    story.cost("list trading accounts");

    let now = at(30);
    for (ok, taken) in [(true, Some(120)), (false, None), (false, Some(900))] {
        let taken = taken.map(Duration::from_millis);
        story.store.count_outcome("kite", 2, ok, taken, now).await.unwrap();
    }
    story.cost("count outcomes");
    let mark = ProviderMark {
        status: "down".to_owned(),
        reason: Some("maintenance".to_owned()),
        expires_at: at(900),
    };
    let event = story.event(AuditKind::ProviderMarked, asha.id, 31);
    story.store.mark_provider("kite", &mark, &event).await.unwrap();
    assert_eq!(story.store.provider_mark("kite").await.unwrap(), Some(mark));
    story.cost("mark a provider");
    pinned("rows_of_keys_and_trading_accounts", &story.table().await);

    let by_admin = (asha.id, Freezer::Admin);
    let event = story.event(AuditKind::CredentialsFrozen, asha.id, 34);
    let admins = Freeze {
        ends_at: Some(at(900)),
        frozen_by: Some("cli:root".to_owned()),
        reason: Some("maintenance".to_owned()),
        ..Freeze::of(&event)
    };
    story.store.put_freeze(by_admin, &admins, None, &[event]).await.unwrap().unwrap().write().await;
    let event = story.event(AuditKind::EverybodyFrozen, Id::of_everybody(), 35);
    story.store.freeze_everybody(&admins, &event).await.unwrap();
    story.cost("freeze twice more");
    let freezes = story.store.freezes(asha.id, at(36)).await.unwrap();
    assert_eq!(freezes.all().collect::<Vec<_>>(), [&admins, &admins, &freeze]);
    story.cost("read freezes");
    let frozen = story.store.frozen(at(36), 10).await.unwrap();
    assert_eq!((frozen.everybody, frozen.people, frozen.is_cut), (true, vec![asha.id, asha.id], false));
    let due = story.store.unfinished_freezes(at(46), 10).await.unwrap();
    assert_eq!(story.store.unfinished_freezes(at(45), 10).await.unwrap(), []);
    story.cost("list what is frozen, and twice what is due");
    pinned("rows_of_freezes", &story.freezes().await);
    assert_eq!(due, [UnfinishedFreeze { owner: asha.id, freezer: Freezer::Owner, told_by: freeze.told_by }]);
    story.store.settle_freeze(&due[0]).await.unwrap();
    assert_eq!(story.store.unfinished_freezes(at(46), 10).await.unwrap(), []);
    // What has an end is over then, whether or not its row is there.
    let later = story.store.freezes(asha.id, at(900)).await.unwrap();
    assert_eq!(later.all().collect::<Vec<_>>(), [&freeze]);
    assert!(!story.store.frozen(at(900), 10).await.unwrap().everybody);
    assert!(story.store.frozen(at(36), 1).await.unwrap().is_cut);
    let event = story.event(AuditKind::EverybodyUnfrozen, Id::of_everybody(), 37);
    assert!(story.store.unfreeze_everybody(&admins, &event).await.unwrap());
    let event = story.event(AuditKind::CredentialsUnfrozen, asha.id, 38);
    assert!(story.store.lift_freeze(by_admin, &admins, &event).await.unwrap());
    story.meter.take();
    let event = story.event(AuditKind::CredentialsUnfrozen, asha.id, 39);
    assert!(story.store.lift_freeze(own, &freeze, &event).await.unwrap());
    assert!(!story.store.lift_freeze(own, &freeze, &event).await.unwrap());
    story.cost("lift a freeze twice");
    let event = story.event(AuditKind::ProviderUnmarked, asha.id, 33);
    story.store.unmark_provider("kite", &event).await.unwrap();
    story.cost("unmark a provider");
    let asking = story.sign_in(&asha, 40, 2, true).await;
    let asked = story.sign_in(&asha, 41, 4, true).await;
    assert_ne!(asking.id, asked.id);
    story.meter.take();
    let event = story.event(AuditKind::AccountErased, asha.id, 50);
    let signed_out = story
        .event(AuditKind::SessionsRevoked, asha.id, 50)
        .of_sign_in_with(&asha.email, SignInStep::Erased(asha.id));
    assert!(story.store.erase(&asha, Some(asking.id), None, &event, &signed_out).await.unwrap());
    story.cost("erase an account");
    pinned("rows_after_an_erasure", &story.table().await);
    pinned("costs_of_keys_and_trading_accounts", &story.costs);
}

#[tokio::test]
async fn leases_of_readings() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    let linked = trading_account(asha.id, story.id(20), None);
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 20);
    story.store.link_trading_account(&linked, None, &event).await.unwrap();
    story.meter.take();
    let lease = ReadingLease {
        id: story.id(26),
        owner: asha.id,
        trading_account: linked.id,
        service: "ticker".to_owned(),
        purpose: "market-stream".to_owned(),
        kind: LeaseKind::LongLived,
        begun_at: at(26),
        expires_at: at(326),
        freezes: 1,
        sealed_digest: digest(60),
        ciphertext: vec![61; 6],
    };
    let keep = async |story: &Story, lease: &ReadingLease, seen| {
        story.store.keep_reading_lease(lease, seen).await.unwrap()
    };
    assert!(keep(&story, &lease, None).await.is_none());
    story.cost("keep a lease");
    let later = ReadingLease { id: story.id(27), begun_at: at(27), ..lease.clone() };
    assert_eq!(keep(&story, &later, None).await.as_ref(), Some(&lease));
    story.cost("keep a lease beside one");
    assert!(keep(&story, &later, Some(lease.id)).await.is_none());
    assert_eq!(story.store.reading_lease(lease.place()).await.unwrap().as_ref(), Some(&later));
    story.cost("keep a lease in place of one, and read it");
    assert_eq!(story.store.reading_leases(asha.id, linked.id, 10).await.unwrap(), [later]);
    story.cost("list leases");
    pinned("rows_of_leases", &story.rows_that(|row| text_of(row, "pk").starts_with("READINGS#")).await);
    let event = story.event(AuditKind::TradingAccountUnlinked, asha.id, 27);
    assert!(story.store.unlink_trading_account(asha.id, linked.id, &event).await.unwrap());
    assert!(story.store.reading_lease(lease.place()).await.unwrap().is_none());
    story.cost("unlink a trading account with a lease");
    pinned("costs_of_leases", &story.costs);
}

#[tokio::test]
async fn tokens_of_services_and_withdrawn_keys() {
    let mut story = Story::begin().await;
    for (fingerprint, second) in [("first", 0), ("second", 5), ("first", 10)] {
        let hour_ago = at(second) - Duration::from_hours(1);
        story.store.note_service_token("edge", fingerprint, at(second), hour_ago).await.unwrap();
    }
    story.cost("note two tokens, one of them twice within an hour");
    story.store.note_service_token("edge", "second", at(4000), at(400)).await.unwrap();
    let in_use = story.store.service_tokens_in_use("edge").await.unwrap();
    assert_eq!(in_use, [("first".to_owned(), at(0)), ("second".to_owned(), at(4000))].into());
    assert!(story.store.service_tokens_in_use("edg").await.unwrap().is_empty());
    story.cost("note again and read twice");
    story.store.withdraw_key("a-kid", at(0)).await.unwrap();
    let after = async |days: i64| story.store.withdrawn_keys(at(86_400 * days), 16).await.unwrap();
    assert_eq!((after(1).await, after(2).await), (words(&["a-kid"]), words(&[])));
    story.cost("withdraw a key and read twice");
    pinned("rows_of_service_tokens_and_keys", &format!("{}\n{}", story.table().await, story.costs));
}
