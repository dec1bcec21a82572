//! Dhan: a consent that is asked for with the application's secret, a login at its page, and a token id that is exchanged. After
//! Dhan's documentation at `dhanhq.co/docs/v2`, on the pages "Authentication" and "Annexure", and the official client,
//! `dhanhq` 2.3.
//!
//! Its login leads back to the address that is registered for the key, with a `tokenId` and no state. What binds it is that the
//! key is one user's own, that only its secret exchanges the id, and that the session must be the user's whom the account names.

use std::sync::Arc;
use std::time::Duration;

use portcullis_platform::Variable;

use super::address::address;
use super::expiry::Expiry;
use super::oauth2::{Book, Description, Grant, OAuth2, Scheme};
use super::{BrokerError, Entry};

const API_URL: Variable = Variable {
    name: "DHAN_API_URL",
    default: "https://api.dhan.co/v2",
    about: "address of the Dhan API",
    aliases: &[],
};
const AUTH_URL: Variable = Variable {
    name: "DHAN_AUTH_URL",
    default: "https://auth.dhan.co",
    about: "address of Dhan's logins",
    aliases: &[],
};

pub(super) const ENTRY: Entry = Entry {
    variables: &[API_URL, AUTH_URL],
    read: |environment| {
        let (api, auth) = (address(environment, &API_URL)?, address(environment, &AUTH_URL)?);
        Ok(Arc::new(OAuth2 { about: &DHAN, api, auth }))
    },
};

static DHAN: Description = Description {
    name: "dhan",
    title: "Dhan",
    grant: Grant::Consent {
        begin: &["app", "generate-consent"],
        authorize: &["login", "consentApp-login"],
        token: &["app", "consumeApp-consent"],
    },
    // "Authentication": a token is valid for 24 hours.
    expiry: Expiry::After(Duration::from_hours(24)),
    scheme: Scheme::Field("access-token"),
    profile: (&["profile"], "/dhanClientId"),
    // Neither the documentation nor the client has a call that ends a session.
    logout: None,
    book: Book {
        path: &["orders"],
        list: "",
        status: "orderStatus",
        over: &["REJECTED", "CANCELLED", "TRADED", "EXPIRED"],
    },
    success: None,
    // "Annexure", "Trading API Error".
    errors: (
        "/errorCode",
        &[
            ("DH-901", BrokerError::Expired),
            ("DH-902", BrokerError::Blocked),
            ("DH-903", BrokerError::Blocked),
            ("DH-904", BrokerError::RateLimited),
        ],
    ),
};
