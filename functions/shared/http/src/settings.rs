//! Where the service is reached, by which pages, and through what.

use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured, Variable};

use crate::TrustedProxies;
use crate::brand::{self, Brand};
use crate::origin::{Origin, Origins};

/// Where clients reach the service.
pub const PUBLIC_URL: Variable = Variable {
    name: "PUBLIC_URL",
    default: "http://localhost:8001",
    about: "where clients reach the service: https://host[:port]; plain http only on localhost; locally the port of LISTEN_ADDR is the default",
    aliases: &[],
};

/// Where the pages are that links in mails lead to.
const FRONTEND_URL: Variable = Variable {
    name: "FRONTEND_URL",
    default: "",
    about: "where the pages are that links in mails lead to: https://host[:port]; PUBLIC_URL, where the web console is, when unset",
    aliases: &[],
};

/// The pages that may call the service from a browser. The default is for local development: the usual ports of
/// frontend servers, and the service's own documentation.
pub const ALLOWED_ORIGINS: Variable = Variable {
    name: "ALLOWED_ORIGINS",
    default: "http://localhost:3000,http://localhost:5173,http://localhost:8001,http://127.0.0.1:8001",
    about: "origins of the pages that may send credentials, separated by commas, beside those of PUBLIC_URL, where the web console is; once PUBLIC_URL is https, PUBLIC_URL and FRONTEND_URL alone",
    aliases: &[],
};

/// The proxies that are believed about whom they were called by.
const TRUSTED_PROXIES: Variable = Variable {
    name: "TRUSTED_PROXIES",
    default: "",
    about: "networks (CIDR) of the proxies in front, separated by commas, whose Forwarded or X-Forwarded-For names the client; the edge proves its word and need not be listed",
    aliases: &[],
};

/// Whether there is no other way in than the edge.
const REQUIRE_EDGE: Variable = Variable {
    name: "REQUIRE_EDGE",
    default: "false",
    about: "whether requests are refused that did not come through the edge: `true` or `false`; EDGE_PROOF_KEY must be set for `true`",
    aliases: &[],
};

/// Longer than any single call to the table, shorter than a gateway waits: the client hears it from us, with a request
/// id and a time to come back.
const REQUEST_TIMEOUT: Variable = Variable {
    name: "REQUEST_TIMEOUT",
    default: "5",
    about: "seconds after which a request that is not done is answered 503, 1 to 60; API Gateway waits 29 at most",
    aliases: &[],
};

/// Every variable this crate reads.
pub const VARIABLES: &[Variable] = &[
    PUBLIC_URL,
    FRONTEND_URL,
    ALLOWED_ORIGINS,
    TRUSTED_PROXIES,
    REQUIRE_EDGE,
    REQUEST_TIMEOUT,
    brand::BRAND_NAME,
    brand::BRAND_LOGO,
    brand::BRAND_ACCENT,
];

/// The address of the service as its clients write it. Links, the issuer's metadata and the security of the cookie come
/// from here and never from the header `Host`, which the client writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Origin);

impl PublicUrl {
    /// Reads a URL without path and query; one closing slash is forgiven. The error is one line for the person who
    /// wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let origin = Origin::parse(text.strip_suffix('/').unwrap_or(text))?;
        if !origin.is_https() && !origin.is_loopback() {
            return Err(
                "plain http would send tokens in the clear; use https, or http on localhost".to_owned()
            );
        }
        Ok(Self(origin))
    }

    /// The URL without a closing slash, to be continued with a path.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The origin of pages the service itself serves.
    pub fn origin(&self) -> &Origin {
        &self.0
    }

    /// Whether it is reached through TLS.
    pub fn is_https(&self) -> bool {
        self.0.is_https()
    }
}

impl std::str::FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// The settings of this crate.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Where clients reach the service.
    pub public_url: PublicUrl,
    /// Where the pages are that links in mails lead to.
    pub frontend_url: PublicUrl,
    /// The pages that may send credentials.
    pub origins: Origins,
    /// The proxies that are believed about whom they were called by.
    pub trusted_proxies: TrustedProxies,
    /// Whether a request must have come through the edge.
    pub requires_edge: bool,
    /// After how long a request that is not done is answered 503.
    pub request_timeout: Duration,
    /// Whose pages the web console shows.
    pub brand: Brand,
}

