//! The caller of a request, once it is proven.

use std::cell::Cell;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use portcullis_verifier::policy::{Grant, Permission};
use portcullis_verifier::route::Needed;
use portcullis_verifier::{Assurance, Claims, IdentityHeaders};

use crate::{LEEWAY, Millis};

/// What cannot stand in a header as it is, or would separate values there.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b';').add(b'"');

/// A proven caller: what the policy decides on and what the service behind is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user_id: String,
    pub(crate) roles: Vec<String>,
    /// Empty for an API key.
    pub(crate) session_id: String,
    /// The session epoch of the token; 0 for an API key.
    pub(crate) session_epoch: u64,
    pub(crate) method: AuthMethod,
    /// How and when the person proved who they are, as a token says; nobody did for an API key.
    pub(crate) signed_in: Option<SignedIn>,
    /// When the proof was made, in Unix seconds: for a token its `iat`, for an API key the last look at it.
    pub(crate) proven_at: u64,
    /// When the credential ends, for clocks that disagree by as much as is allowed; the greatest number where it has no end.
    pub(crate) ends_at: Millis,
    /// What a service is told of the caller, as it is sent: no value can be taken for two. The headers about the request
    /// are empty.
    pub(crate) identity: IdentityHeaders<String>,
    /// Up to which revision of the feed nothing ends the token.
    pub(crate) cleared: Cell<u64>,
}

/// How surely a person proved who they are, and when they last did, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedIn {
    acr: Assurance,
    auth_time: u64,
}

/// How the caller was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthMethod {
    Token,
    /// A program, which may do no more than this of what its owner may.
    ApiKey {
        scopes: Vec<Grant>,
    },
}

impl Caller {
    /// The holder of an API key, as the identity service knew them at `proven_at`.
    pub(crate) fn with_key(user_id: String, roles: Vec<String>, scopes: Vec<Grant>, proven_at: u64) -> Self {
        let identity = IdentityHeaders {
            user_id: escaped(&user_id),
            roles: list(roles.iter().map(|role| escaped(role))),
            // A grant is made of words, `:` and `*`.
            scopes: list(scopes.iter().map(ToString::to_string)),
            auth_method: "api_key".into(),
            ..IdentityHeaders::default()
        };
        let method = AuthMethod::ApiKey { scopes };
        Self {
            user_id,
            roles,
            session_id: String::new(),
            session_epoch: 0,
            method,
            signed_in: None,
            proven_at,
            ends_at: Millis::MAX,
            identity,
            cleared: Cell::new(0),
        }
    }

    /// Whether the caller signed in as a route needs it, at `now` in Unix seconds. Behind an API key nobody signed in.
    pub(crate) fn meets(&self, needed: Needed, now: u64) -> bool {
        needed.is_nothing()
            || self.signed_in.is_some_and(|SignedIn { acr, auth_time }| needed.is_met(acr, auth_time, now))
    }

    /// Whether nothing narrower than the roles stands in the way to a service: the scopes of a key must cover the
    /// permission a route asks for or, where it asks for none, something of the service.
    pub(crate) fn reaches(&self, service: &str, permission: Option<&Permission>) -> bool {
        match &self.method {
            AuthMethod::Token => true,
            AuthMethod::ApiKey { scopes } => scopes.iter().any(|scope| match permission {
                Some(permission) => scope.covers(permission),
                None => scope.concerns(service),
            }),
        }
    }
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        let identity = IdentityHeaders {
            user_id: escaped(&claims.sub),
            email: claims.email.as_deref().map(escaped).unwrap_or_default(),
            roles: list(claims.roles.iter().map(|role| escaped(role))),
            session_id: escaped(&claims.session_id),
            auth_method: "jwt".into(),
            ..IdentityHeaders::default()
        };
        Self {
            user_id: claims.sub,
            roles: claims.roles,
            session_id: claims.session_id,
            session_epoch: claims.epoch,
            method: AuthMethod::Token,
            signed_in: Some(SignedIn { acr: claims.acr, auth_time: claims.auth_time }),
            proven_at: claims.iat,
            ends_at: claims.exp.saturating_add(LEEWAY).saturating_mul(1000),
            identity,
            cleared: Cell::new(0),
        }
    }
}

/// A text that is one value of a header.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).collect()
}

fn list(values: impl Iterator<Item = String>) -> String {
    let mut list = String::new();
    for value in values {
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&value);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: &[&str]) -> Caller {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Caller::with_key("usr_a".into(), vec!["user".into(), "a,b".into()], scopes, 0)
    }

    #[test]
    fn a_key_reaches_what_one_of_its_scopes_covers() {
        let place = "trading:place".parse().unwrap();
        for (scopes, service, order) in [
            (&[][..], false, false),
            (&["trading:read"], true, false),
            (&["trading:place"], true, true),
            (&["market:read", "trading:*"], true, true),
            (&["*:read"], true, false),
            (&["market:*"], false, false),
        ] {
            assert_eq!(key(scopes).reaches("trading", None), service, "{scopes:?}");
            assert_eq!(key(scopes).reaches("trading", Some(&place)), order, "{scopes:?}");
        }
    }

    #[test]
    fn what_a_service_is_told_of_a_key() {
        let IdentityHeaders { roles, scopes, email, session_id, auth_method, .. } =
            key(&["a:b", "*:c"]).identity;
        assert_eq!(
            (roles.as_str(), scopes.as_str(), auth_method.as_str()),
            ("user,a%2Cb", "a:b,*:c", "api_key")
        );
        assert_eq!((email, session_id), (String::new(), String::new()));
    }

    #[test]
    fn what_a_service_is_told_of_an_account_without_an_address() {
        let claims: Claims = serde_json::from_str(
            r#"{"iss":"i","aud":"a","sub":"usr_a","iat":0,"exp":900,"jti":"j","roles":["user"],"session_id":"ses_1",
                "token_type":"access","auth_time":0,"amr":[]}"#,
        )
        .unwrap();
        let identity = Caller::from(claims).identity;
        assert_eq!((identity.user_id.as_str(), identity.email.as_str()), ("usr_a", ""));
        assert_eq!((identity.session_id.as_str(), identity.auth_method.as_str()), ("ses_1", "jwt"));
    }
}
