//! A table in memory that is driven by hand, and what its rows look like.

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
    Account, AccountId, AccountStatus, AttemptSource, AuditEvent, AuditKind, AuditSeal, Challenge,
    ChallengeKind, Digest, Id, IdempotentRequest, Kind, KnownDevice, Meter, NewAccount, NewSession,
    Registration, SealedSecret, SignInStep, Store, Usage, UsernameClaim, client_config,
};

const TABLE: &str = "rows";
pub(crate) const MINUTE: i64 = 60;

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

pub(crate) struct Story {
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) meter: Meter,
    entropy: Counting,
    pub(crate) seal: AuditSeal,
    pub(crate) costs: String,
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

pub(crate) fn digest(letter: u8) -> Digest {
    [letter; 32]
}

pub(crate) fn secret(letter: u8) -> SealedSecret {
    SealedSecret { wrapped_key: vec![letter; 4], ciphertext: vec![letter + 1; 6] }
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Story {
    pub(crate) async fn begin() -> Self {
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

    pub(crate) fn id<K: Kind>(&self, seconds: i64) -> Id<K> {
        Id::generate(at(seconds), &self.entropy).unwrap()
    }

    pub(crate) fn event(&self, kind: AuditKind, account: AccountId, seconds: i64) -> AuditEvent {
        AuditEvent::new(kind, account, at(seconds), &self.seal, &self.entropy).unwrap()
    }

    /// Notes what the calls since the last note cost.
    pub(crate) fn cost(&mut self, operation: &str) {
        let Usage { calls, rounds, read_units, write_units } = self.meter.take();
        writeln!(
            self.costs,
            "{operation}: {calls} calls in {rounds} rounds, {read_units} read, {write_units} written"
        )
        .unwrap();
    }

    pub(crate) async fn rows(&self) -> Vec<BTreeMap<String, AttributeValue>> {
        let mut pages = self.client.scan().table_name(TABLE).into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(row) = pages.next().await {
            rows.push(row.unwrap().into_iter().collect::<BTreeMap<_, _>>());
        }
        rows.sort_by_key(|row| (text_of(row, "pk"), text_of(row, "sk")));
        rows
    }

    /// The whole table: one paragraph for each row, one line for each attribute.
    pub(crate) async fn table(&self) -> String {
        self.rows_that(|_| true).await
    }

    /// The rows that say that credentials are frozen.
    pub(crate) async fn freezes(&self) -> String {
        let of_freezes = |key: &str| key.starts_with("FREEZE");
        self.rows_that(|row| of_freezes(&text_of(row, "pk")) || of_freezes(&text_of(row, "sk"))).await
    }

    pub(crate) async fn rows_that(
        &self,
        are_wanted: impl Fn(&BTreeMap<String, AttributeValue>) -> bool,
    ) -> String {
        let mut written = String::new();
        for row in self.rows().await.into_iter().filter(are_wanted) {
            writeln!(written, "{} | {}", text_of(&row, "pk"), text_of(&row, "sk")).unwrap();
            for (name, value) in row.iter().filter(|(name, _)| !["pk", "sk"].contains(&name.as_str())) {
                writeln!(written, "    {name}: {}", shown(value)).unwrap();
            }
        }
        written
    }

    pub(crate) fn account(&self, email: &str, username: Option<&str>, roles: &[&str]) -> Account {
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

    pub(crate) async fn register(
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
    pub(crate) async fn now(&self, account: &Account) -> Account {
        let now = self.store.account(account.id).await.unwrap().unwrap();
        self.meter.take();
        now
    }

    pub(crate) fn session(&self, account: &Account, seconds: i64, letter: u8, named: bool) -> NewSession {
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

    pub(crate) async fn sign_in(
        &self,
        account: &Account,
        seconds: i64,
        letter: u8,
        named: bool,
    ) -> NewSession {
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

    pub(crate) async fn begin_challenge(&self, challenge: &Challenge, kind: AuditKind) {
        let event = self.event(kind, challenge.account, 10);
        self.store.begin_challenge(challenge, &event, &[]).await.unwrap().unwrap();
    }
}

pub(crate) fn abcd() -> AttemptSource {
    AttemptSource::Device(KnownDevice { password_since: at(0), id: "abcd".to_owned() })
}

pub(crate) fn new_challenge(kind: ChallengeKind, account: &Account, letter: u8) -> Challenge {
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

pub(crate) fn text_of(row: &BTreeMap<String, AttributeValue>, name: &str) -> String {
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

pub(crate) fn pinned(name: &str, written: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, written);
    });
}
