//! The relying party: under which name browsers keep passkeys of this deployment, and on which pages they may be used.

use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured, Variable};
use portcullis_store::Passkey;
use webauthn_rs::prelude::{Url, WebauthnError};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::attested::Attested;
use super::{
    CHALLENGE_LENGTH, PublicKeyCredential, Refused, RegisterPublicKeyCredential, client_data, library,
};
use crate::error::Error;

/// The name that passkeys are bound to.
pub(crate) const RP_ID: Variable = Variable {
    name: "PASSKEY_RP_ID",
    default: "",
    about: "the domain that passkeys are bound to, for good: the host of FRONTEND_URL, or a domain above it; the host when unset, and no passkeys where that is an IP address",
    aliases: &[],
};

/// The type of every credential there is.
const PUBLIC_KEY: &str = "public-key";

/// The relying party (WebAuthn Level 3, section 4) that this deployment is.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<String>,
    webauthn: Webauthn,
}

/// An assertion that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedAssertion {
    /// The signature counter.
    pub sign_count: u32,
    /// Whether the passkey has been copied, as it says.
    pub backed_up: bool,
}

impl RelyingParty {
    /// Returns the relying party whose pages are on `frontend`, and on those of `others` that are within its domain and that
    /// browsers make passkeys on; `None` where no domain is named and the pages have an IP address, which browsers make none
    /// for. Fails where the domain cannot be used with that page, and says why.
    pub fn read<'a>(
        environment: &Environment,
        name: &str,
        frontend: &'a str,
        others: impl Iterator<Item = &'a str>,
    ) -> Result<Option<Self>, Misconfigured> {
        let wrong = |reason: String| Misconfigured::new(RP_ID.name, reason);
        let page = Url::parse(frontend).map_err(|_| wrong(format!("{frontend} is no page")))?;
        let named = environment.text(&RP_ID)?;
        let id = match (page.domain(), named.as_str()) {
            (None, "") => return Ok(None),
            (None, _) => {
                return Err(wrong(format!("{frontend} has an IP address, and passkeys need a name")));
            }
            (Some(host), "") => host.to_owned(),
            (Some(host), named) => checked(named, host, frontend).map_err(wrong)?,
        };
        let mut origins = vec![frontend.to_owned()];
        origins.extend(others.filter(|origin| is_within(origin, &id)).map(str::to_owned));
        origins.sort();
        origins.dedup();
        let webauthn = built(&id, name, &origins).ok_or_else(|| wrong(format!("{id} cannot be used")))?;
        Ok(Some(Self { id, name: name.to_owned(), origins, webauthn }))
    }

    /// Returns the domain that passkeys are bound to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns what authenticators call this deployment.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the origins of the pages on which passkeys may be made and used.
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Returns the credential of a registration with this challenge. Fails unless it was made on a page of this relying party,
    /// by an authenticator that verified its user, with a key of [`super::ALGORITHMS`].
    pub(super) fn verify_registration(
        &self,
        challenge: &[u8; CHALLENGE_LENGTH],
        credential: &RegisterPublicKeyCredential,
    ) -> Result<Result<Attested, Refused>, Error> {
        let state = library::registration(&self.webauthn, challenge)?;
        let verify = || {
            is_public_key(&credential.type_)?;
            client_data::check(&credential.response.client_data_json, "webauthn.create", &self.origins)?;
            let verified = self.webauthn.finish_passkey_registration(credential, &state);
            let passkey = verified.map_err(|error| unverified(&error))?;
            let attested = Attested::read(&credential.response.attestation_object)?;
            if attested.credential_id != *passkey.cred_id() || attested.credential_id != credential.raw_id {
                return Err(Refused::Credential("it is named by another id than it has"));
            }
            Ok(attested)
        };
        Ok(verify())
    }

    /// Verifies an assertion with this challenge, of 16 bytes or more, by this passkey. Fails unless it was made on a page of this relying party, by
    /// an authenticator that verified its user, for the account of the passkey, with its key; whether the passkey may be copied
    /// is as it was, and its counter rose. The outer error is for a row that has no usable key.
    pub fn verify_assertion(
        &self,
        challenge: &[u8],
        credential: &PublicKeyCredential,
        passkey: &Passkey,
    ) -> Result<Result<VerifiedAssertion, Refused>, Error> {
        let state = library::assertion(&self.webauthn, challenge)?;
        // The library compares it before it looks at the signature, which would tell by its time whether somebody has a
        // credential. So it is told what it wants to hear, and asked again below.
        let backup_eligible = says_backup_eligible(credential);
        let known = library::passkey(&Passkey { backup_eligible, ..passkey.clone() })?;
        let verify = || {
            is_public_key(&credential.type_)?;
            client_data::check(&credential.response.client_data_json, "webauthn.get", &self.origins)?;
            let verified = self.webauthn.finish_discoverable_authentication_v2(credential, state, &known);
            let verified = verified.map_err(|error| unverified(&error))?;
            if !verified.user_verified() {
                return Err(Refused::Unverified);
            }
            if verified.backup_eligible() != passkey.backup_eligible {
                return Err(Refused::Credential("whether it may be copied has changed"));
            }
            // Without a list of credentials in the request an authenticator has to say whose it is (section 7.2, step 6).
            if credential.get_user_unique_id() != Some(passkey.user_handle.as_slice()) {
                return Err(Refused::Credential("it is of another user"));
            }
            Ok(VerifiedAssertion { sign_count: verified.counter(), backed_up: verified.backup_state() })
        };
        Ok(verify())
    }
}

