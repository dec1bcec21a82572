//! What services have to do with a freeze: they ask whether one stands, and those that cancel orders in its time say when
//! they are done.

use portcullis_identity::{ClientContext, Service};
use portcullis_store::{AccountId, AuditKind, Freezes, StoredTradingAccount, TradingAccountId};

use crate::Vault;
use crate::account_fields::CANCEL_ORDERS;
use crate::error::Error;
use crate::freezing::SessionEnd;
use crate::opening::{AccessBy, AccessRequest};

/// The name of the counter that limits how often a service says that it is done.
const OPERATION: &str = "freeze-ack";

/// What a service says that became of the orders of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled {
    /// How many it cancelled.
    pub cancelled: u32,
    /// How many it could not cancel.
    pub failed: u32,
}

impl Vault {
    /// Returns the freezes that stand in the way of reading an account's credentials; fails when the service has no right to
    /// know, and for an account that is unknown.
    pub async fn freezes_for(&self, service: &Service, id: TradingAccountId) -> Result<Freezes, Error> {
        if !service.has("trading", "cancel") {
            service.require("freeze", "read")?;
        }
        let owner = self.store().trading_account_owner(id).await?.ok_or_else(Error::not_found)?;
        self.standing_freezes(owner).await
    }

    /// Takes note of what a service says that became of an account's orders. Where none is left, its session is ended; otherwise
    /// the session goes on until the time for cancelling is over, so that the service or another one may try again. Returns how
    /// the session ended. Fails when the service may not cancel at this broker, and when no orders were to be cancelled.
    pub async fn acknowledge(
        &self,
        service: &Service,
        id: TradingAccountId,
        outcome: Cancelled,
        origin: &ClientContext,
    ) -> Result<SessionEnd, Error> {
        service.require("trading", "cancel")?;
        let rights = service
            .credential_rights()
            .ok_or(portcullis_identity::Error::Forbidden("The service has no right to read credentials."))?;
        let now = self.identity.clock.now();
        let (wait, owner) = tokio::try_join!(
            self.store().reserve_request(OPERATION, &service.name, rights.per_minute, now),
            self.store().trading_account_owner(id),
        )?;
        if let Some(retry_after) = wait {
            return Err(Error::TooManyReads { retry_after });
        }
        let owner = owner.ok_or_else(Error::not_found)?;
        let account = self.to_be_cancelled(service, owner, id).await?;
        let by = AccessBy::Service(&service.name, CANCEL_ORDERS);
        let access = AccessRequest { owner, id, origin, by, during_freeze: true };
        let mut event = self.event_of(AuditKind::OrdersCancelled, access)?;
        event.details.orders = Some((outcome.cancelled, outcome.failed));
        // Before the session is opened to end it: without its record nothing is.
        self.store().record(&event).await?;
        let Some(session) = self.open_session(access, &account).await? else { return Ok(SessionEnd::None) };
        if outcome.failed > 0 {
            return Ok(SessionEnd::Kept);
        }
        let broker = self.brokers().of_record(&account.broker)?;
        self.end_and_forget(access, broker, account, &session).await
    }

    /// Returns an account whose orders this service was to cancel.
    async fn to_be_cancelled(
        &self,
        service: &Service,
        owner: AccountId,
        id: TradingAccountId,
    ) -> Result<StoredTradingAccount, Error> {
        let account = async { Ok(self.store().trading_account(owner, id).await?) };
        let (account, freezes) = tokio::try_join!(account, Box::pin(self.standing_freezes(owner)))?;
        let account = account.ok_or_else(Error::not_found)?;
        if !service.cancels_at(&account.broker) {
            let detail = "The service has no right to credentials of this broker.";
            return Err(portcullis_identity::Error::Forbidden(detail).into());
        }
        // Also after the time for it: what was done is told, however late.
        if !freezes.all().any(|freeze| freeze.cancel_until.is_some()) {
            return Err(Error::NothingToCancel);
        }
        Ok(account)
    }
}
