//! The clock, and waits that end.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use worker::{Date, Delay};

use crate::Millis;

/// Returns the time. The clock of a Worker stands still while it computes.
pub(super) fn now() -> Millis {
    Date::now().as_millis()
}

/// Returns after this time; at once for zero.
pub(super) async fn pause(time: Millis) {
    if time > 0 {
        Delay::from(Duration::from_millis(time)).await;
    }
}

/// Returns what the future resolves to, or `None` if that takes longer than `limit`. The timer is gone with the wait.
pub(super) async fn within<T>(limit: Millis, future: impl Future<Output = T>) -> Option<T> {
    let timer = Delay::from(Duration::from_millis(limit));
    match select(pin!(future), pin!(timer)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}
