//! Step-up authentication: one more proof inside a session.

use portcullis_store::{AuditKind, Factor, Round};

use super::PresentedCode;
use crate::access::caller::Caller;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::passwords::password::Password;
use crate::{ClientContext, Identity};

/// One proof beside the session.
#[derive(Debug)]
pub enum StepUp {
    /// The account's password.
    Password(Password),
    /// A code of the account's second factor.
    Code(PresentedCode),
}

impl Identity {
    /// Returns an error unless the proof is the caller's, and a code where the account has a second factor: a stolen
    /// password must not be enough.
    pub async fn confirm_strongly(
        &self,
        caller: &Caller,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        if caller.account.mfa_enabled && !matches!(proof, StepUp::Code(_)) {
            let needed = InvalidField::new(Field::Code, "a code of the second factor is needed");
            return Err(Error::Invalid(needed));
        }
        self.confirm(caller, proof, client).await
    }

    /// Returns an error unless the proof is the caller's: [`Error::WrongPassword`], [`Error::WrongCode`], or
    /// [`Error::TooManyAttempts`] while throttled. A code is spent by it.
    pub async fn confirm(
        &self,
        caller: &Caller,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let code = match proof {
            StepUp::Password(password) => {
                return Box::pin(self.confirm_password(caller, password, client)).await.map(drop);
            }
            StepUp::Code(code) => code,
        };
        let (account, now) = (&caller.account, self.clock.now());
        let event = self.audit_event(AuditKind::Confirmed, account.id, client)?;
        let event = &event;
        let decide = |factor: Factor| async move {
            let Round::Settled(proven) = self.prove(account, factor, code, now, client).await? else {
                return Ok(Round::Raced);
            };
            Ok(self.store.swap_factor(account.id, &proven.next, event).await?.round())
        };
        self.store.change_factor(account.id, decide).await.map(drop)
    }
}