impl HttpSettings {
    /// Reads and checks them; fails with the name of the variable that cannot be used.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let public_url: PublicUrl = environment.parse(&PUBLIC_URL)?;
        let origins: Origins = environment.parse(&ALLOWED_ORIGINS)?;
        let is_given = environment.raw(ALLOWED_ORIGINS.name).is_some();
        let frontend_url = frontend_url(environment, &public_url)?;
        let own = [&public_url, &frontend_url].map(|url| url.origin().clone());
        let origins = match (is_given, public_url.is_https()) {
            // Pages of the service itself are never foreign to it.
            (true, _) => origins.iter().cloned().chain([public_url.origin().clone()]).collect(),
            // A deployment that names no page must not trust whatever runs on its users' machines.
            (false, true) => own.into_iter().collect(),
            (false, false) => origins.iter().cloned().chain(own).collect(),
        };
        let trusted_proxies = environment.parse(&TRUSTED_PROXIES)?;
        let brand = Brand::read(environment, &public_url)?;
        Ok(Self {
            public_url,
            frontend_url,
            origins,
            trusted_proxies,
            requires_edge: environment.parse(&REQUIRE_EDGE)?,
            request_timeout: environment.seconds(&REQUEST_TIMEOUT, 1..=60)?,
            brand,
        })
    }
}

/// Returns where the pages are that links in mails lead to: on the service's own host where nothing else is said.
fn frontend_url(environment: &Environment, public_url: &PublicUrl) -> Result<PublicUrl, Misconfigured> {
    if environment.text(&FRONTEND_URL)?.is_empty() {
        return Ok(public_url.clone());
    }
    environment.parse(&FRONTEND_URL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<HttpSettings, String> {
        HttpSettings::read(&pairs.iter().copied().collect()).map_err(|error| error.to_string())
    }

    fn origins(pairs: &[(&str, &str)]) -> String {
        read(pairs).unwrap().origins.iter().map(Origin::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn with_nothing_set_the_service_is_local() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.public_url.as_str(), "http://localhost:8001");
        assert_eq!(
            origins(&[]),
            "http://127.0.0.1:8001 http://localhost:3000 http://localhost:5173 http://localhost:8001"
        );
        assert!(origins(&[("PUBLIC_URL", "http://localhost:9000")]).contains("http://localhost:9000"));
    }

    #[test]
    fn a_public_service_trusts_no_local_page_unless_told() {
        let public = ("PUBLIC_URL", "https://auth.example.com/");
        assert_eq!(origins(&[public]), "https://auth.example.com");
        assert_eq!(
            origins(&[public, ("ALLOWED_ORIGINS", "https://app.example.com")]),
            "https://app.example.com https://auth.example.com"
        );
    }

    #[test]
    fn the_pages_of_the_service_may_call_it_whatever_else_is_listed() {
        let listed = ("ALLOWED_ORIGINS", "https://app.example.com");
        assert_eq!(origins(&[listed]), "http://localhost:8001 https://app.example.com");
    }

    #[test]
    fn pages_may_be_elsewhere_than_the_service_and_are_then_trusted_beside_it() {
        let public = ("PUBLIC_URL", "https://auth.example.com");
        let alone = read(&[public]).unwrap();
        assert_eq!(alone.frontend_url, alone.public_url);
        let elsewhere = ("FRONTEND_URL", "https://app.example.com/");
        assert_eq!(read(&[public, elsewhere]).unwrap().frontend_url.as_str(), "https://app.example.com");
        assert_eq!(origins(&[public, elsewhere]), "https://app.example.com https://auth.example.com");
        let error = read(&[public, ("FRONTEND_URL", "http://app.example.com")]).unwrap_err();
        assert!(error.starts_with("FRONTEND_URL: "), "{error}");
    }

    #[test]
    fn a_bad_address_stops_the_start_with_one_line() {
        for bad in [
            "auth.example.com",
            "http://auth.example.com",
            "http://10.0.0.1:8001",
            "http://localhost.evil.example",
            "https://auth.example.com/v1",
            "https://auth.example.com//",
            "https://auth.example.com?x",
            "https://user:pw@auth.example.com",
            "ftp://localhost",
        ] {
            let error = read(&[("PUBLIC_URL", bad)]).unwrap_err();
            assert!(error.starts_with("PUBLIC_URL: `"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn what_is_in_front_is_said_by_exact_words() {
        assert!(
            !read(&[]).unwrap().requires_edge && read(&[("REQUIRE_EDGE", "true")]).unwrap().requires_edge
        );
        for (name, bad) in [("REQUIRE_EDGE", "yes"), ("REQUIRE_EDGE", "1"), ("TRUSTED_PROXIES", "0.0.0.0/0")]
        {
            let error = read(&[(name, bad)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn a_wildcard_stops_the_start() {
        for bad in ["*", "https://*.example.com", "https://a.example,*", "null", "https://a.example/x"] {
            let error = read(&[("ALLOWED_ORIGINS", bad)]).unwrap_err();
            assert!(error.starts_with("ALLOWED_ORIGINS: "), "{error}");
        }
    }
}
