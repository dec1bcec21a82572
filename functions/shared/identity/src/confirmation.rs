//! The password once more, from somebody who is signed in already.

use portcullis_store::{AuditKind, Credentials, Guesser};

use crate::access::Caller;
use crate::error::Error;
use crate::guessing::{Guess, PASSWORDS};
use crate::hashing::Verdict;
use crate::password::Password;
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
        let email = &caller.account.email;
        let guess = Guess { name: email.clone(), guesser: Guesser::Session };
        let (reserved, found) = tokio::join!(
            self.reserve(&guess, PASSWORDS, self.clock.now()),
            self.store.credentials_by_email(email),
        );
        reserved?.map_err(|retry_after| Error::TooManyAttempts { retry_after })?;
        let judged = async {
            let credentials = found?.ok_or(Error::InvalidAccessToken)?;
            let verdict = self.hasher.verify(password, Some(&credentials.password_hash)).await?;
            Ok((credentials, verdict))
        };
        match judged.await {
            Ok((_, Verdict::Wrong)) => {
                let mut event = self.audit_event(AuditKind::LoginFailed, caller.account.id, origin)?;
                event.session = Some(caller.session.made.id);
                self.store.note_failed_login(email, true, &event).await?;
                Err(Error::WrongPassword)
            }
            Ok((credentials, _)) => {
                self.store.forgive_guesses(email, &guess.guesser).await?;
                Ok(credentials)
            }
            Err(error) => {
                self.withdraw(&guess).await;
                Err(error)
            }
        }
    }
}
