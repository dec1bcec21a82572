//! Brokers: how requests to each are made, and what its refusals mean. Each has one file, which declares the variables of
//! its addresses; the list of them is here.

mod address;
mod alpaca;
mod dhan;
mod expiry;
mod fyers;
mod kite;
mod oauth2;
mod response;
mod upstox;

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
use crate::postbacks::Postback;

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
    /// The broker has no way to end a session before it expires.
    #[error("the broker ends no session before its time")]
    CannotEnd,
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
            Self::CannotEnd => {
                format!(
                    "{broker} cannot end a session from here; it ends when it expires, or on {broker}'s own pages."
                )
            }
        }
    }
}

/// From where a broker takes the cancellation of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelsFrom {
    /// From anywhere, so that the vault can cancel.
    Anywhere,
    /// From the address that the owner has registered there alone, where the vault is not.
    RegisteredAddress,
}

/// How the owner's login at a broker begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginBegins {
    /// It does not: the broker has no sessions, and the credentials open everything.
    Never,
    /// At a page whose address is known in advance. What it leads back with is bound to the application by the broker.
    AtPage,
    /// At a page whose address is known in advance, and which leads back with the `state` it was given (RFC 6749, 10.12).
    AtPageWithState,
    /// At a page that the broker gives when it is asked, with the application's secret.
    WhenAsked,
}

/// What the owner's login at a broker led back with.
#[derive(Debug, Clone, Copy)]
pub struct LoginResult<'a> {
    /// The request token, or code.
    pub(crate) code: &'a SecretString,
    /// The address it led back to.
    pub(crate) redirect_uri: &'a str,
}

/// The maximum size of an order book, in bytes: some thousand orders.
const ORDER_BOOK: usize = 4 << 20;

/// A session that a broker just opened.
#[derive(Debug)]
pub struct NewBrokerSession {
    pub(crate) access_token: SecretString,
    /// The user id of the person who logged in.
    pub(crate) user: String,
    /// When the broker ends it.
    pub(crate) expires_at: Timestamp,
}

/// The orders that rest, as the broker's book has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOrders {
    pub(crate) count: u32,
    /// Whether these are all: a page of the book may be shorter than the book.
    pub(crate) are_all: bool,
}

/// What opens the order book of an account.
#[derive(Debug, Clone, Copy)]
pub enum OrderAccess<'a> {
    /// The long-lived credentials, at a broker without sessions.
    Credentials(&'a Credentials),
    /// The session of the day.
    Session(&'a SessionCredentials),
}

/// A broker's API, as the vault uses it.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// Returns the name in records and requests.
    fn name(&self) -> &'static str;

    /// Returns the name in texts for people.
    fn title(&self) -> &'static str;

    /// Returns how the owner's login begins.
    fn login_begins(&self) -> LoginBegins;

    /// Returns the address where the owner logs in to give this account a session, without the state of a login; `None` for
    /// a broker without such a page. It leads back to `redirect_uri`, or to what is registered at the broker.
    fn login_url(
        &self,
        credentials: &Credentials,
        account: TradingAccountId,
        redirect_uri: &str,
    ) -> Option<String>;

    /// Returns the address where the owner, whom the broker calls `user`, logs in this one time; `None` for a broker that need
    /// not be asked for it. Fails when the broker refuses or does not respond.
    async fn begin_login(
        &self,
        _http: &dyn BrokerHttp,
        _credentials: &Credentials,
        _user: &str,
    ) -> Result<Option<String>, BrokerError> {
        Ok(None)
    }

    /// Exchanges the result of a login for a session; fails when the broker refuses it or does not respond.
    async fn exchange(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        login: LoginResult<'_>,
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

    /// Returns from where the broker takes the cancellation of an order.
    fn cancels_from(&self) -> CancelsFrom;

    /// Returns how many orders rest; fails when the broker does not say it.
    async fn open_orders(
        &self,
        http: &dyn BrokerHttp,
        access: OrderAccess<'_>,
    ) -> Result<OpenOrders, BrokerError>;

    /// Asks for the cancellation of every order that rests, and returns of how many; fails when the broker refuses or does not
    /// respond, and where it takes no cancellation from here. That it was asked for does not say that it came about.
    async fn cancel_all(&self, http: &dyn BrokerHttp, access: OrderAccess<'_>) -> Result<u32, BrokerError>;

    /// Returns whether the broker's postbacks have a checksum that is made with the secret.
    fn signs_postbacks(&self) -> bool {
        false
    }

    /// Returns the checksum that a postback has to have; `None` where the broker makes none.
    fn postback_checksum(&self, _credentials: &Credentials, _postback: &Postback) -> Option<String> {
        None
    }

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
const ENTRIES: &[Entry] =
    &[alpaca::LIVE, alpaca::PAPER, dhan::ENTRY, fyers::ENTRY, kite::ENTRY, upstox::ENTRY];

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
