//! Authentication of the platform's services: each has a name, rights, and a list of tokens, so that a token can be
//! rotated without an outage.
//!
//! That a token was presented is noted, once an hour by each process, because the rotation forgets an older token only when
//! a newer one is in use. What is noted decides nothing here.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;
use portcullis_platform::{MOST_SERVICE_TOKENS, ServiceTokens, service_token_fingerprint};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::Identity;
use crate::access::lease_secret::LeaseSecret;
use crate::access::service_rights::{CredentialRights, Entry};
use crate::error::Error;
use crate::sha256::sha256;

/// How often a process notes that a token is presented.
const NOTED_EVERY: Duration = Duration::from_hours(1);
/// How long it does not try again when the table did not take it.
const BACKOFF: Duration = Duration::from_mins(1);

/// A service that authenticated with its token.
#[derive(Debug, Clone)]
pub struct Service {
    /// The name of the service.
    pub name: String,
    entry: Entry,
    lease_secret: Option<LeaseSecret>,
}

impl Service {
    /// Returns [`Error::Forbidden`] unless the service has this right.
    pub fn require(&self, resource: &str, action: &str) -> Result<(), Error> {
        if self.has(resource, action) {
            Ok(())
        } else {
            Err(Error::Forbidden("The service has no right to do this."))
        }
    }

    /// Returns whether the service has this right.
    pub fn has(&self, resource: &str, action: &str) -> bool {
        self.entry.has(resource, action)
    }

    /// Returns whether the service may read sessions of this broker in spite of a freeze, to cancel orders.
    pub fn cancels_at(&self, broker: &str) -> bool {
        self.entry.cancels_at(broker)
    }

    /// Returns which broker credentials the service may read, if any.
    pub fn credential_rights(&self) -> Option<&CredentialRights> {
        self.entry.credentials.as_ref()
    }

    /// Returns the secret under which its leases are sealed; `None` in a function that has no key for records.
    pub fn lease_secret(&self) -> Option<&LeaseSecret> {
        self.lease_secret.as_ref()
    }
}

/// A valid token. Its digest, so that tokens of any length are compared in the same time.
#[derive(Debug)]
pub(crate) struct HeldToken {
    service: String,
    digest: [u8; 32],
    fingerprint: String,
    /// Whether its service has no newer one.
    is_newest: bool,
    /// When it is to be noted next that the token is presented, in Unix milliseconds.
    due: AtomicI64,
}

impl HeldToken {
    fn new(service: &str, token: &SecretString, is_newest: bool) -> Self {
        Self {
            service: service.to_owned(),
            digest: sha256(token.expose_secret()),
            fingerprint: service_token_fingerprint(service, token),
            is_newest,
            due: AtomicI64::new(i64::MIN),
        }
    }

    /// Whether its use is to be noted now, by the first of those who ask at once.
    fn is_due(&self, now: Timestamp) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        let next = (now + NOTED_EVERY).as_millisecond();
        due <= now.as_millisecond()
            && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The tokens of all services.
#[derive(Debug, Default)]
pub(crate) struct HeldTokens(Vec<HeldToken>);

impl HeldTokens {
    /// Returns the tokens in all versions of the secret; fails if a service has more than three over all of them, or two
    /// services share one.
    pub(crate) fn parse<'a>(
        versions: impl Iterator<Item = &'a SecretSlice<u8>>,
    ) -> Result<Self, &'static str> {
        let mut held: Vec<HeldToken> = Vec::new();
        for version in versions {
            let written =
                ServiceTokens::parse(version.expose_secret()).map_err(|_| "a list of service tokens")?;
            for (name, listed) in written.iter() {
                for token in listed {
                    let is_newest = held.iter().all(|other| other.service != name);
                    let token = HeldToken::new(name, token, is_newest);
                    match held.iter().find(|other| other.digest == token.digest) {
                        None => held.push(token),
                        Some(other) if other.service == name => {}
                        Some(_) => return Err("made of tokens that each belong to one service"),
                    }
                }
                if held.iter().filter(|other| other.service == name).count() > MOST_SERVICE_TOKENS {
                    return Err("limited to three tokens for each service");
                }
            }
        }
        Ok(Self(held))
    }

    /// Returns the entry of a token. Every digest is compared, so that the response time tells nothing.
    fn find(&self, token: &SecretString) -> Option<&HeldToken> {
        let presented = sha256(token.expose_secret());
        self.0.iter().fold(None, |found, held| {
            if verify_slices_are_equal(&held.digest, &presented).is_ok() { Some(held) } else { found }
        })
    }
}

