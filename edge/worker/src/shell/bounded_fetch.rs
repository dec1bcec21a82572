//! Fetches that end: in time and in size.

use worker::AbortController;
use worker::js_sys::{self, Reflect, Uint8Array, futures::JsFuture};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::web_sys::{
    self, ReadableStream, ReadableStreamDefaultReader, RequestCache, RequestInit, RequestRedirect,
};

use super::fault::Fault;
use super::timer::within;
use crate::{Millis, max_age};

/// What a fetch brought.
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The `max-age` it came with, in seconds.
    pub(super) max_age: Option<u64>,
}

/// Returns the response, whatever its status; fails if it is longer than `most` bytes, or takes longer than `limit`.
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
        Ok(Fetched {
            status: response.status(),
            body: read_bounded(&response, most).await?,
            max_age: header(&response, "cache-control")?.and_then(|value| max_age(&value)),
        })
    };
    if let Some(result) = within(limit, exchange).await {
        return result;
    }
    controller.abort();
    Err(Fault::new("timeout"))
}

impl Fetched {
    /// Returns a response of status 200; fails if it is another one.
    pub(super) fn good(self) -> Result<Self, Fault> {
        if self.status == 200 { Ok(self) } else { Err(Fault::new(format_args!("status {}", self.status))) }
    }
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
    let Some(stream) = response.body() else { return Ok(Vec::new()) };
    let most_now = if declared.is_some_and(|length: usize| length > most) { 0 } else { most };
    let body = read_stream(&stream, most_now).await?;
    body.ok_or_else(|| Fault::new(format_args!("more than {most} bytes")))
}

/// Returns all that comes of a body; `None` if it is longer than `most` bytes.
pub(super) async fn read_stream(stream: &ReadableStream, most: usize) -> Result<Option<Vec<u8>>, Fault> {
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut body = Vec::new();
    loop {
        let read = JsFuture::from(reader.read()).await?;
        // There is none at the end.
        let part = Reflect::get(&read, &JsValue::from("value"))?;
        let Some(part) = part.dyn_ref::<Uint8Array>() else { return Ok(Some(body)) };
        if body.len() + part.length() as usize > most {
            break;
        }
        body.extend_from_slice(&part.to_vec());
    }
    // Nobody waits for what is left.
    let _ = reader.cancel();
    Ok(None)
}
