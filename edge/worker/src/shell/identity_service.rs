//! Questions to the identity service: what has been revoked, who holds an API key, and whether an order was approved.

use std::rc::Rc;

use portcullis_verifier::revocation::Ask;
use worker::js_sys::{Date, JSON, Object, Reflect, Uint8Array};
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, RequestInit};
use worker::{Context, console_warn};

use super::bounded_fetch::fetch_within;
use super::fault::Fault;
use super::isolate::Isolate;
use super::shared_cache::Shared;
use super::single_flight::{SingleFlight, in_background};
use super::timer::{millis, now};
use crate::{Code, Failure, Millis, Redemption, RedemptionOutcome, RequestHead, Slots};

const TIMEOUT: Millis = 2000;
/// Twice as long as a full page of accounts.
const MAX_PAGE_BYTES: usize = 6 << 20;
/// Pages that one run asks for: a fresh isolate has all of them after three.
const MAX_PAGES: u32 = 8;
/// How long a settled page concerns somebody, where tokens live a quarter of an hour.
const SETTLED_SECONDS: u32 = 1200;
/// The shortest that a cache knows; how old the newest page may be, its reader decides.
const NEWEST_SECONDS: u32 = 5;
const MAX_LOOKUP_BYTES: usize = 16 * 1024;
/// A redemption is written, which takes longer than a look, and what is cut off may have been spent.
const REDEMPTION_TIMEOUT: Millis = 5000;
/// Look-ups of API keys under way at once: made-up keys must not become a flood of requests.
const MAX_LOOKUPS: usize = 32;

/// The identity service, as far as the shell remembers it.
pub(super) struct IdentityService {
    lookups: Slots,
    list: SingleFlight,
}

impl IdentityService {
    pub(super) const fn new() -> Self {
        Self { lookups: Slots::new(MAX_LOOKUPS, TIMEOUT * 2), list: SingleFlight::new(TIMEOUT) }
    }

    /// Fetches the pages of revocations that are wanted, in the background.
    pub(super) fn refresh(&'static self, isolate: &'static Isolate, context: &Rc<Context>) {
        let _in_background = self.list.run(context, 0, fetch_pages(isolate, Rc::clone(context)));
    }

    /// Waits until pages that are wanted have been fetched, or could not be.
    pub(super) async fn wait(
        &'static self,
        isolate: &'static Isolate,
        context: &Rc<Context>,
    ) -> Result<(), Code> {
        let done = self.list.run(context, 0, fetch_pages(isolate, Rc::clone(context)));
        self.list.wait(done, 0).await;
        Ok(())
    }

    /// Looks up the API key of a request, or returns why the request has to be refused.
    pub(super) async fn look_up(&self, isolate: &Isolate, head: &Rc<RequestHead>) -> Result<(), Code> {
        let admitted = isolate.rate_limit.admits(|| format!("lookup:{}", head.client_address)).await;
        if !admitted.map_err(|fault| unavailable(isolate, &fault))? {
            return Err(Code::TooManyAttempts);
        }
        let _slot = self.lookups.take(now()).ok_or(Code::Unavailable)?;
        self.ask_about(isolate, &head.api_key).await.map_err(|fault| unavailable(isolate, &fault))
    }

    async fn ask_about(&self, isolate: &Isolate, api_key: &str) -> Result<(), Fault> {
        let asked_at = now();
        let headers = json_headers(isolate)?;
        let question = Object::new();
        Reflect::set(&question, &JsValue::from("api_key"), &JsValue::from(api_key))?;
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers_headers(&headers);
        init.set_body(&JSON::stringify(&question)?.into());
        let url = isolate.gate.borrow().addresses().api_keys.clone();
        let found = fetch_within(TIMEOUT, &url, &init, MAX_LOOKUP_BYTES).await?.good()?;
        let looked_up = isolate.gate.borrow_mut().api_key_looked_up(api_key, &found.body, &end_of, asked_at);
        looked_up.map_err(Fault::new)
    }
}

