//! `portcullis healthcheck`: what an orchestrator runs beside the server, in an image that has no other program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use portcullis_platform::{Environment, Misconfigured};
use portcullis_service::ServerSettings;
use reqwest::Client;

use crate::tls::TLS_CERT_FILE;

/// An orchestrator asks every ten seconds or so, and gives up before that.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Why the server beside this process is not well.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// The configuration cannot be used.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// The server does not answer.
    #[error("the server does not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// The server answers that it is not well.
    #[error("the server answers {0}")]
    Status(u16),
}

/// Asks the server that has the same configuration as this process whether it lives; fails when it does not answer so in four
/// seconds.
pub async fn check_health(environment: &Environment) -> Result<(), Unhealthy> {
    let settings = ServerSettings::read(environment.clone())?;
    let scheme = if environment.text(&TLS_CERT_FILE)?.is_empty() { "http" } else { "https" };
    let client = Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        // Its certificate is for another name than that of loopback, and nothing is sent that anybody could use.
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(Unhealthy::NoAnswer)?;
    let url = format!("{scheme}://{}/livez", reachable(settings.listen));
    let answer = client.get(url).send().await.map_err(|error| Unhealthy::NoAnswer(error.without_url()))?;
    match answer.status().as_u16() {
        200 => Ok(()),
        status => Err(Unhealthy::Status(status)),
    }
}

/// The address at which this machine reaches what listens there: every address is also the one of loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    };
    SocketAddr::new(address, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_reached_on_loopback_and_one_where_it_is() {
        let at = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:8001"), "127.0.0.1:8001");
        assert_eq!(at("[::]:8001"), "[::1]:8001");
        assert_eq!(at("192.0.2.7:80"), "192.0.2.7:80");
    }
}
