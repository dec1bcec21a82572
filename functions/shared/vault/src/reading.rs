//! Release of credentials to services.

use std::net::IpAddr;

use jiff::Timestamp;
use portcullis_identity::{ClientContext, CredentialKind, CredentialRights, Field, Service};
use portcullis_store::{
    Account, AccountId, AccountStatus, AuditKind, Freezes, LeaseKind, LeasePlace, ReadingLeaseId,
    StoredTradingAccount, TradingAccountId, TradingAccountStatus,
};
use secrecy::SecretString;

use crate::Vault;
use crate::account_fields::Purpose;
use crate::brokers::LoginBegins;
use crate::error::Error;
use crate::leases::{BegunLease, LeaseGround, LeaseSeat};
use crate::opening::{AccessBy, AccessRequest};

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
    /// The lease that the reading is in, and when that ends; `None` where there is none: during a freeze, or nowhere.
    pub lease: Option<(ReadingLeaseId, Timestamp)>,
    /// The addresses that orders have to be sent from; empty where the owner named none.
    pub order_ips: Vec<IpAddr>,
}

/// A service that reads.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    rights: &'a CredentialRights,
    /// Whether it may read sessions during a freeze, to cancel orders, and says that it does.
    cancels: bool,
}

/// How an account may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    /// As the rights of the service have it.
    Free,
    /// The session alone, because a freeze leaves time to cancel orders.
    DuringFreeze,
}

/// An account that may be read.
#[derive(Debug)]
struct Admitted {
    account: StoredTradingAccount,
    admission: Admission,
    /// None stands, or each leaves time to cancel orders.
    freezes: Freezes,
}

