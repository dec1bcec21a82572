//! Whether a request passes the edge, and with what it is sent on.
//!
//! The crate is responsible for every decision of the worker: the configuration, which route a request takes, whose
//! token or key it carries, what has been revoked, when keys and lists are fetched again, what the service behind is
//! told, and the words of each refusal. It is a state machine without I/O: the thin shell in `js/` fetches, verifies
//! signatures with WebCrypto, streams bodies and reports back, and every moment comes in as an argument. The same code
//! therefore runs in the tests of any machine and, compiled to WebAssembly, in the worker.
//!
//! A request crosses from JavaScript once ([`Gate::admit`]: a few strings in, one verdict out) when its token is
//! remembered. When its signature has to be checked it stays here and only the outcome crosses ([`Gate::resume`]), so
//! that no outcome can be taken for that of another token. A verdict that asks for something that takes longer (keys,
//! the list of revocations, a look at an API key) is followed by the same question again.

mod api_keys;
mod ask;
mod awaiting;
#[cfg(target_arch = "wasm32")]
mod bindings;
mod caller;
mod cors;
mod feed;
mod forward;
mod gate;
mod headers;
mod keys;
mod problem;
mod proof;
mod query;
mod remembered;
mod settings;
mod verdict;

pub use ask::Ask;
pub use awaiting::Ticket;
pub use gate::{Gate, Verify};
pub use headers::is_reserved;
pub use keys::KeyNumber;
pub use problem::Code;
pub use settings::{Settings, SettingsError};
pub use verdict::{Check, Verdict};

/// A moment, in milliseconds since 1970, as the shell reads it from its clock.
pub type Millis = u64;

/// The Rust of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
