//! Who is asking, as far as the connection tells.
//!
//! The address is what rate limits and the list of devices go by, so it must be one the caller cannot choose. It comes
//! from the runner: the peer of the socket locally, the request context of the gateway in the cloud. A header names
//! another one only where the edge proves it (`crate::edge`) or a trusted proxy wrote it (`crate::forwarded`).

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::header::USER_AGENT;
use http::request::Parts;
use portcullis_identity::without_unprintable;
use secrecy::SecretString;

use crate::{RequestId, device_cookie};

/// Enough to recognise a browser by; the rest is of no use to the owner of an account.
const USER_AGENT_CHARS: usize = 256;

/// The address of the caller, put into the extensions of a request: by the runner that of whoever called it, and by the
/// layers of [`finish`](crate::finish) in its place that of the client behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The caller, for the audit log, the list of devices and the rate limits.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the request came from, if the runner knows. IPv4 is never wrapped in IPv6, so that one caller has one
    /// address.
    pub ip: Option<IpAddr>,
    /// What the caller says it is: at most 256 characters, all of which can be seen.
    pub user_agent: Option<String>,
    /// The id of this request; absent only where the layers of [`finish`](crate::finish) are.
    pub request_id: Option<RequestId>,
    /// What the device was given at an earlier sign-in, from its cookie. Not verified.
    pub device: Option<SecretString>,
}

impl Client {
    /// The same for a program, which keeps what its device was given and sends it in the body.
    #[must_use]
    pub fn with_device(self, token: Option<SecretString>) -> Self {
        Self { device: token.or(self.device), ..self }
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            ip: parts.extensions.get::<ClientAddress>().map(|address| address.0.to_canonical()),
            user_agent: user_agent(parts),
            request_id: parts.extensions.get().cloned(),
            device: device_cookie::read(&parts.headers),
        })
    }
}

impl From<Client> for portcullis_identity::ClientContext {
    fn from(client: Client) -> Self {
        Self {
            ip: client.ip.map(|ip| ip.to_string()),
            user_agent: client.user_agent,
            request_id: client.request_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            device: client.device,
        }
    }
}

fn user_agent(parts: &Parts) -> Option<String> {
    let text = String::from_utf8_lossy(parts.headers.get(USER_AGENT)?.as_bytes());
    let plain: String = without_unprintable(&text).take(USER_AGENT_CHARS).collect();
    Some(plain.trim().to_owned()).filter(|plain| !plain.is_empty())
}

/// For a runner that listens on a socket itself: layer it outside of [`finish`](crate::finish) and serve with
/// `into_make_service_with_connect_info::<SocketAddr>()`.
pub async fn address_of_socket(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(ClientAddress(peer.ip()));
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::connect_info::MockConnectInfo;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use http::{HeaderValue, Request};

    use super::*;
    use crate::testing::{app, request, send};

    const LIES: [(&str, &str); 6] = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("cf-connecting-ip", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("host", "6.6.6.6"),
    ];

    async fn whoami(client: Client) -> String {
        client.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string())
    }

    async fn of(request: Request<()>) -> Client {
        let (mut parts, ()) = request.into_parts();
        let Ok(client) = Client::from_request_parts(&mut parts, &()).await;
        client
    }

    #[tokio::test]
    async fn the_address_is_the_peer_of_the_socket_whatever_the_headers_say() {
        let app = app(Router::new().route("/whoami", get(whoami)))
            .layer(from_fn(address_of_socket))
            .layer(MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 4711))));
        assert_eq!(send(&app, request("GET", "/whoami", &LIES)).await.body, "203.0.113.7");
    }

    #[tokio::test]
    async fn without_a_runner_that_knows_there_is_no_address() {
        let app = app(Router::new().route("/whoami", get(whoami)));
        assert_eq!(send(&app, request("GET", "/whoami", &LIES)).await.body, "unknown");
    }

    #[tokio::test]
    async fn one_caller_has_one_address() {
        let mut request = Request::new(());
        request.extensions_mut().insert(ClientAddress("::ffff:203.0.113.7".parse().unwrap()));
        assert_eq!(of(request).await.ip, Some(IpAddr::from([203, 0, 113, 7])));
    }

    #[tokio::test]
    async fn the_user_agent_is_shortened_and_cleaned() {
        let long = "é".repeat(300);
        for (given, kept) in [
            ("Mozilla/5.0 (X11)".as_bytes(), Some("Mozilla/5.0 (X11)")),
            (b"a\tb\xc2\x85c", Some("abc")),
            ("a\u{202e}b\u{200b}c".as_bytes(), Some("abc")),
            ("\u{2066}\u{feff}".as_bytes(), None),
            (b"a\xffb", Some("a\u{fffd}b")),
            (b"  ", None),
            (b"", None),
            (long.as_bytes(), Some(&*"é".repeat(256))),
        ] {
            let mut request = Request::new(());
            request.headers_mut().insert(USER_AGENT, HeaderValue::from_bytes(given).unwrap());
            assert_eq!(of(request).await.user_agent.as_deref(), kept);
        }
    }
}
