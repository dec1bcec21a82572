//! Alpaca's trading API, live and paper: every request carries key and secret, and there are no sessions.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use jiff::Timestamp;
use portcullis_platform::{BrokerHttp, BrokerRequest, BrokerResponse, Variable};
use portcullis_store::TradingAccountId;
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use super::address::address;
use super::response::{check_reachable, read, send};
use super::{
    Broker, BrokerError, CancelsFrom, Entry, LoginBegins, LoginResult, NewBrokerSession, ORDER_BOOK,
    OpenOrders, OrderAccess,
};
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

/// How many orders Alpaca lists at most.
const PAGE_OF_ORDERS: u32 = 500;

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
        self.request_to(Method::GET, resource)
    }

    fn request_to(&self, method: Method, resource: &str) -> BrokerRequest {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v2", resource]);
        }
        BrokerRequest::new(method, url)
    }

    /// Returns a request about the orders of an account; fails where it is opened by what Alpaca does not have.
    fn about_orders(&self, method: Method, access: OrderAccess<'_>) -> Result<BrokerRequest, BrokerError> {
        let OrderAccess::Credentials(credentials) = access else { return Err(BrokerError::Revoked) };
        Ok(signed(self.request_to(method, "orders").up_to(ORDER_BOOK), credentials))
    }
}

fn signed(request: BrokerRequest, credentials: &Credentials) -> BrokerRequest {
    request
        .header("apca-api-key-id", credentials.api_key.clone())
        .header("apca-api-secret-key", credentials.api_secret.clone())
}

/// Returns how many elements the list in a response has; fails when it has another status than this one of success.
fn count(response: &BrokerResponse, status: u16) -> Result<u32, BrokerError> {
    match response.status {
        answered if answered == status => {
            let listed: Vec<IgnoredAny> = read(response)?;
            Ok(u32::try_from(listed.len()).unwrap_or(u32::MAX))
        }
        401 | 403 => Err(BrokerError::Revoked),
        _ => Err(BrokerError::Down),
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

    fn login_begins(&self) -> LoginBegins {
        LoginBegins::Never
    }

    fn login_url(&self, _: &Credentials, _: TradingAccountId, _: &str) -> Option<String> {
        None
    }

    async fn exchange(
        &self,
        _: &dyn BrokerHttp,
        _: &Credentials,
        _: LoginResult<'_>,
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
        let response = send(http, signed(self.request("account"), credentials)).await?;
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

    fn cancels_from(&self) -> CancelsFrom {
        CancelsFrom::Anywhere
    }

    /// An order whose cancellation was asked for and has not come about is among the open ones.
    async fn open_orders(
        &self,
        http: &dyn BrokerHttp,
        access: OrderAccess<'_>,
    ) -> Result<OpenOrders, BrokerError> {
        let limit = PAGE_OF_ORDERS.to_string();
        let request = self.about_orders(Method::GET, access)?.query("status", "open").query("limit", limit);
        let count = count(&send(http, request).await?, 200)?;
        Ok(OpenOrders { count, are_all: count < PAGE_OF_ORDERS })
    }

    async fn cancel_all(&self, http: &dyn BrokerHttp, access: OrderAccess<'_>) -> Result<u32, BrokerError> {
        // 207: one answer for each order, some of which may be refusals.
        count(&send(http, self.about_orders(Method::DELETE, access)?).await?, 207)
    }

    async fn probe(&self, http: &dyn BrokerHttp) -> Result<(), BrokerError> {
        check_reachable(http, self.request("clock")).await
    }
}
