//! The chaos suite for anyone: what must hold of a running deployment, tried from outside with requests alone.
//!
//! [`target`] decides whether a URL may be probed at all, [`client`] bounds what is sent, [`people`] makes accounts and erases
//! them, [`checks`] tries one property each, and [`report`] says what came of it. To add a check: a module in `checks`, and
//! its line in [`checks::Check`]; and a fault in `tests/planted.rs` that makes it red.

pub mod checks;
pub mod client;
pub mod keys;
pub mod people;
pub mod probe;
pub mod report;
pub mod statistics;
pub mod target;
