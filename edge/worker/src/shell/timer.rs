//! The clock, and waits that end.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{Either, select};
use worker::js_sys::{self, Date};
use worker::wasm_bindgen::JsCast as _;
use worker::wasm_bindgen::closure::Closure;
use worker::web_sys::WorkerGlobalScope;

use crate::Millis;

/// Returns the time. The clock of a Worker stands still while it computes.
pub(super) fn now() -> Millis {
    millis(Date::now())
}

/// Returns a time of JavaScript. A cast of a float saturates, and turns what is no number into 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturating, and years after 1970"
)]
pub(super) fn millis(number: f64) -> Millis {
    number as Millis
}

/// Returns after this time; at once for zero.
pub(super) async fn pause(time: Millis) {
    if time > 0 {
        Timer::new(time).await;
    }
}

/// Returns what the future resolves to, or `None` if that takes longer than `limit`. The timer is gone with the wait.
pub(super) async fn within<T>(limit: Millis, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(Timer::new(limit))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// A timer of the platform. `worker::Delay` wakes its task before it says that it is over, so that a task which goes on
/// at once, as those of [`super::executor`] do, would find it still running and sleep for ever.
struct Timer {
    time: Millis,
    state: Rc<State>,
    started: Option<(i32, Closure<dyn FnMut()>)>,
}

#[derive(Default)]
struct State {
    is_over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Timer {
    fn new(time: Millis) -> Self {
        Self { time, state: Rc::default(), started: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.state.is_over.get() {
            return Poll::Ready(());
        }
        *self.state.waker.borrow_mut() = Some(context.waker().clone());
        if self.started.is_none() {
            let state = Rc::clone(&self.state);
            let over = Closure::once(move || {
                state.is_over.set(true);
                // Nothing is borrowed while the task runs: it may drop this timer.
                let waker = state.waker.borrow_mut().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
            let time = i32::try_from(self.time).unwrap_or(i32::MAX);
            let callback = over.as_ref().unchecked_ref();
            if let Ok(id) = scope().set_timeout_with_callback_and_timeout_and_arguments_0(callback, time) {
                self.started = Some((id, over));
            }
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((id, _)) = self.started.take_if(|_| !self.state.is_over.get()) {
            scope().clear_timeout_with_handle(id);
        }
    }
}

fn scope() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}
