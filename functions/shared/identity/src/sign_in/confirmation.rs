//! The password once more, from somebody who is signed in already.

use portcullis_store::{AuditKind, Credentials, SignInStep};

use crate::access::caller::Caller;
use crate::error::Error;
use crate::passwords::hashing::Verdict;
use crate::passwords::password::Password;
use crate::sign_in::attempts::{PASSWORDS, too_early};
use crate::{Identity, Origin};

impl Identity {
    /// The caller's credentials, if this is their password. Whoever stole a session may guess no more often than
    /// anybody else, and is counted apart: the owner can sign in all the while.
    pub(crate) async fn confirm_password(
        &self,
        caller: &Caller,
        password: &Password,
        origin: &Origin,
    ) -> Result<Credentials, Error> {
        let (email, now) = (&caller.account.email, self.clock.now());
        let name = confirmations(email);
        let (reserved, found) =
            tokio::join!(self.reserve(&name, PASSWORDS, now), self.store.credentials_by_email(email));
        reserved?.map_err(|early| too_early(early, now))?;
        let judged = async {
            let credentials = found?.ok_or(Error::InvalidAccessToken)?;
            let verdict = self.hasher.verify(password, Some(&credentials.password_hash)).await?;
            Ok((credentials, verdict))
        };
        match judged.await {
            Ok((_, Verdict::Wrong)) => {
                let event = self.audit_event(AuditKind::LoginFailed, caller.account.id, origin)?;
                let mut event = event.of_sign_in_with(email, SignInStep::WrongConfirmation);
                event.session = Some(caller.session.made.id);
                self.store.record(&event).await?;
                Err(Error::WrongPassword)
            }
            Ok((credentials, _)) => {
                self.store.forgive_guesses(&name).await?;
                Ok(credentials)
            }
            Err(error) => {
                self.withdraw(&name).await;
                Err(error)
            }
        }
    }
}

/// Under which name wrong passwords of somebody are counted who is signed in.
pub(crate) fn confirmations(email: &str) -> String {
    format!("confirmation:{email}")
}
