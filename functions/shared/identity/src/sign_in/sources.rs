//! Who attempts are counted for: a known device of the owner, or the network of a stranger.

use std::net::IpAddr;

use portcullis_store::{Account, AttemptSource};

use crate::{ClientContext, Identity};

impl Identity {
    /// Returns the source that attempts of this client are counted for, under a name that belongs to this account or to
    /// none.
    pub(crate) fn attempt_source(&self, account: Option<&Account>, client: &ClientContext) -> AttemptSource {
        let device = account.and_then(|account| self.known_device(account, client));
        device.map_or_else(|| stranger(client), AttemptSource::Device)
    }
}

/// Returns the network of a client: an IPv4 address as it is; the /48 of an IPv6 address, the most that a site is given
/// (RFC 6177), because whoever has one chooses among 65,536 networks in it.
fn stranger(client: &ClientContext) -> AttemptSource {
    match client.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(four)) => AttemptSource::Network(four.to_string()),
        Some(IpAddr::V6(six)) => {
            let [first, second, third, ..] = six.segments();
            AttemptSource::Network(format!("{first:x}:{second:x}:{third:x}"))
        }
        None => AttemptSource::Stranger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_site_is_one_network() {
        let of = |ip: &str| stranger(&ClientContext { ip: Some(ip.to_owned()), ..ClientContext::default() });
        let network = |text: &str| AttemptSource::Network(text.to_owned());
        assert_eq!(of("192.0.2.7"), network("192.0.2.7"));
        assert_eq!(of("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_eq!(of("2001:db8:1:2::1"), network("2001:db8:1"));
        assert_eq!(of("2001:db8:1:ffff::9"), network("2001:db8:1"));
        assert_ne!(of("2001:db8:2:2::1"), network("2001:db8:1"));
        assert_eq!(of("somewhere"), AttemptSource::Stranger);
        assert_eq!(stranger(&ClientContext::default()), AttemptSource::Stranger);
    }
}
