//! Sends a request on, and its response back: bodies stream both ways, upgraded connections pass through.

use std::rc::Rc;

use portcullis_verifier::origin_proof::HEADER;
use worker::js_sys::{Object, futures::JsFuture};
use worker::wasm_bindgen::JsCast as _;
use worker::web_sys::{self, RequestCache, RequestInit, RequestRedirect, ResponseInit};
use worker::worker_sys::ext::HeadersExt as _;
use worker::{AbortController, Context, console_warn};

use super::approvals;
use super::bounded_fetch::fetch;
use super::fault::Fault;
use super::isolate::Isolate;
use super::received::{PlainHeaders, Received};
use super::response::{self, StandardHeaders};
use super::sockets;
use super::timer::{now, within};
use crate::{Code, Failure, Forward, Millis};

const SET_COOKIE: &str = "set-cookie";

/// Returns the response of the first upstream that has one, or that of the edge if none has.
pub(super) async fn forward(
    isolate: &'static Isolate,
    context: &Rc<Context>,
    received: &mut Received,
    forward: &mut Forward,
) -> Result<web_sys::Response, Fault> {
    if !isolate.rate_limit.admits(|| forward.rate_limit_key()).await? {
        return refusal(isolate, Code::TooManyAttempts, received, forward);
    }
    // Last, so that nothing is spent for what is refused anyway.
    if forward.awaits_approval()
        && let Err(own) = approvals::settle(isolate, received, forward).await
    {
        return response::of(&own);
    }
    let (received, forward) = (&*received, &*forward);
    let init = request_init(received, forward)?;
    let mut upstreams = isolate.upstreams.borrow().in_order(forward.upstreams.clone(), now());
    if !(forward.is_idempotent && received.body.is_none() && !forward.is_websocket) {
        upstreams.truncate(1);
    }
    let mut code = Code::UpstreamUnavailable;
    let mut left = upstreams.len();
    for upstream in &upstreams {
        left -= 1;
        let Some(proof) = isolate.gate.borrow_mut().prove(forward, now()) else {
            return refusal(isolate, Code::BadRequest, received, forward);
        };
        received.headers.set(HEADER, &proof)?;
        match attempt(upstream, &forward.target, &init, forward.timeout).await {
            Ok(response) if !is_absent(&response) => {
                isolate.upstreams.borrow_mut().responded(upstream);
                if response.status() == 101 {
                    return upgrade(isolate, context, received, forward, response);
                }
                return pass_on(isolate, &response, forward);
            }
            Ok(response) => {
                failed(isolate, upstream);
                if left == 0 {
                    return pass_on(isolate, &response, forward);
                }
                discard(&response).await;
            }
            Err(reason) => {
                failed(isolate, upstream);
                code = reason;
            }
        }
    }
    refusal(isolate, code, received, forward)
}

fn failed(isolate: &Isolate, upstream: &str) {
    isolate.upstreams.borrow_mut().failed(upstream, now());
    isolate.failures.note(Failure::Upstream);
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

/// Cancels a body that no one reads.
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
    set_request_headers(received, forward)?;
    init.set_headers_record_from_str_to_str(&received.headers.object);
    if let Some(body) = &received.body {
        init.set_body(body);
    }
    // A redirect is the client's to follow: followed here it would carry the caller's identity elsewhere.
    init.set_redirect(RequestRedirect::Manual);
    // A response to a proven caller never comes from a cache, and is not kept in one.
    if forward.is_personal() {
        init.set_cache(RequestCache::NoStore);
    }
    Ok(init)
}

/// Takes away what is not the client's to send, and adds the headers of the edge.
fn set_request_headers(
    Received { head, headers, dropped, .. }: &Received,
    forward: &Forward,
) -> Result<(), Fault> {
    for name in dropped {
        headers.remove(name)?;
    }
    // On a route of a service the key has done its work; handing it on would give every service the power to use it. On
    // a public route it may be meant for the service.
    if forward.is_personal() && !head.api_key.is_empty() {
        headers.remove("x-api-key")?;
    }
    if forward.is_websocket {
        headers.set("upgrade", "websocket")?;
    }
    if forward.awaits_approval() {
        // The service reads what was looked at here, and tells a repetition by what the approval was spent under.
        headers.remove("content-encoding")?;
        headers.set("content-type", "application/json")?;
        if !head.idempotency_key.is_empty() {
            headers.set("idempotency-key", &head.idempotency_key)?;
        }
    }
    forward.request_headers().try_for_each(|(name, value)| headers.set(name, value))
}

/// Returns the response that opens a WebSocket. One that nothing ends but its sides is theirs alone.
fn upgrade(
    isolate: &'static Isolate,
    context: &Rc<Context>,
    received: &Received,
    forward: &Forward,
    upstream: web_sys::Response,
) -> Result<web_sys::Response, Fault> {
    match isolate.gate.borrow().open_socket(forward, &received.head, now()) {
        Some(socket) => sockets::open(isolate, context, socket, &upstream),
        None => Ok(upstream),
    }
}

/// Returns the response as the client gets it.
fn pass_on(
    isolate: &Isolate,
    upstream: &web_sys::Response,
    forward: &Forward,
) -> Result<web_sys::Response, Fault> {
    let given = PlainHeaders::of(&upstream.headers())?;
    let headers = response_headers(isolate, &given, forward)?;
    let init = ResponseInit::new();
    init.set_status(upstream.status());
    init.set_status_text(&upstream.status_text());
    init.set_headers_record_from_str_to_str(&headers);
    let response = web_sys::Response::new_with_opt_readable_stream_and_init(upstream.body().as_ref(), &init)?;
    if given.has(SET_COOKIE) {
        let cookies = response.headers();
        for cookie in upstream.headers().get_all(SET_COOKIE) {
            cookies.append(SET_COOKIE, &cookie.as_string().unwrap_or_default())?;
        }
    }
    Ok(response)
}

/// Returns the headers of a response: those of the edge over those of the service, over the defaults.
fn response_headers(isolate: &Isolate, given: &PlainHeaders, forward: &Forward) -> Result<Object, Fault> {
    for name in given.names() {
        // Who may read a response is decided here, and a service's own ideas would contradict it. Cookies are not one
        // value, and are added one by one.
        if name.starts_with("access-control-") || name.starts_with("x-edge-") || name == SET_COOKIE {
            given.remove(name)?;
        }
    }
    for (name, value) in &forward.response_headers {
        match *name {
            "vary" if given.has("vary") => given.set(name, &format!("{}, {value}", given.get(name)?))?,
            _ => given.set(name, value)?,
        }
    }
    given.set("x-request-id", &forward.request_id)?;
    let StandardHeaders { always, by_default } = &isolate.standard_headers;
    let headers = Object::assign(&Object::new(), by_default);
    Ok(Object::assign(&Object::assign(&headers, &given.object), always))
}
