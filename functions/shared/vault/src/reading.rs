//! Release of credentials to services.

use portcullis_identity::{ClientContext, CredentialKind, CredentialRights, Field, Service};
use portcullis_store::{
    Account, AccountStatus, AuditKind, Freeze, StoredTradingAccount, TradingAccountId, TradingAccountStatus,
};
use secrecy::SecretString;

use crate::Vault;
use crate::account_fields::Purpose;
use crate::error::Error;
use crate::opening::AccessRequest;

/// The name of the counter that limits how often a service reads.
const OPERATION: &str = "credentials";

/// Credentials on their way to a service, and nowhere else.
#[derive(Debug)]
pub struct ReleasedCredentials {
    /// The id of the trading account, `acc_…`.
    pub id: TradingAccountId,
    /// The broker's name.
    pub broker: String,
    /// The owner's user id at the broker.
    pub broker_user: String,
    /// The API key.
    pub api_key: SecretString,
    /// The API secret; `None` for a service that may read sessions alone.
    pub api_secret: Option<SecretString>,
    /// The access token of the session at the broker, where there is one.
    pub access_token: Option<SecretString>,
}

impl Vault {
    /// Returns an account's credentials for a service with a right to them; fails when the service has no such right or
    /// reads too often, names no purpose where it has to, and when the account is unknown, frozen or disabled. An event with the service, its purpose and
    /// the request is in the owner's trail before anything is released; a refusal leaves one too.
    pub async fn read_credentials(
        &self,
        service: &Service,
        id: TradingAccountId,
        purpose: Option<Purpose>,
        origin: &ClientContext,
    ) -> Result<ReleasedCredentials, Error> {
        let rights = service
            .credential_rights()
            .ok_or(portcullis_identity::Error::Forbidden("The service has no right to read credentials."))?;
        if purpose.is_none() && rights.purpose_required {
            return Err(Error::invalid(Field::Purpose, "is required of this service"));
        }
        let purpose = purpose.unwrap_or_else(Purpose::unspecified);
        let now = self.identity.clock.now();
        let (wait, owner) = tokio::try_join!(
            self.store().reserve_request(OPERATION, &service.name, rights.per_minute, now),
            self.store().trading_account_owner(id),
        )?;
        if let Some(retry_after) = wait {
            return Err(Error::TooManyReads { retry_after });
        }
        let owner = owner.ok_or_else(Error::not_found)?;
        let access = AccessRequest { owner, id, origin, service: Some((&service.name, &purpose.0)) };
        let account = Box::pin(self.admitted(access, rights)).await?;
        let released = match rights.kind {
            CredentialKind::LongLived => self.release_all(access, account).await?,
            CredentialKind::Session => self.release_session(access, account).await?,
        };
        // A freeze may have been written since the first check, while the credentials were decrypted and the event was
        // written. This second check comes after the event: whichever of the two is first, nothing is released whose event
        // stands behind the freeze's in the owner's trail.
        Box::pin(self.admitted(access, rights)).await?;
        Ok(released)
    }

    /// Returns the account; fails, and leaves an event, when a service with these rights may not read it now.
    async fn admitted(
        &self,
        access: AccessRequest<'_>,
        rights: &CredentialRights,
    ) -> Result<StoredTradingAccount, Error> {
        let (account, person, freeze) = tokio::try_join!(
            self.store().trading_account(access.owner, access.id),
            self.store().account(access.owner),
            self.store().freeze(access.owner),
        )?;
        let account = account.ok_or_else(Error::not_found)?;
        match admit(rights, &account, person.as_ref(), freeze) {
            Ok(()) => Ok(account),
            Err(refusal) => {
                self.record_event(AuditKind::CredentialsRefused, access).await?;
                Err(refusal)
            }
        }
    }

    /// Returns the long-lived credentials and the session, after the event is written.
    async fn release_all(
        &self,
        access: AccessRequest<'_>,
        account: StoredTradingAccount,
    ) -> Result<ReleasedCredentials, Error> {
        let credentials = self.open_credentials(access, &account).await?;
        let session = self.open_session(access, &account).await?;
        self.record_event(AuditKind::CredentialsRead, access).await?;
        Ok(ReleasedCredentials {
            id: account.id,
            broker: account.broker,
            broker_user: account.broker_user,
            api_key: credentials.api_key,
            api_secret: Some(credentials.api_secret),
            access_token: session.map(|session| session.access_token),
        })
    }

    /// Returns the session alone, after the event is written; fails with [`Error::NoBrokerSession`] where there is none.
    /// The long-lived secret is never decrypted for such a service.
    async fn release_session(
        &self,
        access: AccessRequest<'_>,
        account: StoredTradingAccount,
    ) -> Result<ReleasedCredentials, Error> {
        let Some(session) = self.open_session(access, &account).await? else {
            self.record_event(AuditKind::CredentialsRefused, access).await?;
            return Err(Error::NoBrokerSession);
        };
        self.record_event(AuditKind::CredentialsRead, access).await?;
        Ok(ReleasedCredentials {
            id: account.id,
            broker: account.broker,
            broker_user: account.broker_user,
            api_key: session.api_key,
            api_secret: None,
            access_token: Some(session.access_token),
        })
    }
}

/// Fails when a service with these rights may not read the account now.
fn admit(
    rights: &CredentialRights,
    account: &StoredTradingAccount,
    person: Option<&Account>,
    freeze: Option<Freeze>,
) -> Result<(), Error> {
    if !rights.brokers.contains(&account.broker) {
        let detail = "The service has no right to credentials of this broker.";
        return Err(portcullis_identity::Error::Forbidden(detail).into());
    }
    if freeze.is_some() {
        return Err(Error::Frozen);
    }
    let is_active = person.is_some_and(|person| person.status == AccountStatus::Active);
    if !is_active || account.status == TradingAccountStatus::Disabled {
        return Err(Error::Disabled);
    }
    Ok(())
}
