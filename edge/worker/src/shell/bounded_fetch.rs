//! Fetches that end: in time and in size.

use futures_util::TryStreamExt as _;
use worker::js_sys::{self, futures::JsFuture};
use worker::wasm_bindgen::JsCast as _;
use worker::web_sys::{self, RequestCache, RequestInit, RequestRedirect};
use worker::{AbortController, Response, ResponseBody};

use super::fault::Fault;
use super::timer::within;
use crate::Millis;

/// Returns what `read` makes of the response; fails if all of that takes longer than `limit`.
pub(super) async fn fetch_within<T>(
    limit: Millis,
    url: &str,
    init: &RequestInit,
    read: impl AsyncFnOnce(Response) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let controller = AbortController::default();
    init.set_redirect(RequestRedirect::Manual);
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&controller.signal()));
    let exchange = async {
        let response: web_sys::Response = JsFuture::from(fetch(url, init)).await?.unchecked_into();
        read(response.into()).await
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

/// Returns the whole body; fails if it is longer than `most` bytes.
pub(super) async fn read_bounded(response: &mut Response, most: usize) -> Result<Vec<u8>, Fault> {
    let too_long = || Fault::new(format_args!("more than {most} bytes"));
    let declared = response.headers().get("content-length")?.and_then(|length| length.parse().ok());
    if declared.is_some_and(|length: usize| length > most) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    if matches!(response.body(), ResponseBody::Empty) {
        return Ok(body);
    }
    // Dropped before its end, the stream cancels what is left of the body.
    let mut parts = response.stream()?;
    while let Some(part) = parts.try_next().await? {
        if body.len() + part.len() > most {
            return Err(too_long());
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
