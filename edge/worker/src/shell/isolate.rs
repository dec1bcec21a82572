//! What one isolate keeps between requests.

use std::cell::{OnceCell, RefCell};

use worker::{Context, Env};

use super::environment;
use super::identity_service::IdentityService;
use super::issuer::Issuer;
use super::rate_limit::RateLimit;
use super::response::{self, StandardHeaders};
use super::signatures::{PendingSignature, Signatures};
use super::timer::now;
use crate::{Failures, Gate, Millis, RequestHead, SettingsError, Ticket, Upstreams, Verdict};
use std::rc::Rc;

/// The gate, and what the shell remembers for it. No borrow of a cell is held while anything is awaited.
pub(super) struct Isolate {
    pub(super) gate: RefCell<Gate>,
    pub(super) signatures: Signatures,
    pub(super) issuer: Issuer,
    pub(super) identity_service: IdentityService,
    pub(super) failures: Failures,
    pub(super) upstreams: RefCell<Upstreams>,
    pub(super) rate_limit: RateLimit,
    pub(super) standard_headers: StandardHeaders,
    #[cfg(feature = "measure")]
    pub(super) stop: Option<super::measure::Stop>,
}

thread_local! {
    static CURRENT: OnceCell<&'static Isolate> = const { OnceCell::new() };
}

impl Isolate {
    /// Returns the isolate of this thread, made by its first request. It lasts as long as the memory it is in, so that
    /// jobs that outlive a request can borrow it. Fails while the configuration cannot be used.
    pub(super) fn current(env: &Env) -> Result<&'static Self, SettingsError> {
        CURRENT.with(|current| {
            if let Some(isolate) = current.get() {
                return Ok(*isolate);
            }
            let isolate = Box::leak(Box::new(Self::new(env)?));
            Ok(*current.get_or_init(|| isolate))
        })
    }

    fn new(env: &Env) -> Result<Self, SettingsError> {
        let name: String = response::random_id().chars().take(16).collect();
        let gate = Gate::new(&environment::variables(env).unwrap_or_default(), &name, now())?;
        let signatures = Signatures::new();
        signatures.import(&gate);
        Ok(Self {
            identity_service: IdentityService::new(),
            issuer: Issuer::new(),
            rate_limit: RateLimit::of(env),
            standard_headers: StandardHeaders::new(),
            failures: Failures::default(),
            upstreams: RefCell::default(),
            gate: RefCell::new(gate),
            signatures,
            #[cfg(feature = "measure")]
            stop: super::measure::Stop::of(env),
        })
    }

    /// Returns the verdict of the gate, and the signature that is being verified if it depends on one.
    pub(super) fn admit(
        &self,
        head: &Rc<RequestHead>,
        asked_at: Millis,
        now: Millis,
    ) -> (Verdict, Option<PendingSignature>) {
        let mut pending = None;
        let verdict =
            self.gate.borrow_mut().admit(Rc::clone(head), asked_at, now, &mut |_, key, signature, signed| {
                pending = Some(self.signatures.verify(key, signature, signed));
            });
        (verdict, pending)
    }

    /// Returns the verdict on the request of this ticket, now that its signature has been verified.
    pub(super) fn resume(&self, ticket: Ticket, is_valid: bool) -> (Verdict, Option<PendingSignature>) {
        let mut pending = None;
        let verdict = self.gate.borrow_mut().resume(ticket, is_valid, &mut |_, key, signature, signed| {
            pending = Some(self.signatures.verify(key, signature, signed));
        });
        (verdict, pending)
    }

    /// Begins the refreshes a verdict asks for, in the background.
    pub(super) fn refresh(&'static self, verdict: &Verdict, context: &Rc<Context>) {
        if verdict.keys_are_due {
            self.issuer.refresh(self, context);
        }
        if verdict.list_is_due {
            self.identity_service.refresh(self, context);
        }
    }
}