impl IdentityService {
    /// Spends an approval, or returns why not. Fails if nobody can tell.
    pub(super) async fn redeem(
        &self,
        isolate: &Isolate,
        redemption: &Redemption,
    ) -> Result<RedemptionOutcome, Fault> {
        let headers = json_headers(isolate)?;
        if let Some(key) = &redemption.idempotency_key {
            headers.set("idempotency-key", key)?;
        }
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers_headers(&headers);
        init.set_body(&Uint8Array::from(redemption.body.as_slice()).into());
        let fetched = fetch_within(REDEMPTION_TIMEOUT, &redemption.url, &init, MAX_LOOKUP_BYTES).await?;
        Ok(RedemptionOutcome { status: fetched.status, body: fetched.body })
    }
}

/// Fetches what is wanted, page after page, for no longer than a request waits.
async fn fetch_pages(isolate: &'static Isolate, context: Rc<Context>) {
    let began = now();
    for _ in 0..MAX_PAGES {
        let wanted = isolate.gate.borrow().revocations_wanted(now());
        let Some(ask) = wanted.filter(|_| now() < began + TIMEOUT) else { return };
        if let Err(fault) = fetch_page(isolate, &context, &ask).await {
            isolate.gate.borrow_mut().revocations_failed(&ask, now());
            isolate.failures.note(Failure::Feed);
            console_warn!("portcullis edge: no page of revocations: {fault}");
            return;
        }
    }
}

/// Takes a page from the cache of the data centre, or from the identity service, and leaves it in the cache.
async fn fetch_page(isolate: &Isolate, context: &Context, ask: &Ask) -> Result<(), Fault> {
    let url = format!("{}{}", isolate.gate.borrow().addresses().revocations, ask.query());
    // Only the service itself takes a report. Whatever is wrong with the cache, the service knows better.
    let report = isolate.failures.report(now());
    if report.is_none()
        && let Ok(Some(found)) = Shared::find(&url, MAX_PAGE_BYTES, now()).await
    {
        let mut gate = isolate.gate.borrow_mut();
        let does = gate.revocations_take(ask, found.obtained_at, now());
        if does && gate.revocations_arrived(ask, found.body, found.obtained_at).is_ok() {
            return Ok(());
        }
    }
    let obtained_at = now();
    let body = ask_for_page(isolate, &url, report.as_deref()).await?;
    if report.is_some() {
        isolate.failures.told(obtained_at);
    }
    let kept = body.clone();
    let is_settled =
        isolate.gate.borrow_mut().revocations_arrived(ask, body, obtained_at).map_err(Fault::new)?;
    let seconds = if is_settled { SETTLED_SECONDS } else { NEWEST_SECONDS };
    if is_settled || *ask == Ask::Newest {
        let _in_background = in_background(context, async move {
            // Nobody waits for the cache, and without it each isolate asks for itself.
            let _ = Shared { body: kept, max_age: None, obtained_at }.leave(&url, seconds).await;
        });
    }
    Ok(())
}

async fn ask_for_page(isolate: &Isolate, url: &str, report: Option<&str>) -> Result<Vec<u8>, Fault> {
    let headers = service_headers(isolate)?;
    if let Some(report) = report {
        headers.set("x-edge-report", report)?;
    }
    let init = RequestInit::new();
    init.set_headers_headers(&headers);
    Ok(fetch_within(TIMEOUT, url, &init, MAX_PAGE_BYTES).await?.good()?.body)
}

fn unavailable(isolate: &Isolate, fault: &Fault) -> Code {
    isolate.failures.note(Failure::Lookup);
    console_warn!("portcullis edge: an API key could not be looked up: {fault}");
    Code::Unavailable
}

/// Returns the headers of a question that is JSON.
fn json_headers(isolate: &Isolate) -> Result<Headers, Fault> {
    let headers = service_headers(isolate)?;
    headers.set("content-type", "application/json")?;
    Ok(headers)
}

/// Returns headers by which the identity service recognises the edge.
fn service_headers(isolate: &Isolate) -> Result<Headers, Fault> {
    let headers = Headers::new()?;
    headers.set("x-service-token", isolate.gate.borrow().service_token().expose())?;
    Ok(headers)
}

/// Returns when a key ends; an end that cannot be read is long ago.
fn end_of(text: &str) -> Millis {
    millis(Date::parse(text))
}
