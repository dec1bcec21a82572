//! The route table as it is written: JSON in, checked routes out.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;

use super::{
    LONGEST_MAX_AGE, MAX_ROUTES, MAX_UPSTREAMS, Needed, Route, RouteTableError, is_encrypted_or_local,
};
use crate::Assurance;
use crate::origin_proof::{FIRST_KEY, IDENTITY_SERVICE, is_key_id};
use crate::policy;
use crate::strict_object::StrictObject;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of its own of what is written")]
struct Written {
    prefix: String,
    service: String,
    upstreams: Vec<String>,
    #[serde(default)]
    public: bool,
    #[serde(default)]
    critical: bool,
    #[serde(default)]
    trading: bool,
    #[serde(default)]
    keeps_sockets: bool,
    #[serde(default)]
    idempotency_keys: bool,
    timeout_seconds: Option<u32>,
    permission: Option<String>,
    proof_key: Option<String>,
    acr: Option<String>,
    max_age: Option<u32>,
}

/// The routes, the longest prefix first and equally long ones by their text.
pub(super) fn parse(json: &str) -> Result<Vec<Route>, RouteTableError> {
    let written: Vec<StrictObject<Written>> =
        serde_json::from_str(json).map_err(|error| RouteTableError::Json { reason: error.to_string() })?;
    if !(1..=MAX_ROUTES).contains(&written.len()) {
        return Err(RouteTableError::Count);
    }
    let mut routes: Vec<Route> = Vec::with_capacity(written.len());
    for StrictObject(written) in written {
        let route = checked(written)?;
        let order = |known: &Route| {
            route.prefix.len().cmp(&known.prefix.len()).then_with(|| known.prefix.cmp(&route.prefix))
        };
        let Err(place) = routes.binary_search_by(order) else {
            return Err(RouteTableError::Duplicate { prefix: route.prefix });
        };
        routes.insert(place, route);
    }
    Ok(routes)
}

fn checked(written: Written) -> Result<Route, RouteTableError> {
    let Written {
        prefix,
        service,
        upstreams,
        public,
        critical,
        trading,
        keeps_sockets,
        idempotency_keys,
        timeout_seconds,
        permission,
        proof_key,
        acr,
        max_age,
    } = written;
    if !is_prefix(&prefix) {
        return Err(RouteTableError::Prefix { prefix });
    }
    if !policy::is_word(&service) {
        return Err(RouteTableError::Service { prefix, service });
    }
    if !(1..=MAX_UPSTREAMS).contains(&upstreams.len()) {
        return Err(RouteTableError::Upstreams { prefix });
    }
    if let Some(upstream) = upstreams.iter().find(|upstream| !is_origin(upstream)) {
        return Err(RouteTableError::Upstream { upstream: upstream.clone(), prefix });
    }
    if timeout_seconds.is_some_and(|seconds| !(1..=300).contains(&seconds)) {
        return Err(RouteTableError::Timeout { prefix });
    }
    if trading && (public || keeps_sockets) {
        return Err(RouteTableError::Trading { prefix });
    }
    let permission = match permission.as_deref().map(str::parse).transpose() {
        Ok(permission) if !(public && permission.is_some()) => permission,
        _ => return Err(RouteTableError::Permission { prefix }),
    };
    let needed = match acr.as_deref().map(|name| Assurance::named(name).ok_or(())).transpose() {
        Ok(acr) if !(public && (acr.is_some() || max_age.is_some())) => Needed { acr, max_age },
        _ => return Err(RouteTableError::Needed { prefix }),
    };
    if max_age.is_some_and(|seconds| !(1..=LONGEST_MAX_AGE).contains(&seconds)) {
        return Err(RouteTableError::Needed { prefix });
    }
    let proof_key = proof_key.unwrap_or_else(|| FIRST_KEY.into());
    // The identity service knows its key by the first id alone: what would be refused there, request by request, is refused here.
    if !is_key_id(&proof_key) || (service == IDENTITY_SERVICE && proof_key != FIRST_KEY) {
        return Err(RouteTableError::ProofKey { prefix });
    }
    Ok(Route {
        prefix,
        service,
        upstreams,
        public,
        critical: critical || trading,
        trading,
        keeps_sockets,
        idempotency_keys,
        timeout_seconds,
        permission,
        proof_key,
        needed,
    })
}

/// Lower case and unreserved characters only, so that the prefix itself has one reading.
fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._~-".contains(&byte);
    let is_segment = |text: &str| !matches!(text, "" | "." | "..") && text.bytes().all(plain);
    text == "/" || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

/// An origin without a path: what follows it in the forwarded URL is the path of the request and nothing else. What is
/// forwarded carries tokens, so nobody may read it on the way.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let (name, port) = host.split_once(':').unwrap_or((host, "443"));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let is_host = !name.is_empty() && name.bytes().all(plain);
        is_host && port.parse::<u16>().is_ok_and(|port| port > 0) && is_encrypted_or_local(text)
    })
}
