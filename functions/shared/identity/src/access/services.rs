//! Authentication of the platform's services: each has a name, rights, and one or two tokens, so that a token can be
//! rotated without an outage.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use portcullis_platform::{MOST_SERVICE_TOKENS, parse_service_tokens};
use portcullis_verifier::policy::Permission;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::Identity;
use crate::access::service_rights::{CredentialRights, Entry};
use crate::error::Error;
use crate::sha256::sha256;

/// A service that authenticated with its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name of the service.
    pub name: String,
    entry: Entry,
}

impl Service {
    /// Returns [`Error::Forbidden`] unless the service has this right.
    pub fn require(&self, resource: &str, action: &str) -> Result<(), Error> {
        let has = |right: &Permission| right.resource() == resource && right.action() == action;
        if self.entry.rights.iter().any(has) {
            Ok(())
        } else {
            Err(Error::Forbidden("The service has no right to do this."))
        }
    }

    /// Returns which broker credentials the service may read, if any.
    pub fn credential_rights(&self) -> Option<&CredentialRights> {
        self.entry.credentials.as_ref()
    }
}

/// Digests of the tokens of all services. A digest, so that tokens of any length are compared in the same time.
#[derive(Debug)]
pub(crate) struct ServiceTokens(Vec<(String, [u8; 32])>);

impl ServiceTokens {
    /// Returns the tokens in all versions of the secret; fails if a service has more than two over all of them, or two
    /// services share one.
    pub(crate) fn parse<'a>(
        versions: impl Iterator<Item = &'a SecretSlice<u8>>,
    ) -> Result<Self, &'static str> {
        let mut tokens: Vec<(String, [u8; 32])> = Vec::new();
        for version in versions {
            let written =
                parse_service_tokens(version.expose_secret()).map_err(|_| "a list of service tokens")?;
            for (name, listed) in written {
                for token in &listed {
                    let entry = (name.clone(), sha256(token.expose_secret()));
                    if tokens.iter().any(|(other, digest)| *other != name && *digest == entry.1) {
                        return Err("made of tokens that each belong to one service");
                    }
                    if !tokens.contains(&entry) {
                        tokens.push(entry);
                    }
                }
                if tokens.iter().filter(|(other, _)| *other == name).count() > MOST_SERVICE_TOKENS {
                    return Err("limited to two tokens for each service");
                }
            }
        }
        Ok(Self(tokens))
    }

    /// Returns the service of a token. Every digest is compared, so that the response time tells nothing.
    fn owner(&self, token: &SecretString) -> Option<&str> {
        let presented = sha256(token.expose_secret());
        self.0.iter().fold(None, |found, (name, digest)| {
            if verify_slices_are_equal(digest, &presented).is_ok() { Some(name.as_str()) } else { found }
        })
    }
}

impl Identity {
    /// Returns the service of a token; fails with [`Error::InvalidServiceToken`] if the token is unknown or its service
    /// has no entry in `SERVICES`.
    pub fn authenticate_service(&self, token: &SecretString) -> Result<Service, Error> {
        let name = self.keyring.service_tokens.owner(token).ok_or(Error::InvalidServiceToken)?;
        let entry = self.settings.services.of(name).ok_or(Error::InvalidServiceToken)?;
        Ok(Service { name: name.to_owned(), entry: entry.clone() })
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::FIRST_SERVICES;

    use crate::access::service_rights::ServiceRights;

    use super::*;

    fn tokens(versions: &[&str]) -> Result<ServiceTokens, &'static str> {
        let versions: Vec<SecretSlice<u8>> =
            versions.iter().map(|version| version.as_bytes().to_vec().into()).collect();
        ServiceTokens::parse(versions.iter())
    }

    fn token(character: char) -> String {
        character.to_string().repeat(40)
    }

    #[test]
    fn two_tokens_of_a_service_are_valid_at_a_time() {
        let (a, b, c) = (token('a'), token('b'), token('c'));
        let held = tokens(&[
            &format!(r#"{{"edge":"{a}","trading":["{c}"]}}"#),
            &format!(r#"{{"edge":["{a}","{b}"]}}"#),
        ])
        .unwrap();
        for (token, owner) in
            [(&a, Some("edge")), (&b, Some("edge")), (&c, Some("trading")), (&token('d'), None)]
        {
            assert_eq!(held.owner(&token.as_str().into()), owner);
        }
        assert_eq!(held.owner(&a[1..].into()), None);
        assert!(!format!("{held:?}").contains(&a));
    }

    #[test]
    fn unusable_tokens_are_refused() {
        let (a, b, c) = (token('a'), token('b'), token('c'));
        for bad in [
            "[]".to_owned(),
            r#"{"edge":"short"}"#.to_owned(),
            format!(r#"{{"edge":["{a}","{b}","{c}"]}}"#),
            format!(r#"{{"edge":"{a}","trading":"{a}"}}"#),
            format!(r#"{{"edge":"{}"}}"#, "x".repeat(257)),
        ] {
            assert!(tokens(&[&bad]).is_err(), "{bad}");
        }
        let third = format!(r#"{{"edge":"{c}"}}"#);
        assert!(tokens(&[&format!(r#"{{"edge":["{a}","{b}"]}}"#), &third]).is_err(), "over all versions");
    }

    #[test]
    fn rights_are_permissions_and_a_bad_one_is_named() {
        let rights = ServiceRights::parse(r#"{"edge":["api-key:verify"]}"#).unwrap();
        let edge = Service { name: "edge".to_owned(), entry: rights.of("edge").unwrap().clone() };
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
