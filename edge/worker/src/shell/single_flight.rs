//! One run at a time of a job that leaves its result elsewhere.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use worker::js_sys::Promise;
use worker::js_sys::futures::{JsFuture, future_to_promise};
use worker::wasm_bindgen::JsValue;
use worker::{Context, console_warn};

use super::timer::{now, pause, within};
use crate::Millis;

/// How much longer than the job itself a request waits for it.
const GRACE: Millis = 500;

/// A job that many requests may need at once. The request that starts it keeps it alive; the others wait with a timer of
/// their own, for a promise of another request never settles if that request is gone.
pub(super) struct SingleFlight {
    /// How long the job takes at most.
    timeout: Millis,
    runs: Cell<u64>,
    current: RefCell<Option<Flight>>,
}

struct Flight {
    run: u64,
    done: Promise,
    /// When the flight counts as lost, together with the request that started it.
    lost_at: Millis,
}

impl SingleFlight {
    pub(super) const fn new(timeout: Millis) -> Self {
        Self { timeout, runs: Cell::new(0), current: RefCell::new(None) }
    }

    /// Returns the promise of the run that is under way, or starts one after `delay`.
    pub(super) fn run(
        &'static self,
        context: &Context,
        delay: Millis,
        job: impl Future<Output = ()> + 'static,
    ) -> Promise {
        let now = now();
        if let Some(flight) = self.current.borrow().as_ref().filter(|flight| now <= flight.lost_at) {
            return flight.done.clone();
        }
        let run = self.runs.get() + 1;
        self.runs.set(run);
        // The job begins when this turn is over, so that it cannot end before it is current.
        let done = in_background(context, async move {
            pause(delay).await;
            job.await;
            self.current.borrow_mut().take_if(|flight| flight.run == run);
        });
        let lost_at = now + self.timeout * 2 + delay;
        *self.current.borrow_mut() = Some(Flight { run, done: done.clone(), lost_at });
        done
    }

    /// Waits until a run has ended, or has taken too long.
    pub(super) async fn wait(&self, done: Promise, delay: Millis) {
        within(self.timeout + delay + GRACE, JsFuture::from(done)).await;
    }
}

/// Begins a job that outlives its request. Returns the promise of its end.
pub(super) fn in_background(context: &Context, job: impl Future<Output = ()> + 'static) -> Promise {
    // One type for all of them: each would be compiled with all that promises need.
    let job: Pin<Box<dyn Future<Output = ()>>> = Box::pin(job);
    let done = future_to_promise(AssertUnwindSafe(async move {
        job.await;
        Ok(JsValue::UNDEFINED)
    }));
    if context.as_ref().wait_until(&done).is_err() {
        console_warn!("portcullis edge: a job may end with its request");
    }
    done
}
