//! Leases of readings: a service that reads again for the same purpose is given the same again, without a request to the
//! provider of the master key.
//!
//! A lease gives no right and saves no check: [`Vault::read_credentials`] asks everything of a reading within one that it asks
//! of the first, and tells the owner's trail of each. It saves the decryption alone. What was read lies in the table until
//! the lease ends, sealed under a key that is made of a secret of the deployment and the token that the service presents, and
//! bound to everything that the lease names.

use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use portcullis_identity::{Caller, LeaseSecret, Service, sealing};
use portcullis_platform::EncryptionContext;
use portcullis_store::{
    AuditEvent, AuditKind, Digest, Freezes, Id, LeaseKind, LeasePlace, ReadingLease, ReadingLeaseId,
    StoredTradingAccount, TradingAccountId,
};
use secrecy::{ExposeSecret, SecretString};

use crate::Vault;
use crate::error::Error;
use crate::length_prefixed;
use crate::opening::AccessRequest;
use crate::reading::ReleasedCredentials;

/// How many leases of one account its owner is shown: more than services and purposes of theirs.
const MOST_SHOWN: usize = 200;

/// A lease, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The id of the lease, `lse_…`.
    pub id: ReadingLeaseId,
    /// The service that was given the credentials.
    pub service: String,
    /// The purpose that it named.
    pub purpose: String,
    /// How much of the account it was given.
    pub kind: LeaseKind,
    /// When it read first.
    pub begun_at: Timestamp,
    /// Until when it is given the same again.
    pub expires_at: Timestamp,
}

/// What decides whether a lease goes on.
#[derive(Debug)]
pub(crate) struct LeaseGround {
    /// How often the owner's credentials were frozen.
    pub(crate) freezes: u64,
    /// When everybody's were frozen last.
    pub(crate) everybody_since: Option<Timestamp>,
    /// What is stored of the account.
    pub(crate) sealed_digest: Digest,
}

impl LeaseGround {
    pub(crate) fn of(account: &StoredTradingAccount, freezes: &Freezes, freeze_count: u64) -> Self {
        let sealed_digest = digest_of(account);
        Self { freezes: freeze_count, everybody_since: freezes.everybody_since, sealed_digest }
    }

    /// Returns whether the lease goes on at this time: it has not expired, nothing was frozen since it began, and what it was
    /// made of is still what is stored.
    fn bears(&self, lease: &ReadingLease, now: Timestamp) -> bool {
        now < lease.expires_at
            && lease.freezes == self.freezes
            && self.everybody_since.is_none_or(|since| since < lease.begun_at)
            && lease.sealed_digest == self.sealed_digest
    }
}

/// On what terms a reading is leased.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseTerms<'a> {
    place: LeasePlace<'a>,
    secret: &'a LeaseSecret,
    length: Duration,
}

/// The lease that a reading is in, or that it may begin.
#[derive(Debug)]
pub(crate) struct LeaseSeat<'a> {
    pub(crate) terms: LeaseTerms<'a>,
    pub(crate) ground: LeaseGround,
    /// What is under this place, over or not.
    pub(crate) found: Option<ReadingLease>,
}

/// A lease that began, and the one that was found in its place.
pub(crate) type BegunLease = (ReadingLease, Option<ReadingLeaseId>);

impl Vault {
    /// Returns what is leased of one of the caller's accounts now, by the names of the services; fails when they have no such
    /// account.
    pub async fn leases(&self, caller: &Caller, id: TradingAccountId) -> Result<Vec<Lease>, Error> {
        self.may(caller, "read")?;
        let (owner, now) = (caller.account.id, self.identity.clock.now());
        let account = self.own(caller, id).await?;
        let (freezes, count, found) = tokio::try_join!(
            self.store().freezes(owner, now),
            self.store().freeze_count(owner),
            self.store().reading_leases(owner, id, MOST_SHOWN),
        )?;
        if freezes.any() {
            return Ok(Vec::new());
        }
        let ground = LeaseGround::of(&account, &freezes, count);
        Ok(found.into_iter().filter(|lease| ground.bears(lease, now)).map(Lease::of).collect())
    }

