//! What a service is told of a request that passed.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use portcullis_verifier::origin_proof::{self, Statement};
use portcullis_verifier::route::Route;

use crate::ask::Ask;
use crate::caller::Caller;
use crate::cors::Page;
use crate::settings::Settings;
use crate::verdict::Forward;

/// What cannot stand in a header as it is, or would separate values there.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b';').add(b'"');

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn list(texts: &[String]) -> String {
    texts.iter().map(|text| escaped(text)).collect::<Vec<_>>().join(",")
}

/// The request as it goes on, with its proof; nothing if that cannot be made.
pub(crate) fn forward(
    settings: &Settings,
    route: &Route,
    ask: &Ask<'_>,
    query: Option<&str>,
    caller: Option<&Caller>,
    request_id: &str,
    now_seconds: u64,
) -> Option<Forward> {
    let mut target = ask.path.to_owned();
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        target.push('?');
        target.push_str(query);
    }
    let page = Page::of(ask.origin, &settings.origins);
    let mut headers = caller.map(identity).unwrap_or_default();
    headers.push(("x-request-id", request_id.to_owned()));
    if !ask.client_address.is_empty() {
        headers.push(("x-client-address", escaped(ask.client_address)));
    }
    headers.push((origin_proof::HEADER, proof(settings, route, ask, &target, &headers, now_seconds)?));
    let timeout =
        route.timeout_seconds().map_or(settings.upstream_timeout, |seconds| u64::from(seconds) * 1000);
    Some(Forward {
        upstreams: route.upstreams().to_vec(),
        target,
        timeout,
        is_idempotent: matches!(ask.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE"),
        is_websocket: ask.is_websocket(),
        is_private: caller.is_some(),
        rate_key: caller.map_or_else(
            || format!("address:{}", ask.client_address),
            |caller| format!("user:{}", escaped(&caller.user_id)),
        ),
        request_id: request_id.to_owned(),
        headers,
        answer_headers: page.headers().into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
    })
}

fn identity(caller: &Caller) -> Vec<(&'static str, String)> {
    let mut headers = Vec::with_capacity(9);
    let all = [
        ("x-user-id", escaped(&caller.user_id)),
        ("x-user-email", escaped(&caller.email)),
        ("x-user-roles", list(&caller.roles)),
        ("x-user-scopes", list(&caller.scopes)),
        ("x-session-id", escaped(&caller.session_id)),
        ("x-auth-method", caller.method.as_str().to_owned()),
    ];
    headers.extend(all.into_iter().filter(|(_, value)| !value.is_empty()));
    headers
}

/// Signs the very values that are sent.
fn proof(
    settings: &Settings,
    route: &Route,
    ask: &Ask<'_>,
    target: &str,
    headers: &[(&'static str, String)],
    time: u64,
) -> Option<String> {
    let sent = |wanted: &str| {
        headers.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.as_str())
    };
    settings.proof_key.sign(&Statement {
        time,
        service: route.service(),
        method: ask.method,
        target,
        user_id: sent("x-user-id"),
        email: sent("x-user-email"),
        roles: sent("x-user-roles"),
        scopes: sent("x-user-scopes"),
        session_id: sent("x-session-id"),
        auth_method: sent("x-auth-method"),
        request_id: sent("x-request-id"),
        client_address: sent("x-client-address"),
    })
}
