//! The keys under which the edge proves that a request came through it: one for each service, derived from the root key when
//! an isolate starts.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_verifier::IdentityHeaders;
use portcullis_verifier::origin_proof::{KEY_SALT, Mark, Statement, header_value, key_purpose};
use portcullis_verifier::route::{Route, RouteTable};
use sha2::Sha256;
use zeroize::Zeroizing;

/// An attacker without the key guesses at 256 bits.
const MIN_KEY_BYTES: usize = 32;

/// The key of one service, which that service holds as well.
pub(crate) struct ServiceKey {
    service: String,
    id: String,
    /// The HMAC with its key already taken in, so that a request costs two blocks less.
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceKey(…)")
    }
}

impl ServiceKey {
    fn derive(root: &Hkdf<Sha256>, service: &str, id: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        root.expand(key_purpose(service, id).as_bytes(), key.as_mut()).ok()?;
        let mac = Hmac::new_from_slice(key.as_ref()).ok()?;
        Some(Self { service: service.to_owned(), id: id.to_owned(), mac })
    }

    fn is_of(&self, route: &Route) -> bool {
        self.service == route.service() && self.id == route.proof_key()
    }

    /// Returns the value of the header for such a request to the service; `None` if it cannot be made.
    pub(crate) fn sign(
        &self,
        time: u64,
        nonce: &str,
        method: &str,
        target: &str,
        headers: IdentityHeaders<&str>,
    ) -> Option<String> {
        let mark = Mark { key: &self.id, time, nonce };
        let text = Statement { mark, service: &self.service, method, target, headers }.canonical()?;
        let mac = self.mac.clone().chain_update(text.as_bytes()).finalize().into_bytes();
        Some(header_value(mark, &mac.into()))
    }
}

/// The keys of all services of a route table. A table has a handful of services, each looked for once in a request.
#[derive(Debug)]
pub(crate) struct ProofKeys(Vec<Rc<ServiceKey>>);

impl ProofKeys {
    /// Derives the keys that these routes name from the root key, base64url of at least 32 bytes; `None` if it is not that.
    pub(crate) fn derive(root: &str, routes: &RouteTable) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(root.trim_end_matches('=')).ok()?);
        if bytes.len() < MIN_KEY_BYTES {
            return None;
        }
        let root = Hkdf::new(Some(KEY_SALT), &bytes);
        let mut keys: Vec<Rc<ServiceKey>> = Vec::new();
        for route in routes.iter() {
            if !keys.iter().any(|key| key.is_of(route)) {
                keys.push(Rc::new(ServiceKey::derive(&root, route.service(), route.proof_key())?));
            }
        }
        Some(Self(keys))
    }

    /// Returns the key for requests of this route; `None` if it is of another table.
    pub(crate) fn of(&self, route: &Route) -> Option<Rc<ServiceKey>> {
        self.0.iter().find(|key| key.is_of(route)).cloned()
    }
}

#[cfg(test)]
mod tests;
