//! Decryption of stored credentials and sessions. A ciphertext that does not decrypt where it is stored leaves one event in
//! the owner's trail, and the caller learns no more than that.

use portcullis_identity::{ClientContext, Operator, sealing};
use portcullis_platform::KeyWrapError;
use portcullis_store::{
    AccountId, Actor, AuditEvent, AuditKind, SealedSecret, StoredTradingAccount, TradingAccountId,
};
use secrecy::{SecretSlice, SecretString};

use crate::Vault;
use crate::context::{Sealed, context};
use crate::credentials::{Credentials, SessionCredentials};
use crate::error::Error;
use crate::length_prefixed;

/// The account whose credentials are wanted, and the request that wants them. Owner and id are those of the key the row
/// was read by, and not the ones in the row: a row copied over another row carries its own ids along, and must not open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessRequest<'a> {
    /// The owner in the key of the row.
    pub(crate) owner: AccountId,
    /// The trading account in the key of the row.
    pub(crate) id: TradingAccountId,
    /// The client that sent the request.
    pub(crate) origin: &'a ClientContext,
    /// Who wants them.
    pub(crate) by: AccessBy<'a>,
    /// Whether they are read in spite of a freeze.
    pub(crate) during_freeze: bool,
}

/// Who wants credentials opened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AccessBy<'a> {
    /// The owner, or a job that does something for them.
    Owner,
    /// An administrator, who never sees what is opened.
    Operator(&'a Operator),
    /// The service of this name, for this purpose.
    Service(&'a str, &'a str),
}

impl<'a> AccessRequest<'a> {
    /// Returns the request of the account's owner.
    pub(crate) fn of_owner(owner: AccountId, id: TradingAccountId, origin: &'a ClientContext) -> Self {
        Self { owner, id, origin, by: AccessBy::Owner, during_freeze: false }
    }
}

impl AccessBy<'_> {
    /// Writes into an event who it was.
    pub(crate) fn sign(self, event: &mut AuditEvent) {
        match self {
            Self::Owner => {}
            Self::Operator(operator) => event.actor = operator.actor(),
            Self::Service(service, purpose) => {
                event.actor = Actor::Service(service.to_owned());
                event.service = Some(service.to_owned());
                event.purpose = Some(purpose.to_owned());
            }
        }
    }
}

impl Vault {
    /// Returns the account's long-lived credentials; fails with [`Error::Unreadable`] where they do not decrypt.
    pub(crate) async fn open_credentials(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
    ) -> Result<Credentials, Error> {
        let [api_key, api_secret] =
            self.open(access, account, &account.credentials, Sealed::Credentials).await?;
        Ok(Credentials { api_key, api_secret })
    }

    /// Returns the account's session at the broker, `None` where there is none or it has expired; fails with
    /// [`Error::Unreadable`] where it does not decrypt.
    pub(crate) async fn open_session(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
    ) -> Result<Option<SessionCredentials>, Error> {
        let now = self.identity.clock.now();
        let Some(session) = account.session.as_ref().filter(|session| session.expires_at > now) else {
            return Ok(None);
        };
        let [api_key, access_token] = self.open(access, account, &session.sealed, Sealed::Session).await?;
        Ok(Some(SessionCredentials { api_key, access_token }))
    }

    async fn open<const N: usize>(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
        sealed: &SealedSecret,
        purpose: Sealed,
    ) -> Result<[SecretString; N], Error> {
        let is_its_own = (account.owner, account.id) == (access.owner, access.id);
        let context = context(access.owner, access.id, &account.broker, purpose);
        let opened = if is_its_own {
            sealing::open(sealed, &context, self.key_wrap.as_ref()).await
        } else {
            Err(KeyWrapError::Refused.into())
        };
        let opened: SecretSlice<u8> = match opened {
            Ok(opened) => opened,
            Err(portcullis_identity::Error::KeyWrap(KeyWrapError::Refused)) => {
                return Err(self.unreadable(access).await?);
            }
            Err(error) => return Err(error.into()),
        };
        match length_prefixed::split(&opened) {
            Some(parts) => Ok(parts),
            None => Err(self.unreadable(access).await?),
        }
    }

    /// Returns [`Error::Unreadable`], after an event about it is written.
    async fn unreadable(&self, access: AccessRequest<'_>) -> Result<Error, Error> {
        self.record_event(AuditKind::CredentialsUnreadable, access).await?;
        tracing::error!(account = %access.id, "sealed credentials do not open where they lie");
        Ok(Error::Unreadable)
    }

    /// Writes an event about this access into the owner's trail; fails when the store does. Callers write it before they
    /// release or use what they decrypted, so that no credentials leave the vault without a trace.
    pub(crate) async fn record_event(&self, kind: AuditKind, access: AccessRequest<'_>) -> Result<(), Error> {
        Ok(self.store().record(&self.event_of(kind, access)?).await?)
    }

    /// Returns an event about this access; fails when there is no entropy for its id.
    pub(crate) fn event_of(&self, kind: AuditKind, access: AccessRequest<'_>) -> Result<AuditEvent, Error> {
        let mut event = self.event(kind, access.owner, Some(access.id), access.origin)?;
        access.by.sign(&mut event);
        event.details.during_freeze = access.during_freeze;
        Ok(event)
    }
}
