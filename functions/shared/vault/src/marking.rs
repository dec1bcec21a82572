//! Marks of administrators: a mark overrides a provider's counted health until it expires, and the administrator's trail
//! records it.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_identity::{Caller, ClientContext, Field};
use portcullis_store::{Actor, AuditEvent, AuditKind, ProviderMark};

use crate::Vault;
use crate::error::Error;
use crate::providers::HealthStatus;

/// The longest lifetime of a mark.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The time in the record of a mark that does not expire: the year 9999.
const NEVER: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// A provider's health as an administrator sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The health to report.
    pub status: HealthStatus,
    /// The reason, shown beside the health.
    pub reason: Option<String>,
    /// How long the mark overrides the counted health; `None` until it is removed.
    pub lasts: Option<Duration>,
}

/// Returns when a mark expires; `None` for one that does not. In the table it has a time that nobody lives to see.
pub fn end_of(mark: &ProviderMark) -> Option<Timestamp> {
    Some(mark.expires_at).filter(|end| *end < NEVER)
}

impl Vault {
    /// Overrides a provider's counted health for a while; fails when the provider is unknown or the mark would last longer
    /// than a week.
    pub async fn mark_provider(
        &self,
        caller: &Caller,
        name: &str,
        mark: Mark,
        origin: &ClientContext,
    ) -> Result<(), Error> {
        self.providers.known(name)?;
        if mark.lasts.is_some_and(|lasts| lasts.is_zero() || lasts > LONGEST) {
            let detail = format!("must be 1 to {} seconds", LONGEST.as_secs());
            return Err(Error::invalid(Field::ExpiresIn, detail));
        }
        let end = mark.lasts.map(|lasts| self.identity.clock.now() + lasts);
        let status = mark.status.as_str();
        let mut event = self.event_of_provider(AuditKind::ProviderMarked, caller, name, origin)?;
        let until = end.map_or_else(|| "removed".to_owned(), |end| end.to_string());
        event.purpose = Some(format!("{status} until {until}"));
        event.details.reason.clone_from(&mark.reason);
        let expires_at = end.unwrap_or(NEVER);
        let mark = ProviderMark { status: status.to_owned(), reason: mark.reason, expires_at };
        Ok(self.store().mark_provider(name, &mark, &event).await?)
    }

    /// Removes a provider's mark, so that the counted health is reported again; fails when the provider is unknown.
    pub async fn unmark_provider(
        &self,
        caller: &Caller,
        name: &str,
        origin: &ClientContext,
    ) -> Result<(), Error> {
        self.providers.known(name)?;
        let event = self.event_of_provider(AuditKind::ProviderUnmarked, caller, name, origin)?;
        Ok(self.store().unmark_provider(name, &event).await?)
    }

    /// Returns an event about a provider. Providers have no trail of their own, so it goes into the administrator's.
    fn event_of_provider(
        &self,
        kind: AuditKind,
        caller: &Caller,
        name: &str,
        origin: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        let mut event = self.identity.audit_event(kind, caller.account.id, origin)?;
        event.actor = Actor::Admin(caller.account.id);
        event.session = Some(caller.session.made.id);
        event.target = Some(name.to_owned());
        Ok(event)
    }
}
