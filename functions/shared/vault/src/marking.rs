//! What administrators say of a provider: it stands above what is counted until it runs out, and their trail tells of it.

use std::time::Duration;

use portcullis_identity::{Caller, Field, Origin};
use portcullis_store::{Actor, AuditEvent, AuditKind, ProviderMark};

use crate::Vault;
use crate::error::Error;
use crate::providers::HealthStatus;

/// No mark stands longer.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// What an administrator says of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// How it is.
    pub status: HealthStatus,
    /// Why, for whoever reads it.
    pub reason: Option<String>,
    /// For how long that is to count.
    pub lasts: Duration,
}

impl Vault {
    /// Says how a provider is for a while, whatever is counted.
    pub async fn mark_provider(
        &self,
        caller: &Caller,
        name: &str,
        mark: Mark,
        origin: &Origin,
    ) -> Result<(), Error> {
        self.providers.known(name)?;
        if mark.lasts.is_zero() || mark.lasts > LONGEST {
            let detail = format!("must be 1 to {} seconds", LONGEST.as_secs());
            return Err(Error::invalid(Field::ExpiresIn, detail));
        }
        let expires_at = self.identity.clock.now() + mark.lasts;
        let status = mark.status.as_str();
        let mut event = self.event_of_provider(AuditKind::ProviderMarked, caller, name, origin)?;
        event.purpose = Some(format!("{status} until {expires_at}"));
        let mark = ProviderMark { status: status.to_owned(), reason: mark.reason, expires_at };
        Ok(self.store().mark_provider(name, &mark, &event).await?)
    }

    /// Goes by what is counted again.
    pub async fn unmark_provider(&self, caller: &Caller, name: &str, origin: &Origin) -> Result<(), Error> {
        self.providers.known(name)?;
        let event = self.event_of_provider(AuditKind::ProviderUnmarked, caller, name, origin)?;
        Ok(self.store().unmark_provider(name, &event).await?)
    }

    /// Providers have no trail of their own, so it is in that of whoever does it.
    fn event_of_provider(
        &self,
        kind: AuditKind,
        caller: &Caller,
        name: &str,
        origin: &Origin,
    ) -> Result<AuditEvent, Error> {
        let mut event = self.identity.audit_event(kind, caller.account.id, origin)?;
        event.actor = Actor::Admin(caller.account.id);
        event.session = Some(caller.session.made.id);
        event.target = Some(name.to_owned());
        Ok(event)
    }
}
