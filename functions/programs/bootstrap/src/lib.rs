//! The functions on AWS Lambda: one executable, `bootstrap`, which serves the row of
//! [`FUNCTIONS`](portcullis_functions::FUNCTIONS) that Lambda's `_HANDLER` names.
//!
//! The crate starts a function (an error that no retry can fix stops it with a line that names it; a dependency that is
//! only unavailable makes it respond 503 until it is back), takes up rotated secrets while it runs, and rotates them. Its
//! level of optimisation is that of everything linked into the executable: see `infra/STARTS.md`.

mod function;
pub mod key_rotation;
mod log;
mod pages;
mod requests;
mod rotation_events;
mod scheduled;
mod serve;
mod start;

pub use rotation_events::ROTATION_MIN_INTERVAL;
pub use serve::serve;
