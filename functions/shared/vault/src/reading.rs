//! What services are given.

use portcullis_identity::{CredentialKind, CredentialRights, Origin, Service};
use portcullis_store::{
    Account, AccountStatus, AuditKind, Freeze, StoredTradingAccount, TradingAccountId, TradingAccountStatus,
};
use secrecy::SecretString;

use crate::Vault;
use crate::account_fields::Purpose;
use crate::error::Error;
use crate::opening::Asked;

/// What the counter of a service's readings is called.
const OPERATION: &str = "credentials";

/// Credentials on their way to a service, and nowhere else.
#[derive(Debug)]
pub struct ReleasedCredentials {
    /// The account.
    pub id: TradingAccountId,
    /// The broker's name.
    pub broker: String,
    /// What the broker calls the owner.
    pub broker_user: String,
    /// The key.
    pub api_key: SecretString,
    /// The secret, for a service that may have it.
    pub api_secret: Option<SecretString>,
    /// The token of the broker's session, if there is one.
    pub access_token: Option<SecretString>,
}

impl Vault {
    /// The credentials of an account, for a service with a right to them. An event that names the service, its purpose
    /// and the request is in the owner's trail before anything is released; a refusal leaves one too.
    pub async fn read_credentials(
        &self,
        service: &Service,
        id: TradingAccountId,
        purpose: &Purpose,
        origin: &Origin,
    ) -> Result<ReleasedCredentials, Error> {
        let rights = service
            .credential_rights()
            .ok_or(portcullis_identity::Error::Forbidden("The service has no right to read credentials."))?;
        let now = self.identity.clock.now();
        let (wait, owner) = tokio::try_join!(
            self.store().take_turn(OPERATION, &service.name, rights.per_minute, now),
            self.store().trading_account_owner(id),
        )?;
        if let Some(retry_after) = wait {
            return Err(Error::TooManyReads { retry_after });
        }
        let owner = owner.ok_or_else(Error::not_found)?;
        let asked = Asked { owner, id, origin, service: Some((&service.name, &purpose.0)) };
        let account = Box::pin(self.admitted(asked, rights)).await?;
        let released = match rights.kind {
            CredentialKind::LongLived => self.release_all(asked, account).await?,
            CredentialKind::Session => self.release_session(asked, account).await?,
        };
        // What was stopped while seals were opened and the event was written stays here: once a freeze is answered,
        // nothing is released any more.
        Box::pin(self.admitted(asked, rights)).await?;
        Ok(released)
    }

    /// The account, if a service with these rights may have its credentials now. A refusal leaves an event.
    async fn admitted(
        &self,
        asked: Asked<'_>,
        rights: &CredentialRights,
    ) -> Result<StoredTradingAccount, Error> {
        let (account, person, freeze) = tokio::try_join!(
            self.store().trading_account(asked.owner, asked.id),
            self.store().account(asked.owner),
            self.store().freeze(asked.owner),
        )?;
        let account = account.ok_or_else(Error::not_found)?;
        match admit(rights, &account, person.as_ref(), freeze) {
            Ok(()) => Ok(account),
            Err(refusal) => {
                self.note(AuditKind::CredentialsRefused, asked).await?;
                Err(refusal)
            }
        }
    }

    async fn release_all(
        &self,
        asked: Asked<'_>,
        account: StoredTradingAccount,
    ) -> Result<ReleasedCredentials, Error> {
        let credentials = self.open_credentials(asked, &account).await?;
        let session = self.open_session(asked, &account).await?;
        self.note(AuditKind::CredentialsRead, asked).await?;
        Ok(ReleasedCredentials {
            id: account.id,
            broker: account.broker,
            broker_user: account.broker_user,
            api_key: credentials.api_key,
            api_secret: Some(credentials.api_secret),
            access_token: session.map(|session| session.access_token),
        })
    }

    /// The long-lived secret is not even opened.
    async fn release_session(
        &self,
        asked: Asked<'_>,
        account: StoredTradingAccount,
    ) -> Result<ReleasedCredentials, Error> {
        let Some(session) = self.open_session(asked, &account).await? else {
            self.note(AuditKind::CredentialsRefused, asked).await?;
            return Err(Error::NoBrokerSession);
        };
        self.note(AuditKind::CredentialsRead, asked).await?;
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

/// Whether a service with these rights may have them now.
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
