//! Spends the approval that a request needs, before it goes on.

use worker::console_warn;
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsCast as _;
use worker::web_sys::ReadableStream;

use super::bounded_fetch::read_stream;
use super::isolate::Isolate;
use super::received::Received;
use super::timer::within;
use crate::{Code, EdgeResponse, Failure, Forward, MAX_ORDER_BYTES};

/// Looks at the order of a request and spends the approval it needs, if it needs one. The body is there to be sent on afterwards,
/// as it came. Fails with the response to a request that may not go on.
pub(super) async fn settle(
    isolate: &Isolate,
    received: &mut Received,
    forward: &mut Forward,
) -> Result<(), EdgeResponse> {
    let refusal = |code| isolate.gate.borrow_mut().refusal(code, &received.head, &forward.request_id);
    let body = read(received, forward).await.map_err(refusal)?;
    received.body = Some(Uint8Array::from(body.as_slice()).into());
    let redemption = isolate.gate.borrow_mut().redemption(forward, &received.head, &body)?;
    let Some(redemption) = redemption else { return Ok(()) };
    // Without an answer it is nothing, of status 0.
    let outcome = isolate.identity_service.redeem(isolate, &redemption).await.unwrap_or_default();
    let status = outcome.status;
    let settled = isolate.gate.borrow().redeemed(forward, &received.head, outcome);
    if settled.as_ref().is_err_and(|own| own.code.is_some()) {
        console_warn!("portcullis edge: an approval could not be redeemed: status {status}");
        isolate.failures.note(Failure::Undecided);
    }
    settled
}

/// Returns the body of a request, as long as an order may be.
async fn read(received: &Received, forward: &Forward) -> Result<Vec<u8>, Code> {
    let Some(stream) = &received.body else { return Ok(Vec::new()) };
    let stream: &ReadableStream = stream.unchecked_ref();
    let body = within(forward.timeout, read_stream(stream, MAX_ORDER_BYTES)).await;
    body.and_then(Result::ok).ok_or(Code::BadRequest)?.ok_or(Code::PayloadTooLarge)
}
