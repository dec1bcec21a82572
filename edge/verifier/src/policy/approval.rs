//! `requires.approval` of a role: when an order needs a person's own approval before it goes on.
//!
//! A rule says for which permission, service or both it is, and what sets it off: an API key, an order above a notional, the
//! time outside of hours. Any one of them is enough, and a rule without them always holds.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;

use super::hours::{Hours, WrittenHours};
use super::{Grant, Permission, PermissionError, is_word};
use crate::order::Amount;
use crate::strict_object::StrictObject;

/// The most rules that a role may have of its own.
pub const MAX_APPROVAL_RULES: usize = 16;

/// When an order needs an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    #[error("has 1 to {MAX_APPROVAL_RULES} rules")]
    Count,
    /// A rule is for nothing.
    #[error("a rule names a `permission`, a `service` or both")]
    ForNothing,
    /// The permission is none.
    #[error("permission `{}`: {cause}", permission.escape_debug())]
    Permission {
        /// What is written there.
        permission: String,
        /// What is wrong with it.
        cause: PermissionError,
    },
    /// The service is none.
    #[error("service `{}` is not a lower-case word", .0.escape_debug())]
    Service(String),
    /// Keys are excepted, which the rule would hold for nevertheless.
    #[error("`keys` is true, or left out")]
    Keys,
    /// The limit is no number.
    #[error("`notional_above` `{}` is not a number above zero as a text, such as \"100000\"", .0.escape_debug())]
    Notional(String),
    /// A time is none.
    #[error("`{}` is not a time of the day, such as \"09:15\"", .0.escape_debug())]
    Time(String),
    /// The offset is none.
    #[error("`utc_offset` `{}` is not -14:00 to +14:00, such as \"+05:30\"", .0.escape_debug())]
    Offset(String),
    /// The hours end when they begin.
    #[error("`from` and `to` are the same; a whole day is \"00:00\" to \"24:00\"")]
    NoHours,
    /// The days are none, or one is there twice.
    #[error("`days` are some of mon, tue, wed, thu, fri, sat and sun, each once")]
    Days,
}

/// A rule as JSON has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    permission: Option<String>,
    service: Option<String>,
    keys: Option<bool>,
    notional_above: Option<String>,
    outside_hours: Option<StrictObject<WrittenHours>>,
}

/// Reads the rules of a role.
pub(super) fn checked(written: Vec<StrictObject<WrittenRule>>) -> Result<Vec<ApprovalRule>, ApprovalMistake> {
    if !(1..=MAX_APPROVAL_RULES).contains(&written.len()) {
        return Err(ApprovalMistake::Count);
    }
    written.into_iter().map(|StrictObject(rule)| ApprovalRule::checked(rule)).collect()
}

impl ApprovalRule {
    fn checked(written: WrittenRule) -> Result<Self, ApprovalMistake> {
        let WrittenRule { permission, service, keys, notional_above, outside_hours } = written;
        if permission.is_none() && service.is_none() {
            return Err(ApprovalMistake::ForNothing);
        }
        if let Some(service) = service.as_ref().filter(|name| !is_word(name)) {
            return Err(ApprovalMistake::Service(service.clone()));
        }
        if keys == Some(false) {
            return Err(ApprovalMistake::Keys);
        }
        let grant = |text: String| match text.parse() {
            Ok(grant) => Ok(grant),
            Err(cause) => Err(ApprovalMistake::Permission { permission: text, cause }),
        };
        let amount = |text: String| Amount::parse(&text).ok_or(ApprovalMistake::Notional(text));
        Ok(Self {
            permission: permission.map(grant).transpose()?,
            service,
            keys: keys.is_some(),
            notional_above: notional_above.map(amount).transpose()?,
            outside_hours: outside_hours.map(|StrictObject(hours)| Hours::checked(hours)).transpose()?,
        })
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

/// The rule in one line, for operators.
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
        if triggers.is_empty() { Ok(()) } else { write!(f, ": {}", triggers.join(", or ")) }
    }
}
