//! Upstox: OAuth 2.0. Everything here is after Upstox' API documentation at `upstox.com/developer/api-documentation`, on the
//! pages "Authorize", "Get Token", "Get Profile", "Logout", "Get Order Book" and "Error Codes".

use std::sync::Arc;

use http::Method;
use jiff::civil::time;
use portcullis_platform::Variable;

use super::address::address;
use super::expiry::Expiry;
use super::oauth2::{Book, Description, Grant, OAuth2, Scheme};
use super::{BrokerError, Entry};

const API_URL: Variable = Variable {
    name: "UPSTOX_API_URL",
    default: "https://api.upstox.com",
    about: "address of the Upstox API, its login page among it",
    aliases: &[],
};

pub(super) const ENTRY: Entry = Entry {
    variables: &[API_URL],
    read: |environment| {
        let api = address(environment, &API_URL)?;
        Ok(Arc::new(OAuth2 { about: &UPSTOX, auth: api.clone(), api }))
    },
};

static UPSTOX: Description = Description {
    name: "upstox",
    title: "Upstox",
    grant: Grant::Code {
        authorize: &["v2", "login", "authorization", "dialog"],
        token: &["v2", "login", "authorization", "token"],
    },
    // "Get Token": until 3:30 in the morning of the following day, whenever it was made; before that time, of the same day.
    expiry: Expiry::InIndiaAt(time(3, 30, 0, 0)),
    scheme: Scheme::Bearer,
    profile: (&["v2", "user", "profile"], "/data/user_id"),
    logout: Some((Method::DELETE, &["v2", "logout"])),
    book: Book {
        path: &["v2", "order", "retrieve-all"],
        list: "/data",
        status: "status",
        over: &["complete", "cancelled", "rejected", "cancelled after market order"],
    },
    success: Some(("/status", "success")),
    // "Error Codes", and "Authorize" for the last.
    errors: (
        "/errors/0/error_code",
        &[
            ("UDAPI100050", BrokerError::Expired),
            ("UDAPI100016", BrokerError::Revoked),
            ("UDAPI100073", BrokerError::Revoked),
            ("UDAPI10005", BrokerError::RateLimited),
            ("UDAPI100068", BrokerError::Revoked),
        ],
    ),
};
