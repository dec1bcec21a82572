//! Spending an approval: a service shows what it is about to order, and is told once that the person approved exactly this.
//!
//! Two rounds: the approval by its id, then one write on condition that it is approved, not spent, in time, of these details, and
//! that nothing has ended it. The trail of its owner goes on from where it ended when the approval was decided; where something was
//! recorded since, that end is read anew, which is two rounds more.

use jiff::Timestamp;
use portcullis_store::{
    AccountId, Actor, Approval, ApprovalId, ApprovalOutcome, ApprovalStatus, AuditKind, Digest, Redemption,
};

use super::RESOURCE;
use super::details::AuthorizationDetails;
use crate::access::services::Service;
use crate::error::Error;
use crate::limits::REFUSED_REDEMPTIONS;
use crate::{ClientContext, Identity};

/// What a service shows to spend an approval.
#[derive(Debug, Clone, Copy)]
pub struct RedemptionRequest<'a> {
    /// What it is about to order.
    pub details: &'a AuthorizationDetails,
    /// Whose approval it has to be, where the service says so: the one of anybody else is none.
    pub owner: Option<AccountId>,
    /// What the service calls its request, where it may send it again.
    pub idempotency_key: Option<&'a str>,
}

/// An approval that was spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// Whose account is ordered with.
    pub owner: AccountId,
    /// When they approved it.
    pub approved_at: Timestamp,
    /// When it was spent.
    pub redeemed_at: Timestamp,
    /// How surely they proved who they are.
    pub acr: String,
    /// What the order is to be tagged with at the broker.
    pub order_tag: String,
}

impl Identity {
    /// Spends an approval for these details and returns who approved them. The same service with the same idempotency key gets
    /// the same answer again while the approval lives. Fails with [`Error::Forbidden`] without the right `approval:redeem`; with
    /// [`Error::NotFound`], also where it is somebody else's than the service says; with [`Error::DetailsMismatch`], which spends
    /// nothing; with [`Error::AlreadyRedeemed`], [`Error::ApprovalPending`] or [`Error::ApprovalOver`].
    pub async fn redeem_approval(
        &self,
        service: &Service,
        id: ApprovalId,
        shown: RedemptionRequest<'_>,
        client: &ClientContext,
    ) -> Result<Redeemed, Error> {
        service.require(RESOURCE, "redeem")?;
        let now = self.clock.now();
        let (approval, everybody) =
            tokio::try_join!(self.store.approval_by_id(id), self.store.last_freeze_of_everybody())?;
        let approval = approval.ok_or(Error::NotFound)?;
        if shown.owner.is_some_and(|owner| owner != approval.owner) {
            self.record_refusal_of(&approval, service, "another_person", client).await?;
            return Err(Error::NotFound);
        }
        let mark = shown.idempotency_key.map(|key| self.mark_of_redemption(service, id, key)).transpose()?;
        let redemption = Redemption { at: now, service: service.name.clone(), mark };
        if approval.digest != shown.details.digest() {
            self.record_refusal_of(&approval, service, "details_mismatch", client).await?;
            return Err(Error::DetailsMismatch);
        }
        let is_frozen = everybody.is_some_and(|freeze| freeze.closes(approval.created_at, now));
        match assess(&approval, now) {
            // It is read beside the approval and no condition of the write: every redemption would meet every other there.
            Ok(()) | Err(Error::AlreadyRedeemed) if is_frozen => {
                self.record_refusal_of(&approval, service, "frozen", client).await?;
                Err(Error::ApprovalOver)
            }
            Ok(()) => Box::pin(self.spend(&approval, &redemption, service, client)).await,
            Err(Error::AlreadyRedeemed) => Box::pin(self.redeemed_before(&approval, &redemption)).await,
            Err(refused) => Err(refused),
        }
    }

