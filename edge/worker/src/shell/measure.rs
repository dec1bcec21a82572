//! Early ends of a request, for the benchmark alone: what costs nothing is left out step by step.

use std::rc::Rc;

use worker::{Env, web_sys};

use super::fault::Fault;
use super::isolate::Isolate;
use super::timer::now;
use crate::RequestHead;

/// Where a request ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Once its token is verified, whatever else the request is.
    Token,
    /// Once it may pass.
    Decision,
}

impl Stop {
    /// Reads the variable MEASURE.
    pub(super) fn of(env: &Env) -> Option<Self> {
        match env.var("MEASURE").ok()?.to_string().as_str() {
            "token" => Some(Self::Token),
            "decision" => Some(Self::Decision),
            _ => None,
        }
    }
}

/// Returns the response to a request whose token is all that counts.
pub(super) async fn verify_token(
    isolate: &Isolate,
    request: &web_sys::Request,
) -> Result<web_sys::Response, Fault> {
    let authorization = request.headers().get("authorization")?.unwrap_or_default();
    let head = Rc::new(RequestHead { authorization, ..RequestHead::default() });
    let mut pending = None;
    let mut ticket = 0;
    let known = isolate.gate.borrow_mut().verify_token(head, now(), &mut |given, key, signature, signed| {
        ticket = given;
        pending = Some(isolate.signatures.verify(key, signature, signed));
    });
    let is_good = match (known, pending) {
        (Some(is_good), _) => is_good,
        (None, Some(signature)) => {
            let is_valid = signature.verified().await;
            isolate.gate.borrow_mut().token_verified(ticket, is_valid)
        }
        (None, None) => false,
    };
    if is_good { passed() } else { Err(Fault::new("the token is not good")) }
}

/// Returns the response in place of that of a service.
pub(super) fn passed() -> Result<web_sys::Response, Fault> {
    Ok(web_sys::Response::new_with_opt_str(Some("ok"))?)
}
