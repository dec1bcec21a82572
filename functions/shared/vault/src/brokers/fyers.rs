//! Fyers API v3: OAuth 2.0 with a hash in place of the secret. Paths, fields and the header are those of the official client,
//! `fyers-apiv3` 3.2. Fyers' own documentation was not at hand: the codes of its errors are not used, only HTTP statuses.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use portcullis_platform::Variable;

use super::Entry;
use super::address::address;
use super::expiry::Expiry;
use super::oauth2::{Book, Description, Grant, OAuth2, Scheme};

const API_URL: Variable = Variable {
    name: "FYERS_API_URL",
    default: "https://api-t1.fyers.in/api/v3",
    about: "address of the Fyers API, its login page among it",
    aliases: &[],
};

pub(super) const ENTRY: Entry = Entry {
    variables: &[API_URL],
    read: |environment| {
        let api = address(environment, &API_URL)?;
        Ok(Arc::new(OAuth2 { about: &FYERS, auth: api.clone(), api }))
    },
};

static FYERS: Description = Description {
    name: "fyers",
    title: "Fyers",
    grant: Grant::HashedCode { authorize: &["generate-authcode"], token: &["validate-authcode"] },
    // The token is a JWT with an end of its own. A client of others (`digdigdig3` on docs.rs) has the end of the trading day,
    // or 24 hours; so no more than those are believed.
    expiry: Expiry::AsTokenSays { at_most: Duration::from_hours(24) },
    scheme: Scheme::KeyAndToken,
    profile: (&["profile"], "/data/fy_id"),
    logout: Some((Method::POST, &["logout"])),
    book: Book {
        path: &["orders"],
        list: "/orderBook",
        status: "status",
        // Cancelled, traded, rejected, expired; 4 is in transit, 6 pending.
        over: &["1", "2", "5", "7"],
    },
    success: Some(("/s", "ok")),
    errors: ("/code", &[]),
};
