//! What may be probed: this machine, and a deployment whose operator says so with a token of that very deployment.
//!
//! The token is an administrator's access token. It lives for minutes, it makes the accounts of the run where addresses have to be
//! confirmed and erases them afterwards, and it can be checked before it travels: it is sent nowhere unless its signature holds
//! under a key that the URL publishes, so that a mistyped address, or that of another deployment, never sees it.

use std::net::SocketAddr;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::lookup_host;

use crate::client::{Ask, Client, Trouble};
use crate::keys::Keys;

/// A deployment that was named, and where its name leads. Requests go there and nowhere else, whatever the name says later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL without a slash at its end.
    pub url: String,
    /// The host in it.
    pub host: String,
    /// The addresses of the host.
    pub addresses: Vec<SocketAddr>,
}

/// The error when a URL is not probed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no address of a deployment.
    #[error("{0} is not of the form https://auth.example.com")]
    NoUrl(String),
    /// Nobody knows the name.
    #[error("{0} leads nowhere")]
    Nowhere(String),
    /// Tokens and passwords would travel in the clear.
    #[error("http:// is for this machine alone")]
    InTheClear,
    /// It is somebody's deployment, and nobody says it may be attacked.
    #[error(
        "{0} is not this machine: say with an administrator's access token of this very deployment \
         (PORTCULLIS_PROBE_TOKEN) that it may be probed"
    )]
    NotAllowed(String),
    /// Another deployment made the token; it was not sent.
    #[error("the token is not signed with a key that this deployment publishes; it was not sent")]
    OfAnother,
    /// The deployment does not take the token for one of an administrator.
    #[error("the deployment does not take the token for one of an administrator ({0})")]
    NoAdministrator(String),
    /// The keys could not be read.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl Target {
    /// Reads a URL and looks its name up; fails when it is none of a deployment or leads nowhere.
    pub async fn read(url: &str) -> Result<Self, Refused> {
        let no_url = || Refused::NoUrl(url.to_owned());
        let found = Url::parse(url).map_err(|_| no_url())?;
        let is_plain = found.path() == "/" && found.query().is_none() && found.username().is_empty();
        if !matches!(found.scheme(), "http" | "https") || !is_plain {
            return Err(no_url());
        }
        let (host, port) = found.host_str().zip(found.port_or_known_default()).ok_or_else(no_url)?;
        // An IPv6 address stands in brackets there.
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = lookup_host((name, port)).await.map(Iterator::collect).unwrap_or_default();
        Self::at(found.as_str().trim_end_matches('/'), host, addresses)
    }

    fn at(url: &str, host: &str, addresses: Vec<SocketAddr>) -> Result<Self, Refused> {
        if addresses.is_empty() {
            return Err(Refused::Nowhere(host.to_owned()));
        }
        Ok(Self { url: url.to_owned(), host: host.to_owned(), addresses })
    }

    /// Whether everything the name leads to is this machine.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().to_canonical().is_loopback())
    }

    /// Whether it may be spoken to at all, before anything is sent.
    pub fn may_be_asked(&self, has_token: bool) -> Result<(), Refused> {
        if self.is_loopback() {
            return Ok(());
        }
        if !self.url.starts_with("https:") {
            return Err(Refused::InTheClear);
        }
        if has_token { Ok(()) } else { Err(Refused::NotAllowed(self.url.clone())) }
    }
}

/// Returns when the deployment knows the token for one of an administrator; sends it only once its signature holds under a
/// published key.
pub async fn prove(client: &Client, token: &SecretString) -> Result<(), Refused> {
    let token = token.expose_secret();
    if Keys::fetch(client).await?.claims(token).is_none() {
        return Err(Refused::OfAnother);
    }
    let listed = client.ask(&Ask::get("/v1/admin/users?limit=1").with(token)).await?;
    if listed.status == 200 { Ok(()) } else { Err(Refused::NoAdministrator(listed.shown())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str, addresses: &[&str]) -> Target {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Target::at(url, "host", addresses).unwrap()
    }

    #[test]
    fn only_this_machine_is_probed_without_a_token() {
        for address in ["127.0.0.1:80", "127.8.9.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(at("http://host", &[address]).may_be_asked(false), Ok(()), "{address}");
        }
        for address in
            ["192.0.2.1:80", "10.0.0.1:80", "0.0.0.0:80", "[::]:80", "[2001:db8::1]:80", "[fe80::1]:80"]
        {
            let refused = at("https://host", &[address]).may_be_asked(false);
            assert_eq!(refused, Err(Refused::NotAllowed("https://host".to_owned())), "{address}");
            assert_eq!(at("https://host", &[address]).may_be_asked(true), Ok(()), "{address}");
            assert_eq!(
                at("http://host", &[address]).may_be_asked(true),
                Err(Refused::InTheClear),
                "{address}"
            );
        }
        // One address of several is enough.
        assert!(at("https://host", &["127.0.0.1:80", "192.0.2.1:80"]).may_be_asked(false).is_err());
    }

    #[tokio::test]
    async fn what_is_no_address_of_a_deployment_is_refused() {
        for url in [
            "",
            "auth.example.com",
            "ftp://127.0.0.1",
            "http://127.0.0.1/v1",
            "http://a:b@127.0.0.1",
            "http://127.0.0.1/?a",
        ] {
            assert_eq!(Target::read(url).await, Err(Refused::NoUrl(url.to_owned())));
        }
        let long = format!("http://{}", "a".repeat(1_000_000));
        assert!(Target::read(&long).await.is_err());
        let found = Target::read("http://[::1]:8001/").await.unwrap();
        assert_eq!((found.url.as_str(), found.is_loopback()), ("http://[::1]:8001", true));
    }
}
