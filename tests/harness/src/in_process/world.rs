//! The operations on an engine in memory, with a clock that is moved by hand.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use portcullis_identity::{
    Caller, ClientContext, Email, EnrolledSignIn, Error, Identity, Login, LoginAttempt, LoginName, Password,
    SignedIn,
};
use portcullis_platform::{BrokerHttp, CALL_TIMEOUT_MS, CallTimeouts, Clock, Environment};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_service::Operations;
use portcullis_store::Store;
use portcullis_vault::Vault;
use secrecy::{ExposeSecret, SecretString};

use crate::authenticator::Authenticator;
use crate::fault::Faulty;
use crate::in_process::clock::MovableClock;
use crate::in_process::enrolled::{STEP, code};
use crate::in_process::key_wrap::FaultyKeyWrap;
use crate::in_process::operations::{CHEAP_HASHES, operations_on, platform};
use crate::notifications::Notifications;
use crate::unguarded::Unguarded;

/// A password good enough for everybody.
pub const PASSWORD: &str = "copper lantern drifts upstream";

/// The variable that leaves the timeouts of calls as a deployment has them.
pub const DEFAULT_TIMEOUTS: (&str, &str) = (CALL_TIMEOUT_MS.name, CALL_TIMEOUT_MS.default);

/// The variable for somebody who does everything more often than anybody may.
pub const UNLIMITED: (&str, &str) = ("RATE_LIMIT", "off");

/// The name of the table.
pub const TABLE: &str = "test";

/// The timeout of a call to the store, which a machine that is busy with other things does not reach.
pub(crate) const PATIENT: &str = "60000";

/// The operations, and what a test can do to their surroundings.
#[derive(Debug, Clone)]
pub struct World {
    /// What decides.
    pub identity: Arc<Identity>,
    /// Trading accounts and brokers.
    pub vault: Arc<Vault>,
    /// What time it is.
    pub clock: Arc<MovableClock>,
    /// What goes wrong.
    pub faults: Faulty,
    /// What goes wrong with the master key.
    pub key_wrap: Arc<FaultyKeyWrap>,
    /// What people were sent.
    pub notifications: Arc<Notifications>,
    /// The store without faults in front of it, to look at what is.
    pub truth: Store,
    /// The engine itself.
    pub(crate) engine: EmbeddedDynamoDb,
}

impl World {
    /// An empty world whose faults are drawn from this seed.
    pub async fn new(seed: u64) -> Self {
        Self::build(seed, &Environment::default(), None, Faulty::http_client).await
    }

    /// The same, as these variables have it.
    pub async fn with_variables(seed: u64, variables: &[(&str, &str)]) -> Self {
        Self::build(seed, &variables.iter().copied().collect(), None, Faulty::http_client).await
    }

    /// The same with the timeouts of a deployment and no limits: for a store that hangs, on a runtime whose time is paused.
    pub async fn with_default_timeouts(seed: u64) -> Self {
        Self::with_variables(seed, &[DEFAULT_TIMEOUTS, UNLIMITED]).await
    }

    /// The same with this in place of every broker.
    pub async fn with_broker(seed: u64, variables: &[(&str, &str)], broker: Arc<dyn BrokerHttp>) -> Self {
        let environment = variables.iter().copied().collect();
        Self::build(seed, &environment, Some(broker), Faulty::http_client).await
    }

    /// The same with a rotation that reads first and writes then, to see that a suite notices.
    pub async fn with_unguarded_rotation(seed: u64) -> Self {
        let environment = [DEFAULT_TIMEOUTS, UNLIMITED].into_iter().collect();
        Self::build(seed, &environment, None, |faults| Unguarded::before(faults.clone()).http_client()).await
    }

