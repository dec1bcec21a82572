//! The approval that a request has to bring: whether its order needs one, how it is spent, and what comes of that.
//!
//! It is spent by the request that goes on, before that: the identity service compares the order in the body with what the person
//! approved and lets one of many succeed. It is given the very bytes that the service behind gets, with the caller's id beside
//! them, so that nobody else's approval does.

use portcullis_verifier::policy::ApprovalNeed;
use portcullis_verifier::{StrictValue, order};

use crate::forward::Forward;
use crate::problem::Code;
use crate::request_head::RequestHead;
use crate::settings::Addresses;

/// The longest body that may be an order: ten times what one takes.
pub const MAX_ORDER_BYTES: usize = 8 * 1024;

/// The longest order tag. They have 20 characters.
const MAX_TAG_BYTES: usize = 64;

/// What the identity service is asked, so that it spends an approval.
#[derive(Debug, PartialEq, Eq)]
pub struct Redemption {
    /// The address to post to.
    pub url: String,
    /// The body, JSON.
    pub body: Vec<u8>,
    /// The value of `Idempotency-Key`, if it is sent.
    pub idempotency_key: Option<String>,
}

/// What the identity service said to that; by default nothing.
#[derive(Debug, Default)]
pub struct RedemptionOutcome {
    /// The HTTP status of its response.
    pub status: u16,
    /// The body of its response.
    pub body: Vec<u8>,
}

/// An approval that was spent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Approved {
    pub(crate) id: String,
    /// What the order is to be tagged with at the broker.
    pub(crate) order_tag: String,
}

/// Why a request may not go on although it brought an approval.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotSpent {
    /// The identity service refused it: the status and the problem to hand on.
    Refused(u16, String),
    /// Nobody can tell. What is wrong between the edge and the identity service, the client cannot help.
    Unknown,
}

/// Returns how the approval of a request is spent; `None` if its order needs none. Fails if it needs one and did not bring it.
pub(crate) fn redemption(
    addresses: &Addresses,
    forward: &Forward,
    head: &RequestHead,
    body: &[u8],
) -> Result<Option<Redemption>, Code> {
    match forward.approval_need {
        ApprovalNeed::Never => return Ok(None),
        ApprovalNeed::Above(most) if order::stays_within(body, most) => return Ok(None),
        ApprovalNeed::Above(_) | ApprovalNeed::Always => {}
    }
    let id = Some(&head.approval_id).filter(|id| is_approval_id(id)).ok_or(Code::ApprovalRequired)?;
    let caller = forward.caller.as_ref().map(|caller| caller.user_id.as_str()).filter(|id| is_plain(id));
    let caller = caller.ok_or(Code::ApprovalRequired)?;
    let members = body.trim_ascii_start().strip_prefix(b"{").ok_or(Code::BadRequest)?;
    let key = Some(&head.idempotency_key).filter(|key| forward.honours_idempotency_keys && !key.is_empty());
    // A second `user_id` among the members is refused there, as is whatever else does not belong to an order.
    let mut request = format!(r#"{{"user_id":"{caller}","#).into_bytes();
    request.extend_from_slice(members);
    Ok(Some(Redemption {
        url: format!("{}/{id}/redeem", addresses.approvals),
        body: request,
        idempotency_key: key.cloned(),
    }))
}

impl RedemptionOutcome {
    /// Returns the approval if it was spent for this caller.
    pub(crate) fn approved(self, forward: &Forward, head: &RequestHead) -> Result<Approved, NotSpent> {
        match self.status {
            200 => {
                let answer = StrictValue::parse(&self.body).ok_or(NotSpent::Unknown)?;
                let text = |name| answer.member(name).and_then(StrictValue::as_text);
                let caller = forward.caller.as_ref().map(|caller| caller.user_id.as_str());
                match text("order_tag").filter(|tag| tag.len() <= MAX_TAG_BYTES && is_plain(tag)) {
                    Some(tag) if caller.is_some() && caller == text("user_id") => {
                        Ok(Approved { id: head.approval_id.clone(), order_tag: tag.to_owned() })
                    }
                    _ => Err(NotSpent::Unknown),
                }
            }
            400 | 404 | 409 | 422 => Err(match String::from_utf8(self.body) {
                Ok(problem) => NotSpent::Refused(self.status, problem),
                Err(_) => NotSpent::Unknown,
            }),
            _ => Err(NotSpent::Unknown),
        }
    }
}

/// `apr_` and 32 hexadecimal digits, as the identity service writes them.
fn is_approval_id(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("apr_").is_some_and(|digits| digits.len() == 32 && digits.bytes().all(is_digit))
}

/// Letters, digits and `_`, of which there is one at least: nothing in it has to be escaped.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
