//! Whether the policy wants an order approved, for services that ask before they place it. The edge decides the same by itself.

use portcullis_verifier::order::Amount;
use portcullis_verifier::policy::{ApprovalNeed, Asked, Permission};

use super::details::Decimal;
use crate::{Identity, Principal};

/// What a service is about to do for somebody.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// What they have to be permitted.
    pub permission: &'a Permission,
    /// The service it is asked of; without one, that of the name of the permission's resource.
    pub service: Option<&'a str>,
    /// What the order comes to at most, where it is known.
    pub notional: Option<&'a Decimal>,
}

impl Identity {
    /// Returns whether a role of the caller wants a person to approve this first, now.
    pub fn needs_approval(&self, caller: &Principal, intent: Intent<'_>) -> bool {
        let asked = Asked {
            service: intent.service.unwrap_or(intent.permission.resource()),
            permission: Some(intent.permission),
            by_key: matches!(caller, Principal::Key(_)),
            now: self.clock.now().as_second().try_into().unwrap_or_default(),
        };
        let notional = intent.notional.and_then(|notional| Amount::parse(notional.as_str()));
        match self.settings.policy.approval_need(&caller.account().roles, &asked) {
            ApprovalNeed::Always => true,
            ApprovalNeed::Above(most) => notional.is_none_or(|notional| notional > most),
            ApprovalNeed::Never => false,
        }
    }
}
