//! Approvals: what somebody wants to order with a person's account, and whether that person said yes to exactly this.
//!
//! An approval has two rows that say the same: one among all that its owner was asked for, and one under its id alone, which a
//! service that redeems it finds in one read. Every write changes both, and every decision is a condition on the second.
//!
//! **What ends an approval early** is no write to it. It carries the session epoch of its owner and how often their
//! credentials had been frozen when it was asked for; deciding and redeeming are conditional on both being as they were, on the
//! account being in use, and on the trading account being linked. So whatever ends it is effective at the moment it is stored,
//! and stays so when it is undone: an order that was approved before a freeze is not placed after it.

mod asking;
mod deciding;
mod redeeming;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as, skip_serializing_none};

pub use self::asking::{ApprovalAsked, ApprovalGround, ApprovalRate, MOST_PENDING_APPROVALS, OpenApprovals};
pub use self::deciding::ApprovalProof;

use crate::account::AccountStatus;
use crate::audit::TrailEnd;
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::freezes::frozen_as_often;
use crate::id::{AccountId, ApprovalId, PasskeyId, SessionId, TradingAccountId};
use crate::item::{self, Attributes, number, text};
use crate::keys;
use crate::trading_accounts::in_use;
use crate::transaction::Transaction;

const STATUS: &str = "approval_status";

/// How long an approval is good for once its owner approved it: as long as the token that says so.
pub const APPROVED_FOR: Duration = Duration::from_mins(2);

/// What was decided about an approval, as its row says.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ApprovalStatus {
    /// Its owner has not decided.
    Pending,
    /// Its owner approved it.
    Approved,
    /// Its owner refused it.
    Denied,
    /// A service spent it.
    Redeemed,
}

impl ApprovalStatus {
    /// Returns the word in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An approval as the table has it.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The id that the API knows it by.
    #[serde(rename = "approval")]
    pub id: ApprovalId,
    /// Who is asked: the person whose account is ordered with.
    #[serde(rename = "account")]
    pub owner: AccountId,
    /// Their session epoch when it was asked for; a later one ends it.
    #[serde(rename = "epoch")]
    pub session_epoch: u64,
    /// How often their credentials had been frozen when it was asked for; one more freeze ends it.
    #[serde(rename = "freezes_before")]
    pub freezes: u64,
    /// The trading account that is ordered with.
    pub trading_account: TradingAccountId,
    /// What is ordered, as canonical JSON (RFC 8785).
    pub details: String,
    /// SHA-256 of that.
    #[serde_as(as = "Bytes")]
    #[serde(rename = "details_digest")]
    pub digest: Digest,
    /// The same in words.
    pub display: String,
    /// Who asked: `self`, `key:<id>` or `service:<name>`.
    pub asked_by: String,
    /// Which of its owner's places for what is pending it has.
    pub place: u8,
    /// What was decided.
    #[serde(rename = "approval_status")]
    pub status: ApprovalStatus,
    /// When it was asked for.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// When it is good for nothing any more: until its owner has decided, and then until a service has redeemed it.
    #[serde(with = "millisecond::required")]
    pub expires_at: Timestamp,
    /// How it was decided.
    pub decision: Option<ApprovalDecision>,
    /// How it was spent.
    pub redemption: Option<Redemption>,
}

/// How an approval was decided.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecision {
    /// When that was.
    #[serde(with = "millisecond::required")]
    pub at: Timestamp,
    /// In which session of its owner.
    pub session: SessionId,
    /// Keyed digest of the request that decided it: the same request again gets the same answer.
    #[serde_as(as = "Bytes")]
    pub mark: Digest,
    /// How surely its owner proved who they are (`acr`), of one that was approved.
    pub acr: Option<String>,
    /// What their authenticator signed, of one that was approved with a passkey.
    pub assertion: Option<Assertion>,
    /// Where the trail of its owner ended with it.
    pub(crate) trail: Option<TrailEnd>,
}

impl Approval {
    /// Returns when it is good for nothing any more once this was decided at this time.
    fn expires_at_once(&self, status: ApprovalStatus, at: Timestamp) -> Timestamp {
        if status == ApprovalStatus::Approved { at + APPROVED_FOR } else { self.expires_at }
    }
}

impl ApprovalDecision {
    /// Returns a decision without what it was proved by.
    pub fn new(at: Timestamp, session: SessionId, mark: Digest) -> Self {
        Self { at, session, mark, acr: None, assertion: None, trail: None }
    }
}

/// What an authenticator signed for an approval, with all that it takes to verify that later (WebAuthn Level 3, section 7.2).
/// The passkey itself may be removed by then.
#[serde_as]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// The passkey that signed.
    pub passkey: PasskeyId,
    /// Its public key, as a `COSE_Key` in CBOR.
    #[serde_as(as = "Bytes")]
    pub public_key: Vec<u8>,
    /// What the browser says of the ceremony; the digest of the details is in its challenge.
    #[serde_as(as = "Bytes")]
    pub client_data_json: Vec<u8>,
    /// What the authenticator says of itself.
    #[serde_as(as = "Bytes")]
    pub authenticator_data: Vec<u8>,
    /// The signature over both.
    #[serde_as(as = "Bytes")]
    pub signature: Vec<u8>,
}

