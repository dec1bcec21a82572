//! A request that may pass: where it goes, and what the service is told about it.

use std::rc::Rc;

use portcullis_verifier::IdentityHeaders;
use portcullis_verifier::policy::ApprovalNeed;
use portcullis_verifier::route::Route;

use crate::Millis;
use crate::approval::Approved;
use crate::caller::{Caller, escaped};
use crate::cors::Page;
use crate::proof::ServiceKey;
use crate::request_head::RequestHead;
use crate::settings::Settings;

/// A request that may pass.
#[derive(Debug)]
pub struct Forward {
    /// Origins to try in turn.
    pub upstreams: Vec<String>,
    /// Path and query to ask for there.
    pub target: String,
    /// How long an upstream may take to begin its response.
    pub timeout: Millis,
    /// Whether the method is idempotent, so that the request may be sent again (RFC 9110 section 9.2.2).
    pub is_idempotent: bool,
    /// Whether it becomes a WebSocket.
    pub is_websocket: bool,
    /// How the WebSocket is watched; `None` if it does not end with the credential that opened it.
    pub(crate) watch: Option<Watch>,
    /// When the newest page of revocations was asked for; `None` if there was none, or none is followed.
    pub(crate) followed_at: Option<Millis>,
    /// The id of the request.
    pub request_id: String,
    /// The headers the edge adds to the response, apart from those on every response.
    pub response_headers: Vec<(&'static str, String)>,
    /// The proven caller; `None` on a public route.
    pub(crate) caller: Option<Rc<Caller>>,
    /// Which orders a person has to approve before they go on.
    pub(crate) approval_need: ApprovalNeed,
    /// Whether an approval may be spent again by a request with the same `Idempotency-Key`.
    pub(crate) honours_idempotency_keys: bool,
    /// The approval that was spent for this request.
    pub(crate) approved: Option<Approved>,
    /// The address of the client, as a header can hold it.
    client_address: String,
    method: String,
    /// The key of the service.
    proof_key: Rc<ServiceKey>,
}

/// What becomes of a WebSocket while nobody can tell whether it may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It closes at once.
    Critical,
    /// It stays for a while.
    Patient,
}

impl Watch {
    fn of(route: &Route) -> Self {
        if route.is_critical() { Self::Critical } else { Self::Patient }
    }
}

impl Forward {
    /// Returns the request as it goes on; `None` if there is no key to prove it with.
    pub(crate) fn new(
        settings: &Settings,
        route: &Route,
        head: &RequestHead,
        query: Option<&str>,
        caller: Option<Rc<Caller>>,
        request_id: String,
    ) -> Option<Self> {
        let target = target(head.url.path(), query.unwrap_or_default());
        let client_address = escaped(&head.client_address);
        let page = Page::of(&head.origin, &settings.origins);
        Some(Self {
            upstreams: route.upstreams().to_vec(),
            target,
            timeout: route
                .timeout_seconds()
                .map_or(settings.upstream_timeout, |seconds| u64::from(seconds) * 1000),
            is_idempotent: matches!(head.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE"),
            is_websocket: head.is_websocket(),
            watch: Some(Watch::of(route)).filter(|_| head.is_websocket() && !route.keeps_sockets()),
            followed_at: None,
            request_id,
            response_headers: page.headers().map(|(name, value)| (name, value.to_owned())).collect(),
            caller,
            approval_need: ApprovalNeed::Never,
            honours_idempotency_keys: route.honours_idempotency_keys(),
            approved: None,
            client_address,
            method: head.method.clone(),
            proof_key: settings.proof_keys.of(route)?,
        })
    }

    /// Returns whether a proven caller sent the request, so that no cache may answer it.
    pub fn is_personal(&self) -> bool {
        self.caller.is_some()
    }

    /// Returns whether some orders of the caller need an approval here.
    pub(crate) fn needs_approvals(&self) -> bool {
        self.approval_need != ApprovalNeed::Never
    }

    /// Returns whether the body has to be looked at first, because it may be an order that needs an approval. What takes orders
    /// back (DELETE) is not stopped by that, and what only reads is none.
    pub fn awaits_approval(&self) -> bool {
        self.needs_approvals() && matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }

    /// Returns the name under which the rate limit counts the request: the user, or the address if there is no user.
    pub fn rate_limit_key(&self) -> String {
        match &self.caller {
            Some(caller) => format!("user:{}", caller.identity.user_id),
            None => format!("address:{}", self.client_address),
        }
    }

    /// Returns every header the edge adds to the request, with its value, but for the proof.
    pub fn request_headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.identity_headers().into_iter().filter(|(_, value)| !value.is_empty())
    }

    /// Returns a proof that the request came through the edge, as the value of its header; `None` if it cannot be made.
    pub(crate) fn prove(&self, nonce: &str, now_seconds: u64) -> Option<String> {
        self.proof_key.sign(now_seconds, nonce, &self.method, &self.target, self.identity_headers())
    }

    /// Returns what is known of the caller and of the request.
    fn identity_headers(&self) -> IdentityHeaders<&str> {
        let identity = self.caller.as_deref().map(|caller| caller.identity.borrowed()).unwrap_or_default();
        let (request_id, client_address) = (self.request_id.as_str(), self.client_address.as_str());
        let (approval_id, approval_order_tag) = self
            .approved
            .as_ref()
            .map(|approved| (approved.id.as_str(), approved.order_tag.as_str()))
            .unwrap_or_default();
        IdentityHeaders { request_id, client_address, approval_id, approval_order_tag, ..identity }
    }
}

fn target(path: &str, query: &str) -> String {
    let mut target = String::with_capacity(path.len() + 1 + query.len());
    target.push_str(path);
    if !query.is_empty() {
        target.push('?');
        target.push_str(query);
    }
    target
}
