//! What went wrong outside the gate. It is logged, and never part of a response.

use std::fmt;

use worker::js_sys;
use worker::wasm_bindgen::{JsCast as _, JsValue};

/// The message of an error of the platform, or of a peer that cannot be understood.
#[derive(Debug)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<JsValue> for Fault {
    fn from(value: JsValue) -> Self {
        match value.dyn_ref::<js_sys::Error>() {
            Some(error) => Self(error.to_string().into()),
            None => Self(value.as_string().unwrap_or_else(|| "an error without a message".to_owned())),
        }
    }
}

impl From<Fault> for JsValue {
    fn from(fault: Fault) -> Self {
        Self::from(fault.0)
    }
}
