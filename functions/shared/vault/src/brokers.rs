//! Brokers: how requests to each are made, and what its refusals mean. Each has one file, which declares the variables of
//! its addresses; the list of them is here.

mod address;
mod alpaca;
mod kite;
mod response;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use portcullis_identity::Field;
use portcullis_platform::{BrokerHttp, Environment, Misconfigured, Variable};
use portcullis_store::TradingAccountId;
use secrecy::SecretString;

use crate::credentials::{Credentials, SessionCredentials};
use crate::error::Error;

/// Why a request to a broker failed. Nothing else is taken from a broker's error response: its text may quote the
/// credentials that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The session at the broker has expired.
    #[error("the broker's session is over")]
    Expired,
    /// The request token of a login at the broker is used up, too old or not the broker's.
    #[error("the login at the broker is not accepted")]
    LoginRefused,
    /// The broker does not, or no longer, accept the key or the secret.
    #[error("the broker does not accept the credentials")]
    Revoked,
    /// The broker blocks the account from trading.
    #[error("the broker blocks the account")]
    Blocked,
    /// The credentials belong to another user of the broker.
    #[error("the credentials belong to another account")]
    OtherUser,
    /// Too many requests; it says nothing about the credentials.
    #[error("the broker limits the rate of requests")]
    RateLimited,
    /// No usable response; it says nothing about the credentials.
    #[error("the broker does not answer")]
    Down,
}

impl BrokerError {
    /// Returns whether the error is the broker's fault. Only those count against its health.
    pub(crate) fn is_broker_fault(self) -> bool {
        self == Self::Down
    }

    /// Returns advice for the owner, with the broker's title in it.
    pub(crate) fn advice(self, broker: &str) -> String {
        match self {
            Self::Expired => format!("The session at {broker} is over; log in there again."),
            Self::LoginRefused => {
                format!(
                    "{broker} did not accept this login: each is good once and for a few minutes. Log in there again."
                )
            }
            Self::Revoked => {
                format!(
                    "{broker} does not accept the API key or its secret. Compare both with {broker}'s developer page, or make new ones there, and replace them here."
                )
            }
            Self::Blocked => format!("{broker} has blocked this account; only {broker}'s support can help."),
            Self::OtherUser => {
                format!("The credentials belong to another account at {broker} than the one named here.")
            }
            Self::RateLimited => format!("{broker} was asked too often; try again in a minute."),
            Self::Down => {
                format!("{broker} did not answer. That says nothing about the credentials; try again later.")
            }
        }
    }
}

/// A session that a broker just opened.
#[derive(Debug)]
pub struct NewBrokerSession {
    pub(crate) access_token: SecretString,
    /// The user id of the person who logged in.
    pub(crate) user: String,
    /// When the broker ends it.
    pub(crate) expires_at: Timestamp,
}

/// A broker's API, as the vault uses it.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// Returns the name in records and requests.
    fn name(&self) -> &'static str;

    /// Returns the name in texts for people.
    fn title(&self) -> &'static str;

    /// Returns the address where the owner logs in to give this account a session; `None` for a broker without sessions.
    /// The broker's redirect afterwards names the account.
    fn login_url(&self, credentials: &Credentials, account: TradingAccountId) -> Option<String>;

    /// Exchanges the request token of a login for a session; fails when the broker refuses it or does not respond.
    async fn exchange(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        request_token: &SecretString,
        now: Timestamp,
    ) -> Result<NewBrokerSession, BrokerError>;

    /// Returns the user ids of the owner of these credentials; fails when the broker does not accept them or does not
    /// respond.
    async fn verify(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        session: Option<&SessionCredentials>,
    ) -> Result<Vec<String>, BrokerError>;

    /// Ends a session; fails when the broker does not confirm it. A session that is over already is no error.
    async fn logout(&self, http: &dyn BrokerHttp, session: &SessionCredentials) -> Result<(), BrokerError>;

    /// Succeeds when the broker's API responds, be it with a refusal; fails when it does not.
    async fn probe(&self, http: &dyn BrokerHttp) -> Result<(), BrokerError>;
}

/// A broker and its configuration.
#[derive(Debug)]
struct Entry {
    /// The variables of its addresses.
    variables: &'static [Variable],
    /// Returns the broker that these variables describe.
    read: fn(&Environment) -> Result<Arc<dyn Broker>, Misconfigured>,
}

/// Every broker that is supported.
const ENTRIES: &[Entry] = &[alpaca::LIVE, alpaca::PAPER, kite::ENTRY];

/// Returns the variables of all brokers.
pub(crate) fn variables() -> impl Iterator<Item = &'static Variable> {
    ENTRIES.iter().flat_map(|entry| entry.variables)
}

/// Returns all brokers; fails with the first variable that cannot be used.
pub(crate) fn read(environment: &Environment) -> Result<Vec<Arc<dyn Broker>>, Misconfigured> {
    ENTRIES.iter().map(|entry| (entry.read)(environment)).collect()
}

/// All brokers, and the HTTP client that reaches them.
#[derive(Debug)]
pub struct Brokers {
    pub(crate) http: Arc<dyn BrokerHttp>,
    known: Vec<Arc<dyn Broker>>,
}

impl Brokers {
    /// Returns these brokers, reached by this client.
    pub fn new(http: Arc<dyn BrokerHttp>, known: Vec<Arc<dyn Broker>>) -> Self {
        Self { http, known }
    }

    /// Returns every broker.
    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn Broker> {
        self.known.iter().map(Arc::as_ref)
    }

    /// Returns the name of every broker.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().map(|broker| broker.name())
    }

    /// Returns the broker of this name; `None` where there is none.
    pub(crate) fn get(&self, name: &str) -> Option<&dyn Broker> {
        self.all().find(|broker| broker.name() == name)
    }

    /// Returns the broker that a request names; fails with the list of names where there is none.
    pub(crate) fn known(&self, name: &str) -> Result<&dyn Broker, Error> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            Error::invalid(Field::Broker, format!("must be one of {}", names.join(", ")))
        })
    }

    /// Returns the broker of a stored account; fails with an internal error where the deployment no longer has it.
    pub(crate) fn of_record(&self, name: &str) -> Result<&dyn Broker, Error> {
        self.get(name)
            .ok_or(Error::Identity(portcullis_identity::Error::Internal("a stored broker is unknown")))
    }
}
