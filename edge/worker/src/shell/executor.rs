//! Runs the future of each request, at once.
//!
//! The futures of `wasm-bindgen` begin and go on in microtasks of their own, each of which costs as much as a digest or
//! more. Here a future begins in the call that brings its request, so that a response that waits for nothing is there
//! when the call returns, and goes on in the very callback it waits for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use worker::js_sys::{Function, Promise};
use worker::wasm_bindgen::JsValue;
use worker::web_sys::Response;

use super::timer::now;
use crate::Millis;

/// Longer than any request waits for its response. The platform may abandon a request, and its promises never settle then.
const ABANDONED: Millis = 30 * 60 * 1000;
/// How many requests wait at once. Clients that send a request and go away would otherwise fill the isolate's memory with
/// what the platform never tells about.
const MAX_WAITING: usize = 512;

type ResponseFuture = Pin<Box<dyn Future<Output = Response>>>;

/// A request that waits.
struct Waiting {
    future: ResponseFuture,
    resolve: Function,
    since: Millis,
}

thread_local! {
    static WAITING: RefCell<BTreeMap<u64, Waiting>> = const { RefCell::new(BTreeMap::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// Wakes one request. It names the request instead of holding it, because a waker must not be bound to a thread.
struct Turn {
    request: u64,
    /// Woken while it was running: it runs once more.
    again: AtomicBool,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.again.store(true, Ordering::Relaxed);
        // It is not there while it runs, and when it has ended.
        let Some(mut waiting) = WAITING.with_borrow_mut(|all| all.remove(&self.request)) else { return };
        match self.run(&mut waiting.future) {
            Some(response) => drop(waiting.resolve.call1(&JsValue::UNDEFINED, &response)),
            None => drop(WAITING.with_borrow_mut(|all| all.insert(self.request, waiting))),
        }
    }
}

impl Turn {
    /// Runs the future until it waits or ends.
    fn run(self: &Arc<Self>, future: &mut ResponseFuture) -> Option<Response> {
        let waker = Waker::from(Arc::clone(self));
        loop {
            self.again.store(false, Ordering::Relaxed);
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(response) => return Some(response),
                Poll::Pending if self.again.load(Ordering::Relaxed) => {}
                Poll::Pending => return None,
            }
        }
    }
}

/// Returns the response the future resolves to, or a promise of it.
pub(super) fn run(future: impl Future<Output = Response> + 'static) -> JsValue {
    let request = NEXT.replace(NEXT.get() + 1);
    let turn = Arc::new(Turn { request, again: AtomicBool::new(false) });
    let mut future: ResponseFuture = Box::pin(future);
    if let Some(response) = turn.run(&mut future) {
        return response.into();
    }
    let mut future = Some(future);
    let promise = Promise::new(&mut |resolve, _| {
        if let Some(future) = future.take() {
            wait(request, Waiting { future, resolve, since: now() });
        }
    });
    promise.into()
}

/// Keeps a request until it is woken. Forgets the oldest one if it was abandoned long ago, or if more than [`MAX_WAITING`]
/// wait: one comes and one goes.
fn wait(request: u64, waiting: Waiting) {
    let now = waiting.since;
    let forgotten = WAITING.with_borrow_mut(|all| {
        all.insert(request, waiting);
        let are_too_many = all.len() > MAX_WAITING;
        let first = all.first_entry()?;
        let is_abandoned = now.saturating_sub(first.get().since) > ABANDONED;
        (is_abandoned || are_too_many).then(|| first.remove())
    });
    // Dropped when nothing is borrowed any more: a future may own what wakes others.
    drop(forgotten);
}
