//! The trail of what happened to an account, written in the same call as what it tells of.
//!
//! Records form chains: `chain` says how, `append` grows one, `listing` reads, `verification` proves,
//! `integrity` proves the newest part of one person's.

mod append;
mod carried;
mod chain;
mod details;
mod event;
mod integrity;
mod kind;
mod listing;
mod seal;
mod verification;

pub(crate) use self::carried::CARRIED;
pub use self::chain::ChainEnd;
pub(crate) use self::chain::{Chain, HeadUpdate, TrailEnd};
pub use self::details::AuditDetails;
pub use self::event::{Actor, AuditEvent, KEPT_OF_NOBODY};
pub use self::integrity::TrailIntegrity;
pub use self::kind::{AuditKind, Outcome};
pub(crate) use self::listing::of_shards;
pub use self::listing::{AuditCursor, AuditFilter, AuditPage, AuditRecord, TimePage};
pub use self::seal::AuditSeal;
pub use self::verification::{Finding, Verified, Wrong};
