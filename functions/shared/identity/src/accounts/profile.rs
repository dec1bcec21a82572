//! A person's own account: reading, changing and erasing it.

use jiff::Timestamp;
use portcullis_store::{Account, AccountId, AuditEvent, AuditKind, ProfileChange, SessionId, SignInStep};

use crate::access::caller::Caller;
use crate::accounts::administration::Operator;
use crate::accounts::person::{PersonName, PhoneNumber};
use crate::error::Error;
use crate::limits::PROFILE_CHANGES;
use crate::mfa::StepUp;
use crate::notifications::Notification;
use crate::{ClientContext, Identity};

/// A change to the caller's profile; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct ProfileUpdate {
    /// A new name.
    pub name: Option<PersonName>,
    /// A new telephone number; `Some(None)` removes it.
    pub phone: Option<Option<PhoneNumber>>,
}

impl Identity {
    /// Returns when the owner of an account last signed in; `None` if never, or longer ago than the trail is kept.
    pub async fn last_login(&self, account: &Account) -> Result<Option<Timestamp>, Error> {
        Ok(self.history(account).await?.last_login_at)
    }

    /// Changes the caller's profile and returns the account as it is now. Fails with [`Error::InvalidAccessToken`] if
    /// the account was erased or its session epoch raised meanwhile, [`Error::TooManyAttempts`] after too many changes.
    pub async fn update_profile(
        &self,
        caller: &Caller,
        update: ProfileUpdate,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let now = self.clock.now();
        self.limit(&PROFILE_CHANGES, &caller.account.id.to_string(), client, now).await?;
        let change = ProfileChange {
            name: update.name.map(|name| name.0),
            phone: update.phone.map(|phone| phone.map(|phone| phone.0)),
        };
        let event = self.audit_event(AuditKind::ProfileChanged, caller.account.id, client)?;
        if !self.store.change_profile(&caller.account, &change, &event).await? {
            return Err(Error::InvalidAccessToken);
        }
        Ok(change.applied_to(caller.account.clone()))
    }

    /// Erases the caller's account, confirmed by a proof; its address can be registered again. Fails as
    /// [`Identity::confirm`] does, or with [`Error::LastAdmin`] if no administrator would be left.
    pub async fn erase_account(
        &self,
        caller: &Caller,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        Box::pin(self.confirm(caller, proof, client)).await?;
        let (operator, id) = (Operator::Admin(caller.account.id), caller.account.id);
        let event = self.audit_event(AuditKind::AccountErased, id, client)?;
        let erased = self.erase(&caller.account, Some(caller.session.made.id), &event, client).await;
        self.recorded_if_refused(&operator, id, erased, client).await?;
        self.notify(&caller.account.email, &Notification::AccountErased(client)).await;
        Ok(())
    }

    /// Erases an account on behalf of an operator; its address can be registered again. Fails with [`Error::NotFound`], or
    /// [`Error::LastAdmin`] if no administrator would be left.
    pub async fn erase_account_of(
        &self,
        operator: &Operator,
        id: AccountId,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = self.account_by_id(id).await?;
        let event = self.event_by(operator, AuditKind::AccountErased, id, client)?;
        let erased = self.erase(&account, None, &event, client).await;
        self.recorded_if_refused(operator, id, erased, client).await?;
        self.notify(&account.email, &Notification::AccountErasedByOperator).await;
        Ok(())
    }

    async fn erase(
        &self,
        account: &Account,
        asking: Option<SessionId>,
        event: &AuditEvent,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let another =
            if account.is_active_admin() { Some(self.another_admin(account.id).await?) } else { None };
        let mut signed_out = self.audit_event(AuditKind::SessionsRevoked, account.id, client)?;
        signed_out.actor = event.actor.clone();
        let signed_out = signed_out.of_sign_in_with(&account.email, SignInStep::Erased(account.id));
        if self.store.erase(account, asking, another, event, &signed_out).await? {
            return Ok(());
        }
        // The other administrator left meanwhile; a third one may still be there.
        self.another_admin(account.id).await?;
        Err(Error::Contended)
    }
}
