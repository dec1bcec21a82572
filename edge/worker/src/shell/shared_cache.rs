//! What isolates of one data centre leave for each other: the Cache API, a namespace of its own.

use worker::js_sys::{self, futures::JsFuture};
use worker::wasm_bindgen::JsCast as _;
use worker::web_sys::{self, Headers, ResponseInit, WorkerGlobalScope};

use super::bounded_fetch::{header, read_bounded};
use super::fault::Fault;
use super::timer::within;
use crate::Millis;

/// Apart from what the zone caches.
const CACHE: &str = "portcullis-edge";
const TIMEOUT: Millis = 500;

/// Something an isolate was given by the identity service.
pub(super) struct Shared {
    pub(super) body: Vec<u8>,
    /// The `max-age` it came with, in seconds.
    pub(super) max_age: Option<u64>,
    pub(super) obtained_at: Millis,
}

impl Shared {
    /// Leaves it to isolates that ask for the same address within `seconds`. It ages from when it was obtained.
    pub(super) async fn leave(mut self, url: &str, seconds: u32) -> Result<(), Fault> {
        let headers = Headers::new()?;
        headers.set("cache-control", &format!("max-age={seconds}"))?;
        headers.set("x-obtained-at", &self.obtained_at.to_string())?;
        if let Some(max_age) = self.max_age {
            headers.set("x-max-age", &max_age.to_string())?;
        }
        let init = ResponseInit::new();
        init.set_headers_headers(&headers);
        let response = web_sys::Response::new_with_opt_u8_array_and_init(Some(&mut self.body), &init)?;
        JsFuture::from(open().await?.put_with_str(url, &response)).await?;
        Ok(())
    }

    /// Returns what another isolate left, if it is no longer than `most` bytes and the cache responds in time.
    pub(super) async fn find(url: &str, most: usize, now: Millis) -> Result<Option<Self>, Fault> {
        within(TIMEOUT, take(url, most, now)).await.unwrap_or(Ok(None))
    }
}

async fn open() -> Result<web_sys::Cache, Fault> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    Ok(JsFuture::from(scope.caches()?.open(CACHE)).await?.unchecked_into())
}

async fn take(url: &str, most: usize, now: Millis) -> Result<Option<Shared>, Fault> {
    let found = JsFuture::from(open().await?.match_with_str(url)).await?;
    if found.is_undefined() {
        return Ok(None);
    }
    let response: web_sys::Response = found.unchecked_into();
    let body = read_bounded(&response, most).await?;
    let number = |name| Ok::<_, Fault>(header(&response, name)?.and_then(|value| value.parse::<u64>().ok()));
    let obtained_at = number("x-obtained-at")?.unwrap_or_default().min(now);
    Ok(Some(Shared { body, max_age: number("x-max-age")?, obtained_at }))
}
