//! The form of every stored row, and what each operation costs: both are promises to tables that exist already.
//!
//! Every operation that writes is driven once on an engine in memory, with a fixed clock and fixed "random" bytes, so
//! that the table it leaves is the same in every run, down to the ids and the MACs of the audit trail. Nothing is
//! masked. A difference in these snapshots is a change of the stored format or of the price of a request.
#![cfg(test)]
#![allow(clippy::too_many_lines, reason = "a story is told in one go")]

mod accounts;
mod approvals;
mod passkeys;
mod service_tokens;
mod sessions;
mod story;
mod trading_accounts;