    #[expect(clippy::expect_used, reason = "there is no test without it")]
    async fn build(
        seed: u64,
        environment: &Environment,
        broker: Option<Arc<dyn BrokerHttp>>,
        store_through: impl FnOnce(&Faulty) -> SharedHttpClient,
    ) -> Self {
        let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
        let patient = environment.clone().or(CALL_TIMEOUT_MS.name, PATIENT);
        let timeouts = CallTimeouts::read(&patient).expect("timeouts");
        let truth = Store::in_process(engine.http_client(), TABLE, timeouts);
        truth.create_table_if_missing().await.expect("a table");
        let faults = Faulty::new(engine.clone(), seed);
        let clock = Arc::new(MovableClock::default());
        let store = Store::in_process(store_through(&faults), TABLE, timeouts);
        let mut platform = platform(environment, store, clock.clone());
        let notifications = Arc::new(Notifications::default());
        platform.mailer = notifications.clone();
        let key_wrap = Arc::new(FaultyKeyWrap::new(platform.key_wrap));
        platform.key_wrap = key_wrap.clone();
        platform.broker_key_wrap = key_wrap.clone();
        if let Some(broker) = broker {
            platform.broker_http = broker;
        }
        let Operations { identity, vault } = operations_on(&platform, environment, CHEAP_HASHES).await;
        Self { identity, vault, clock, faults, key_wrap, notifications, truth, engine }
    }

    /// Signs somebody in with [`PASSWORD`], who sets a second factor up where a role requires one.
    ///
    /// # Panics
    /// When a code is asked for: whoever has a second factor uses [`World::login`].
    pub async fn sign_in(&self, email: &str) -> Result<SignedIn, Error> {
        match self.login(email).await? {
            Login::SignedIn(session) => Ok(*session),
            Login::EnrolmentRequired(challenge) => {
                self.enrol_first(challenge.token.secret()).await.map(|(enrolled, _)| enrolled.session)
            }
            #[expect(clippy::panic, reason = "a test that cannot go on says so")]
            Login::MfaRequired(_) => panic!("a code is asked for"),
        }
    }

    /// Sets a first factor up with the token of a sign-in that waits for it, and returns what comes of it, with the app. A time
    /// step passes: the code that proved it is spent.
    pub async fn enrol_first(
        &self,
        session_token: &SecretString,
    ) -> Result<(EnrolledSignIn, Authenticator), Error> {
        let (identity, client) = (&self.identity, ClientContext::default());
        let enrolment = identity.set_up_first_mfa(session_token, &client).await?;
        let app = Authenticator::scan(enrolment.uri.expose_secret());
        let shown = code(&app.code_at(self.unix_now()));
        let enrolled = identity.enable_first_mfa(session_token, &shown, &client).await?;
        self.clock.advance(STEP);
        Ok((enrolled, app))
    }

    /// Shows [`PASSWORD`].
    pub async fn login(&self, email: &str) -> Result<Login, Error> {
        self.login_with(email, PASSWORD).await
    }

    /// Shows this password.
    pub async fn login_with(&self, email: &str, typed: &str) -> Result<Login, Error> {
        self.identity.sign_in(self.attempt(email, typed), &ClientContext::default()).await
    }

    /// Returns who shows the access token of this session.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn caller(&self, session: &SignedIn) -> Caller {
        self.identity.authenticate(&session.access_token).await.expect("a session")
    }

    /// Asks for a link to choose a new password, and returns its token.
    ///
    /// # Panics
    /// When no link, or more than one, was sent to this address.
    #[expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]
    pub async fn reset_token(&self, email: &str) -> SecretString {
        self.notifications.take();
        let address = Email::parse(email).expect("an address");
        self.identity.forgot_password(&address, &ClientContext::default()).await.expect("a link is sent");
        let sent = self.notifications.take();
        let [only] = sent.as_slice() else { panic!("one notification: {sent:?}") };
        assert_eq!(only.to, email);
        only.token().expect("a link").into()
    }

    /// Returns the Unix second it is.
    pub fn unix_now(&self) -> u64 {
        u64::try_from(self.clock.now().as_second()).unwrap_or_default()
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

/// A password as somebody types it.
pub fn password(text: &str) -> Password {
    Password::new(&SecretString::from(text))
}
