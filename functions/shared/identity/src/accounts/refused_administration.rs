//! Refused administration is on record: who asked for what administrators may, without being one, or for what would have
//! left no administrator.

use portcullis_store::{AccountId, Actor, AuditDetails, AuditKind};

use crate::access::caller::Caller;
use crate::accounts::administration::{Admin, Operator};
use crate::error::Error;
use crate::limits::RECORDED_REFUSALS;
use crate::{ClientContext, Identity};

/// What was refused, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The account it was about, if any.
    pub(crate) target: Option<AccountId>,
    pub(crate) details: AuditDetails,
}

impl Refusal {
    /// The role `admin` is missing for this request.
    fn forbidden(request: &str) -> Self {
        let (request, reason) = (Some(request.to_owned()), Some("forbidden".to_owned()));
        Self { target: None, details: AuditDetails { request, reason, ..AuditDetails::default() } }
    }

    /// It would have left no administrator.
    pub(crate) fn last_admin(target: AccountId) -> Self {
        let reason = Some("last_admin".to_owned());
        Self { target: Some(target), details: AuditDetails { reason, ..AuditDetails::default() } }
    }
}

impl Identity {
    /// Returns the caller as an administrator; fails with [`Error::Forbidden`] without the role `admin`, and records that
    /// in the caller's trail; with [`Error::InsufficientAuthentication`] where the role requires a stronger sign-in. `request` is the method and the pattern of the path.
    pub async fn require_admin(
        &self,
        caller: Caller,
        request: &str,
        client: &ClientContext,
    ) -> Result<Admin, Error> {
        if caller.account.is_admin() {
            caller.check_roles_met(&self.settings.policy)?;
            return Ok(Admin(caller));
        }
        let actor = (caller.account.id, Actor::Themselves);
        self.record_refusal_of_administration(actor, Refusal::forbidden(request), client).await;
        Err(Error::Forbidden("This needs the role admin."))
    }

    /// Returns the result, and records it in the operator's trail if it is [`Error::LastAdmin`].
    pub(crate) async fn recorded_if_refused<T>(
        &self,
        operator: &Operator,
        target: AccountId,
        result: Result<T, Error>,
        client: &ClientContext,
    ) -> Result<T, Error> {
        if matches!(result, Err(Error::LastAdmin)) {
            // Who works on the command line has no account: the trail of the account they asked about has it then.
            let actor = match operator {
                Operator::Admin(id) => (*id, Actor::Themselves),
                Operator::CommandLine(_) => (target, operator.actor()),
            };
            self.record_refusal_of_administration(actor, Refusal::last_admin(target), client).await;
        }
        result
    }

    /// Records a refusal in the trail of whoever asked. Never fails: what was refused stays refused while the store does
    /// not respond, and that is logged.
    async fn record_refusal_of_administration(
        &self,
        (subject, actor): (AccountId, Actor),
        refusal: Refusal,
        client: &ClientContext,
    ) {
        let recorded = async {
            // A client that goes on is refused all the same; its trail is not a place to fill the table from.
            if !self.has_room(&RECORDED_REFUSALS, &subject.to_string(), self.clock.now()).await? {
                return Ok(());
            }
            let mut event = self.audit_event(AuditKind::AdministrationRefused, subject, client)?;
            event.actor = actor;
            event.target = refusal.target.map(|target| target.to_string());
            event.details = refusal.details;
            Ok::<_, Error>(self.store.record(&event).await?)
        };
        if let Err(error) = Box::pin(recorded).await {
            tracing::error!(%error, "a refused administration was not recorded");
        }
    }
}
