//! The addresses of brokers.

use portcullis_platform::{Environment, Misconfigured, Variable};
use url::{Host, Url};

/// Returns the address in this variable; fails when it is neither `https` nor on loopback, because credentials are sent
/// there.
pub(super) fn address(environment: &Environment, variable: &Variable) -> Result<Url, Misconfigured> {
    let text = environment.text(variable)?;
    let wanted =
        || Misconfigured::new(variable.name, "must be https://…, or http://… on loopback, without a query");
    let url = Url::parse(&text).map_err(|_| wanted())?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if is_safe && is_plain && url.fragment().is_none() { Ok(url) } else { Err(wanted()) }
}
