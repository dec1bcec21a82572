//! Brokers with the authorization code of OAuth 2.0 (RFC 6749, 4.1), each described by data. The owner logs in at the broker's
//! page, which leads back with a code; the code is exchanged for an access token with the application's secret, which goes
//! nowhere else.
//!
//! None of the brokers here documents PKCE (RFC 7636), so none is sent a challenge: the code is of use only together with the
//! secret, which the vault has and no browser.

use async_trait::async_trait;
use aws_lc_rs::digest;
use http::Method;
use jiff::Timestamp;
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse};
use portcullis_store::TradingAccountId;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::expiry::Expiry;
use super::response::{check_reachable, read, send};
use super::{
    Broker, BrokerError, CancelsFrom, LoginBegins, LoginResult, NewBrokerSession, ORDER_BOOK, OpenOrders,
    OrderAccess,
};
use crate::credentials::{Credentials, SessionCredentials};

/// What tells one broker from another. Paths are below its address; what stands where in a response is a JSON pointer
/// (RFC 6901).
#[derive(Debug)]
pub(super) struct Description {
    /// The name in records and requests.
    pub(super) name: &'static str,
    /// The name in texts for people.
    pub(super) title: &'static str,
    /// How a login begins, and how its result is exchanged.
    pub(super) grant: Grant,
    /// When the broker ends a session.
    pub(super) expiry: Expiry,
    /// How a request carries the session.
    pub(super) scheme: Scheme,
    /// The owner's profile: the path, and where in it the user id stands.
    pub(super) profile: (&'static [&'static str], &'static str),
    /// How a session is ended; `None` where the broker has no way to.
    pub(super) logout: Option<(Method, &'static [&'static str])>,
    /// The order book.
    pub(super) book: Book,
    /// What tells a success from a refusal with the same HTTP status: where it stands, and what it says.
    pub(super) success: Option<(&'static str, &'static str)>,
    /// Where a refusal has its code, and what the codes mean. A code that is not here means what its HTTP status does.
    pub(super) errors: (&'static str, &'static [(&'static str, BrokerError)]),
}

/// How a login begins, and how its result is exchanged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Grant {
    /// A page that is known in advance; the code is exchanged with key and secret in a form (RFC 6749, 2.3.1).
    Code {
        /// The path of the login page.
        authorize: &'static [&'static str],
        /// The path of the exchange.
        token: &'static [&'static str],
    },
    /// The same, but the exchange is JSON with the SHA-256 of `key:secret` in it.
    HashedCode {
        /// The path of the login page.
        authorize: &'static [&'static str],
        /// The path of the exchange.
        token: &'static [&'static str],
    },
    /// The broker is asked for a consent first, whose id is part of the page's address; key and secret are header fields.
    Consent {
        /// The path that gives the id of a consent.
        begin: &'static [&'static str],
        /// The path of the login page.
        authorize: &'static [&'static str],
        /// The path of the exchange.
        token: &'static [&'static str],
    },
}

/// How a request carries a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scheme {
    /// As RFC 6750 has it.
    Bearer,
    /// Key and token, with a colon between them.
    KeyAndToken,
    /// In a header field of this name.
    Field(&'static str),
}

/// Where the orders of the day are listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Book {
    /// The path of the list.
    pub(super) path: &'static [&'static str],
    /// Where the list stands; empty where it is the whole body.
    pub(super) list: &'static str,
    /// The name of an order's status.
    pub(super) status: &'static str,
    /// What it is of an order that does not rest any more. Whatever else it is, the order may be carried out yet.
    pub(super) over: &'static [&'static str],
}

/// A broker with its addresses.
#[derive(Debug)]
pub(super) struct OAuth2 {
    pub(super) about: &'static Description,
    /// Where requests of a session go.
    pub(super) api: Url,
    /// Where logins begin and are exchanged.
    pub(super) auth: Url,
}

/// What an exchange gives, by the names that RFC 6749 and the brokers have for it.
#[derive(Deserialize)]
struct Granted {
    #[serde(alias = "accessToken")]
    access_token: SecretString,
}

#[derive(Deserialize)]
struct Consent {
    #[serde(rename = "consentAppId")]
    id: String,
}

impl OAuth2 {
    /// Returns a request of a session.
    fn signed_in(&self, method: Method, path: &[&str], session: &SessionCredentials) -> BrokerRequest {
        let token = session.access_token.expose_secret();
        let request = BrokerRequest::new(method, below(&self.api, path)).header("accept", "application/json");
        match self.about.scheme {
            Scheme::Bearer => request.header("authorization", format!("Bearer {token}")),
            Scheme::KeyAndToken => {
                request.header("authorization", format!("{}:{token}", session.api_key.expose_secret()))
            }
            Scheme::Field(name) => request.header(name, session.access_token.clone()),
        }
    }