impl Identity {
    /// Returns the service of a token; fails with [`Error::InvalidServiceToken`] if the token is unknown or its service
    /// has no entry in `SERVICES`.
    pub async fn authenticate_service(&self, token: &SecretString) -> Result<Service, Error> {
        let held = self.keyring.service_tokens.find(token).ok_or(Error::InvalidServiceToken)?;
        let entry = self.settings.services.of(&held.service).ok_or(Error::InvalidServiceToken)?;
        let now = self.clock.now();
        if held.is_due(now) {
            self.note_use_of_token(held, now).await;
        }
        let lease_secret = self.keyring.lease_secret(token);
        Ok(Service { name: held.service.clone(), entry: entry.clone(), lease_secret })
    }

    /// Notes that a token is presented, and counts it where a newer one is there (`OutdatedServiceTokens`). No request
    /// depends on it, so an error is logged and fails none.
    async fn note_use_of_token(&self, held: &HeldToken, now: Timestamp) {
        if !held.is_newest {
            tracing::warn!(
                OutdatedServiceTokens = 1.0,
                holder = held.service,
                "a service presents a token that has a successor"
            );
        }
        let noted = self.store.note_service_token(&held.service, &held.fingerprint, now, now - NOTED_EVERY);
        if let Err(error) = noted.await {
            held.due.store((now + BACKOFF).as_millisecond(), Ordering::Relaxed);
            tracing::warn!(%error, "the use of a service token was not noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::FIRST_SERVICES;

    use crate::access::service_rights::ServiceRights;

    use super::*;

    fn tokens(versions: &[&str]) -> Result<HeldTokens, &'static str> {
        let versions: Vec<SecretSlice<u8>> =
            versions.iter().map(|version| version.as_bytes().to_vec().into()).collect();
        HeldTokens::parse(versions.iter())
    }

    fn token(character: char) -> String {
        character.to_string().repeat(40)
    }

    #[test]
    fn every_listed_token_is_valid_and_the_first_is_the_newest() {
        let (a, b, c) = (token('a'), token('b'), token('c'));
        let held = tokens(&[
            &format!(r#"{{"edge":"{a}","trading":["{c}"]}}"#),
            &format!(r#"{{"edge":["{a}","{b}"]}}"#),
        ])
        .unwrap();
        for (token, expected) in [
            (&a, Some(("edge", true))),
            (&b, Some(("edge", false))),
            (&c, Some(("trading", true))),
            (&token('d'), None),
        ] {
            let found = held.find(&token.as_str().into());
            assert_eq!(found.map(|held| (held.service.as_str(), held.is_newest)), expected);
        }
        assert!(held.find(&a[1..].into()).is_none());
        assert!(!format!("{held:?}").contains(&a));
    }

    #[test]
    fn unusable_tokens_are_refused() {
        let (a, b, c, d) = (token('a'), token('b'), token('c'), token('d'));
        for bad in [
            "[]".to_owned(),
            r#"{"edge":"short"}"#.to_owned(),
            format!(r#"{{"edge":["{a}","{b}","{c}","{d}"]}}"#),
            format!(r#"{{"edge":"{a}","trading":"{a}"}}"#),
            format!(r#"{{"edge":"{}"}}"#, "x".repeat(257)),
        ] {
            assert!(tokens(&[&bad]).is_err(), "{bad}");
        }
        let fourth = format!(r#"{{"edge":"{d}"}}"#);
        let three = format!(r#"{{"edge":["{a}","{b}","{c}"]}}"#);
        assert!(tokens(&[&three, &fourth]).is_err(), "over all versions");
    }

    #[test]
    fn a_process_notes_a_token_once_an_hour() {
        let held = HeldToken::new("edge", &token('a').into(), true);
        let now = Timestamp::UNIX_EPOCH;
        assert!(held.is_due(now) && !held.is_due(now));
        assert!(!held.is_due(now + NOTED_EVERY - Duration::from_millis(1)) && held.is_due(now + NOTED_EVERY));
    }

    #[test]
    fn rights_are_permissions_and_a_bad_one_is_named() {
        let rights = ServiceRights::parse(r#"{"edge":["api-key:verify"]}"#).unwrap();
        let edge = Service {
            name: "edge".to_owned(),
            entry: rights.of("edge").unwrap().clone(),
            lease_secret: None,
        };
        assert!(edge.require("api-key", "verify").is_ok());
        assert!(edge.require("api-key", "create").is_err());
        let error = ServiceRights::parse(r#"{"edge":["everything"]}"#).unwrap_err();
        assert!(error.starts_with("service `edge`: right `everything`: "), "{error}");
        assert!(ServiceRights::parse(r#"{"edge":["api-key:*"]}"#).is_err(), "rights are named one by one");
    }

    #[test]
    fn the_services_of_a_first_start_have_rights() {
        let settings = crate::IdentitySettings::read(&portcullis_platform::Environment::default()).unwrap();
        for name in FIRST_SERVICES {
            assert!(settings.services.of(name).is_some(), "{name}");
        }
    }
}
