//! Showing once more who one is, in the middle of a session.

use portcullis_store::{AuditKind, FactorSwap};

use super::{PresentedCode, ROUNDS};
use crate::access::Caller;
use crate::error::Error;
use crate::password::Password;
use crate::{Identity, Origin};

/// One proof beside the session.
#[derive(Debug)]
pub enum StepUp {
    /// The account's password.
    Password(Password),
    /// A code of the account's second factor.
    Code(PresentedCode),
}

impl Identity {
    /// An error unless the proof is the caller's. A code is spent by it.
    pub async fn confirm(&self, caller: &Caller, proof: &StepUp, origin: &Origin) -> Result<(), Error> {
        let code = match proof {
            StepUp::Password(password) => {
                return Box::pin(self.confirm_password(caller, password, origin)).await.map(drop);
            }
            StepUp::Code(code) => code,
        };
        let (account, now) = (caller.account.id, self.clock.now());
        let event = self.audit_event(AuditKind::Confirmed, account, origin)?;
        for _ in 0..ROUNDS {
            let proven = self.prove(account, code, now, origin).await?;
            if self.store.swap_factor(account, &proven.next, &event).await? == FactorSwap::Swapped {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }
}
