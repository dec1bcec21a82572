//! What their owner does about passkeys: look at them, name them, remove them.

use portcullis_store::{AuditKind, Passkey, PasskeyId, PasskeyRemoval};
use portcullis_verifier::Assurance;

use crate::access::caller::Caller;
use crate::error::Error;
use crate::invalid::{InvalidValue, read_by_parsing};
use crate::mfa::StepUp;
use crate::notifications::Notification;
use crate::{ClientContext, Identity};

/// The name a user gives a passkey: 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct PasskeyName(pub(crate) String);

impl PasskeyName {
    /// Returns the name without the space around it; fails if nothing of it can be seen, or it is too long or has a
    /// character that cannot be seen.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        crate::printable::printable(typed, 100).map(Self)
    }
}

impl Default for PasskeyName {
    /// What a passkey is called until its owner names it.
    fn default() -> Self {
        Self("Passkey".to_owned())
    }
}

read_by_parsing!(PasskeyName);

impl Identity {
    /// Returns the caller's passkeys, newest first; fails when the store does.
    pub async fn list_passkeys(&self, caller: &Caller) -> Result<Vec<Passkey>, Error> {
        Ok(self.store.passkeys(caller.account.id).await?)
    }

    /// Gives a passkey of the caller another name and returns it; fails with [`Error::NotFound`].
    pub async fn rename_passkey(
        &self,
        caller: &Caller,
        id: PasskeyId,
        name: &PasskeyName,
        client: &ClientContext,
    ) -> Result<Passkey, Error> {
        let account = caller.account.id;
        let passkey = self.store.passkey(account, id).await?.ok_or(Error::NotFound)?;
        let mut event = self.audit_event(AuditKind::PasskeyRenamed, account, client)?;
        event.target = Some(id.to_string());
        if !self.store.rename_passkey(account, id, &name.0, &event).await? {
            return Err(Error::NotFound);
        }
        Ok(Passkey { name: name.0.clone(), ..passkey })
    }

    /// Removes a passkey of the caller, which signs in no more. Fails as [`Identity::confirm_strongly`] does, with
    /// [`Error::NotFound`], and with [`Error::LastFactor`] where a role of the account needs one and this is the last.
    pub async fn remove_passkey(
        &self,
        caller: &Caller,
        id: PasskeyId,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = &caller.account;
        let passkey = self.store.passkey(account.id, id).await?.ok_or(Error::NotFound)?;
        Box::pin(self.confirm_strongly(caller, proof, client)).await?;
        let needs_a_factor = self.check_roles_met(account, Assurance::Aal1).is_err();
        let keeps_one = needs_a_factor && !account.mfa_enabled;
        let mut event = self.audit_event(AuditKind::PasskeyRemoved, account.id, client)?;
        event.target = Some(id.to_string());
        event.session = Some(caller.session.made.id);
        match self.store.remove_passkey(&passkey, account, keeps_one, &event).await? {
            PasskeyRemoval::Removed => {
                self.notify(&account.email, &Notification::PasskeyRemoved(client)).await;
                Ok(())
            }
            PasskeyRemoval::Unknown => Err(Error::NotFound),
            PasskeyRemoval::LastOne => Err(Error::LastFactor),
            PasskeyRemoval::AccountChanged => Err(Error::InvalidAccessToken),
        }
    }
}
