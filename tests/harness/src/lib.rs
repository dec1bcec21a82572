//! What the suites share: the service as a process, and the service inside the test with faults in front of its store.
//!
//! Nothing here asserts what is right; that is for the suites.

pub mod authenticator;
pub mod brokers;
pub mod fault;
pub mod in_process;
pub mod key_wrap;
pub mod letters;
pub mod process;
pub mod table;
pub mod unguarded;