impl Vault {
    /// Returns an account's credentials for a service with a right to them; fails when the service has no such right or
    /// reads too often, names no purpose where it has to, and when the account is unknown, frozen or disabled. While a freeze
    /// leaves time to cancel orders, a service with the right to gets the session all the same. An event with the service, its
    /// purpose and the request is in the owner's trail before anything is released; a refusal leaves one too.
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
        let owner = self.owner_for(service, rights, id).await?;
        let by = AccessBy::Service(&service.name, &purpose.0);
        let access = AccessRequest { owner, id, origin, by, during_freeze: false };
        let reader = Reader { rights, cancels: purpose.is_to_cancel() && service.has("trading", "cancel") };
        let place = LeasePlace { owner, trading_account: id, service: &service.name, purpose: &purpose.0 };
        let terms = self.lease_terms(service, place);
        let (found, admitted) =
            tokio::join!(Box::pin(self.lease_found(terms)), Box::pin(self.admitted(access, reader)));
        let (Admitted { account, admission, freezes }, (found, count)) = (admitted?, found?);
        let access = AccessRequest { during_freeze: admission == Admission::DuringFreeze, ..access };
        let ground = LeaseGround::of(&account, &freezes, count);
        let terms = terms.filter(|_| admission == Admission::Free);
        let seat = terms.map(|terms| LeaseSeat { terms, ground, found });
        let kind = match (admission, rights.kind) {
            (Admission::Free, CredentialKind::LongLived) => LeaseKind::LongLived,
            (Admission::Free, CredentialKind::ByBroker) if self.has_no_sessions(&account.broker) => {
                LeaseKind::LongLived
            }
            // Whatever it may read otherwise: the secret that outlives the day cancels nothing.
            _ => LeaseKind::Session,
        };
        let (mut released, begun) = self.release(access, account, kind, seat).await?;
        // A freeze may have been written since the first check, while the credentials were decrypted and the event was
        // written. This second check comes after the event: whichever of the two is first, nothing is released whose event
        // stands behind the freeze's in the owner's trail. The same for everybody's freeze, which is in no owner's trail: it
        // was not there when the event was.
        let (kept, still) = tokio::join!(self.keep(begun), Box::pin(self.admitted(access, reader)));
        if still?.admission == admission {
            released.lease = released.lease.or(kept);
            return Ok(released);
        }
        // What was opened freely is not what may be read during a freeze; and of a reading that is on record as one during
        // a freeze, the record would be wrong.
        self.record_event(AuditKind::CredentialsRefused, access).await?;
        Err(Error::Frozen)
    }

    /// Returns whether a broker has no sessions, so that nothing but the long-lived credentials opens an account there. False for one
    /// that this deployment no longer has.
    fn has_no_sessions(&self, broker: &str) -> bool {
        self.brokers().get(broker).is_some_and(|broker| broker.login_begins() == LoginBegins::Never)
    }

    /// Returns the owner of an account that a service asks for; fails when it asks too often, or there is no such account.
    async fn owner_for(
        &self,
        service: &Service,
        rights: &CredentialRights,
        id: TradingAccountId,
    ) -> Result<AccountId, Error> {
        let now = self.identity.clock.now();
        let (wait, owner) = tokio::try_join!(
            self.store().reserve_request(OPERATION, &service.name, rights.per_minute, now),
            self.store().trading_account_owner(id),
        )?;
        match wait {
            Some(retry_after) => Err(Error::TooManyReads { retry_after }),
            None => owner.ok_or_else(Error::not_found),
        }
    }

    /// Returns the account, and how it may be read; fails, and leaves an event, when this service may not read it now.
    async fn admitted(&self, access: AccessRequest<'_>, reader: Reader<'_>) -> Result<Admitted, Error> {
        let now = self.identity.clock.now();
        let (account, person, freezes) = tokio::try_join!(
            self.store().trading_account(access.owner, access.id),
            self.store().account(access.owner),
            self.store().freezes(access.owner, now),
        )?;
        let account = account.ok_or_else(Error::not_found)?;
        // The time after the reads: what they took is not added to the time for cancelling.
        match admit(reader, &account, person.as_ref(), &freezes, self.identity.clock.now()) {
            Ok(admission) => Ok(Admitted { account, admission, freezes }),
            Err(refusal) => {
                self.record_event(AuditKind::CredentialsRefused, access).await?;
                Err(refusal)
            }
        }
    }

    /// Returns what is read of this kind, after the event is written: out of the lease that goes on, or decrypted, which begins
    /// one in place of that which was found. Fails with [`Error::NoBrokerSession`] where there is no session, and nothing else is to be read.
    async fn release(
        &self,
        access: AccessRequest<'_>,
        account: StoredTradingAccount,
        kind: LeaseKind,
        seat: Option<LeaseSeat<'_>>,
    ) -> Result<(ReleasedCredentials, Option<BegunLease>), Error> {
        let Some(seat) = seat else {
            let released = self.decrypted(access, &account, kind).await?;
            self.record_event(AuditKind::CredentialsRead, access).await?;
            return Ok((released, None));
        };
        if let Some(released) = self.release_again(access, &seat, &account, kind).await? {
            return Ok((released, None));
        }
        let released = self.decrypted(access, &account, kind).await?;
        let lease = self.begin_lease(access, &seat, &account, &released).await?;
        Ok((released, Some((lease, seat.found.map(|found| found.id)))))
    }

    /// Returns what is decrypted for a reading of this kind. For one of the session alone the long-lived secret is never
    /// decrypted.
    async fn decrypted(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
        kind: LeaseKind,
    ) -> Result<ReleasedCredentials, Error> {
        let session = self.open_session(access, account).await?;
        let (api_key, api_secret, access_token) = match (kind, session) {
            (LeaseKind::LongLived, session) => {
                let credentials = self.open_credentials(access, account).await?;
                let token = session.map(|session| session.access_token);
                (credentials.api_key, Some(credentials.api_secret), token)
            }
            (LeaseKind::Session, Some(session)) => (session.api_key, None, Some(session.access_token)),
            (LeaseKind::Session, None) => {
                self.record_event(AuditKind::CredentialsRefused, access).await?;
                return Err(Error::NoBrokerSession);
            }
        };
        let (broker, broker_user) = (account.broker.clone(), account.broker_user.clone());
        Ok(ReleasedCredentials {
            id: account.id,
            broker,
            broker_user,
            api_key,
            api_secret,
            access_token,
            lease: None,
            order_ips: account.order_ips.clone().unwrap_or_default(),
        })
    }
}

/// Returns how a service may read the account now; fails when it may not.
fn admit(
    reader: Reader<'_>,
    account: &StoredTradingAccount,
    person: Option<&Account>,
    freezes: &Freezes,
    now: Timestamp,
) -> Result<Admission, Error> {
    if !reader.rights.brokers.contains(&account.broker) {
        let detail = "The service has no right to credentials of this broker.";
        return Err(portcullis_identity::Error::Forbidden(detail).into());
    }
    let admission = match freezes.any() {
        false => Admission::Free,
        true if reader.cancels && freezes.let_cancel(now) => Admission::DuringFreeze,
        true => return Err(Error::Frozen),
    };
    let is_active = person.is_some_and(|person| person.status == AccountStatus::Active);
    if !is_active || account.status == TradingAccountStatus::Disabled {
        return Err(Error::Disabled);
    }
    Ok(admission)
}
