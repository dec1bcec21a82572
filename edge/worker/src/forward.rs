//! What a service is told of a request that passed.

use std::rc::Rc;

use portcullis_verifier::origin_proof::Statement;
use portcullis_verifier::route::Route;

use crate::ask::Ask;
use crate::caller::{Caller, escaped};
use crate::cors::Page;
use crate::settings::Settings;
use crate::verdict::Forward;

/// The request as it goes on, with its proof; nothing if that cannot be made.
pub(crate) fn forward(
    settings: &Settings,
    route: &Route,
    ask: &Ask<'_>,
    query: Option<&str>,
    caller: Option<Rc<Caller>>,
    request_id: String,
    now_seconds: u64,
) -> Option<Forward> {
    let query = query.unwrap_or_default();
    let mut target = String::with_capacity(ask.path.len() + 1 + query.len());
    target.push_str(ask.path);
    if !query.is_empty() {
        target.push('?');
        target.push_str(query);
    }
    let client_address = escaped(ask.client_address);
    let told = caller.as_deref().map(|caller| &caller.told);
    let proof = settings.proof_key.sign(&Statement {
        time: now_seconds,
        service: route.service(),
        method: ask.method,
        target: &target,
        user_id: told.map_or("", |told| &told.user_id),
        email: told.map_or("", |told| &told.email),
        roles: told.map_or("", |told| &told.roles),
        scopes: told.map_or("", |told| &told.scopes),
        session_id: told.map_or("", |told| &told.session_id),
        auth_method: told.map_or("", |told| told.method),
        request_id: &request_id,
        client_address: &client_address,
    })?;
    let page = Page::of(ask.origin, &settings.origins);
    Some(Forward {
        upstreams: route.upstreams().join(" "),
        target,
        timeout: route
            .timeout_seconds()
            .map_or(settings.upstream_timeout, |seconds| u64::from(seconds) * 1000),
        is_idempotent: matches!(ask.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE"),
        is_websocket: ask.is_websocket(),
        caller,
        client_address,
        request_id,
        proof,
        answer_headers: page.headers().into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
    })
}
