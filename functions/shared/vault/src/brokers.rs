//! Brokers: how each is asked, and what its refusals mean. One file each, with the variables it is told its addresses by;
//! here is the list of them.

mod address;
mod alpaca;
mod answer;
mod kite;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use portcullis_identity::Field;
use portcullis_platform::{BrokerHttp, Environment, Misconfigured, Variable};
use secrecy::SecretString;

use crate::credentials::{Credentials, SessionCredentials};
use crate::error::Error;

/// What a broker refused, or that it did not answer. These words are all that is learnt from an answer: what brokers
/// write in their errors may quote what was sent to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The session of the day is over.
    #[error("the broker's session is over")]
    Expired,
    /// What a login at the broker gave is used up, too old or not the broker's.
    #[error("the login at the broker is not accepted")]
    LoginRefused,
    /// Key or secret are not, or no longer, right.
    #[error("the broker does not accept the credentials")]
    Revoked,
    /// The broker keeps the account from trading.
    #[error("the broker blocks the account")]
    Blocked,
    /// The credentials are somebody else's.
    #[error("the credentials belong to another account")]
    OtherUser,
    /// Too many requests; nothing is known of the credentials.
    #[error("the broker asks for patience")]
    RateLimited,
    /// No usable answer; nothing is known of the credentials.
    #[error("the broker does not answer")]
    Down,
}

impl BrokerError {
    /// Whether it is the broker's fault: what is not leaves its health alone.
    pub(crate) fn is_the_brokers(self) -> bool {
        self == Self::Down
    }

    /// What a person can do about it.
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

/// A session that a broker just began.
#[derive(Debug)]
pub struct NewBrokerSession {
    pub(crate) access_token: SecretString,
    /// What the broker calls the person who logged in.
    pub(crate) user: String,
    /// When the broker ends it.
    pub(crate) expires_at: Timestamp,
}

/// One broker.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// The word in records and requests.
    fn name(&self) -> &'static str;

    /// What people call it.
    fn title(&self) -> &'static str;

    /// Where the owner logs in, for a broker that wants that every day.
    fn login_url(&self, credentials: &Credentials) -> Option<String>;

    /// Trades what the login gave for a session.
    async fn exchange(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        request_token: &SecretString,
        now: Timestamp,
    ) -> Result<NewBrokerSession, BrokerError>;

    /// What the broker calls the owner of these credentials, if it accepts them.
    async fn verify(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        session: Option<&SessionCredentials>,
    ) -> Result<Vec<String>, BrokerError>;

    /// Ends a session.
    async fn logout(&self, http: &dyn BrokerHttp, session: &SessionCredentials) -> Result<(), BrokerError>;

    /// Whether the broker's API answers at all, be it with a refusal.
    async fn probe(&self, http: &dyn BrokerHttp) -> Result<(), BrokerError>;
}

/// A broker as it comes to be known.
#[derive(Debug)]
struct Entry {
    /// What it is told.
    variables: &'static [Variable],
    /// Makes it of that.
    read: fn(&Environment) -> Result<Arc<dyn Broker>, Misconfigured>,
}

/// Every broker there is.
const ENTRIES: &[Entry] = &[alpaca::LIVE, alpaca::PAPER, kite::ENTRY];

/// What brokers are told.
pub(crate) fn variables() -> impl Iterator<Item = &'static Variable> {
    ENTRIES.iter().flat_map(|entry| entry.variables)
}

/// The brokers, as they are told to be.
pub(crate) fn read(environment: &Environment) -> Result<Vec<Arc<dyn Broker>>, Misconfigured> {
    ENTRIES.iter().map(|entry| (entry.read)(environment)).collect()
}

/// All brokers, and the way to them.
#[derive(Debug)]
pub struct Brokers {
    pub(crate) http: Arc<dyn BrokerHttp>,
    known: Vec<Arc<dyn Broker>>,
}

impl Brokers {
    /// These brokers, reached this way.
    pub fn new(http: Arc<dyn BrokerHttp>, known: Vec<Arc<dyn Broker>>) -> Self {
        Self { http, known }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn Broker> {
        self.known.iter().map(Arc::as_ref)
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().map(|broker| broker.name())
    }

    /// The broker of this name, if there is one.
    pub(crate) fn get(&self, name: &str) -> Option<&dyn Broker> {
        self.all().find(|broker| broker.name() == name)
    }

    /// The broker a person named.
    pub(crate) fn known(&self, name: &str) -> Result<&dyn Broker, Error> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            Error::invalid(Field::Broker, format!("must be one of {}", names.join(", ")))
        })
    }

    /// The broker of a record.
    pub(crate) fn of_record(&self, name: &str) -> Result<&dyn Broker, Error> {
        self.get(name)
            .ok_or(Error::Identity(portcullis_identity::Error::Internal("a stored broker is unknown")))
    }
}
