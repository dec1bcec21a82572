//! Questions to the identity service: what has been revoked, and who holds an API key.

use std::cell::RefCell;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use worker::js_sys::Date;
use worker::web_sys::RequestInit;
use worker::{Context, Headers, Response, console_warn};

use super::bounded_fetch::{fetch_within, read_bounded};
use super::fault::Fault;
use super::isolate::Isolate;
use super::single_flight::SingleFlight;
use super::timer::now;
use crate::{Code, Millis, RequestHead, Slots};

const TIMEOUT: Millis = 2000;
const MAX_LIST_BYTES: usize = 1024 * 1024;
const MAX_LOOKUP_BYTES: usize = 16 * 1024;
/// Look-ups of API keys under way at once: made-up keys must not become a flood of requests.
const MAX_LOOKUPS: usize = 32;

/// The identity service, as far as the shell remembers it.
pub(super) struct IdentityService {
    /// The `ETag` of the list of revocations the gate has.
    etag: RefCell<Option<String>>,
    lookups: Slots,
    list: SingleFlight,
}

impl IdentityService {
    pub(super) const fn new() -> Self {
        Self {
            etag: RefCell::new(None),
            lookups: Slots::new(MAX_LOOKUPS, TIMEOUT * 2),
            list: SingleFlight::new(TIMEOUT),
        }
    }

    /// Fetches the list of revocations in the background.
    pub(super) fn refresh(&'static self, isolate: &'static Isolate, context: &Context) {
        let _in_background = self.list.run(context, 0, self.fetch_list(isolate));
    }

    /// Waits until the list has been fetched, or could not be.
    pub(super) async fn wait(
        &'static self,
        isolate: &'static Isolate,
        context: &Context,
    ) -> Result<(), Code> {
        let done = self.list.run(context, 0, self.fetch_list(isolate));
        self.list.wait(done, 0).await;
        Ok(())
    }

    async fn fetch_list(&self, isolate: &Isolate) {
        let asked_at = now();
        if let Err(fault) = self.ask_for_list(isolate, asked_at).await {
            isolate.gate.borrow_mut().revocations_failed(now());
            console_warn!("portcullis edge: no list of revocations: {fault}");
        }
    }

    async fn ask_for_list(&self, isolate: &Isolate, asked_at: Millis) -> Result<(), Fault> {
        let headers = service_headers(isolate)?;
        headers.set("accept", "application/json")?;
        let known = self.etag.borrow().clone();
        if let Some(etag) = &known {
            headers.set("if-none-match", etag)?;
        }
        let init = RequestInit::new();
        init.set_headers_headers(&headers.0);
        let url = isolate.gate.borrow().addresses().revocations.clone();
        fetch_within(TIMEOUT, &url, &init, async |mut response: Response| {
            if response.status_code() == 304 && known.is_some() {
                isolate.gate.borrow_mut().revocations_unchanged(asked_at);
                return Ok(());
            }
            let list = read_ok(&mut response, MAX_LIST_BYTES).await?;
            isolate.gate.borrow_mut().revocations_arrived(&list, asked_at).map_err(Fault::new)?;
            *self.etag.borrow_mut() = response.headers().get("etag")?;
            Ok(())
        })
        .await
    }

    /// Looks up the API key of a request, or returns why the request has to be refused.
    pub(super) async fn look_up(&self, isolate: &Isolate, head: &Rc<RequestHead>) -> Result<(), Code> {
        let admitted = isolate.rate_limit.admits(|| format!("lookup:{}", head.client_address)).await;
        if !admitted.map_err(|fault| unavailable(&fault))? {
            return Err(Code::TooManyAttempts);
        }
        let _slot = self.lookups.take(now()).ok_or(Code::Unavailable)?;
        self.ask_about(isolate, &head.api_key).await.map_err(|fault| unavailable(&fault))
    }

    async fn ask_about(&self, isolate: &Isolate, api_key: &str) -> Result<(), Fault> {
        let asked_at = now();
        let headers = service_headers(isolate)?;
        headers.set("content-type", "application/json")?;
        let question = serde_json::to_string(&Question { api_key }).map_err(Fault::new)?;
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers_headers(&headers.0);
        init.set_body_opt_str(Some(&question));
        let url = isolate.gate.borrow().addresses().api_keys.clone();
        fetch_within(TIMEOUT, &url, &init, async |mut response: Response| {
            let json = read_ok(&mut response, MAX_LOOKUP_BYTES).await?;
            let end = end_of(&json)?;
            isolate.gate.borrow_mut().api_key_looked_up(api_key, &json, end, asked_at).map_err(Fault::new)
        })
        .await
    }
}

/// The look-up of an API key, as it is sent.
#[derive(Serialize)]
struct Question<'k> {
    api_key: &'k str,
}

fn unavailable(fault: &Fault) -> Code {
    console_warn!("portcullis edge: an API key could not be looked up: {fault}");
    Code::Unavailable
}

/// Returns headers by which the identity service recognises the edge.
fn service_headers(isolate: &Isolate) -> Result<Headers, Fault> {
    let headers = Headers::new();
    headers.set("x-service-token", isolate.gate.borrow().service_token().expose())?;
    Ok(headers)
}

/// Returns the body of a response with status 200.
async fn read_ok(response: &mut Response, most: usize) -> Result<Vec<u8>, Fault> {
    match response.status_code() {
        200 => read_bounded(response, most).await,
        status => Err(Fault::new(format_args!("status {status}"))),
    }
}

/// Returns when the key ends, if it does; an end that cannot be read is long ago.
fn end_of(json: &[u8]) -> Result<Option<Millis>, Fault> {
    #[derive(Deserialize)]
    struct Lookup {
        #[serde(default)]
        expires_at: Option<String>,
    }
    let Lookup { expires_at } = serde_json::from_slice(json).map_err(Fault::new)?;
    Ok(expires_at.map(|end| millis(Date::parse(&end))))
}

/// A cast of a float saturates, and turns what is no number into 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturating, and years after 1970"
)]
fn millis(number: f64) -> Millis {
    number as Millis
}
