//! Asking a person for an approval: who may, how often, and what becomes of it.
//!
//! What a request is decided on is read beside whatever tells who asks, and everything is decided by one write: that the account
//! is in use, the trading account linked, nothing frozen, a place free, and the request not carried out before.

use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_store::{
    Account, AccountId, Actor, Approval, ApprovalAsked, ApprovalGround, ApprovalId, ApprovalRate,
    ApprovalStatus, AuditEvent, AuditKind, Id, IdempotentRequest, Round, StoredTradingAccount,
    TradingAccountStatus, until_settled,
};
use secrecy::SecretString;

use super::RESOURCE;
use super::details::AuthorizationDetails;
use super::display::in_words;
use super::views::{ApprovalState, ApprovalView};
use crate::access::principal::{KeyHolder, Principal};
use crate::access::services::Service;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::limits::APPROVALS;
use crate::notifications::Notification;
use crate::{ClientContext, Identity};

/// How long a person has to decide, in seconds.
const SECONDS: RangeInclusive<u64> = 1..=900;
/// The longest of them.
pub const LONGEST_APPROVAL: Duration = Duration::from_mins(15);
/// What they have unless the request says otherwise.
const UNLESS_SAID: Duration = Duration::from_mins(5);

/// Who asks for an approval, not verified yet.
#[derive(Debug, Clone, Copy)]
pub enum ApprovalAsker<'a> {
    /// The person who is to approve it, by an access token.
    Person(&'a str),
    /// A program of that person's, by an API key.
    Key(&'a SecretString),
    /// A service that is known, and the person it asks.
    Service(&'a Service, AccountId),
}

/// What somebody wants to have approved.
#[derive(Debug)]
pub struct ApprovalRequest {
    /// The order that is to be approved.
    pub details: AuthorizationDetails,
    /// How many seconds the person has to decide; five minutes where it is not said.
    pub expires_in: Option<u64>,
    /// The idempotency key of the request, if the client may send it again.
    pub idempotency_key: Option<String>,
}

/// Who asks, verified.
struct Asking {
    owner: Account,
    /// As the approval names it.
    by: String,
    key: Option<KeyHolder>,
    service: Option<String>,
}

/// Returns how an approval names a service that asked for it.
pub(super) fn by_service(name: &str) -> String {
    format!("service:{name}")
}

impl Identity {
    /// Asks a person for the approval of an order and returns it, pending. Sent again with the same idempotency key, it returns
    /// the same approval as it is by then. Fails as [`Identity::authenticate`] and [`Identity::authenticate_key`] do; with
    /// [`Error::Forbidden`] for a key or a service without the right to ask; with [`Error::NotFound`] where a service names
    /// nobody; with [`Error::Invalid`] for a trading account that is not theirs or a time that is too long; with
    /// [`Error::Frozen`], [`Error::TradingAccountDisabled`], [`Error::TooManyApprovals`], [`Error::TooManyAttempts`], or
    /// [`Error::IdempotencyKeyReused`].
    pub async fn ask_for_approval(
        &self,
        asker: ApprovalAsker<'_>,
        wanted: &ApprovalRequest,
        client: &ClientContext,
    ) -> Result<ApprovalView, Error> {
        let lifetime = lifetime(wanted.expires_in)?;
        let (asking, ground) = Box::pin(self.who_asks(asker, wanted)).await?;
        let request = self.approval_request(&asking, wanted, lifetime)?;
        let id = Id::generate(self.clock.now(), self.entropy.as_ref())?;
        let mut ground = Some(ground);
        let (asking, request) = (&asking, request.as_ref());
        let settled = until_settled(|| {
            let ground = ground.take();
            async move {
                let ground = match ground {
                    Some(ground) => ground,
                    None => Box::pin(self.approval_ground(asking.owner.id, wanted)).await?,
                };
                Box::pin(self.ask_once(asking, (id, lifetime), wanted, &ground, request, client)).await
            }
        });
        let view = Box::pin(settled).await?;
        if view.approval.id == id {
            self.notify(&asking.owner.email, &Notification::ApprovalRequested).await;
        }
        Ok(view)
    }

    /// Verifies who asks and reads, beside what that takes, what the request is decided on.
    async fn who_asks(
        &self,
        asker: ApprovalAsker<'_>,
        wanted: &ApprovalRequest,
    ) -> Result<(Asking, ApprovalGround), Error> {
        let ground = |owner: AccountId| self.approval_ground(owner, wanted);
        match asker {
            ApprovalAsker::Person(token) => {
                let (caller, ground) = Box::pin(self.authenticate_beside(token, ground)).await?;
                let by = "self".to_owned();
                Ok((Asking { owner: caller.account, by, key: None, service: None }, ground))
            }
            ApprovalAsker::Key(key) => {
                let (holder, ground) = Box::pin(self.authenticate_key_beside(key, ground)).await?;
                let by = format!("key:{}", holder.key.id);
                let principal = Principal::Key(Box::new(holder.clone()));
                principal.require(&self.settings.policy, RESOURCE, "request")?;
                let owner = holder.account.clone();
                Ok((Asking { owner, by, key: Some(holder), service: None }, ground))
            }
            ApprovalAsker::Service(service, owner) => {
                service.require(RESOURCE, "request")?;
                let account = async { Ok(self.store.account(owner).await?) };
                let (account, ground) = tokio::try_join!(account, ground(owner))?;
                let owner = account.filter(|account| self.admit(account).is_ok()).ok_or(Error::NotFound)?;
                let by = by_service(&service.name);
                Ok((Asking { owner, by, key: None, service: Some(service.name.clone()) }, ground))
            }
        }
    }

    async fn approval_ground(
        &self,
        owner: AccountId,
        wanted: &ApprovalRequest,
    ) -> Result<ApprovalGround, Error> {
        let account = wanted.details.order.account_id;
        Ok(Box::pin(self.store.approval_ground(owner, account, self.clock.now())).await?)
    }

    /// Decides a request on what was read, and writes it. `Raced` where that has changed since.
    async fn ask_once(
        &self,
        asking: &Asking,
        (id, lifetime): (ApprovalId, Duration),
        wanted: &ApprovalRequest,
        ground: &ApprovalGround,
        request: Option<&IdempotentRequest>,
        client: &ClientContext,
    ) -> Result<Round<ApprovalView>, Error> {
        let (owner, now) = (&asking.owner, self.clock.now());
        let rate = APPROVALS.rate_of_approvals(now, self.settings.rate_limit);
        let (account, place) = match self.room(ground, &rate, now) {
            Ok(found) => found,
            Err(refusal) => {
                // The first of two equal requests may have taken the last place, and its answer been lost.
                let first = self.first_request(request, now).await?.ok_or(refusal)?;
                return Ok(Round::Settled(self.asked_before(asking, first).await?));
            }
        };
        let approval = Approval {
            id,
            owner: owner.id,
            session_epoch: owner.session_epoch,
            freezes: ground.freeze_count,
            trading_account: account.id,
            details: wanted.details.canonical().to_owned(),
            digest: wanted.details.digest(),
            display: in_words(&wanted.details.order, account),
            asked_by: asking.by.clone(),
            place,
            status: ApprovalStatus::Pending,
            created_at: now,
            expires_at: now + lifetime,
            decision: None,
            redemption: None,
        };
        let event = self.event_of_request(asking, &approval, client)?.behind(ground.end.clone());
        let kept_until = now + self.settings.audit_retention;
        let asked = self
            .store
            .ask_for_approval(&approval, (&ground.open, &rate), request, kept_until, &event)
            .await?;
        match asked {
            ApprovalAsked::Asked => {
                Ok(Round::Settled(ApprovalView { approval, state: ApprovalState::Pending }))
            }
            ApprovalAsked::Repeated(first) => Ok(Round::Settled(self.asked_before(asking, first).await?)),
            ApprovalAsked::KeyReused => Err(Error::IdempotencyKeyReused),
            ApprovalAsked::AccountChanged if asking.service.is_some() => Err(Error::NotFound),
            ApprovalAsked::AccountChanged if asking.key.is_some() => Err(Error::InvalidApiKey),
            ApprovalAsked::AccountChanged => Err(Error::InvalidAccessToken),
            // What has changed says which error it is.
            ApprovalAsked::Frozen | ApprovalAsked::NotLinked | ApprovalAsked::Raced => Ok(Round::Raced),
        }
    }

    /// Returns the trading account that is to be ordered with, and a place for the approval; fails where there is none of either.
    fn room<'a>(
        &self,
        ground: &'a ApprovalGround,
        rate: &ApprovalRate,
        now: Timestamp,
    ) -> Result<(&'a StoredTradingAccount, u8), Error> {
        let account = usable(ground)?;
        if ground.open.is_over(rate) {
            return Err(Error::TooManyAttempts { retry_after: rate.ends.duration_since(now).unsigned_abs() });
        }
        let mut chance = [0];
        self.entropy.fill(&mut chance)?;
        let [chance] = chance;
        let place = ground.open.free_place(now, chance).ok_or(Error::TooManyApprovals)?;
        Ok((account, place))
    }

    /// Returns the approval that an earlier request like this one asked for, if there was one.
    async fn first_request(
        &self,
        request: Option<&IdempotentRequest>,
        now: Timestamp,
    ) -> Result<Option<ApprovalId>, Error> {
        match request {
            Some(request) => Ok(self.store.first_request_for_approval(request, now).await?),
            None => Ok(None),
        }
    }

    /// Returns the approval that an earlier request with the same idempotency key asked for.
    async fn asked_before(&self, asking: &Asking, first: ApprovalId) -> Result<ApprovalView, Error> {
        self.view_of(&asking.owner, first).await
    }

    fn event_of_request(
        &self,
        asking: &Asking,
        approval: &Approval,
        client: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        let mut event = self.audit_event(AuditKind::ApprovalRequested, approval.owner, client)?;
        event.target = Some(approval.id.to_string());
        if let Some(key) = &asking.key {
            event.details.key_name = Some(key.key.name.clone());
        }
        if let Some(service) = &asking.service {
            event.actor = Actor::Service(service.clone());
            event.service = Some(service.clone());
        }
        Ok(event)
    }

    /// Returns what a request that may be repeated is remembered by; who asks, and whom, are part of the key.
    fn approval_request(
        &self,
        asking: &Asking,
        wanted: &ApprovalRequest,
        lifetime: Duration,
    ) -> Result<Option<IdempotentRequest>, Error> {
        let Some(key) = wanted.idempotency_key.as_deref() else { return Ok(None) };
        let (owner, by) = (asking.owner.id.to_string(), asking.by.as_bytes());
        let parts = [b"approval", owner.as_bytes(), by, key.as_bytes()];
        let key_digest = BASE64URL.encode(self.keyring.fingerprint(&parts)?);
        let seconds = lifetime.as_secs().to_string();
        let fingerprint =
            self.keyring.fingerprint(&[wanted.details.canonical().as_bytes(), seconds.as_bytes()])?;
        Ok(Some(IdempotentRequest { key_digest, fingerprint }))
    }
}

/// Returns how long a person has to decide; fails for more than a quarter of an hour, and for none.
fn lifetime(wanted: Option<u64>) -> Result<Duration, Error> {
    match wanted {
        None => Ok(UNLESS_SAID),
        Some(seconds) if SECONDS.contains(&seconds) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(Error::Invalid(InvalidField::new(Field::ExpiresIn, "must be 1 to 900 seconds"))),
    }
}

/// Returns the trading account that is to be ordered with; fails where it is not the person's, or must not be used.
fn usable(ground: &ApprovalGround) -> Result<&StoredTradingAccount, Error> {
    let unknown = "names a trading account that the person has not linked";
    let account = ground
        .trading_account
        .as_ref()
        .ok_or_else(|| Error::Invalid(InvalidField::new(Field::AuthorizationDetails, unknown)))?;
    if ground.freezes.any() {
        return Err(Error::Frozen);
    }
    if account.status == TradingAccountStatus::Disabled {
        return Err(Error::TradingAccountDisabled);
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_a_quarter_of_an_hour_at_most() {
        for (wanted, seconds) in [(None, 300), (Some(1), 1), (Some(900), 900)] {
            assert_eq!(lifetime(wanted).unwrap(), Duration::from_secs(seconds));
        }
        for wanted in [0, 901, 1_000_000, u64::MAX] {
            assert!(matches!(lifetime(Some(wanted)), Err(Error::Invalid(_))), "{wanted}");
        }
        assert_eq!(LONGEST_APPROVAL.as_secs(), *SECONDS.end());
    }
}
