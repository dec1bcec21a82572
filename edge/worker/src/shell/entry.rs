//! The entry of the Worker.

use std::rc::Rc;

use worker::{Context, Env, console_error, event, web_sys};

use super::fault::Fault;
use super::isolate::Isolate;
use super::{admission, response};
use crate::Code;

/// Returns the response to one request: that of the service behind, or one of the edge itself. A fault of the edge is
/// logged, and the client learns nothing of it: 503 while the configuration cannot be used, 500 otherwise.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let isolate = match Isolate::current(&env) {
        Ok(isolate) => isolate,
        Err(error) => {
            console_error!("portcullis edge: {error}");
            return response::without_gate(Code::Unavailable).map_err(thrown);
        }
    };
    match admission::respond(isolate, request, Rc::new(context)).await {
        Ok(response) => Ok(response),
        Err(fault) => {
            console_error!("portcullis edge: {fault}");
            response::without_gate(Code::InternalError).map_err(thrown)
        }
    }
}

fn thrown(fault: Fault) -> worker::Error {
    worker::Error::RustError(fault.to_string())
}
