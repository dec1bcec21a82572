//! What proxies say about the client: `X-Forwarded-For` and `Forwarded` (RFC 7239), as far as trusted proxies wrote it.
//!
//! Each proxy appends the address it was called from, so both headers are read from the right: an entry is believed while
//! whoever wrote it is trusted, and everything left of the first address that is not is the client's own text. A proxy
//! writes one of the two headers and hands the other on as it came, and which one cannot be told from outside: where both
//! are there and do not name the same client, neither is believed.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks whose proxies are believed about whom they were called by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// Networks in CIDR notation and single addresses, separated by commas. The error is one line for the person who wrote it.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network: IpNet = text
        .parse()
        .or_else(|_| address())
        .map_err(|_| format!("`{text}` is neither a network nor an address"))?;
    if network.prefix_len() == 0 {
        return Err(format!("`{text}` is everybody, and whoever calls would choose their address"));
    }
    Ok(network.trunc())
}

impl TrustedProxies {
    /// Returns the address of the client of a request that came from `peer`: `peer` itself unless it is a trusted proxy;
    /// otherwise the rightmost address that is none. An entry that is no address ends the reading at the last address that
    /// was proven before.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return peer;
        }
        let by_list = || self.walk(peer, entries(headers, &X_FORWARDED_FOR).map(address));
        let by_standard = || self.walk(peer, entries(headers, &FORWARDED).map(standard_address));
        match (headers.contains_key(X_FORWARDED_FOR), headers.contains_key(FORWARDED)) {
            (true, false) => by_list(),
            (false, true) => by_standard(),
            (true, true) if by_list() == by_standard() => by_list(),
            _ => peer,
        }
    }

    fn walk(&self, peer: IpAddr, entries: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut proven = peer;
        for entry in entries {
            let Some(address) = entry else { break };
            proven = address.to_canonical();
            if !self.trust(proven) {
                break;
            }
        }
        proven
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The entries of all lines of a header from the right. What stands further left is the client's, whatever bytes it is made
/// of, and must not make an entry of a proxy unreadable.
fn entries<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter().rev();
    lines
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(|entry| str::from_utf8(entry).unwrap_or_default().trim())
}

