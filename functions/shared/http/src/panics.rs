//! A panic in one request is a 500 for that request and nothing more.

use std::any::Any;
use std::panic::{self, Location};

use axum::response::{IntoResponse, Response};

use crate::{Code, Problem};

/// Returns the response to a request that panicked. The payload is dropped unread: it may quote what the handler held, a password for instance.
pub(crate) fn answer(_: Box<dyn Any + Send>) -> Response {
    Problem::new(Code::InternalError).into_response()
}

/// Makes every panic of the process leave its place in the log and not its message, which may quote a secret. For
/// `main`, once, at the start: it replaces the hook that prints the message to standard error.
pub fn log_panics_without_their_message() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(Location::to_string);
        tracing::error!(place, "a panic");
    }));
}
