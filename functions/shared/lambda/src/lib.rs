//! One function's routes on AWS Lambda: the parts put together, as `functions/local` does for all routes at once.
//!
//! The crate is responsible for starting a function (what is missing for good stops it with a line that names it, what
//! is only away makes it answer 503 until it is back) and for taking up rotated secrets while it runs. It decides
//! nothing about accounts. A function's `main.rs` is one call of [`run`].

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back: passwords and broker credentials pass through the buffers of crates that know
/// nothing of secrets.
#[global_allocator]
static WIPED: ZeroAlloc<System> = ZeroAlloc(System);

mod function;
mod scheduled;
mod start;

pub use scheduled::{Chore, run_scheduled};
pub use start::run;
