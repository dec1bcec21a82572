//! Who stands in front of the service, and what is believed of it.
//!
//! A request with a valid proof came through the edge, and its client is whom the proof names. A proof that is forged, stale
//! or of another request counts for nothing: the request is then one like any other, whose client is whom trusted proxies
//! or the transport name, and with `REQUIRE_EDGE` it is refused.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method};
use portcullis_identity::EdgeProofKeys;
use portcullis_platform::Clock;
use portcullis_verifier::IdentityHeaders;
use portcullis_verifier::origin_proof::{self, IDENTITY_SERVICE, Statement, UnverifiedProof};

use crate::caller::SERVICE_TOKEN;
use crate::{ClientAddress, Code, HttpSettings, Problem, TrustedProxies};

/// What never comes through the edge: what the edge itself fetches, what services call with their own tokens, and what a
/// monitor or an orchestrator asks. None of it signs anybody in.
const DIRECT: [&str; 5] = [
    "/healthz",
    "/livez",
    "/readyz",
    "/v1/auth/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
];
const INTERNAL: &str = "/v1/internal/";
/// What services ask people for, and read what became of it.
const APPROVALS: &str = "/v1/approvals";

/// Returns whether a path is reached around the edge, also where the edge is required.
pub(crate) fn is_direct(path: &str) -> bool {
    DIRECT.contains(&path) || path.starts_with(INTERNAL)
}

/// Returns whether a request is one of a service on a route that people have, too. There a service token beside another
/// credential is refused, so that nobody gets around the edge by adding a header.
fn is_of_service(parts: &Parts) -> bool {
    let asks = match parts.uri.path().strip_prefix(APPROVALS) {
        Some("") => parts.method == Method::POST,
        Some(one) => parts.method == Method::GET && one.rfind('/') == Some(0),
        None => false,
    };
    asks && parts.headers.contains_key(SERVICE_TOKEN)
}

/// What is in front of the service.
#[derive(Debug)]
pub(crate) struct Front {
    keys: EdgeProofKeys,
    proxies: TrustedProxies,
    requires_edge: bool,
    clock: Arc<dyn Clock>,
}

/// What a valid proof says.
struct Proven {
    /// The address of the client; `None` where the edge was not told it.
    client: Option<IpAddr>,
}

impl Front {
    pub(crate) fn new(settings: &HttpSettings, keys: EdgeProofKeys, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (proxies, requires_edge) = (settings.trusted_proxies.clone(), settings.requires_edge);
        Arc::new(Self { keys, proxies, requires_edge, clock })
    }

    /// Returns what the edge proves of a request; `None` if no valid proof came with it.
    fn proven(&self, parts: &Parts) -> Option<Proven> {
        let value = |name| single(&parts.headers, name);
        let proof = UnverifiedProof::parse(value(origin_proof::HEADER)?)?;
        if IdentityHeaders::<()>::NAMES.iter().any(|name| value(name).is_none()) {
            return None;
        }
        let now = u64::try_from(self.clock.now().as_second()).ok()?;
        let headers = IdentityHeaders::read(|name| value(name).unwrap_or_default());
        let statement = Statement {
            mark: proof.mark,
            service: IDENTITY_SERVICE,
            method: parts.method.as_str(),
            target: parts.uri.path_and_query()?.as_str(),
            headers,
        };
        let is_valid = proof.is_fresh(now) && self.keys.verify(&proof, &statement);
        is_valid.then(|| Proven { client: headers.client_address.parse().ok() })
    }

    /// Returns why a request without a valid proof is refused, if it is. Without a key nothing can be proven, and nobody is
    /// told to come through an edge that cannot let them in.
    fn refusal(&self, parts: &Parts) -> Option<Code> {
        if !self.requires_edge || is_direct(parts.uri.path()) || is_of_service(parts) {
            return None;
        }
        Some(if self.keys.is_empty() { Code::Unavailable } else { Code::EdgeRequired })
    }
}

/// Returns the value of a header, empty where it is absent as in the proof; `None` where it came twice or is no text, and so
/// may be one thing to us and another to whoever reads it next.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(""),
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    }
}

/// Puts the address of the client in place of that of the transport, or refuses what had to come through the edge.
pub(crate) async fn recognise(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let proven = front.proven(&parts);
    if proven.is_none()
        && let Some(code) = front.refusal(&parts)
    {
        return Problem::new(code).into_response();
    }
    let by_transport =
        parts.extensions.get().map(|ClientAddress(peer)| front.proxies.client(*peer, &parts.headers));
    if let Some(address) = proven.and_then(|proven| proven.client).or(by_transport) {
        parts.extensions.insert(ClientAddress(address));
    }
    next.run(Request::from_parts(parts, body)).await
}

#[cfg(test)]
mod tests;
