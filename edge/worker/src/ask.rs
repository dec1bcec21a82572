//! A request as the shell describes it: what decides, and no more.

/// The parts of a request that a decision needs. Everything was chosen by whoever sent it, but for the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as it will be forwarded.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// `Authorization`, empty if absent, like every header here.
    pub authorization: &'a str,
    /// `X-API-Key`.
    pub api_key: &'a str,
    /// `Origin`.
    pub origin: &'a str,
    /// `Upgrade`.
    pub upgrade: &'a str,
    /// `X-Request-Id`.
    pub request_id: &'a str,
    /// `Access-Control-Request-Method`.
    pub preflight_method: &'a str,
    /// Who sent it, as the platform saw it.
    pub client_address: &'a str,
}

impl<'a> Ask<'a> {
    /// Reads the lines of the shell: method, URL, then the headers in the order of the fields. No header value can hold
    /// a line break.
    pub fn parse(lines: &'a str) -> Option<Self> {
        let mut lines = lines.split('\n');
        let method = lines.next()?;
        let (path, query) = target(lines.next()?)?;
        let ask = Self {
            method,
            path,
            query,
            authorization: lines.next()?,
            api_key: lines.next()?,
            origin: lines.next()?,
            upgrade: lines.next()?,
            request_id: lines.next()?,
            preflight_method: lines.next()?,
            client_address: lines.next()?,
        };
        lines.next().is_none().then_some(ask)
    }

    /// Whether it asks to become a WebSocket (RFC 6455 section 4.1).
    pub fn is_websocket(&self) -> bool {
        self.method == "GET" && self.upgrade.eq_ignore_ascii_case("websocket")
    }

    /// Whether a browser asks what a page may send (Fetch, section "CORS-preflight fetch").
    pub fn is_preflight(&self) -> bool {
        self.method == "OPTIONS" && !self.origin.is_empty() && !self.preflight_method.is_empty()
    }
}

/// Path and query of an absolute URL, which the platform has already parsed and written out again.
fn target(url: &str) -> Option<(&str, Option<&str>)> {
    let (_, rest) = url.split_once("://")?;
    let target = rest.get(rest.find(['/', '?', '#']).unwrap_or(rest.len())..)?;
    let target = target.split('#').next()?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    Some((if path.is_empty() { "/" } else { path }, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_shell() {
        let lines =
            "GET\nhttps://api.example/v1/x?a=1?b#c\nBearer t\npk\nhttps://o\nWebSocket\nr\n\n192.0.2.1";
        let ask = Ask::parse(lines).unwrap();
        assert_eq!((ask.path, ask.query), ("/v1/x", Some("a=1?b")));
        assert!(ask.is_websocket() && !ask.is_preflight());
        assert_eq!(ask.client_address, "192.0.2.1");
        assert_eq!(Ask::parse(&format!("{lines}\nmore")), None);
        assert_eq!(Ask::parse("GET"), None);
    }

    #[test]
    fn the_target_of_a_url() {
        for (url, expected) in [
            ("https://a", Some(("/", None))),
            ("https://a/", Some(("/", None))),
            ("https://a?x", Some(("/", Some("x")))),
            ("https://a/b?", Some(("/b", Some("")))),
            ("https://a/b#?c", Some(("/b", None))),
            ("/b", None),
        ] {
            assert_eq!(target(url), expected, "{url}");
        }
    }
}
