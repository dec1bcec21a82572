//! Kite Connect 3 of Zerodha. The owner logs in at Kite every day. The request token that this returns is exchanged for an
//! access token, which expires at six in the morning, India time.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use http::Method;
use jiff::Timestamp;
use jiff::civil::time;
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse, Variable};
use portcullis_store::TradingAccountId;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;
use zeroize::Zeroizing;

use super::address::address;
use super::expiry::Expiry;
use super::response::{check_reachable, read, send};
use super::{
    Broker, BrokerError, CancelsFrom, Entry, LoginBegins, LoginResult, NewBrokerSession, ORDER_BOOK,
    OpenOrders, OrderAccess,
};
use crate::credentials::{Credentials, SessionCredentials};
use crate::postbacks::Postback;

const API_URL: Variable = Variable {
    name: "KITE_API_URL",
    default: "https://api.kite.trade",
    about: "address of the Kite Connect API",
    aliases: &[],
};
const LOGIN_URL: Variable = Variable {
    name: "KITE_LOGIN_URL",
    default: "https://kite.zerodha.com/connect/login",
    about: "address of Kite's login page",
    aliases: &[],
};

pub(super) const ENTRY: Entry = Entry {
    variables: &[API_URL, LOGIN_URL],
    read: |environment| {
        let (api, login) = (address(environment, &API_URL)?, address(environment, &LOGIN_URL)?);
        Ok(Arc::new(Kite { api, login }))
    },
};

const VERSION: (&str, &str) = ("x-kite-version", "3");
/// At six in the morning of the next day: Kite Connect 3, page "User", of the access token.
const EXPIRY: Expiry = Expiry::InIndiaAt(time(6, 0, 0, 0));

#[derive(Debug)]
struct Kite {
    api: Url,
    login: Url,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Session {
    user_id: String,
    access_token: SecretString,
}

#[derive(Deserialize)]
struct Profile {
    user_id: String,
}

#[derive(Deserialize)]
struct Order {
    status: String,
}

/// What Kite says of an order that does not rest any more. Whatever else it says, the order may be carried out yet.
const OVER: [&str; 3] = ["COMPLETE", "CANCELLED", "REJECTED"];

#[derive(Deserialize)]
struct Refusal {
    error_type: String,
    #[serde(default)]
    message: String,
}

impl Kite {
    fn request(&self, method: Method, path: &[&str]) -> BrokerRequest {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        BrokerRequest::new(method, url).header(VERSION.0, VERSION.1)
    }

    fn signed_in(&self, method: Method, path: &[&str], session: &SessionCredentials) -> BrokerRequest {
        let (key, token) = (session.api_key.expose_secret(), session.access_token.expose_secret());
        self.request(method, path).header("authorization", format!("token {key}:{token}"))
    }
}

#[async_trait]
impl Broker for Kite {
    fn name(&self) -> &'static str {
        "kite"
    }

