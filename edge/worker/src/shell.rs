//! The Cloudflare Worker around the gate: what the platform gives (requests, variables, bindings, a clock, WebCrypto, the
//! Cache API, fetches, timers) is turned into calls of the gate, and its verdicts into responses.
//!
//! An isolate is one thread that serves many requests at once, each with input and output of its own: a promise of another
//! request may be awaited, but never settles if that request is gone. What several requests wait for is therefore a
//! promise kept alive by `waitUntil` ([`single_flight`]), and every wait for it has a timer of the request that waits.

mod admission;
mod approvals;
mod bounded_fetch;
mod entry;
mod environment;
mod executor;
mod fault;
mod identity_service;
mod isolate;
mod issuer;
#[cfg(feature = "measure")]
mod measure;
mod proxy;
mod rate_limit;
mod received;
mod response;
mod shared_cache;
mod signatures;
mod single_flight;
mod sockets;
mod timer;
