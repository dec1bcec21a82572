//! The parts of a request that decide about it.

use std::ops::Range;

use portcullis_verifier::route::is_encrypted_or_local;

/// The parts of a request that a decision needs. The client chose all of them but the address. A header that is absent is
/// empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// The HTTP method, in capitals.
    pub method: String,
    /// The address it was sent to.
    pub url: RequestUrl,
    /// The value of `Authorization`: an access token, or nothing.
    pub authorization: String,
    /// The header `X-API-Key`; empty without one.
    pub api_key: String,
    /// The header `X-Approval-Id`; empty without one.
    pub approval_id: String,
    /// The header `Idempotency-Key`; empty without one.
    pub idempotency_key: String,
    /// The header `Origin`; empty without one.
    pub origin: String,
    /// The header `Upgrade`; empty without one.
    pub upgrade: String,
    /// The header `X-Request-Id`; empty without one.
    pub request_id: String,
    /// The header `Access-Control-Request-Method`; empty without one.
    pub preflight_method: String,
    /// The address of the client, as the platform saw it.
    pub client_address: String,
}

impl RequestHead {
    /// Returns the field that holds a header of this name (in lower case); `None` if no decision depends on it.
    pub fn header_mut(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "authorization" => &mut self.authorization,
            "x-api-key" => &mut self.api_key,
            "x-approval-id" => &mut self.approval_id,
            "idempotency-key" => &mut self.idempotency_key,
            "origin" => &mut self.origin,
            "upgrade" => &mut self.upgrade,
            "x-request-id" => &mut self.request_id,
            "access-control-request-method" => &mut self.preflight_method,
            "cf-connecting-ip" => &mut self.client_address,
            _ => return None,
        })
    }

    /// Returns whether the request asks to become a WebSocket (RFC 6455 section 4.1).
    pub fn is_websocket(&self) -> bool {
        self.method == "GET" && self.upgrade.eq_ignore_ascii_case("websocket")
    }

    /// Returns whether a browser asks what a page may send (Fetch, section "CORS-preflight fetch").
    pub fn is_preflight(&self) -> bool {
        self.method == "OPTIONS" && !self.origin.is_empty() && !self.preflight_method.is_empty()
    }
}

/// An absolute URL, which the platform has already parsed and written out again, with the places of its path and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestUrl {
    text: String,
    path: Range<usize>,
    query: Option<Range<usize>>,
}

/// The root of an unnamed host.
impl Default for RequestUrl {
    fn default() -> Self {
        Self { text: String::from("/"), path: 0..1, query: None }
    }
}

impl RequestUrl {
    /// Finds path and query in a URL; `None` if it is not absolute.
    pub fn parse(url: String) -> Option<Self> {
        let authority = url.find("://")? + "://".len();
        let end = url.find('#').unwrap_or(url.len());
        let target = url.get(authority..end)?;
        let start = target.find(['/', '?']).map_or(end, |at| authority + at);
        let question_mark = url.get(start..end)?.find('?').map(|at| start + at);
        let path = start..question_mark.unwrap_or(end);
        Some(Self { text: url, path, query: question_mark.map(|at| at + 1..end) })
    }

    /// Returns whether nobody on the way could read the request.
    pub fn is_encrypted_or_local(&self) -> bool {
        is_encrypted_or_local(&self.text)
    }

    /// Returns the path as it will be forwarded, at least `/`.
    pub fn path(&self) -> &str {
        self.text.get(self.path.clone()).filter(|path| !path.is_empty()).unwrap_or("/")
    }

    /// Returns the query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.query.clone()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_of_a_url() {
        for (url, expected) in [
            ("https://a", Some(("/", None))),
            ("https://a/", Some(("/", None))),
            ("https://a?x", Some(("/", Some("x")))),
            ("https://a/b?", Some(("/b", Some("")))),
            ("https://a/b#?c", Some(("/b", None))),
            ("https://api.example/v1/x?a=1?b#c", Some(("/v1/x", Some("a=1?b")))),
            ("https://a#/b", Some(("/", None))),
            ("/b", None),
        ] {
            let parsed = RequestUrl::parse(url.into());
            assert_eq!(parsed.as_ref().map(|url| (url.path(), url.query())), expected, "{url}");
        }
        assert_eq!(RequestUrl::default().path(), "/");
    }

    #[test]
    fn upgrades_and_preflights_are_recognised() {
        let mut head = RequestHead { method: "GET".into(), ..RequestHead::default() };
        *head.header_mut("upgrade").unwrap() = "WebSocket".into();
        assert!(head.is_websocket() && !head.is_preflight());
        head.method = "OPTIONS".into();
        *head.header_mut("origin").unwrap() = "https://o".into();
        assert!(!head.is_websocket() && !head.is_preflight());
        *head.header_mut("access-control-request-method").unwrap() = "PUT".into();
        assert!(head.is_preflight());
        assert_eq!(head.header_mut("accept"), None);
    }
}
