//! The entry of the Worker.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Env, console_error, web_sys, worker_sys};

use super::isolate::Isolate;
use super::{admission, executor, response};
use crate::{Code, Failure};

/// Returns the response to one request, or the promise of it: that of the service behind, or one of the edge itself. A
/// fault of the edge is logged, and the client learns nothing of it: 503 while the configuration cannot be used, 500
/// otherwise.
///
/// `worker-build` finds this function by its name. `worker::event` would make one of the same name that cannot respond
/// without waiting.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "JavaScript reaches it")]
pub fn fetch(request: web_sys::Request, env: &Env, context: worker_sys::Context) -> Result<JsValue, JsValue> {
    let isolate = match Isolate::current(env) {
        Ok(isolate) => isolate,
        Err(error) => {
            console_error!("portcullis edge: {error}");
            return Ok(response::without_gate(Code::Unavailable)?.into());
        }
    };
    let context = Rc::new(Context::new(context));
    Ok(executor::run(async move {
        match admission::respond(isolate, request, context).await {
            Ok(response) => response.into(),
            Err(fault) => {
                isolate.failures.note(Failure::Fault);
                console_error!("portcullis edge: {fault}");
                response::without_gate(Code::InternalError)
                    .unwrap_or_else(|_| web_sys::Response::error())
                    .into()
            }
        }
    }))
}
