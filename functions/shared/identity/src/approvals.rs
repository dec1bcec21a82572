//! Approvals: a person says yes to exactly one order, once, and whoever executes it can demand to see that.
//!
//! Whoever may order asks (`asking`): the person, a key of theirs with the scope `approval:request`, or a service with that
//! right. Only the person decides (`deciding`), in a session, with a code or a passkey whose challenge contains the digest of
//! the order. Only a service with the right `approval:redeem` spends it (`redeeming`), and shows the same order for that. What is
//! approved is typed and has no member that is not shown (`details`), and the words that it is shown in are made here
//! (`display`).

mod asking;
mod deciding;
mod details;
mod display;
mod policy;
mod redeeming;
mod token;
mod views;

pub use self::asking::{ApprovalAsker, ApprovalRequest, LONGEST_APPROVAL};
pub use self::deciding::{Decided, PresentedProof, Verdict};
pub use self::details::{
    AuthorizationDetails, Decimal, Exchange, MisfitPrice, Order, OrderType, Product, Side, Symbol, Validity,
};
pub use self::policy::Intent;
pub use self::redeeming::{Redeemed, RedemptionRequest};
pub(crate) use self::token::TYPE;
pub use self::views::{ApprovalChallenge, ApprovalMethod, ApprovalState, ApprovalView};

/// What services and API keys need to ask for an approval.
const RESOURCE: &str = "approval";
