//! Asking for an approval: one round of reads beside whatever tells who asks, and one write.
//!
//! A person has [`MOST_PENDING_APPROVALS`] places for what is pending. A request takes a place that is free or whose approval
//! has expired, on condition that it still is; so there are never more, however many ask at once. The count of what was asked
//! lately lies in the same row.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as};

use super::Approval;
use crate::account::AccountStatus;
use crate::audit::{AuditEvent, ChainEnd};
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::freezes::{Freezes, frozen_as_often};
use crate::id::{AccountId, ApprovalId, TradingAccountId};
use crate::idempotency::{IdempotentRequest, REMEMBERED, unused};
use crate::item::{self, Attributes, number, text, time, ttl};
use crate::keys;
use crate::trading_accounts::{StoredTradingAccount, in_use};
use crate::transaction::{Refused, Transaction};

/// Approvals that one person can be asked for at a time.
pub const MOST_PENDING_APPROVALS: usize = 20;

/// The attributes of the places: until when each is taken.
const PLACES: [&str; MOST_PENDING_APPROVALS] = [
    "p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", "p10", "p11", "p12", "p13", "p14",
    "p15", "p16", "p17", "p18", "p19",
];
const WINDOW: &str = "asked_in";
const ASKED: &str = "asked";

/// How often a person may be asked in a window of time.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalRate {
    /// The number of the window.
    pub window: i64,
    /// When it ends.
    pub ends: Timestamp,
    /// Requests in it at most.
    pub most: u64,
}

/// What a person is asked for at the moment, and was asked for lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenApprovals {
    /// Until when each place is taken, in milliseconds since 1970; 0 for one that never was.
    places: [i64; MOST_PENDING_APPROVALS],
    window: i64,
    asked: u64,
}

impl OpenApprovals {
    /// Returns a place that is free at this time: which one of them depends on `chance`, so that requests side by side take
    /// different ones; `None` where none is.
    pub fn free_place(&self, now: Timestamp, chance: u8) -> Option<u8> {
        let is_free = |place: &u8| {
            let until = self.places.get(usize::from(*place));
            until.is_some_and(|until| *until <= now.as_millisecond())
        };
        let free: Vec<u8> = (0..).take(MOST_PENDING_APPROVALS).filter(is_free).collect();
        free.get(usize::from(chance).checked_rem(free.len())?).copied()
    }

    /// Returns whether no more may be asked in this window.
    pub fn is_over(&self, rate: &ApprovalRate) -> bool {
        self.window == rate.window && self.asked >= rate.most
    }

    fn read(row: &Attributes) -> Self {
        // What is no number was not written here, and counts as nothing.
        let number = |name: &str| match row.get(name) {
            Some(AttributeValue::N(digits)) => digits.parse::<i64>().unwrap_or(0),
            _ => 0,
        };
        Self {
            places: PLACES.map(number),
            window: number(WINDOW),
            asked: u64::try_from(number(ASKED)).unwrap_or(0),
        }
    }

    /// Returns the write that takes a place and counts the request, and what must hold for it.
    fn taking(&self, approval: &Approval, rate: &ApprovalRate) -> (Update, Condition) {
        let name = place(approval.place);
        let now = approval.created_at;
        let is_free = Condition::Missing(name).or(Condition::at_most(name, time(now)));
        let update = Update::new().set(name, time(approval.expires_at)).set(
            keys::TTL,
            // Nothing of it is needed once the window is over and every place is free.
            ttl(rate.ends.max(now) + REMEMBERED),
        );
        if self.window == rate.window {
            let has_room = Condition::equals(WINDOW, number(rate.window))
                .and(Condition::below(ASKED, number(rate.most)));
            return (update.add(ASKED, number(1)), is_free.and(has_room));
        }
        // The first of a window begins the count. Of two firsts one is refused, and reads that the other did.
        let begins = Condition::Missing(WINDOW).or(Condition::equals(WINDOW, number(self.window)));
        (update.set(WINDOW, number(rate.window)).set(ASKED, number(1)), is_free.and(begins))
    }
}