    /// Returns the terms of a reading of this service, or `None` where nothing is leased.
    pub(crate) fn lease_terms<'a>(
        &self,
        service: &'a Service,
        place: LeasePlace<'a>,
    ) -> Option<LeaseTerms<'a>> {
        let length = Some(self.credential_lease).filter(|length| !length.is_zero())?;
        Some(LeaseTerms { place, secret: service.lease_secret()?, length })
    }

    /// Returns what is under the place of this reading, and how often its owner's credentials were frozen; asks for nothing
    /// where nothing is leased.
    pub(crate) async fn lease_found(
        &self,
        terms: Option<LeaseTerms<'_>>,
    ) -> Result<(Option<ReadingLease>, u64), Error> {
        let Some(LeaseTerms { place, .. }) = terms else { return Ok((None, 0)) };
        Ok(tokio::try_join!(self.store().reading_lease(place), self.store().freeze_count(place.owner))?)
    }

    /// Returns what was read before in the same lease, after the event is written; `None` where there is no lease of this kind
    /// that goes on, or it does not open.
    pub(crate) async fn release_again(
        &self,
        access: AccessRequest<'_>,
        seat: &LeaseSeat<'_>,
        account: &StoredTradingAccount,
        kind: LeaseKind,
    ) -> Result<Option<ReleasedCredentials>, Error> {
        let now = self.identity.clock.now();
        let goes_on = |lease: &&ReadingLease| lease.kind == kind && seat.ground.bears(lease, now);
        let Some(lease) = seat.found.as_ref().filter(goes_on) else { return Ok(None) };
        // It does not open where the token of the service, or the secret of the deployment, was replaced since.
        let Some(released) = open(seat.terms.secret, lease, account) else { return Ok(None) };
        let event = self.event_in(access, lease)?;
        self.store().record(&event).await?;
        Ok(Some(released))
    }

    /// Has a lease begin with this reading, and writes the event of it. [`Vault::keep`] has yet to store it.
    pub(crate) async fn begin_lease(
        &self,
        access: AccessRequest<'_>,
        seat: &LeaseSeat<'_>,
        account: &StoredTradingAccount,
        released: &ReleasedCredentials,
    ) -> Result<ReadingLease, Error> {
        let lease = self.lease_of(seat, account, released)?;
        let mut event = self.event_in(access, &lease)?;
        event.details.until = Some(lease.expires_at.to_string());
        self.store().record(&event).await?;
        Ok(lease)
    }

    /// Stores a lease that began, and returns the one that the next reading is in: of readings that begin at once one is
    /// kept. `None` where the store fails: the next reading begins another one. It comes behind the record of the reading, and
    /// gives nobody anything that a reading is not asked for.
    pub(crate) async fn keep(&self, begun: Option<BegunLease>) -> Option<(ReadingLeaseId, Timestamp)> {
        let (lease, seen) = begun?;
        match self.store().keep_reading_lease(&lease, seen).await {
            Ok(other) => {
                let kept = other.unwrap_or(lease);
                Some((kept.id, kept.expires_at))
            }
            Err(error) => {
                tracing::warn!(%error, account = %lease.trading_account, "a lease of a reading is not kept");
                None
            }
        }
    }

    /// Returns a lease of what was read, sealed.
    fn lease_of(
        &self,
        seat: &LeaseSeat<'_>,
        account: &StoredTradingAccount,
        released: &ReleasedCredentials,
    ) -> Result<ReadingLease, Error> {
        let LeaseTerms { place, secret: sealing_secret, length } = seat.terms;
        let (now, entropy) = (self.identity.clock.now(), self.identity.entropy.as_ref());
        let of_session = account.session.as_ref().filter(|_| released.access_token.is_some());
        let ends = [Some(now + length), of_session.map(|session| session.expires_at)];
        let mut lease = ReadingLease {
            id: Id::generate(now, entropy)?,
            owner: place.owner,
            trading_account: place.trading_account,
            service: place.service.to_owned(),
            purpose: place.purpose.to_owned(),
            kind: if released.api_secret.is_some() { LeaseKind::LongLived } else { LeaseKind::Session },
            begun_at: now,
            expires_at: ends.into_iter().flatten().min().unwrap_or(now),
            freezes: seat.ground.freezes,
            sealed_digest: seat.ground.sealed_digest,
            ciphertext: Vec::new(),
        };
        let none = SecretString::default();
        let secret = released.api_secret.as_ref().unwrap_or(&none);
        let token = released.access_token.as_ref().unwrap_or(&none);
        let joined = length_prefixed::join([&released.api_key, secret, token]);
        let failed = portcullis_identity::Error::Internal("there is no key for a lease");
        let key = sealing_secret.key_of(&lease.id.to_string()).ok_or(failed)?;
        lease.ciphertext =
            sealing::seal_under(key.as_ref(), &joined, &lease_context(&lease, account), entropy)?;
        Ok(lease)
    }

    /// Returns the event of a reading that is in this lease.
    fn event_in(&self, access: AccessRequest<'_>, lease: &ReadingLease) -> Result<AuditEvent, Error> {
        let mut event = self.event_of(AuditKind::CredentialsRead, access)?;
        event.details.lease = Some(lease.id.to_string());
        Ok(event)
    }
}

