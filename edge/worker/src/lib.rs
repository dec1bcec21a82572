//! Whether a request passes the edge, and with what it is sent on.
//!
//! The crate has two halves. [`Gate`] is a state machine without I/O that makes every decision: the configuration, which
//! route a request takes, who sent it, what has been revoked, when keys and lists are fetched again, what the service
//! behind is told, and the body of each refusal. Every moment comes in as an argument, so the same code runs in the tests
//! of any machine. The module `shell`, compiled for WebAssembly only, is the Cloudflare Worker around it on the `worker`
//! crate: it reads requests, fetches keys and lists, verifies signatures with WebCrypto, and streams bodies.
//!
//! A verdict that asks for something (keys, pages of revocations, the look-up of an API key) is followed by the same
//! request again. A request whose signature is being verified waits inside the gate under a ticket ([`Gate::resume`]), so
//! that no result can be taken for that of another token.

mod api_keys;
mod approval;
mod awaiting;
mod caller;
mod cors;
mod failures;
mod feed;
mod forward;
mod gate;
mod headers;
mod keys;
mod problem;
mod proof;
mod query;
mod remembered;
mod request_head;
mod settings;
#[cfg(target_arch = "wasm32")]
mod shell;
mod slots;
mod socket;
mod upstreams;
mod verdict;

pub use api_keys::MalformedLookup;
pub use approval::{MAX_ORDER_BYTES, Redemption, RedemptionOutcome};
pub use awaiting::Ticket;
pub use failures::{Failure, Failures};
pub use forward::Forward;
pub use gate::{Gate, Verify};
pub use headers::is_reserved;
pub use keys::{KeyNumber, max_age};
pub use problem::Code;
pub use request_head::{RequestHead, RequestUrl};
pub use settings::{Addresses, ServiceToken, Settings, SettingsError};
pub use slots::{Slot, Slots};
pub use socket::{Ending, Side, Socket, code_for};
pub use upstreams::Upstreams;
pub use verdict::{Check, EdgeResponse, Verdict};

/// Seconds by which the issuer's clock may differ; the verifier allows no more.
const LEEWAY: u64 = 5;

/// A moment, in milliseconds since 1970, as the shell reads it from its clock.
pub type Millis = u64;

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