/// Returns the attribute of a place.
pub(super) fn place(number: u8) -> &'static str {
    PLACES.get(usize::from(number)).copied().unwrap_or(PLACES[0])
}

/// All that a request for an approval is decided on.
#[derive(Debug)]
pub struct ApprovalGround {
    /// The trading account that is to be ordered with; `None` where the person has none of this id.
    pub trading_account: Option<StoredTradingAccount>,
    /// What stands in the way of reading the person's credentials.
    pub freezes: Freezes,
    /// How often they were frozen.
    pub freeze_count: u64,
    /// What the person is asked for already.
    pub open: OpenApprovals,
    /// Where the trail of the person ends.
    pub end: ChainEnd,
}

/// How a request for an approval ended.
#[derive(Debug)]
pub enum ApprovalAsked {
    /// The person is asked.
    Asked,
    /// This very request was carried out before, and asked for this approval.
    Repeated(ApprovalId),
    /// The idempotency key was used for something else.
    KeyReused,
    /// The account is gone or switched off, or its session epoch is another one.
    AccountChanged,
    /// The person's credentials were frozen.
    Frozen,
    /// The trading account was unlinked or switched off.
    NotLinked,
    /// The place was taken, or the count raised, since they were read.
    Raced,
}

/// What stands in the way of a request.
#[derive(Debug, Clone, Copy)]
enum Way {
    RequestRemembered,
    AccountChanged,
    Frozen,
    NotLinked,
    Raced,
}

impl Store {
    /// Reads all that a request for an approval is decided on, in one round.
    pub async fn approval_ground(
        &self,
        owner: AccountId,
        trading_account: TradingAccountId,
        now: Timestamp,
    ) -> Result<ApprovalGround, StoreError> {
        let open = keys::open_approvals(owner);
        let (trading_account, freezes, freeze_count, open, end) = tokio::try_join!(
            self.trading_account(owner, trading_account),
            self.freezes(owner, now),
            self.freeze_count(owner),
            self.get(&open, "reading what is pending"),
            self.account_trail_end(owner),
        )?;
        let open = open.as_ref().map(OpenApprovals::read).unwrap_or_default();
        Ok(ApprovalGround { trading_account, freezes, freeze_count, open, end })
    }

    /// Returns the approval that this very request asked for before, if it did.
    pub async fn first_request_for_approval(
        &self,
        request: &IdempotentRequest,
        now: Timestamp,
    ) -> Result<Option<ApprovalId>, StoreError> {
        let key = keys::idempotency("approval", &request.key_digest);
        let found = self.get(&key, "reading a request that may be repeated").await?;
        let found = found.map(|found| item::read::<Remembered>("idempotency", found)).transpose()?;
        let is_same = |found: &Remembered| found.fingerprint == request.fingerprint && found.expires_at > now;
        Ok(found.filter(is_same).map(|found| found.approval))
    }

