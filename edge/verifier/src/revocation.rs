//! What has been revoked before its time: the pages the identity service publishes and the edge follows.
//!
//! A page ([`Page`]) tells of everything that was revoked in one span of time. The span that ends now is asked for again
//! every few seconds; spans that are over are asked for once, each under an address of its own, so that a cache can hold
//! them for every verifier. A [`Timeline`] puts pages together, knows since when it has all of them, and says which one it
//! lacks.
//!
//! **Why nothing is missed.** A row carries the time at which its writer decided, and appears in the table a little later.
//! So the span that ends now reaches back [`OVERLAP`] at least and is read anew with every poll, and each [`BLOCK`] is read
//! once more when [`SLACK`] has passed, by when every write is done or has failed. Reading twice does no harm.
//!
//! **Who needs what.** What ends a token was revoked after the token was issued. A verifier that knows the last five
//! minutes decides fully on every token of the last four, whatever it lacks of the time before.

mod page;
mod timeline;

pub use page::{AccountCutoff, MalformedPage, Page, Span, key, key_of, key_of_kid};
pub use timeline::{Ask, Timeline};

/// Milliseconds by which the clocks of two writers may differ, with the longest that a write may take.
pub const SLACK: u64 = 60_000;
/// How far the span that ends now reaches back at least, in milliseconds.
pub const OVERLAP: u64 = 6_000;
/// The span that ends now begins at a multiple of this, in milliseconds.
pub const SLOT: u64 = 8_192;
/// A span that is over and done with begins at a multiple of this, in milliseconds, and is so long.
pub const BLOCK: u64 = 8 * SLOT;
/// Entries a page has at most.
pub const MAX_ENTRIES: usize = 128 * 1024;

/// Returns where the span that ends at `now` begins, in milliseconds since 1970.
pub const fn newest_from(now: u64) -> u64 {
    let reach = now.saturating_sub(OVERLAP);
    reach - reach % SLOT
}
