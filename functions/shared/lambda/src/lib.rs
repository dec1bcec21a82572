//! One function's routes on AWS Lambda: the parts put together, as `functions/local` does for all routes at once.
//!
//! The crate is responsible for starting a function (what is missing for good stops it with a line that names it, what
//! is only away makes it answer 503 until it is back) and for taking up rotated secrets while it runs. It decides
//! nothing about accounts. A function's `main.rs` is one call of [`run`].

mod function;
mod scheduled;
mod start;

pub use scheduled::{Chore, run_scheduled};
pub use start::run;
