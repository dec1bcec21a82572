//! Web origins (RFC 6454): which pages may talk to the service from a browser.

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use http::header::ORIGIN;
use url::{Host, Url};

use crate::{Code, Problem};

/// A scheme, a host and maybe a port, written as browsers send it in `Origin`: in lower case, without a default port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

/// The pages that may send credentials. Compared as whole strings: there are no patterns to get wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

impl Origin {
    /// Reads `http(s)://host[:port]`; fails with one line for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        if !lower.starts_with("https://") && !lower.starts_with("http://") {
            return Err(format!("`{}` does not start with https:// or http://", text.escape_default()));
        }
        serialized(&lower).map(Self).ok_or_else(|| {
            format!(
                "`{}` is not scheme://host[:port] without a path, user or wildcard",
                text.escape_default()
            )
        })
    }

    /// As it stands in the header `Origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is reached through TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether it can only be this machine. Names below `localhost` are not counted: not every resolver keeps them here.
    pub fn is_loopback(&self) -> bool {
        let url = Url::parse(&self.0).ok();
        url.is_some_and(|url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the origin as browsers serialise it (URL standard), if the text says nothing else than that. A parser of URLs
/// forgives a lot: a path, a user, capitals, an address in another notation. Whatever it had to mend is refused here, for
/// a setting that means something else than it says is worse than none.
fn serialized(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let origin = url.origin().ascii_serialization();
    let is_all = text == origin || Some(text) == with_default_port(&url, &origin).as_deref();
    let has_host = match url.host()? {
        Host::Domain(name) => name.len() <= 253 && name.split('.').all(is_label),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    // Port 0 is none to connect to.
    (is_all && has_host && url.port() != Some(0)).then_some(origin)
}

/// Returns the origin with the port of its scheme written out, if `url` has that port.
fn with_default_port(url: &Url, origin: &str) -> Option<String> {
    let port = url.port_or_known_default().filter(|_| url.port().is_none())?;
    Some(format!("{origin}:{port}"))
}

/// The parser takes `*`, `_` and empty labels for parts of a name.
fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len()) && label.bytes().all(plain)
}

impl Origins {
    /// Reads a comma separated list. The error is one line that names the entry at fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let origins: Vec<Origin> = entries.map(Origin::parse).collect::<Result<_, _>>()?;
        if origins.is_empty() {
            return Err("it names no origin".to_owned());
        }
        Ok(origins.into_iter().collect())
    }

    /// Returns whether a page with this `Origin` may send credentials.
    pub fn contains(&self, origin: &str) -> bool {
        self.iter().any(|allowed| allowed.as_str() == origin)
    }

    /// Returns each of them once, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }
}

impl FromIterator<Origin> for Origins {
    fn from_iter<I: IntoIterator<Item = Origin>>(origins: I) -> Self {
        let mut list: Vec<Origin> = origins.into_iter().collect();
        list.sort();
        list.dedup();
        Self(list)
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// Fails unless the request comes from an allowed page. The rule against cross-site request forgery (CSRF), for requests
/// that authenticate by cookie.
///
/// `SameSite` alone leaves out sibling subdomains and old browsers. Browsers send `Origin` with every POST, so a missing
/// one is refused too; `Sec-Fetch-Site` does not replace it, because it says how pages relate and not which page it was.
pub fn require_allowed_origin(headers: &HeaderMap, allowed: &Origins) -> Result<(), Problem> {
    let mut values = headers.get_all(ORIGIN).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(origin), None) if allowed.contains(origin) => Ok(()),
        (origin, _) => Err(not_allowed(origin)),
    }
}

/// How much of an origin is logged: a host has at most 253 characters.
const LONGEST_LOGGED: usize = 300;

/// Returns the refusal, after the operator is told where the list is. `None` is a request without an origin.
pub(crate) fn not_allowed(origin: Option<&str>) -> Problem {
    match origin.map(|origin| origin.chars().take(LONGEST_LOGGED).collect::<String>()) {
        Some(origin) => tracing::warn!(?origin, "refused a page of an origin that is not in ALLOWED_ORIGINS"),
        None => {
            tracing::warn!("refused the refresh cookie of a request without one Origin of ALLOWED_ORIGINS");
        }
    }
    Code::OriginNotAllowed.into()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for (given, kept) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443", "https://app.example.com"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("https://xn--bcher-kva.example:8443", "https://xn--bcher-kva.example:8443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(Origin::parse(given).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn anything_that_is_not_exactly_one_origin_is_refused() {
        for bad in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://*",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com?q",
            "https://app.example.com#f",
            "https://user@app.example.com",
            "https://",
            "https://:443",
            "https://a..b",
            "https://bücher.example",
            "https://app.example.com:0",
            "https://app.example.com:",
            "https://app.example.com:+80",
            "https://app.example.com:99999",
            "https://app.example.com:1:2",
            "https://[::1",
            "https://[0:0:0:0:0:0:0:1]",
            "ftp://app.example.com",
            "https://a b",
            "https://a\nb",
        ] {
            let error = Origin::parse(bad).expect_err(bad);
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_list_is_compared_as_whole_strings() {
        let origins =
            Origins::parse(" https://app.example.com ,http://localhost:3000,,https://app.example.com")
                .unwrap();
        assert_eq!(origins.iter().count(), 2);
        assert!(origins.contains("https://app.example.com"));
        for foreign in [
            "https://app.example.com.evil.example",
            "https://evil.example/https://app.example.com",
            "https://sub.app.example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://APP.example.com",
            "http://localhost",
            "null",
            "*",
            "",
        ] {
            assert!(!origins.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_bad_list_names_the_entry() {
        assert!(Origins::parse("https://a.example,*").unwrap_err().contains("`*`"));
        assert_eq!(Origins::parse(" , ").unwrap_err(), "it names no origin");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, loopback) in [
            ("http://localhost:8001", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:8001", true),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(Origin::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn a_request_with_a_cookie_must_come_from_an_allowed_page() {
        let allowed = Origins::parse("https://app.example.com").unwrap();
        let judged = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
            headers.insert("referer", HeaderValue::from_static("https://app.example.com/"));
            headers.insert("host", HeaderValue::from_static("app.example.com"));
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            require_allowed_origin(&headers, &allowed).map_err(|problem| problem.code())
        };
        assert_eq!(judged(&["https://app.example.com"]), Ok(()));
        for refused in [
            &[][..],
            &["null"],
            &["https://evil.example"],
            &["https://app.example.com, https://evil.example"],
            &["https://app.example.com", "https://evil.example"],
            &["https://evil.example", "https://app.example.com"],
        ] {
            assert_eq!(judged(refused), Err(Code::OriginNotAllowed), "{refused:?}");
        }
    }
}