/// An entry of `X-Forwarded-For`: an address, with a port where the proxy is told to add one.
fn address(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().or_else(|| entry.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// An element of `Forwarded` with the address of whom the proxy was called by, and not a name in its place.
fn standard_address(element: &str) -> Option<IpAddr> {
    rfc7239::parse(element).next()?.ok()?.forwarded_for?.ip().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: &str = "10.0.0.1";

    fn client(trusted: &str, peer: &str, headers: &[(&'static str, &[u8])]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_bytes(value).unwrap());
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), &map).to_string()
    }

    fn by_list(value: &str) -> String {
        client("10.0.0.0/8, 2001:db8:ffff::/48", PEER, &[("x-forwarded-for", value.as_bytes())])
    }

    fn by_standard(value: &str) -> String {
        client("10.0.0.0/8, 2001:db8:ffff::/48", PEER, &[("forwarded", value.as_bytes())])
    }

    #[test]
    fn a_header_is_read_from_the_right_as_far_as_trusted_proxies_wrote_it() {
        for (value, expected) in [
            ("192.0.2.9", "192.0.2.9"),
            ("6.6.6.6, 192.0.2.9", "192.0.2.9"),
            ("6.6.6.6, 192.0.2.9, 10.0.0.2", "192.0.2.9"),
            ("6.6.6.6,192.0.2.9,2001:db8:ffff::1,10.0.0.2", "192.0.2.9"),
            ("192.0.2.9:4711, 10.0.0.2", "192.0.2.9"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ] {
            assert_eq!(by_list(value), expected, "{value}");
        }
        for (value, expected) in [
            ("for=192.0.2.9", "192.0.2.9"),
            ("for=6.6.6.6, For=192.0.2.9;proto=https;by=10.0.0.2", "192.0.2.9"),
            ("for=6.6.6.6, for=\"192.0.2.9:4711\", for=10.0.0.2;host=a", "192.0.2.9"),
            ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=\"[2001:db8::7]\", for=\"[2001:db8:ffff::1]\"", "2001:db8::7"),
        ] {
            assert_eq!(by_standard(value), expected, "{value}");
        }
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_reading_at_the_last_one_that_was_proven() {
        for value in ["", "unknown", "192.0.2.9 192.0.2.8", "192.0.2.9, ", "192.0.2.999", "192.0.2.9%0"] {
            assert_eq!(by_list(value), PEER, "{value}");
            assert_eq!(by_list(&format!("6.6.6.6, {value}, 10.0.0.2")), "10.0.0.2", "{value}");
        }
        for value in
            ["", "unknown", "for=unknown", "for=_hidden", "by=192.0.2.9", "for=", "192.0.2.9", "for=::1"]
        {
            assert_eq!(by_standard(value), PEER, "{value}");
            assert_eq!(by_standard(&format!("for=6.6.6.6, {value}, for=10.0.0.2")), "10.0.0.2", "{value}");
        }
    }

    #[test]
    fn bytes_of_the_client_do_not_hide_what_a_proxy_wrote() {
        for value in [&b"\xff\xfe, 192.0.2.9"[..], b"\"6.6.6.6, 192.0.2.9", b",,,192.0.2.9"] {
            assert_eq!(client("10.0.0.0/8", PEER, &[("x-forwarded-for", value)]), "192.0.2.9");
        }
        for value in [&b"\xff\xfe, for=192.0.2.9"[..], b"for=\"6.6.6.6, for=192.0.2.9"] {
            assert_eq!(client("10.0.0.0/8", PEER, &[("forwarded", value)]), "192.0.2.9");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines: [(_, &[u8]); 2] =
            [("x-forwarded-for", b"6.6.6.6"), ("x-forwarded-for", b"192.0.2.9, 10.0.0.2")];
        assert_eq!(client("10.0.0.0/8", PEER, &lines), "192.0.2.9");
    }

    #[test]
    fn two_headers_that_disagree_prove_nothing() {
        let both = |one: &[u8], two: &[u8]| {
            client("10.0.0.0/8", PEER, &[("x-forwarded-for", one), ("forwarded", two)])
        };
        assert_eq!(both(b"192.0.2.9", b"for=192.0.2.9"), "192.0.2.9");
        assert_eq!(both(b"192.0.2.9", b"for=6.6.6.6"), PEER);
        assert_eq!(both(b"6.6.6.6", b"for=192.0.2.9"), PEER);
    }

    #[test]
    fn who_is_not_trusted_is_the_client_whatever_they_say() {
        for trusted in ["", "10.0.0.2", "192.168.0.0/16"] {
            let lies: [(_, &[u8]); 2] = [("x-forwarded-for", b"6.6.6.6"), ("forwarded", b"for=6.6.6.6")];
            assert_eq!(client(trusted, PEER, &lies), PEER);
        }
        assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", &[("x-forwarded-for", b"192.0.2.9")]), "192.0.2.9");
    }

    #[test]
    fn a_list_of_networks_that_cannot_be_meant_is_refused() {
        for bad in ["proxy.example", "10.0.0.0/33", "10.0.0.0/8;10.1.0.0/16", "0.0.0.0/0", "::/0", "*"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
        assert_eq!("10.9.9.9/8".parse(), "10.0.0.0/8,".parse::<TrustedProxies>());
    }

    proptest! {
        /// Whatever the client wrote before the proxy's own entry.
        #[test]
        fn the_client_cannot_choose(text in "[ -~]{0,40}") {
            let list = format!("{text}, 192.0.2.9");
            prop_assert_eq!(by_list(&list), "192.0.2.9");
            let standard = format!("{text}, for=192.0.2.9");
            prop_assert_eq!(by_standard(&standard), "192.0.2.9");
        }
    }
}
