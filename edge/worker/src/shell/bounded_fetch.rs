//! Fetches that end: in time and in size.

use worker::AbortController;
use worker::js_sys::{self, Reflect, Uint8Array, futures::JsFuture};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::web_sys::{self, ReadableStreamDefaultReader, RequestCache, RequestInit, RequestRedirect};

use super::fault::Fault;
use super::timer::within;
use crate::{Millis, max_age};

/// What a fetch brought.
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    /// The `max-age` it came with, in seconds.
    pub(super) max_age: Option<u64>,
}

/// Returns the response of status 200; fails if it is another one, longer than `most` bytes, or takes longer than `limit`.
pub(super) async fn fetch_within(
    limit: Millis,
    url: &str,
    init: &RequestInit,
    most: usize,
) -> Result<Fetched, Fault> {
    let controller = AbortController::default();
    init.set_redirect(RequestRedirect::Manual);
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&controller.signal()));
    let exchange = async {
        let response: web_sys::Response = JsFuture::from(fetch(url, init)).await?.unchecked_into();
        match response.status() {
            200 => Ok(Fetched {
                body: read_bounded(&response, most).await?,
                max_age: header(&response, "cache-control")?.and_then(|value| max_age(&value)),
            }),
            status => Err(Fault::new(format_args!("status {status}"))),
        }
    };
    if let Some(result) = within(limit, exchange).await {
        return result;
    }
    controller.abort();
    Err(Fault::new("timeout"))
}

/// Begins a fetch.
pub(super) fn fetch(url: &str, init: &RequestInit) -> js_sys::Promise {
    js_sys::global().unchecked_into::<web_sys::WorkerGlobalScope>().fetch_with_str_and_init(url, init)
}

/// Returns the value of a header, if it is there.
pub(super) fn header(response: &web_sys::Response, name: &str) -> Result<Option<String>, Fault> {
    Ok(response.headers().get(name)?)
}

/// Returns the whole body; fails if it is longer than `most` bytes.
pub(super) async fn read_bounded(response: &web_sys::Response, most: usize) -> Result<Vec<u8>, Fault> {
    let declared = header(response, "content-length")?.and_then(|length| length.parse().ok());
    let mut body = Vec::new();
    let Some(stream) = response.body() else { return Ok(body) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut is_too_long = declared.is_some_and(|length: usize| length > most);
    while !is_too_long {
        let read = JsFuture::from(reader.read()).await?;
        // There is none at the end.
        let part = Reflect::get(&read, &JsValue::from("value"))?;
        let Some(part) = part.dyn_ref::<Uint8Array>() else { return Ok(body) };
        is_too_long = body.len() + part.length() as usize > most;
        if !is_too_long {
            body.extend_from_slice(&part.to_vec());
        }
    }
    // Nobody waits for what is left.
    let _ = reader.cancel();
    Err(Fault::new(format_args!("more than {most} bytes")))
}
