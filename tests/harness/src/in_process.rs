//! The operations on an engine in memory, with a clock that is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpClient};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use portcullis_broker_http::HttpsBrokers;
use portcullis_identity::{
    Argon2Settings, Email, Identity, Login, LoginAttempt, LoginName, NewPerson, Origin, Password, PersonName,
    SignedIn,
};
use portcullis_platform::{Clock, Entropy, Environment, SystemEntropy};
use portcullis_platform_embedded::{DataDir, EmbeddedDynamoDb};
use portcullis_service::{Operations, Platform, Settings};
use portcullis_store::{Account, AccountStatus, AuditEvent, AuditKind, Standing, StandingChange, Store};
use portcullis_vault::{Vault, VaultSettings};
use secrecy::SecretString;

use crate::fault::Faulty;
use crate::key_wrap::FaultyKeyWrap;
use crate::letters::Letters;
use crate::unguarded::Unguarded;

/// A password good enough for everybody.
pub const PASSWORD: &str = "copper lantern drifts upstream";

/// The name of the table.
pub const TABLE: &str = "test";

/// For everything that is not about the cost of a password.
pub const CHEAP_HASHES: Argon2Settings = Argon2Settings { memory_kib: 64, iterations: 1, lanes: 1 };

/// The operations on this store, with default settings and keys made for the occasion.
///
/// # Panics
/// When the keys cannot be made.
pub async fn operations(store: Store, clock: Arc<dyn Clock>, argon2: Argon2Settings) -> Operations {
    let environment = Environment::default();
    operations_on(&platform(&environment, store, clock), &environment, argon2).await
}

/// The outside world of a test: this store and clock, and keys in a folder that is gone afterwards.
///
/// # Panics
/// When the variables cannot be used or the keys cannot be made.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub fn platform(environment: &Environment, store: Store, clock: Arc<dyn Clock>) -> Platform {
    let folder = tempfile::tempdir().expect("a folder");
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let prepared = DataDir::inspect(&folder.path().join("data"), environment, Arc::clone(&entropy))
        .expect("an empty folder")
        .prepare()
        .expect("keys");
    let sent = Arc::new(Letters::default());
    Platform { mailer: sent, ..Platform::on_files(prepared, store, clock, entropy) }
}

/// The operations on this platform, as these variables have them.
///
/// # Panics
/// When the variables or the keys cannot be used.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub async fn operations_on(
    platform: &Platform,
    environment: &Environment,
    argon2: Argon2Settings,
) -> Operations {
    let mut settings = Settings::read(environment).expect("settings");
    settings.identity.argon2 = argon2;
    let hasher = platform.hasher(&settings).expect("threads");
    Operations::new(platform, &settings, hasher, platform.keyring().await.expect("keys"))
}

/// The vault beside these operations, as these variables have it.
///
/// # Panics
/// When the variables cannot be used.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub fn vault_with(environment: &Environment, identity: Arc<Identity>) -> Vault {
    let settings = VaultSettings::read(environment).expect("settings");
    let key_wrap = Arc::clone(&identity.key_wrap);
    Vault::new(identity, key_wrap, Arc::new(HttpsBrokers::default()), &settings)
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct MovableClock(AtomicI64);

