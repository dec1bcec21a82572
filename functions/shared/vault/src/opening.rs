//! Opening seals. What does not open leaves one event and tells its caller nothing.

use portcullis_identity::{Origin, sealing};
use portcullis_platform::KeyWrapError;
use portcullis_store::{AccountId, Actor, AuditKind, SealedSecret, StoredTradingAccount, TradingAccountId};
use secrecy::{SecretSlice, SecretString};

use crate::Vault;
use crate::context::{Sealed, context};
use crate::credentials::{Credentials, SessionCredentials};
use crate::error::Error;
use crate::parts;

/// Whose row was read, as it was asked for: what a row says of itself may have been moved along with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) owner: AccountId,
    pub(crate) id: TradingAccountId,
    pub(crate) origin: &'a Origin,
    /// The service that asks, if one does, and what for.
    pub(crate) service: Option<(&'a str, &'a str)>,
}

impl Vault {
    /// The long-lived credentials.
    pub(crate) async fn open_credentials(
        &self,
        asked: Asked<'_>,
        account: &StoredTradingAccount,
    ) -> Result<Credentials, Error> {
        let [api_key, api_secret] =
            self.open(asked, account, &account.credentials, Sealed::Credentials).await?;
        Ok(Credentials { api_key, api_secret })
    }

    /// The session of the day, if there is one that has not run out.
    pub(crate) async fn open_session(
        &self,
        asked: Asked<'_>,
        account: &StoredTradingAccount,
    ) -> Result<Option<SessionCredentials>, Error> {
        let now = self.identity.clock.now();
        let Some(session) = account.session.as_ref().filter(|session| session.expires_at > now) else {
            return Ok(None);
        };
        let [api_key, access_token] = self.open(asked, account, &session.sealed, Sealed::Session).await?;
        Ok(Some(SessionCredentials { api_key, access_token }))
    }

    async fn open<const N: usize>(
        &self,
        asked: Asked<'_>,
        account: &StoredTradingAccount,
        sealed: &SealedSecret,
        purpose: Sealed,
    ) -> Result<[SecretString; N], Error> {
        let is_its_own = (account.owner, account.id) == (asked.owner, asked.id);
        let context = context(asked.owner, asked.id, &account.broker, purpose);
        let opened = if is_its_own {
            sealing::open(sealed, &context, self.key_wrap.as_ref()).await
        } else {
            Err(KeyWrapError::Refused.into())
        };
        let opened: SecretSlice<u8> = match opened {
            Ok(opened) => opened,
            Err(portcullis_identity::Error::KeyWrap(KeyWrapError::Refused)) => {
                return Err(self.unreadable(asked).await?);
            }
            Err(error) => return Err(error.into()),
        };
        match parts::split(&opened) {
            Some(parts) => Ok(parts),
            None => Err(self.unreadable(asked).await?),
        }
    }

    async fn unreadable(&self, asked: Asked<'_>) -> Result<Error, Error> {
        self.note(AuditKind::CredentialsUnreadable, asked).await?;
        tracing::error!(account = %asked.id, "sealed credentials do not open where they lie");
        Ok(Error::Unreadable)
    }

    /// Writes an event about what was asked for. Nothing is released before it is there.
    pub(crate) async fn note(&self, kind: AuditKind, asked: Asked<'_>) -> Result<(), Error> {
        let mut event = self.event(kind, asked.owner, Some(asked.id), asked.origin)?;
        if let Some((service, purpose)) = asked.service {
            event.actor = Actor::Service(service.to_owned());
            event.service = Some(service.to_owned());
            event.purpose = Some(purpose.to_owned());
        }
        Ok(self.store().record(&event).await?)
    }
}
