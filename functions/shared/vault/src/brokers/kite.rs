//! Kite Connect 3 of Zerodha. The owner logs in at Kite every day. The request token that this returns is exchanged for an
//! access token, which expires at six in the morning, India time.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use http::Method;
use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse, Variable};
use portcullis_store::TradingAccountId;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;
use zeroize::Zeroizing;

use super::address::address;
use super::response::{check_reachable, read, send};
use super::{Broker, BrokerError, Entry, NewBrokerSession};
use crate::credentials::{Credentials, SessionCredentials};

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
/// India has had one offset and no summer time since 1945.
const INDIA: Offset = Offset::constant(5);
const HALF_HOUR_MORE: i64 = 30;
/// When Kite ends every session.
const END_OF_SESSIONS: Time = Time::constant(6, 0, 0, 0);

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
struct Refusal {
    error_type: String,
    #[serde(default)]
    message: String,
}

impl Kite {
    fn request(&self, method: Method, path: [&str; 2]) -> BrokerRequest {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        BrokerRequest::new(method, url).header(VERSION.0, VERSION.1)
    }

    fn signed_in(&self, method: Method, path: [&str; 2], session: &SessionCredentials) -> BrokerRequest {
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

    fn login_url(&self, credentials: &Credentials, account: TradingAccountId) -> Option<String> {
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
        request_token: &SecretString,
        now: Timestamp,
    ) -> Result<NewBrokerSession, BrokerError> {
        let request = self
            .request(Method::POST, ["session", "token"])
            .form("api_key", credentials.api_key.clone())
            .form("request_token", request_token.clone())
            .form("checksum", checksum(credentials, request_token));
        let response = send(http, request).await?;
        if response.status != 200 {
            return Err(match refusal(&response) {
                // Kite has one error for both. Here it is about the login, because there is no session yet.
                BrokerError::Expired => BrokerError::LoginRefused,
                other => other,
            });
        }
        let session: Envelope<Session> = read(&response)?;
        Ok(NewBrokerSession {
            access_token: session.data.access_token,
            user: session.data.user_id,
            expires_at: end_of_session(now),
        })
    }

    async fn verify(
        &self,
        http: &dyn BrokerHttp,
        _: &Credentials,
        session: Option<&SessionCredentials>,
    ) -> Result<Vec<String>, BrokerError> {
        let session = session.ok_or(BrokerError::Expired)?;
        let response = send(http, self.signed_in(Method::GET, ["user", "profile"], session)).await?;
        if response.status != 200 {
            return Err(refusal(&response));
        }
        let profile: Envelope<Profile> = read(&response)?;
        Ok(vec![profile.data.user_id])
    }

    /// Kite requires the token in the query. TLS protects it, and no log line of this service contains the query.
    async fn logout(&self, http: &dyn BrokerHttp, session: &SessionCredentials) -> Result<(), BrokerError> {
        let request = self
            .signed_in(Method::DELETE, ["session", "token"], session)
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

    async fn probe(&self, http: &dyn BrokerHttp) -> Result<(), BrokerError> {
        check_reachable(http, self.request(Method::GET, ["user", "profile"])).await
    }
}

/// Returns the SHA-256 of key, request token and secret in hexadecimal, which the exchange requires.
fn checksum(credentials: &Credentials, request_token: &SecretString) -> String {
    let parts = [&credentials.api_key, request_token, &credentials.api_secret];
    let joined = Zeroizing::new(parts.map(ExposeSecret::expose_secret).concat());
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

/// Returns the next six o'clock in the morning in India.
fn end_of_session(now: Timestamp) -> Timestamp {
    let india = TimeZone::fixed(INDIA.saturating_add(Span::new().minutes(HALF_HOUR_MORE)));
    let there = now.to_zoned(india.clone());
    let day = if there.time() < END_OF_SESSIONS {
        there.date()
    } else {
        there.date().tomorrow().unwrap_or_else(|_| there.date())
    };
    day.to_datetime(END_OF_SESSIONS).to_zoned(india).map_or(now, |end| end.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(now: &str) -> String {
        end_of_session(now.parse().unwrap()).to_string()
    }

    #[test]
    fn a_session_ends_at_the_next_six_o_clock_in_india() {
        assert_eq!(end("2026-11-21T05:00:00Z"), "2026-11-22T00:30:00Z");
        assert_eq!(end("2026-11-22T00:29:59.999Z"), "2026-11-22T00:30:00Z");
        assert_eq!(end("2026-11-22T00:30:00Z"), "2026-11-23T00:30:00Z");
        assert_eq!(end("2026-12-31T20:00:00Z"), "2027-01-01T00:30:00Z");
    }

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