    /// Returns the request that exchanges the result of a login.
    fn exchange_request(&self, credentials: &Credentials, login: LoginResult<'_>) -> BrokerRequest {
        let to = |method, path| {
            BrokerRequest::new(method, below(&self.auth, path)).header("accept", "application/json")
        };
        match self.about.grant {
            Grant::Code { token, .. } => to(Method::POST, token)
                .form("grant_type", "authorization_code")
                .form("code", login.code.clone())
                .form("client_id", credentials.api_key.clone())
                .form("client_secret", credentials.api_secret.clone())
                .form("redirect_uri", login.redirect_uri),
            Grant::HashedCode { token, .. } => {
                let code = Zeroizing::new(Value::from(login.code.expose_secret()).to_string());
                let hash = app_id_hash(credentials);
                let body =
                    format!(r#"{{"grant_type":"authorization_code","appIdHash":"{hash}","code":{}}}"#, *code);
                to(Method::POST, token).json(body)
            }
            Grant::Consent { token, .. } => {
                with_app(to(Method::GET, token), credentials).query("tokenId", login.code.clone())
            }
        }
    }

    /// Returns a response of success; fails with what a refusal means.
    async fn ask(
        &self,
        http: &dyn BrokerHttp,
        request: BrokerRequest,
    ) -> Result<BrokerResponse, BrokerError> {
        self.ask_about(http, request, BrokerError::Down).await
    }

    /// The same, where a refusal that says nothing else means `otherwise`.
    async fn ask_about(
        &self,
        http: &dyn BrokerHttp,
        request: BrokerRequest,
        otherwise: BrokerError,
    ) -> Result<BrokerResponse, BrokerError> {
        let response = send(http, request).await?;
        let is_success = match self.about.success {
            _ if response.status >= 300 => false,
            None => true,
            // The exchange of some brokers has no such word.
            Some((place, said)) => text_at(&read::<Value>(&response)?, place).is_none_or(|word| word == said),
        };
        if is_success { Ok(response) } else { Err(self.refusal(&response, otherwise)) }
    }

    /// Returns what a refusal means. A body that is not JSON comes from whatever stands in the broker's place.
    fn refusal(&self, response: &BrokerResponse, otherwise: BrokerError) -> BrokerError {
        let Ok(body) = read::<Value>(response) else { return BrokerError::Down };
        let (place, known) = self.about.errors;
        let code = text_at(&body, place).unwrap_or_default();
        if let Some((_, meant)) = known.iter().find(|(name, _)| *name == code) {
            return *meant;
        }
        match response.status {
            401 => BrokerError::Expired,
            403 => BrokerError::Blocked,
            _ => otherwise,
        }
    }

    /// Returns the user id of whom a session belongs to.
    async fn user(&self, http: &dyn BrokerHttp, session: &SessionCredentials) -> Result<String, BrokerError> {
        let (path, place) = self.about.profile;
        let response = self.ask(http, self.signed_in(Method::GET, path, session)).await?;
        text_at(&read::<Value>(&response)?, place).ok_or(BrokerError::Down)
    }
}

#[async_trait]
impl Broker for OAuth2 {
    fn name(&self) -> &'static str {
        self.about.name
    }

