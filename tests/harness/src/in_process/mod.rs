//! The operations on an engine in memory, with a clock that is moved by hand, and the people who use them.

mod approvals;
mod clock;
mod crowd;
mod enrolled;
mod key_wrap;
mod operations;
mod passkeys;
mod person;
mod rows;
pub mod table;
mod world;

pub use approvals::{SERVICES, by_passkey, order};
pub use clock::MovableClock;
pub use crowd::Crowd;
pub use enrolled::{Enrolled, code};
pub use key_wrap::FaultyKeyWrap;
pub use operations::{CHEAP_HASHES, operations_on, platform};
pub use passkeys::{Begun, login};
pub use person::{Person, newcomer};
pub use world::{DEFAULT_TIMEOUTS, PASSWORD, TABLE, UNLIMITED, World, password};