impl MovableClock {
    /// Moves it ahead.
    pub fn advance(&self, by: Duration) {
        let milliseconds = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The operations, and what a test can do to their surroundings.
#[derive(Debug, Clone)]
pub struct World {
    /// What decides.
    pub identity: Arc<Identity>,
    /// What time it is.
    pub clock: Arc<MovableClock>,
    /// What goes wrong.
    pub faults: Faulty,
    /// What goes wrong with the master key.
    pub key_wrap: Arc<FaultyKeyWrap>,
    /// What people were written.
    pub letters: Arc<Letters>,
    /// The store without faults in front of it, to look at what is.
    pub truth: Store,
    /// The engine itself.
    pub(crate) engine: EmbeddedDynamoDb,
}

impl World {
    /// An empty world whose faults are drawn from this seed.
    pub async fn new(seed: u64) -> Self {
        Self::build(seed, &Environment::default(), Faulty::http_client).await
    }

    /// The same, as these variables have it.
    pub async fn with_variables(seed: u64, variables: &[(&str, &str)]) -> Self {
        Self::build(seed, &variables.iter().copied().collect(), Faulty::http_client).await
    }

    /// The same with a rotation that reads first and writes then, to see that a suite notices.
    pub async fn with_unguarded_rotation(seed: u64) -> Self {
        let environment = Environment::default();
        Self::build(seed, &environment, |faults| Unguarded::before(faults.clone()).http_client()).await
    }

    #[expect(clippy::expect_used, reason = "there is no test without it")]
    async fn build(
        seed: u64,
        environment: &Environment,
        store_through: impl FnOnce(&Faulty) -> SharedHttpClient,
    ) -> Self {
        let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
        let truth = Store::in_process(engine.http_client(), TABLE);
        truth.create_table_if_missing().await.expect("a table");
        let faults = Faulty::new(engine.clone(), seed);
        let clock = Arc::new(MovableClock(AtomicI64::new(1_795_000_000_000)));
        let store = Store::in_process(store_through(&faults), TABLE);
        let mut platform = platform(environment, store, clock.clone());
        let letters = Arc::new(Letters::default());
        platform.mailer = letters.clone();
        let key_wrap = Arc::new(FaultyKeyWrap::new(platform.key_wrap));
        platform.key_wrap = key_wrap.clone();
        platform.broker_key_wrap = key_wrap.clone();
        let Operations { identity, .. } = operations_on(&platform, environment, CHEAP_HASHES).await;
        Self { identity, clock, faults, key_wrap, letters, truth, engine }
    }

    /// Registers somebody and signs them in.
    ///
    /// # Panics
    /// When either is refused.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn person(&self, email: &str) -> SignedIn {
        let person = NewPerson {
            email: Email::parse(email).expect("an address"),
            password: password(PASSWORD),
            name: PersonName::parse("Somebody").expect("a name"),
            phone: None,
            username: None,
            idempotency_key: None,
        };
        self.identity.register(person, &Origin::default()).await.expect("registered");
        self.sign_in(email).await.expect("signed in")
    }

    /// Signs somebody in with [`PASSWORD`].
    ///
    /// # Panics
    /// When a code is asked for: whoever set a second factor up uses [`World::login`].
    pub async fn sign_in(&self, email: &str) -> Result<SignedIn, portcullis_identity::Error> {
        match self.login(email).await? {
            Login::SignedIn(session) => Ok(*session),
            #[expect(clippy::panic, reason = "a test that cannot go on says so")]
            Login::MfaRequired(_) => panic!("a code is asked for"),
        }
    }

    /// Shows [`PASSWORD`].
    pub async fn login(&self, email: &str) -> Result<Login, portcullis_identity::Error> {
        self.login_with(email, PASSWORD).await
    }

    /// Shows this password.
    pub async fn login_with(&self, email: &str, typed: &str) -> Result<Login, portcullis_identity::Error> {
        self.identity.sign_in(self.attempt(email, typed), &Origin::default()).await
    }

    /// An address and a password, on their way.
    ///
    /// # Panics
    /// When it is no address.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn attempt(&self, email: &str, typed: &str) -> LoginAttempt {
        LoginAttempt {
            name: LoginName::Email(Email::parse(email).expect("an address")),
            password: password(typed),
            persistent: false,
            device_name: None,
            token_in_body: false,
        }
    }
}

impl World {
    /// All rows that begin with this sort key in a partition, as DynamoDB writes them.
    ///
    /// # Panics
    /// When the engine does not answer.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn rows(&self, partition: &str, sort: &str) -> Vec<serde_json::Value> {
        let body = serde_json::json!({
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": {"S": partition}, ":sk": {"S": sort}},
        });
        let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
        request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.Query");
        let answer = self.engine.call(request).await.expect("an answer");
        let answer: serde_json::Value =
            serde_json::from_slice(answer.body().bytes().unwrap_or_default()).expect("JSON");
        answer.get("Items").and_then(serde_json::Value::as_array).cloned().unwrap_or_default()
    }

    /// Kinds of the events in somebody's trail, oldest first.
    pub async fn trail(&self, account: &Account) -> Vec<String> {
        let rows = self.rows(&format!("USER#{}", account.id), "AUD#").await;
        let kind = |row: &serde_json::Value| {
            row.pointer("/kind/S").and_then(|kind| kind.as_str().map(str::to_owned))
        };
        rows.iter().filter_map(kind).collect()
    }

    /// Switches an account off, as an administrator does.
    ///
    /// # Panics
    /// When it is not there.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn disable(&self, account: &Account) {
        let seal = self.identity.audit_seal();
        let kind = AuditKind::AccountDisabled;
        let event = AuditEvent::new(kind, account.id, self.clock.now(), &seal, &SystemEntropy);
        let event = event.expect("randomness");
        let next = Standing { roles: account.roles.clone(), status: AccountStatus::Disabled };
        let changed = self.truth.change_standing(account, &next, &event).await;
        assert_eq!(changed.expect("the engine answers"), StandingChange::Changed);
    }
}

/// A password as somebody types it.
pub fn password(text: &str) -> Password {
    Password::new(&SecretString::from(text))
}
