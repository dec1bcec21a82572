//! `requires.approval` of a role: when an order needs a person's own approval before it goes on.
//!
//! A rule says for which permission, service or both it is, and what sets it off: an API key, an order above a notional, the
//! time outside of hours. Any one of them is enough, and a rule without them always holds.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::hours::Hours;
use super::{Grant, Permission, is_word};
use crate::order::Amount;
use crate::strict_value::StrictValue;

/// The most rules that a role may have of its own.
pub const MAX_APPROVAL_RULES: usize = 16;

/// When an order needs an approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalRule {
    permission: Option<Grant>,
    service: Option<String>,
    keys: bool,
    notional_above: Option<Amount>,
    outside_hours: Option<Hours>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The service it is asked of.
    pub service: &'a str,
    /// What it takes there, where that is known.
    pub permission: Option<&'a Permission>,
    /// Whether an API key asks.
    pub by_key: bool,
    /// When, in Unix seconds.
    pub now: u64,
}

/// Which orders need an approval, the greatest need first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApprovalNeed {
    /// Every order needs one.
    Always,
    /// Those that may come to more than this.
    Above(Amount),
    /// No order needs one.
    Never,
}

/// What is wrong with a rule, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalMistake {
    /// There is none, or there are too many.
    #[error("is a list of 1 to {MAX_APPROVAL_RULES} rules")]
    Count,
    /// A rule is for nothing.
    #[error("a rule names a `permission`, a `service` or both")]
    ForNothing,
    /// A member has another name or value than one of a rule.
    #[error("`{}` is not of a rule, or not like this: `{}`", .0.escape_debug(), EXAMPLE)]
    Member(String),
    /// The hours begin and end at once, or one of the two or the offset is missing.
    #[error(
        "`outside_hours` has a `from`, another `to` and a `utc_offset`; a whole day is \"00:00\" to \"24:00\""
    )]
    Hours,
}

/// A rule with all it can have.
const EXAMPLE: &str = r#"{"permission": "trading:order", "service": "trading", "keys": true, "notional_above": "100000", "outside_hours": {"from": "09:15", "to": "15:30", "utc_offset": "+05:30", "days": ["mon", "tue"]}}"#;

/// Reads the rules of a role.
pub(super) fn checked(written: &StrictValue) -> Result<Vec<Arc<ApprovalRule>>, ApprovalMistake> {
    match written {
        StrictValue::List(rules) if (1..=MAX_APPROVAL_RULES).contains(&rules.len()) => {
            rules.iter().map(|rule| ApprovalRule::checked(rule).map(Arc::new)).collect()
        }
        _ => Err(ApprovalMistake::Count),
    }
}

impl ApprovalRule {
    fn checked(written: &StrictValue) -> Result<Self, ApprovalMistake> {
        let StrictValue::Object(members) = written else { return Err(ApprovalMistake::ForNothing) };
        let mut rule = Self::default();
        for (name, value) in members {
            let is_good = match (name.as_str(), value) {
                ("permission", StrictValue::Text(text)) => taken(&mut rule.permission, text.parse().ok()),
                ("service", StrictValue::Text(text)) => {
                    taken(&mut rule.service, Some(text.clone()).filter(|name| is_word(name)))
                }
                // `false` would except keys, for which the rule holds nevertheless.
                ("keys", StrictValue::Flag(true)) => {
                    rule.keys = true;
                    true
                }
                ("notional_above", StrictValue::Text(text)) => {
                    taken(&mut rule.notional_above, Amount::parse(text))
                }
                ("outside_hours", StrictValue::Object(members)) => {
                    rule.outside_hours = Some(Hours::checked(members)?);
                    true
                }
                _ => false,
            };
            if !is_good {
                return Err(ApprovalMistake::Member(name.clone()));
            }
        }
        if rule.permission.is_none() && rule.service.is_none() {
            return Err(ApprovalMistake::ForNothing);
        }
        Ok(rule)
    }

    /// Returns which orders need an approval by this rule.
    pub(super) fn need(&self, asked: &Asked<'_>) -> ApprovalNeed {
        let is_meant = self.service.as_ref().is_none_or(|service| service == asked.service)
            && self
                .permission
                .as_ref()
                .is_none_or(|grant| asked.permission.is_some_and(|wanted| grant.covers(wanted)));
        if !is_meant {
            return ApprovalNeed::Never;
        }
        let is_unconditional = !self.keys && self.notional_above.is_none() && self.outside_hours.is_none();
        let is_set_off = (self.keys && asked.by_key)
            || self.outside_hours.as_ref().is_some_and(|hours| !hours.contain(asked.now));
        match self.notional_above {
            _ if is_unconditional || is_set_off => ApprovalNeed::Always,
            Some(most) => ApprovalNeed::Above(most),
            None => ApprovalNeed::Never,
        }
    }
}

/// Puts a value where it belongs, and returns whether there is one.
pub(super) fn taken<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

/// The rule in one line without a comma, so that several can be listed.
impl fmt::Display for ApprovalRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permission = self.permission.iter().map(ToString::to_string);
        let service = self.service.iter().map(|service| alloc::format!("service {service}"));
        let what: Vec<String> = permission.chain(service).collect();
        f.write_str(&what.join(" at "))?;
        let key = self.keys.then(|| "with an API key".to_string());
        let notional = self.notional_above.map(|most| alloc::format!("above {most}"));
        let hours = self.outside_hours.as_ref().map(|hours| alloc::format!("outside {hours}"));
        let triggers: Vec<String> = [key, notional, hours].into_iter().flatten().collect();
        if triggers.is_empty() { Ok(()) } else { write!(f, ": {}", triggers.join(" or ")) }
    }
}
