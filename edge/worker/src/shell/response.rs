//! Responses of the edge itself.

use worker::js_sys::{self, Object, Reflect};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::web_sys;

use super::fault::Fault;
use crate::EdgeResponse;
use crate::headers::{ALWAYS, BY_DEFAULT};
use crate::problem::{self, Code};

/// The headers of every response, as objects that are made once.
pub(super) struct StandardHeaders {
    /// Whatever the service said.
    pub(super) always: Object,
    /// Unless the service set its own.
    pub(super) by_default: Object,
}

impl StandardHeaders {
    pub(super) fn new() -> Self {
        let object = |headers: &[(&str, &str)]| {
            let object = Object::new();
            for (name, value) in headers {
                // A property of a new object can be set.
                let _ = Reflect::set(&object, &JsValue::from(*name), &JsValue::from(*value));
            }
            object
        };
        Self { always: object(&ALWAYS), by_default: object(&BY_DEFAULT) }
    }
}

/// Returns the response the gate decided on.
pub(super) fn of(response: &EdgeResponse) -> Result<web_sys::Response, Fault> {
    let headers = web_sys::Headers::new()?;
    for (name, value) in &response.headers {
        headers.append(name, value)?;
    }
    let init = web_sys::ResponseInit::new();
    init.set_status(response.status);
    init.set_headers_headers(&headers);
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