impl Lease {
    fn of(lease: ReadingLease) -> Self {
        let ReadingLease { id, service, purpose, kind, begun_at, expires_at, .. } = lease;
        Self { id, service, purpose, kind, begun_at, expires_at }
    }
}

/// Returns what is in a lease; `None` where it does not open.
fn open(
    secret: &LeaseSecret,
    lease: &ReadingLease,
    account: &StoredTradingAccount,
) -> Option<ReleasedCredentials> {
    let key = secret.key_of(&lease.id.to_string())?;
    let opened = sealing::open_under(key.as_ref(), &lease.ciphertext, &lease_context(lease, account))?;
    let [api_key, api_secret, access_token] = length_prefixed::split(&opened)?;
    // No secret of a broker is empty: that stands for none.
    let some = |secret: SecretString| Some(secret).filter(|secret| !secret.expose_secret().is_empty());
    Some(ReleasedCredentials {
        id: account.id,
        broker: account.broker.clone(),
        broker_user: account.broker_user.clone(),
        api_key,
        api_secret: some(api_secret),
        access_token: some(access_token),
        lease: Some((lease.id, lease.expires_at)),
        order_ips: account.order_ips.clone().unwrap_or_default(),
    })
}

/// Returns a digest of the sealed secrets of an account, the session's among them: each sealing is another ciphertext, be it of
/// the same secret.
fn digest_of(account: &StoredTradingAccount) -> Digest {
    let session = account.session.as_ref().map(|session| &session.sealed);
    let mut context = digest::Context::new(&digest::SHA256);
    for sealed in [Some(&account.credentials), session].into_iter().flatten() {
        for part in [&sealed.wrapped_key, &sealed.ciphertext] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Returns the context that is authenticated with what is in a lease: all that the lease names, so that no part of the row can
/// be put into another, and none be changed.
fn lease_context(lease: &ReadingLease, account: &StoredTradingAccount) -> EncryptionContext {
    EncryptionContext::new([
        ("purpose", "reading-lease".to_owned()),
        ("user_id", lease.owner.to_string()),
        ("account_id", lease.trading_account.to_string()),
        ("broker", account.broker.clone()),
        ("service", lease.service.clone()),
        ("reading_purpose", lease.purpose.clone()),
        ("kind", lease.kind.as_str().to_owned()),
        ("begun_at", lease.begun_at.as_millisecond().to_string()),
        ("expires_at", lease.expires_at.as_millisecond().to_string()),
        ("freezes", lease.freezes.to_string()),
        ("sealed", hex::encode(lease.sealed_digest)),
    ])
}