    fn title(&self) -> &'static str {
        self.about.title
    }

    fn login_begins(&self) -> LoginBegins {
        match self.about.grant {
            Grant::Code { .. } | Grant::HashedCode { .. } => LoginBegins::AtPageWithState,
            Grant::Consent { .. } => LoginBegins::WhenAsked,
        }
    }

    /// Without the state, which each login gets anew.
    fn login_url(
        &self,
        credentials: &Credentials,
        _: TradingAccountId,
        redirect_uri: &str,
    ) -> Option<String> {
        let (Grant::Code { authorize, .. } | Grant::HashedCode { authorize, .. }) = self.about.grant else {
            return None;
        };
        let mut url = below(&self.auth, authorize);
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", credentials.api_key.expose_secret())
            .append_pair("redirect_uri", redirect_uri);
        Some(url.into())
    }

    async fn begin_login(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        user: &str,
    ) -> Result<Option<String>, BrokerError> {
        let Grant::Consent { begin, authorize, .. } = self.about.grant else { return Ok(None) };
        let request = BrokerRequest::new(Method::POST, below(&self.auth, begin)).query("client_id", user);
        // There is no session that could be over yet: what is refused is the application.
        let response = self.ask_about(http, with_app(request, credentials), BrokerError::Revoked).await;
        let response = response.map_err(|error| match error {
            BrokerError::Expired => BrokerError::Revoked,
            other => other,
        })?;
        let consent: Consent = read(&response)?;
        let mut url = below(&self.auth, authorize);
        url.query_pairs_mut().append_pair("consentAppId", &consent.id);
        Ok(Some(url.into()))
    }

    async fn exchange(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        login: LoginResult<'_>,
        now: Timestamp,
    ) -> Result<NewBrokerSession, BrokerError> {
        let request = self.exchange_request(credentials, login);
        let exchanged = self.ask_about(http, request, BrokerError::LoginRefused).await;
        let response = exchanged.map_err(|error| match error {
            // There is no session yet: what is refused is the login.
            BrokerError::Expired => BrokerError::LoginRefused,
            other => other,
        })?;
        let Granted { access_token } = read(&response)?;
        let session = SessionCredentials { api_key: credentials.api_key.clone(), access_token };
        // The profile says whose token it is, in the same words at every later verification.
        let user = match self.user(http, &session).await {
            Ok(user) => user,
            Err(error) => {
                // Nobody would know of this session: it is not left alive.
                let _ = self.logout(http, &session).await;
                return Err(error);
            }
        };
        let expires_at = self.about.expiry.of(now, &session.access_token);
        Ok(NewBrokerSession { access_token: session.access_token, user, expires_at })
    }

    async fn verify(
        &self,
        http: &dyn BrokerHttp,
        _: &Credentials,
        session: Option<&SessionCredentials>,
    ) -> Result<Vec<String>, BrokerError> {
        Ok(vec![self.user(http, session.ok_or(BrokerError::Expired)?).await?])
    }

    /// A broker without a way to end a session keeps it until it expires: nothing is confirmed there.
    async fn logout(&self, http: &dyn BrokerHttp, session: &SessionCredentials) -> Result<(), BrokerError> {
        let Some((method, path)) = &self.about.logout else { return Err(BrokerError::CannotEnd) };
        match self.ask(http, self.signed_in(method.clone(), path, session)).await {
            // The session is over already.
            Ok(_) | Err(BrokerError::Expired) => Ok(()),
            Err(other) => Err(other),
        }
    }

    fn cancels_from(&self) -> CancelsFrom {
        CancelsFrom::RegisteredAddress
    }

    async fn open_orders(
        &self,
        http: &dyn BrokerHttp,
        access: OrderAccess<'_>,
    ) -> Result<OpenOrders, BrokerError> {
        let OrderAccess::Session(session) = access else { return Err(BrokerError::Expired) };
        let book = self.about.book;
        let request = self.signed_in(Method::GET, book.path, session).up_to(ORDER_BOOK);
        let body: Value = read(&self.ask(http, request).await?)?;
        let list = body.pointer(book.list).and_then(Value::as_array).ok_or(BrokerError::Down)?;
        let rests = |order: &&Value| {
            let status = order.get(book.status).and_then(text_of);
            !status.is_some_and(|status| book.over.contains(&status.as_str()))
        };
        let count = list.iter().filter(rests).count();
        Ok(OpenOrders { count: u32::try_from(count).unwrap_or(u32::MAX), are_all: true })
    }

    async fn cancel_all(&self, _: &dyn BrokerHttp, _: OrderAccess<'_>) -> Result<u32, BrokerError> {
        Err(BrokerError::Blocked)
    }

    async fn probe(&self, http: &dyn BrokerHttp) -> Result<(), BrokerError> {
        let request = BrokerRequest::new(Method::GET, below(&self.api, self.about.profile.0));
        check_reachable(http, request.header("accept", "application/json")).await
    }
}

/// Returns the address with this path below it.
fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

fn with_app(request: BrokerRequest, credentials: &Credentials) -> BrokerRequest {
    request.header("app_id", credentials.api_key.clone()).header("app_secret", credentials.api_secret.clone())
}

/// Returns the SHA-256 of `key:secret` in hexadecimal.
fn app_id_hash(credentials: &Credentials) -> String {
    let (key, secret) = (credentials.api_key.expose_secret(), credentials.api_secret.expose_secret());
    let joined = Zeroizing::new(format!("{key}:{secret}"));
    hex::encode(digest::digest(&digest::SHA256, joined.as_bytes()))
}

fn text_at(body: &Value, place: &str) -> Option<String> {
    text_of(body.pointer(place)?)
}

/// Returns a text or a whole number as a text; `None` for anything else.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
