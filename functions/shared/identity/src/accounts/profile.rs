//! A person's own account: reading, changing and erasing it.

use jiff::Timestamp;
use portcullis_store::{Account, AuditKind, ProfileChange};

use crate::access::caller::Caller;
use crate::accounts::person::{PersonName, PhoneNumber};
use crate::error::Error;
use crate::limits::PROFILE_CHANGES;
use crate::passwords::password::Password;
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

    /// Erases the caller's account, confirmed by its password; its address can be registered again. Fails with
    /// [`Error::WrongPassword`], or [`Error::LastAdmin`] if no administrator would be left.
    pub async fn erase_account(
        &self,
        caller: &Caller,
        password: &Password,
        client: &ClientContext,
    ) -> Result<(), Error> {
        self.confirm_password(caller, password, client).await?;
        let event = self.audit_event(AuditKind::AccountErased, caller.account.id, client)?;
        let erased = self.store.erase(&caller.account, caller.session.made.id, &event).await?;
        if erased { Ok(()) } else { Err(Error::LastAdmin) }
    }
}
