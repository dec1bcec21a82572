//! Runs the future of each request, at once, and that of each open WebSocket.
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
use std::thread::LocalKey;

use worker::js_sys::{Function, Promise};
use worker::wasm_bindgen::JsValue;

use super::timer::now;
use crate::Millis;

/// Longer than any request waits for its response, or a WebSocket for its next turn. The platform may abandon a request, and
/// its promises never settle then.
const ABANDONED: Millis = 30 * 60 * 1000;
/// How many requests wait at once. Clients that send a request and go away would otherwise fill the isolate's memory with
/// what the platform never tells about.
const MAX_WAITING: usize = 512;

/// Sockets that are open at once, so that the memory of an isolate is bounded.
const MAX_SOCKETS: usize = 4096;

type Task = Pin<Box<dyn Future<Output = JsValue>>>;
type Tasks = RefCell<BTreeMap<u64, Waiting>>;

/// A request that waits, or the watch over a WebSocket.
struct Waiting {
    task: Task,
    /// Takes the response; a WebSocket has been responded to.
    resolve: Option<Function>,
    /// When a request began to wait, and when a WebSocket did last.
    since: Millis,
}

thread_local! {
    static REQUESTS: Tasks = const { RefCell::new(BTreeMap::new()) };
    static SOCKETS: Tasks = const { RefCell::new(BTreeMap::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// Wakes one task. It names the task instead of holding it, because a waker must not be bound to a thread.
struct Turn {
    tasks: &'static LocalKey<Tasks>,
    number: u64,
    /// Woken while it was running: it runs once more.
    again: AtomicBool,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.again.store(true, Ordering::Relaxed);
        // It is not there while it runs, and when it has ended.
        let Some(mut waiting) = self.tasks.with_borrow_mut(|all| all.remove(&self.number)) else { return };
        match (self.run(&mut waiting.task), &waiting.resolve) {
            (Some(value), Some(resolve)) => drop(resolve.call1(&JsValue::UNDEFINED, &value)),
            (Some(_), None) => {}
            (None, Some(_)) => self.keep(waiting),
            (None, None) => self.keep(Waiting { since: now(), ..waiting }),
        }
    }
}

impl Turn {
    fn new(tasks: &'static LocalKey<Tasks>) -> Arc<Self> {
        let number = NEXT.replace(NEXT.get() + 1);
        Arc::new(Self { tasks, number, again: AtomicBool::new(false) })
    }

    /// Runs the task until it waits or ends.
    fn run(self: &Arc<Self>, task: &mut Task) -> Option<JsValue> {
        let waker = Waker::from(Arc::clone(self));
        loop {
            self.again.store(false, Ordering::Relaxed);
            match task.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return Some(value),
                Poll::Pending if self.again.load(Ordering::Relaxed) => {}
                Poll::Pending => return None,
            }
        }
    }

    fn keep(&self, waiting: Waiting) {
        self.tasks.with_borrow_mut(|all| all.insert(self.number, waiting));
    }
}

/// Returns the response the future resolves to, or a promise of it.
pub(super) fn run(future: impl Future<Output = JsValue> + 'static) -> JsValue {
    let turn = Turn::new(&REQUESTS);
    let mut task: Task = Box::pin(future);
    if let Some(response) = turn.run(&mut task) {
        return response;
    }
    let mut task = Some(task);
    let promise = Promise::new(&mut |resolve, _| {
        if let Some(task) = task.take() {
            let since = now();
            turn.keep(Waiting { task, resolve: Some(resolve), since });
            forget_one(&REQUESTS, since, 1, MAX_WAITING);
        }
    });
    promise.into()
}

/// Begins to watch over a WebSocket. Drops the future if there are too many.
pub(super) fn watch(future: impl Future<Output = JsValue> + 'static) {
    let since = now();
    forget_one(&SOCKETS, since, MAX_SOCKETS, usize::MAX);
    if SOCKETS.with_borrow(|all| all.len() < MAX_SOCKETS) {
        let turn = Turn::new(&SOCKETS);
        let mut task: Task = Box::pin(future);
        if turn.run(&mut task).is_none() {
            turn.keep(Waiting { task, resolve: None, since });
        }
    }
}

/// Forgets one task, if one of the `oldest` was abandoned long ago or there are more than `most`: one comes and one goes.
fn forget_one(tasks: &'static LocalKey<Tasks>, now: Millis, oldest: usize, most: usize) {
    let forgotten = tasks.with_borrow_mut(|all| {
        let are_too_many = all.len() > most;
        let mut oldest = all.iter().take(oldest);
        let oldest = oldest.find(|(_, one)| are_too_many || now.saturating_sub(one.since) > ABANDONED);
        let number = oldest.map(|(number, _)| *number)?;
        all.remove(&number)
    });
    // Dropped when nothing is borrowed any more: a future may own what wakes others.
    drop(forgotten);
}