/// How an approval was spent.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// When that was.
    #[serde(with = "millisecond::required")]
    pub at: Timestamp,
    /// By which service.
    pub service: String,
    /// Keyed digest of what that service called its request, if it did: the same again gets the same answer.
    #[serde_as(as = "Option<Bytes>")]
    pub mark: Option<Digest>,
}

/// How a write about an approval ended.
#[derive(Debug)]
pub enum ApprovalOutcome {
    /// It is done.
    Done,
    /// Whoever is asked for it, or its trading account, is not as they were: it is over.
    Ended(ApprovalEnd),
    /// It was decided or spent meanwhile, or its time is over: the row as it stands.
    Changed(Box<Approval>),
    /// It is gone.
    Unknown,
    /// What was to be spent for it was spent, or changed, since it was read.
    ProofOutdated,
}

/// What ended an approval before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalEnd {
    /// Its owner's account is gone or switched off, or all that was begun in it was ended.
    Account,
    /// The session in which it was to be decided is over.
    Session,
    /// Its owner's credentials were frozen.
    Frozen,
    /// Its trading account was unlinked or switched off.
    TradingAccount,
}

/// What stands in the way of a write about an approval.
#[derive(Debug, Clone, Copy)]
enum Way {
    End(ApprovalEnd),
    Status,
    Proof,
}

/// Some of a person's approvals, newest first.
#[derive(Debug)]
pub struct ApprovalPage {
    /// The approvals of this page, newest first.
    pub approvals: Vec<Approval>,
    /// Where to go on, if there may be more.
    pub next: Option<ApprovalId>,
}

impl Store {
    /// One approval of a person.
    pub async fn approval(&self, owner: AccountId, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        self.get(&keys::approval(owner, id), "reading an approval").await?.map(read).transpose()
    }

    /// The approval of this id, whosever it is.
    pub async fn approval_by_id(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        self.get(&keys::approval_by_id(id), "reading an approval by its id").await?.map(read).transpose()
    }

    /// Approvals of a person that `wanted` takes, newest first, after the one called `after`. It looks at `limit` times ten at
    /// most, so that a filter which takes hardly any ends in a page that is not full.
    pub async fn approvals(
        &self,
        owner: AccountId,
        limit: usize,
        after: Option<ApprovalId>,
        wanted: impl Fn(&Approval) -> bool,
    ) -> Result<ApprovalPage, StoreError> {
        let (mut approvals, mut looked_at) = (Vec::new(), 0);
        let mut start = after.map(|id| keys::approval(owner, id).attributes());
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :approvals AND begins_with(sk, :prefix)")
                .expression_attribute_values(":approvals", text(keys::approvals(owner)))
                .expression_attribute_values(":prefix", text(keys::APPROVAL_PREFIX))
                .set_exclusive_start_key(start)
                .scan_index_forward(false)
                .consistent_read(true)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("listing approvals", error))?;
            let mut last = after;
            for row in page.items.unwrap_or_default() {
                if approvals.len() == limit || looked_at == limit.saturating_mul(10) {
                    return Ok(ApprovalPage { approvals, next: last });
                }
                let approval = read(row)?;
                (last, looked_at) = (Some(approval.id), looked_at + 1);
                approvals.extend(Some(approval).filter(&wanted));
            }
            // A page may be empty and still not the last.
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(ApprovalPage { approvals, next: None });
            }
        }
    }

    /// Removes all that a person was asked for, of an account that is erased.
    pub(crate) async fn delete_approvals(&self, owner: AccountId) -> Result<(), StoreError> {
        // As many as fit into one transaction.
        const AT_ONCE: usize = 40;
        loop {
            let page = self.approvals(owner, AT_ONCE, None, |_| true).await?;
            if page.approvals.is_empty() {
                return Ok(());
            }
            let transaction = page.approvals.iter().fold(Transaction::on(self), |transaction, approval| {
                transaction
                    .delete(&keys::approval(owner, approval.id))
                    .delete(&keys::approval_by_id(approval.id))
            });
            transaction.write("removing approvals").await?;
        }
    }
}

impl Transaction<'_, Way> {
    /// Makes all of this depend on nothing having ended the approval: its owner's account is in use and nothing of it was
    /// ended, their credentials were not frozen since, and the trading account is linked.
    fn unless_ended(self, approval: &Approval) -> Self {
        let in_session_epoch = Condition::equals("epoch", number(approval.session_epoch));
        let is_active = Condition::equals("account_status", text(AccountStatus::Active.as_str()));
        let (owner, freezes) = (approval.owner, frozen_as_often(approval.freezes));
        let trading_account = keys::trading_account(owner, approval.trading_account);
        self.check(&keys::profile(owner), in_session_epoch.and(is_active), Way::End(ApprovalEnd::Account))
            .check(&keys::freeze_count(owner), freezes, Way::End(ApprovalEnd::Frozen))
            .check(&trading_account, in_use(), Way::End(ApprovalEnd::TradingAccount))
    }
}

fn read(row: Attributes) -> Result<Approval, StoreError> {
    item::read("approval", row)
}

/// Returns a part of a row as an attribute.
fn nested(part: &impl Serialize) -> Result<AttributeValue, StoreError> {
    let written: Result<AttributeValue, _> = serde_dynamo::to_attribute_value(part);
    written
        .map_err(|cause| StoreError::Refused { operation: "putting an item together", cause: cause.into() })
}
