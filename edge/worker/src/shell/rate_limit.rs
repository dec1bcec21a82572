//! The optional binding that counts requests.

use worker::Env;
use worker::js_sys::{Object, Reflect, futures::JsFuture};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::worker_sys::RateLimiter;

use super::fault::Fault;

const BINDING: &str = "RATE_LIMITER";

/// The rate limit of a deployment, if it has one.
pub(super) struct RateLimit(Option<RateLimiter>);

impl RateLimit {
    /// Finds the binding. Whatever is bound there has to offer `limit`: a Workers rate limit, or a service of the same
    /// interface.
    pub(super) fn of(env: &Env) -> Self {
        let bound = Reflect::get(env.as_ref(), &JsValue::from(BINDING)).ok();
        Self(bound.filter(JsValue::is_truthy).map(JsValue::unchecked_into))
    }

    /// Returns whether a request counted under this key may go on; fails if the binding does.
    pub(super) async fn admits(&self, key: impl FnOnce() -> String) -> Result<bool, Fault> {
        let Some(limiter) = &self.0 else { return Ok(true) };
        let counted = Object::new();
        Reflect::set(&counted, &JsValue::from("key"), &JsValue::from(key()))?;
        let outcome = JsFuture::from(limiter.limit(counted)?).await?;
        Ok(Reflect::get(&outcome, &JsValue::from("success"))?.is_truthy())
    }
}
