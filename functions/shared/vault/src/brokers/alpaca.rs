//! Alpaca's trading API, live and paper: every request carries key and secret, and there are no sessions.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use jiff::Timestamp;
use portcullis_platform::{BrokerHttp, BrokerRequest, Variable};
use portcullis_store::TradingAccountId;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::address::address;
use super::response::{check_reachable, read, send};
use super::{Broker, BrokerError, Entry, NewBrokerSession};
use crate::credentials::{Credentials, SessionCredentials};

const API_URL: Variable = Variable {
    name: "ALPACA_API_URL",
    default: "https://api.alpaca.markets",
    about: "address of Alpaca's live trading API",
    aliases: &[],
};
const PAPER_API_URL: Variable = Variable {
    name: "ALPACA_PAPER_API_URL",
    default: "https://paper-api.alpaca.markets",
    about: "address of Alpaca's paper trading API",
    aliases: &[],
};

pub(super) const LIVE: Entry = Entry {
    variables: &[API_URL],
    read: |environment| Ok(Arc::new(Alpaca::at("alpaca", "Alpaca", address(environment, &API_URL)?))),
};
pub(super) const PAPER: Entry = Entry {
    variables: &[PAPER_API_URL],
    read: |environment| {
        let api = address(environment, &PAPER_API_URL)?;
        Ok(Arc::new(Alpaca::at("alpaca-paper", "Alpaca's paper trading", api)))
    },
};

#[derive(Debug)]
struct Alpaca {
    name: &'static str,
    title: &'static str,
    api: Url,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    #[serde(rename = "account_number")]
    number: String,
    status: String,
    #[serde(default, rename = "account_blocked")]
    blocked: bool,
    #[serde(default)]
    trading_blocked: bool,
}

impl Alpaca {
    fn at(name: &'static str, title: &'static str, api: Url) -> Self {
        Self { name, title, api }
    }

    fn request(&self, resource: &str) -> BrokerRequest {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v2", resource]);
        }
        BrokerRequest::new(Method::GET, url)
    }
}

#[async_trait]
impl Broker for Alpaca {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn login_url(&self, _: &Credentials, _: TradingAccountId) -> Option<String> {
        None
    }

    async fn exchange(
        &self,
        _: &dyn BrokerHttp,
        _: &Credentials,
        _: &SecretString,
        _: Timestamp,
    ) -> Result<NewBrokerSession, BrokerError> {
        Err(BrokerError::LoginRefused)
    }

    async fn verify(
        &self,
        http: &dyn BrokerHttp,
        credentials: &Credentials,
        _: Option<&SessionCredentials>,
    ) -> Result<Vec<String>, BrokerError> {
        let request = self
            .request("account")
            .header("apca-api-key-id", credentials.api_key.clone())
            .header("apca-api-secret-key", credentials.api_secret.clone());
        let response = send(http, request).await?;
        match response.status {
            200 => {}
            401 | 403 => return Err(BrokerError::Revoked),
            _ => return Err(BrokerError::Down),
        }
        let account: Account = read(&response)?;
        if account.blocked || account.trading_blocked || account.status != "ACTIVE" {
            return Err(BrokerError::Blocked);
        }
        // An owner may name either: the website shows the number, and the API works with the id.
        Ok(vec![account.number, account.id])
    }

    async fn logout(&self, _: &dyn BrokerHttp, _: &SessionCredentials) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn probe(&self, http: &dyn BrokerHttp) -> Result<(), BrokerError> {
        check_reachable(http, self.request("clock")).await
    }
}