    fn title(&self) -> &'static str {
        "Kite"
    }

    fn login_begins(&self) -> LoginBegins {
        LoginBegins::AtPage
    }

    /// Kite leads back to the address that is registered for the application.
    fn login_url(&self, credentials: &Credentials, account: TradingAccountId, _: &str) -> Option<String> {
        let mut url = self.login.clone();
        url.query_pairs_mut()
            .append_pair("api_key", credentials.api_key.expose_secret())
            .append_pair("v", VERSION.1)
            // Kite adds these to its redirect, so that the page there knows which account the login was for.
            .append_pair("redirect_params", &format!("account_id={account}"));
        Some(url.into())
    }

    async fn exchange(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        login: LoginResult<'_>,
        now: Timestamp,
    ) -> Result<NewBrokerSession, BrokerError> {
        let request = self
            .request(Method::POST, &["session", "token"])
            .form("api_key", credentials.api_key.clone())
            .form("request_token", login.code.clone())
            .form("checksum", checksum(credentials, login.code));
        let response = send(http, request).await?;
        if response.status != 200 {
            return Err(match refusal(&response) {
                // Kite has one error for both. Here it is about the login, because there is no session yet.
                BrokerError::Expired => BrokerError::LoginRefused,
                other => other,
            });
        }
        let session: Envelope<Session> = read(&response)?;
        let Session { user_id, access_token } = session.data;
        Ok(NewBrokerSession { expires_at: EXPIRY.of(now, &access_token), access_token, user: user_id })
    }

    async fn verify(
        &self,
        http: &dyn BrokerHttp,
        _: &Credentials,
        session: Option<&SessionCredentials>,
    ) -> Result<Vec<String>, BrokerError> {
        let session = session.ok_or(BrokerError::Expired)?;
        let response = send(http, self.signed_in(Method::GET, &["user", "profile"], session)).await?;
        if response.status != 200 {
            return Err(refusal(&response));
        }
        let profile: Envelope<Profile> = read(&response)?;
        Ok(vec![profile.data.user_id])
    }

    /// Kite requires the token in the query. TLS protects it, and no log line of this service contains the query.
    async fn logout(&self, http: &dyn BrokerHttp, session: &SessionCredentials) -> Result<(), BrokerError> {
        let request = self
            .signed_in(Method::DELETE, &["session", "token"], session)
            .query("api_key", session.api_key.clone())
            .query("access_token", session.access_token.clone());
        let response = send(http, request).await?;
        match response.status {
            // The body is parsed as well: a maintenance page has this status too.
            200 => read::<Envelope<IgnoredAny>>(&response).map(drop),
            _ => match refusal(&response) {
                // The session is over already.
                BrokerError::Expired => Ok(()),
                other => Err(other),
            },
        }
    }

    fn cancels_from(&self) -> CancelsFrom {
        CancelsFrom::RegisteredAddress
    }

    /// The book has every order of the day, whatever became of it.
    async fn open_orders(
        &self,
        http: &dyn BrokerHttp,
        access: OrderAccess<'_>,
    ) -> Result<OpenOrders, BrokerError> {
        let OrderAccess::Session(session) = access else { return Err(BrokerError::Expired) };
        let request = self.signed_in(Method::GET, &["orders"], session).up_to(ORDER_BOOK);
        let response = send(http, request).await?;
        if response.status != 200 {
            return Err(refusal(&response));
        }
        let book: Envelope<Vec<Order>> = read(&response)?;
        let open = book.data.iter().filter(|order| !OVER.contains(&order.status.as_str()));
        Ok(OpenOrders { count: u32::try_from(open.count()).unwrap_or(u32::MAX), are_all: true })
    }

    async fn cancel_all(&self, _: &dyn BrokerHttp, _: OrderAccess<'_>) -> Result<u32, BrokerError> {
        Err(BrokerError::Blocked)
    }

    fn signs_postbacks(&self) -> bool {
        true
    }

    /// Kite Connect 3, page "Postbacks": the SHA-256 of order id, order timestamp and secret.
    fn postback_checksum(&self, credentials: &Credentials, postback: &Postback) -> Option<String> {
        let (order, at) = (&postback.order_id.0, &postback.order_timestamp.0);
        Some(sha256(&[order, at, credentials.api_secret.expose_secret()]))
    }

    async fn probe(&self, http: &dyn BrokerHttp) -> Result<(), BrokerError> {
        check_reachable(http, self.request(Method::GET, &["user", "profile"])).await
    }
}

/// Returns the SHA-256 of key, request token and secret in hexadecimal, which the exchange requires.
fn checksum(credentials: &Credentials, request_token: &SecretString) -> String {
    let parts = [&credentials.api_key, request_token, &credentials.api_secret];
    sha256(&parts.map(ExposeSecret::expose_secret))
}

/// Returns the SHA-256 of these parts, one after the other, in hexadecimal.
fn sha256(parts: &[&str]) -> String {
    let joined = Zeroizing::new(parts.concat());
    hex::encode(digest::digest(&digest::SHA256, joined.as_bytes()))
}

/// Returns the error that a refusal of Kite means.
fn refusal(response: &BrokerResponse) -> BrokerError {
    let Ok(refusal) = read::<Refusal>(response) else { return BrokerError::Down };
    match refusal.error_type.as_str() {
        // The type is the same for an expired token and for a wrong secret. Only the message about the checksum, which is
        // made with the secret, distinguishes them.
        "TokenException" if refusal.message.contains("checksum") => BrokerError::Revoked,
        "TokenException" => BrokerError::Expired,
        "PermissionException" | "UserException" => BrokerError::Blocked,
        "InputException" => BrokerError::Revoked,
        _ => BrokerError::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let said =
            |body: &str| refusal(&BrokerResponse { status: 403, body: body.as_bytes().to_vec().into() });
        for (body, meant) in [
            (
                r#"{"error_type":"TokenException","message":"Incorrect `api_key` or `access_token`."}"#,
                BrokerError::Expired,
            ),
            (r#"{"error_type":"TokenException","message":"Invalid `checksum`."}"#, BrokerError::Revoked),
            (r#"{"error_type":"InputException","message":"Invalid `api_key`."}"#, BrokerError::Revoked),
            (r#"{"error_type":"UserException","message":"Account blocked"}"#, BrokerError::Blocked),
            (r#"{"error_type":"GeneralException"}"#, BrokerError::Down),
            ("<html>", BrokerError::Down),
        ] {
            assert_eq!(said(body), meant, "{body}");
        }
    }
}
