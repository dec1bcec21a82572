//! Freezes by administrators: of one person, beside whatever the person froze, and of everybody, in one row.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_identity::{ClientContext, CredentialChange, Field, Operator};
use portcullis_store::{AccountId, AuditEvent, AuditKind, Freeze, Freezer, Freezes};

use crate::Vault;
use crate::account_fields::FreezeReason;
use crate::error::Error;
use crate::freezing::Frozen;
use crate::freezing::stopping::FreezeOrder;
use crate::opening::AccessBy;

/// The longest time after which a freeze ends by itself: longer ones are lifted by somebody.
const LONGEST: Duration = Duration::from_hours(31 * 24);

/// A freeze as an administrator wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorFreeze {
    /// Why; the owner is told.
    pub reason: FreezeReason,
    /// How long it lasts; `None` until it is lifted.
    pub lasts: Option<Duration>,
    /// Whether resting orders of the person are to be cancelled; of no meaning for a freeze of everybody.
    pub cancel_orders: bool,
}

impl Vault {
    /// Freezes a person's credentials on behalf of an administrator, as [`Vault::freeze`] does for the person; fails when there
    /// is no such person, or the freeze would end at once or later than in a month. The person is written to the first time.
    pub async fn freeze_person(
        &self,
        operator: &Operator,
        person: AccountId,
        wanted: OperatorFreeze,
        origin: &ClientContext,
    ) -> Result<Frozen, Error> {
        let ends_at = self.end_of_freeze(wanted.lasts)?;
        let account = self.identity.account_by_id(person).await?;
        let is_known = self.standing_freezes(person).await.is_ok_and(|freezes| freezes.by_admin.is_some());
        let order = FreezeOrder {
            owner: person,
            freezer: Freezer::Admin,
            by: AccessBy::Operator(operator),
            cancel_orders: wanted.cancel_orders,
            ends_at,
            reason: Some(wanted.reason.0),
            origin,
        };
        let news = (!is_known).then_some((&account, CredentialChange::FrozenByAdmin));
        self.carry_out(&order, news).await?.ok_or_else(Error::not_found)
    }

    /// Lifts the administrators' freeze of a person's credentials and returns those that still stand: the person's own freeze
    /// stays. Fails when there is no such person.
    pub async fn unfreeze_person(
        &self,
        operator: &Operator,
        person: AccountId,
        origin: &ClientContext,
    ) -> Result<Freezes, Error> {
        let account = self.identity.account_by_id(person).await?;
        if self.lift((person, Freezer::Admin), AccessBy::Operator(operator), origin).await? {
            let news = CredentialChange::UnfrozenByAdmin;
            self.identity.notify_of_credentials(&account, news, origin).await;
        }
        self.standing_freezes(person).await
    }

    /// Returns the freeze of everybody that stands.
    pub async fn freeze_of_everybody(&self) -> Result<Option<Freeze>, Error> {
        Ok(self.store().freeze_of_everybody(self.identity.clock.now()).await?)
    }

    /// Stops every reading of everybody's credentials, and returns the freeze; fails when it would end at once or later than in
    /// a month. It ends no session and cancels no order: it is one row, which every reading looks for.
    pub async fn freeze_everybody(
        &self,
        operator: &Operator,
        wanted: OperatorFreeze,
        origin: &ClientContext,
    ) -> Result<Freeze, Error> {
        let ends_at = self.end_of_freeze(wanted.lasts)?;
        let mut event = self.event_of_everybody(AuditKind::EverybodyFrozen, operator, origin)?;
        event.details.reason = Some(wanted.reason.0.clone());
        event.details.until = ends_at.map(|end| end.to_string());
        let freeze = Freeze {
            ends_at,
            frozen_by: Some(operator.actor().to_string()),
            reason: Some(wanted.reason.0),
            ..Freeze::of(&event)
        };
        self.store().freeze_everybody(&freeze, &event).await?;
        Ok(freeze)
    }

    /// Lifts the freeze of everybody. One that another administrator stored meanwhile stays.
    pub async fn unfreeze_everybody(&self, operator: &Operator, origin: &ClientContext) -> Result<(), Error> {
        let Some(freeze) = self.freeze_of_everybody().await? else { return Ok(()) };
        let event = self.event_of_everybody(AuditKind::EverybodyUnfrozen, operator, origin)?;
        let lifted = self.store().unfreeze_everybody(&freeze, &event).await?;
        if lifted { Ok(()) } else { Err(Error::contended()) }
    }

    /// Lifts the freeze of this kind and returns whether there was one. Only the freeze that is read here is lifted: one that
    /// another request stored since then stays, because somebody was told that it holds.
    pub(super) async fn lift(
        &self,
        (owner, freezer): (AccountId, Freezer),
        by: AccessBy<'_>,
        origin: &ClientContext,
    ) -> Result<bool, Error> {
        let all = self.standing_freezes(owner).await?;
        let standing = match freezer {
            Freezer::Owner => all.own,
            Freezer::Admin => all.by_admin,
        };
        // There is no freeze: it ended, or an earlier request lifted it and its response was lost.
        let Some(freeze) = standing else { return Ok(false) };
        let mut event = self.event(AuditKind::CredentialsUnfrozen, owner, None, origin)?;
        by.sign(&mut event);
        if !self.store().lift_freeze((owner, freezer), &freeze, &event).await? {
            return Err(Error::contended());
        }
        Ok(true)
    }

    fn end_of_freeze(&self, lasts: Option<Duration>) -> Result<Option<Timestamp>, Error> {
        if lasts.is_some_and(|lasts| lasts.is_zero() || lasts > LONGEST) {
            let detail = format!("must be 1 to {} seconds", LONGEST.as_secs());
            return Err(Error::invalid(Field::ExpiresIn, detail));
        }
        Ok(lasts.map(|lasts| self.identity.clock.now() + lasts))
    }

    /// Returns an event about everybody's credentials. It is in a trail of its own, that of nobody's account.
    fn event_of_everybody(
        &self,
        kind: AuditKind,
        operator: &Operator,
        origin: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        let mut event = self.event(kind, AccountId::of_everybody(), None, origin)?;
        event.actor = operator.actor();
        Ok(event)
    }
}
