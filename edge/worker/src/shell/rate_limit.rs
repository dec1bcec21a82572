//! The optional binding that counts requests.

use worker::js_sys::Reflect;
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::{Env, RateLimiter};

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
        match &self.0 {
            Some(limiter) => Ok(limiter.limit(key()).await?.success),
            None => Ok(true),
        }
    }
}