/// Whether an assertion says that its passkey may be copied.
fn says_backup_eligible(credential: &PublicKeyCredential) -> bool {
    const PLACE_OF_FLAGS: usize = 32;
    let flags = credential.response.authenticator_data.get(PLACE_OF_FLAGS);
    flags.is_some_and(|flags| flags & super::attested::BACKUP_ELIGIBLE != 0)
}

fn is_public_key(kind: &str) -> Result<(), Refused> {
    if kind == PUBLIC_KEY { Ok(()) } else { Err(Refused::Credential("it is of an unknown type")) }
}

fn unverified(error: &WebauthnError) -> Refused {
    tracing::debug!(?error, "what an authenticator signed does not verify");
    match error {
        WebauthnError::CredentialPossibleCompromise => Refused::CounterFell,
        _ => Refused::Unverified,
    }
}

/// Returns the domain an operator named, if the page can use it: it is the page's host, or above it and not a whole top-level
/// domain.
fn checked(named: &str, host: &str, frontend: &str) -> Result<String, String> {
    let is_above = host.strip_suffix(named).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if !is_above {
        return Err(format!(
            "`{named}` is neither the host of {frontend} nor a domain above it, so that no browser would use a passkey there"
        ));
    }
    if !named.contains('.') && named != "localhost" {
        return Err(format!("`{named}` is a top-level domain, which browsers refuse"));
    }
    Ok(named.to_owned())
}

/// Whether a page of this origin may use passkeys of this domain: its host is the domain or below it, and it is reached through
/// TLS or on this machine, as browsers want it.
fn is_within(origin: &str, id: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let Some(host) = url.domain() else { return false };
    let is_below = host.strip_suffix(id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    is_below && (url.scheme() == "https" || host == "localhost")
}

fn built(id: &str, name: &str, origins: &[String]) -> Option<Webauthn> {
    let mut urls = origins.iter().filter_map(|origin| Url::parse(origin).ok());
    let first = urls.next()?;
    let builder = WebauthnBuilder::new(id, &first).ok()?.rp_name(name).timeout(Duration::from_mins(5));
    urls.fold(builder, |builder, url| builder.append_allowed_origin(&url)).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(named: &str, frontend: &str, others: &[&str]) -> Result<Option<RelyingParty>, String> {
        let environment: Environment = [(RP_ID.name, named)].into_iter().collect();
        RelyingParty::read(&environment, "Portcullis", frontend, others.iter().copied())
            .map_err(|error| error.to_string())
    }

    fn origins(named: &str, frontend: &str, others: &[&str]) -> String {
        read(named, frontend, others).unwrap().unwrap().origins().join(" ")
    }

    #[test]
    fn the_host_of_the_pages_is_the_default_and_a_domain_above_it_may_be_named() {
        let id = |named, frontend| read(named, frontend, &[]).unwrap().unwrap().id().to_owned();
        assert_eq!(id("", "https://app.example.com"), "app.example.com");
        assert_eq!(id("", "http://localhost:8001"), "localhost");
        assert_eq!(id("example.com", "https://app.example.com"), "example.com");
        assert_eq!(id("app.example.com", "https://app.example.com:8443"), "app.example.com");
    }

    #[test]
    fn pages_within_the_domain_may_use_passkeys_and_no_others() {
        let others = [
            "https://auth.example.com",
            "https://example.com",
            "http://plain.example.com",
            "https://example.com.evil.example",
            "https://evilexample.com",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
        ];
        assert_eq!(
            origins("example.com", "https://app.example.com", &others),
            "https://app.example.com https://auth.example.com https://example.com"
        );
        assert_eq!(origins("", "https://app.example.com", &others), "https://app.example.com");
        assert_eq!(
            origins("", "http://localhost:8001", &others),
            "http://localhost:3000 http://localhost:8001"
        );
    }

    #[test]
    fn a_domain_that_no_page_could_use_stops_the_start_and_is_named() {
        for (named, frontend) in [
            ("other.example", "https://app.example.com"),
            ("ple.com", "https://app.example.com"),
            ("login.app.example.com", "https://app.example.com"),
            ("com", "https://app.example.com"),
            ("https://example.com", "https://app.example.com"),
            ("Example.com", "https://app.example.com"),
            ("example.com:443", "https://app.example.com"),
            (".example.com", "https://app.example.com"),
            ("127.0.0.1", "http://127.0.0.1:8001"),
            ("localhost", "http://127.0.0.1:8001"),
        ] {
            let error = read(named, frontend, &[]).unwrap_err();
            assert!(error.starts_with("PASSKEY_RP_ID: ") && error.lines().count() == 1, "{error}");
        }
        assert!(read("", "http://127.0.0.1:8001", &[]).unwrap().is_none());
        assert!(read("", "http://[::1]:8001", &[]).unwrap().is_none());
    }
}