    /// Asks for an approval, with the event that tells of it.
    pub async fn ask_for_approval(
        &self,
        approval: &Approval,
        (open, rate): (&OpenApprovals, &ApprovalRate),
        request: Option<&IdempotentRequest>,
        kept_until: Timestamp,
        event: &AuditEvent,
    ) -> Result<ApprovalAsked, StoreError> {
        let Approval { id, owner, .. } = *approval;
        let mut transaction = Transaction::on(self);
        // What the same request did before is said first.
        if let Some(request) = request {
            let row = request_item(request, approval)?;
            transaction = transaction.put_if(row, unused(approval.created_at), Way::RequestRemembered);
        }
        let as_read = Condition::equals("epoch", number(approval.session_epoch))
            .and(Condition::equals("account_status", text(AccountStatus::Active.as_str())));
        let (update, has_room) = open.taking(approval, rate);
        let trading_account = keys::trading_account(owner, approval.trading_account);
        let committed = transaction
            .check(&keys::profile(owner), as_read, Way::AccountChanged)
            .unless_frozen(owner, approval.created_at, Way::Frozen)
            .check(&keys::freeze_count(owner), frozen_as_often(approval.freezes), Way::Frozen)
            .check(&trading_account, in_use(), Way::NotLinked)
            .update_if(&keys::open_approvals(owner), update, has_room, Way::Raced)
            .put(item::expiring_item(&keys::approval(owner, id), approval, kept_until)?)
            .put(item::expiring_item(&keys::approval_by_id(id), approval, kept_until)?)
            .record_with_head(event)
            .commit("asking for an approval")
            .await?;
        let Err(Refused { by, row }) = committed else { return Ok(ApprovalAsked::Asked) };
        Ok(match (by, request) {
            (Way::RequestRemembered, Some(request)) => first(approval, request, row)?,
            (Way::RequestRemembered, None) => ApprovalAsked::KeyReused,
            (Way::AccountChanged, _) => ApprovalAsked::AccountChanged,
            (Way::Frozen, _) => ApprovalAsked::Frozen,
            (Way::NotLinked, _) => ApprovalAsked::NotLinked,
            (Way::Raced, _) => ApprovalAsked::Raced,
        })
    }
}

/// The row of a request that asked for an approval.
#[serde_as]
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    #[serde_as(as = "Bytes")]
    fingerprint: Digest,
    approval: ApprovalId,
    #[serde(with = "millisecond::required")]
    expires_at: Timestamp,
}

fn request_item(request: &IdempotentRequest, approval: &Approval) -> Result<Attributes, StoreError> {
    let expires_at = approval.created_at + REMEMBERED;
    let remembered = Remembered { fingerprint: request.fingerprint, approval: approval.id, expires_at };
    item::expiring_item(&keys::idempotency("approval", &request.key_digest), &remembered, expires_at)
}

/// What the record in the way says. Our own means that an earlier attempt of this very call was carried out and its answer
/// lost.
fn first(
    approval: &Approval,
    request: &IdempotentRequest,
    found: Attributes,
) -> Result<ApprovalAsked, StoreError> {
    let found: Remembered = item::read("idempotency", found)?;
    Ok(match found.approval {
        _ if found.fingerprint != request.fingerprint => ApprovalAsked::KeyReused,
        id if id == approval.id => ApprovalAsked::Asked,
        id => ApprovalAsked::Repeated(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn a_place_is_free_until_it_is_taken_and_again_once_its_time_is_over() {
        let mut row = Attributes::new();
        assert_eq!(OpenApprovals::read(&row).free_place(at(5), 0), Some(0));
        for name in PLACES {
            row.insert(name.to_owned(), time(at(10)));
        }
        let open = OpenApprovals::read(&row);
        assert_eq!((open.free_place(at(9), 3), open.free_place(at(10), 3)), (None, Some(3)));
        row.insert("p07".to_owned(), time(at(2)));
        let open = OpenApprovals::read(&row);
        assert!((0..=u8::MAX).all(|chance| open.free_place(at(9), chance) == Some(7)));
        let free: std::collections::BTreeSet<_> =
            (0..=u8::MAX).filter_map(|chance| OpenApprovals::default().free_place(at(9), chance)).collect();
        assert_eq!(free.len(), MOST_PENDING_APPROVALS, "each of them may be taken");
    }

    #[test]
    fn a_window_is_over_once_as_many_were_asked_for() {
        let rate = ApprovalRate { window: 7, ends: at(0), most: 2 };
        let asked = |window, asked| OpenApprovals { window, asked, ..OpenApprovals::default() };
        assert!(!asked(7, 1).is_over(&rate) && asked(7, 2).is_over(&rate) && !asked(6, 2).is_over(&rate));
    }
}