    async fn spend(
        &self,
        approval: &Approval,
        redemption: &Redemption,
        service: &Service,
        client: &ClientContext,
    ) -> Result<Redeemed, Error> {
        let mut event = self.audit_event(AuditKind::ApprovalRedeemed, approval.owner, client)?;
        event.target = Some(approval.id.to_string());
        event.actor = Actor::Service(service.name.clone());
        event.service = Some(service.name.clone());
        let event = match approval.trail_then() {
            Some(end) => event.behind(end),
            None => event,
        };
        match self.store.redeem_approval(approval, redemption, &event).await? {
            ApprovalOutcome::Done => redeemed(approval, redemption),
            ApprovalOutcome::Ended(_) => {
                self.record_refusal_of(approval, service, "ended", client).await?;
                Err(Error::ApprovalOver)
            }
            // Another request was faster, which may have been this one; or its time was over meanwhile.
            ApprovalOutcome::Changed(now) => match assess(&now, redemption.at) {
                Err(Error::AlreadyRedeemed) => self.redeemed_before(&now, redemption).await,
                Err(refused) => Err(refused),
                Ok(()) => Err(Error::Contended),
            },
            ApprovalOutcome::Unknown => Err(Error::NotFound),
            ApprovalOutcome::ProofOutdated => Err(Error::Internal("a redemption has no proof")),
        }
    }

    /// Returns the first answer to whoever redeemed it under the same idempotency key, while the approval lives.
    async fn redeemed_before(&self, approval: &Approval, again: &Redemption) -> Result<Redeemed, Error> {
        let first = approval.redemption.as_ref().ok_or(Error::Internal("a redemption is not noted"))?;
        let is_the_same = first.service == again.service && first.mark.is_some() && first.mark == again.mark;
        if !is_the_same || approval.expires_at <= again.at {
            return Err(Error::AlreadyRedeemed);
        }
        match self.store.check_approval(approval).await? {
            ApprovalOutcome::Done => redeemed(approval, first),
            _ => Err(Error::ApprovalOver),
        }
    }

    /// Puts on record, in the trail of the person, that a service was refused; no more than [`REFUSED_REDEMPTIONS`] of them,
    /// because whoever has a right to redeem could fill it otherwise. What is refused stays refused.
    async fn record_refusal_of(
        &self,
        approval: &Approval,
        service: &Service,
        reason: &str,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let owner = approval.owner.to_string();
        if !self.has_room(&REFUSED_REDEMPTIONS, &owner, self.clock.now()).await? {
            return Ok(());
        }
        let mut event = self.audit_event(AuditKind::ApprovalRefused, approval.owner, client)?;
        event.target = Some(approval.id.to_string());
        event.actor = Actor::Service(service.name.clone());
        event.service = Some(service.name.clone());
        event.details.reason = Some(reason.to_owned());
        Ok(self.store.record(&event).await?)
    }

    fn mark_of_redemption(&self, service: &Service, id: ApprovalId, key: &str) -> Result<Digest, Error> {
        let (name, id) = (service.name.as_bytes(), id.to_string());
        self.keyring.fingerprint(&[b"redemption", name, id.as_bytes(), key.as_bytes()])
    }
}

/// Returns an error unless an approval can be spent as its row stands; what may have ended it is for the write to say.
fn assess(approval: &Approval, now: Timestamp) -> Result<(), Error> {
    match approval.status {
        ApprovalStatus::Redeemed => Err(Error::AlreadyRedeemed),
        ApprovalStatus::Denied => Err(Error::ApprovalOver),
        ApprovalStatus::Pending | ApprovalStatus::Approved if approval.expires_at <= now => {
            Err(Error::ApprovalOver)
        }
        ApprovalStatus::Pending => Err(Error::ApprovalPending),
        ApprovalStatus::Approved => Ok(()),
    }
}

fn redeemed(approval: &Approval, redemption: &Redemption) -> Result<Redeemed, Error> {
    let decision = approval.decision.as_ref().ok_or(Error::Internal("a decision is not noted"))?;
    Ok(Redeemed {
        owner: approval.owner,
        approved_at: decision.at,
        redeemed_at: redemption.at,
        acr: decision.acr.clone().unwrap_or_default(),
        order_tag: super::views::order_tag(approval.id),
    })
}
