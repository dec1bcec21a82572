//! Sends a request on, and its response back: bodies stream both ways, WebSockets pass through.

use worker::js_sys::futures::JsFuture;
use worker::wasm_bindgen::JsCast as _;
use worker::web_sys::{self, RequestCache, RequestInit, RequestRedirect};
use worker::{AbortController, console_warn};

use super::bounded_fetch::fetch;
use super::fault::Fault;
use super::isolate::Isolate;
use super::received::{Received, headers};
use super::response;
use super::timer::{now, within};
use crate::headers::{ALWAYS, BY_DEFAULT};
use crate::{Code, Forward, Millis};

/// Returns the response of the first upstream that has one, or that of the edge if none has.
pub(super) async fn forward(
    isolate: &Isolate,
    received: &Received,
    forward: &Forward,
) -> Result<web_sys::Response, Fault> {
    if !isolate.rate_limit.admits(|| forward.rate_limit_key()).await? {
        return refusal(isolate, Code::TooManyAttempts, received, forward);
    }
    let init = request_init(received, forward)?;
    let mut upstreams = isolate.upstreams.borrow().in_order(forward.upstreams.clone(), now());
    if !(forward.is_idempotent && received.request.body().is_none() && !forward.is_websocket) {
        upstreams.truncate(1);
    }
    let mut code = Code::UpstreamUnavailable;
    let mut left = upstreams.len();
    for upstream in &upstreams {
        left -= 1;
        match attempt(upstream, &forward.target, &init, forward.timeout).await {
            Ok(response) if !is_absent(&response) => {
                isolate.upstreams.borrow_mut().responded(upstream);
                return pass_on(response, forward);
            }
            Ok(response) => {
                isolate.upstreams.borrow_mut().failed(upstream, now());
                if left == 0 {
                    return pass_on(response, forward);
                }
                discard(&response).await;
            }
            Err(reason) => {
                isolate.upstreams.borrow_mut().failed(upstream, now());
                code = reason;
            }
        }
    }
    refusal(isolate, code, received, forward)
}

fn refusal(
    isolate: &Isolate,
    code: Code,
    received: &Received,
    forward: &Forward,
) -> Result<web_sys::Response, Fault> {
    response::of(&isolate.gate.borrow_mut().refusal(code, &received.head, &forward.request_id))
}

/// Returns whether a gateway says that its service is not there.
fn is_absent(response: &web_sys::Response) -> bool {
    matches!(response.status(), 502..=504)
}

/// Cancels a body nobody reads.
async fn discard(response: &web_sys::Response) {
    if let Some(body) = response.body() {
        let _ = JsFuture::from(body.cancel()).await;
    }
}

/// Returns the response of one upstream. The time limit ends with the beginning of the response: how long the rest may
/// take is up to the service.
async fn attempt(
    upstream: &str,
    target: &str,
    init: &RequestInit,
    limit: Millis,
) -> Result<web_sys::Response, Code> {
    let controller = AbortController::default();
    init.set_signal(Some(&controller.signal()));
    match within(limit, JsFuture::from(fetch(&format!("{upstream}{target}"), init))).await {
        Some(Ok(response)) => Ok(response.unchecked_into()),
        Some(Err(error)) => {
            console_warn!("portcullis edge: upstream failed: {upstream} {}", Fault::from(error));
            Err(Code::UpstreamUnavailable)
        }
        None => {
            controller.abort();
            console_warn!("portcullis edge: upstream failed: {upstream} timeout");
            Err(Code::UpstreamTimeout)
        }
    }
}

fn request_init(received: &Received, forward: &Forward) -> Result<RequestInit, Fault> {
    let init = RequestInit::new();
    init.set_method(&received.head.method);
    init.set_headers_headers(&request_headers(received, forward)?);
    init.set_body_opt_readable_stream(received.request.body().as_ref());
    // A redirect is the client's to follow: followed here it would carry the caller's identity elsewhere.
    init.set_redirect(RequestRedirect::Manual);
    // A response to a proven caller never comes from a cache, and is not kept in one.
    if forward.is_personal() {
        init.set_cache(RequestCache::NoStore);
    }
    Ok(init)
}

/// Returns the client's headers without those that are not its to send, and those of the edge.
fn request_headers(received: &Received, forward: &Forward) -> Result<web_sys::Headers, Fault> {
    let headers = web_sys::Headers::new_with_headers(&received.request.headers())?;
    for name in &received.dropped {
        headers.delete(name)?;
    }
    // On a route of a service the key has done its work; handing it on would give every service the power to use it. On
    // a public route it may be meant for the service.
    if forward.is_personal() && !received.head.api_key.is_empty() {
        headers.delete("x-api-key")?;
    }
    if forward.is_websocket {
        headers.set("upgrade", "websocket")?;
    }
    for (name, value) in forward.request_headers() {
        headers.set(name, value)?;
    }
    Ok(headers)
}

/// Returns the response as the client gets it.
fn pass_on(upstream: web_sys::Response, forward: &Forward) -> Result<web_sys::Response, Fault> {
    if upstream.status() == 101 {
        return Ok(upstream);
    }
    let response = web_sys::Response::new_with_opt_readable_stream_and_init(
        upstream.body().as_ref(),
        upstream.unchecked_ref(),
    )?;
    let own = response.headers();
    let text = headers(&own);
    for (name, _) in text.lines() {
        // Who may read a response is decided here, and a service's own ideas would contradict it.
        if name.starts_with("access-control-") || name.starts_with("x-edge-") {
            own.delete(name)?;
        }
    }
    for (name, value) in ALWAYS {
        own.set(name, value)?;
    }
    for (name, value) in BY_DEFAULT {
        if !text.lines().any(|(given, _)| given == name) {
            own.set(name, value)?;
        }
    }
    for (name, value) in &forward.response_headers {
        if *name == "vary" {
            own.append(name, value)?;
        } else {
            own.set(name, value)?;
        }
    }
    own.set("x-request-id", &forward.request_id)?;
    Ok(response)
}
