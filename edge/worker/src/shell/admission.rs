//! One request from its arrival to its response: the gate's verdicts, followed one after the other.

use std::rc::Rc;

use worker::{Context, web_sys};

use super::fault::Fault;
use super::isolate::Isolate;
#[cfg(feature = "measure")]
use super::measure::{self, Stop};
use super::received::Received;
use super::timer::now;
use super::{proxy, response};
use crate::{Check, Code, EdgeResponse, Failure, Forward, RequestHead};

/// More steps than an honest request takes: keys twice, revocations, API key, signature.
const MAX_STEPS: usize = 9;

/// Returns the response to a request.
pub(super) async fn respond(
    isolate: &'static Isolate,
    request: web_sys::Request,
    context: Rc<Context>,
) -> Result<web_sys::Response, Fault> {
    #[cfg(feature = "measure")]
    if isolate.stop == Some(Stop::Token) {
        return verify_token(isolate, &request, &context).await;
    }
    let Some(mut received) = Received::read(&request)? else {
        return response::of(&refusal(isolate, Code::BadRequest, &RequestHead::default()));
    };
    match decide(isolate, &received.head, &context).await {
        #[cfg(feature = "measure")]
        Ok(_) if isolate.stop == Some(Stop::Decision) => measure::passed(),
        Ok(mut forward) => proxy::forward(isolate, &context, &mut received, &mut forward).await,
        Err(own) => response::of(&own),
    }
}

/// Returns the response to a request whose token is all that counts. The first one of an isolate brings the keys.
#[cfg(feature = "measure")]
async fn verify_token(
    isolate: &'static Isolate,
    request: &web_sys::Request,
    context: &Rc<Context>,
) -> Result<web_sys::Response, Fault> {
    if let Ok(response) = measure::verify_token(isolate, request).await {
        return Ok(response);
    }
    if let Some(received) = Received::read(request)? {
        decide(isolate, &received.head, context).await.ok();
    }
    measure::verify_token(isolate, request).await
}

/// Returns how the request goes on, or the response of the edge. What cannot be decided is counted.
pub(super) async fn decide(
    isolate: &'static Isolate,
    head: &Rc<RequestHead>,
    context: &Rc<Context>,
) -> Result<Box<Forward>, EdgeResponse> {
    let decision = follow(isolate, head, context).await;
    if decision.as_ref().is_err_and(|own| own.code == Some(Code::Unavailable)) {
        isolate.failures.note(Failure::Undecided);
    }
    decision
}

/// Does what the gate asks for, one thing after the other.
async fn follow(
    isolate: &'static Isolate,
    head: &Rc<RequestHead>,
    context: &Rc<Context>,
) -> Result<Box<Forward>, EdgeResponse> {
    let asked_at = now();
    let (mut verdict, mut pending) = isolate.admit(head, asked_at, asked_at);
    for _ in 0..MAX_STEPS {
        isolate.refresh(&verdict, context);
        let needed = match verdict.check {
            Check::Respond(own) => return Err(own),
            Check::Forward(forward) => return Ok(forward),
            Check::Signature(ticket) => {
                let is_valid = match pending.take() {
                    Some(signature) => signature.verified().await,
                    None => false,
                };
                (verdict, pending) = isolate.resume(ticket, is_valid);
                continue;
            }
            Check::Again => Ok(()),
            Check::Keys(delay) => isolate.issuer.wait(isolate, context, delay).await,
            Check::Revocations => isolate.identity_service.wait(isolate, context).await,
            Check::ApiKey => isolate.identity_service.look_up(isolate, head).await,
        };
        if let Err(code) = needed {
            return Err(refusal(isolate, code, head));
        }
        (verdict, pending) = isolate.admit(head, asked_at, now());
    }
    Err(refusal(isolate, Code::Unavailable, head))
}

fn refusal(isolate: &Isolate, code: Code, head: &RequestHead) -> EdgeResponse {
    isolate.gate.borrow_mut().refusal(code, head, &head.request_id)
}
