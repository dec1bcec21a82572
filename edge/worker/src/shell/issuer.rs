//! The issuer's keys: fetched when the gate needs them, and left in the cache for isolates that start later.

use std::rc::Rc;

use worker::web_sys::RequestInit;
use worker::{Context, console_warn};

use super::bounded_fetch::{Fetched, fetch_within};
use super::fault::Fault;
use super::isolate::Isolate;
use super::shared_cache::Shared;
use super::single_flight::{SingleFlight, in_background};
use super::timer::now;
use crate::{Code, Failure, Millis, Slots};

const TIMEOUT: Millis = 2000;
const MAX_BYTES: usize = 64 * 1024;
const CACHED_SECONDS: u32 = 24 * 3600;
/// Requests that may wait for keys at once; a flood of forged key ids must not pile up here.
const MAX_WAITING: usize = 256;
/// How long a request waits at most: for a fetch that begins after a pause, and for that fetch.
const LONGEST_WAIT: Millis = 3 * TIMEOUT;

/// The issuer of tokens.
pub(super) struct Issuer {
    waiting: Slots,
    keys: SingleFlight,
}

impl Issuer {
    pub(super) const fn new() -> Self {
        Self { waiting: Slots::new(MAX_WAITING, LONGEST_WAIT), keys: SingleFlight::new(TIMEOUT) }
    }

    /// Fetches the keys in the background.
    pub(super) fn refresh(&'static self, isolate: &'static Isolate, context: &Rc<Context>) {
        let _in_background = self.keys.run(context, 0, fetch_keys(isolate, Rc::clone(context)));
    }

    /// Waits until the keys have been fetched, or could not be; the fetch begins after `delay`.
    pub(super) async fn wait(
        &'static self,
        isolate: &'static Isolate,
        context: &Rc<Context>,
        delay: Millis,
    ) -> Result<(), Code> {
        let _slot = self.waiting.take(now()).ok_or(Code::Unavailable)?;
        let done = self.keys.run(context, delay, fetch_keys(isolate, Rc::clone(context)));
        self.keys.wait(done, delay).await;
        Ok(())
    }
}

async fn fetch_keys(isolate: &'static Isolate, context: Rc<Context>) {
    isolate.gate.borrow_mut().keys_fetching(now());
    match ask_for_keys(isolate).await {
        // Nobody waits for the cache.
        Ok(published) => {
            let url = isolate.gate.borrow().addresses().jwks.clone();
            let _in_background = in_background(&context, async move {
                if let Err(fault) = published.leave(&url, CACHED_SECONDS).await {
                    console_warn!("portcullis edge: the keys are not cached: {fault}");
                }
            });
        }
        Err(fault) => {
            isolate.gate.borrow_mut().keys_failed();
            isolate.failures.note(Failure::Keys);
            console_warn!("portcullis edge: no keys from the issuer: {fault}");
            // An isolate without keys has to begin somehow; one that has some knows no worse.
            if isolate.signatures.is_empty()
                && let Err(fault) = recall(isolate).await
            {
                console_warn!("portcullis edge: no keys from the cache: {fault}");
            }
        }
    }
}

async fn ask_for_keys(isolate: &'static Isolate) -> Result<Shared, Fault> {
    let url = isolate.gate.borrow().addresses().jwks.clone();
    let fetched = fetch_within(TIMEOUT, &url, &RequestInit::new(), MAX_BYTES).await?;
    let Fetched { body, max_age, .. } = fetched.good()?;
    let published = Shared { body, max_age, obtained_at: now() };
    arrived(isolate, &published)?;
    Ok(published)
}

/// Hands a key set to the gate, and its keys to WebCrypto.
fn arrived(isolate: &Isolate, published: &Shared) -> Result<(), Fault> {
    let mut gate = isolate.gate.borrow_mut();
    gate.keys_arrived(&published.body, published.max_age, published.obtained_at).map_err(Fault::new)?;
    isolate.signatures.import(&gate);
    Ok(())
}

/// Takes over what another isolate left, so that this one can start while the issuer is down.
async fn recall(isolate: &Isolate) -> Result<(), Fault> {
    let url = isolate.gate.borrow().addresses().jwks.clone();
    match Shared::find(&url, MAX_BYTES, now()).await? {
        Some(found) => arrived(isolate, &found),
        None => Ok(()),
    }
}
