//! Responses of the edge itself.

use worker::js_sys;
use worker::wasm_bindgen::JsCast as _;
use worker::web_sys;

use super::fault::Fault;
use crate::EdgeResponse;
use crate::problem::{self, Code};

/// Returns the response the gate decided on.
pub(super) fn of(response: &EdgeResponse) -> Result<web_sys::Response, Fault> {
    let headers = response.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let init = web_sys::ResponseInit::new();
    init.set_status(response.status);
    init.set_headers_headers(&headers.collect::<worker::Headers>().0);
    Ok(web_sys::Response::new_with_opt_str_and_init(response.body.as_deref(), &init)?)
}

/// Returns the response to a request that meets no gate.
pub(super) fn without_gate(code: Code) -> Result<web_sys::Response, Fault> {
    of(&problem::without_gate(code, &random_id()))
}

/// Returns 32 random hexadecimal digits.
pub(super) fn random_id() -> String {
    let scope: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    scope.crypto().map(|crypto| crypto.random_uuid().replace('-', "")).unwrap_or_default()
}
