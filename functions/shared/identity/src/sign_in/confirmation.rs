//! Confirmation of an operation with the password, inside a session.

use portcullis_store::{AuditKind, LoginRecord, SignInStep};

use crate::access::caller::Caller;
use crate::error::Error;
use crate::passwords::hashing::Verdict;
use crate::passwords::password::Password;
use crate::sign_in::attempts::{PASSWORD_BACKOFF, throttled};
use crate::{ClientContext, Identity};

impl Identity {
    /// Returns the caller's login record; fails with [`Error::WrongPassword`], or [`Error::TooManyAttempts`] while
    /// throttled. Attempts are counted apart from those of the sign-in: a stolen session is throttled like any client,
    /// and the owner can sign in meanwhile.
    ///
    /// The attempt is counted before the password is compared; parallel attempts cannot outrun the count.
    pub(crate) async fn confirm_password(
        &self,
        caller: &Caller,
        password: &Password,
        client: &ClientContext,
    ) -> Result<LoginRecord, Error> {
        let login_record = self.check_confirmation(caller, password, client).await?;
        self.store.forgive_attempts(&confirmations(&caller.account.email)).await?;
        Ok(login_record)
    }

    /// Returns the same, and leaves a right attempt counted: whoever goes on with a write takes it off the count in that.
    pub(crate) async fn check_confirmation(
        &self,
        caller: &Caller,
        password: &Password,
        client: &ClientContext,
    ) -> Result<LoginRecord, Error> {
        let (email, now) = (&caller.account.email, self.clock.now());
        let name = confirmations(email);
        let (reserved, found) =
            tokio::join!(self.reserve(&name, PASSWORD_BACKOFF, now), self.store.login_record_by_email(email));
        reserved?.map_err(|refusal| throttled(refusal, now))?;
        let checked = async {
            let login_record = found?.ok_or(Error::InvalidAccessToken)?;
            let verdict =
                self.hasher.of(client).verify(password, login_record.password_hash.as_deref()).await?;
            Ok((login_record, verdict))
        };
        match checked.await {
            Ok((_, Verdict::Wrong)) => {
                let event = self.audit_event(AuditKind::LoginFailed, caller.account.id, client)?;
                let mut event = event.of_sign_in_with(email, SignInStep::WrongConfirmation);
                event.session = Some(caller.session.made.id);
                self.store.record(&event).await?;
                Err(Error::WrongPassword)
            }
            Ok((login_record, _)) => Ok(login_record),
            Err(error) => {
                self.withdraw(&name).await;
                Err(error)
            }
        }
    }
}

/// Returns the name under which failed confirmations of a signed-in user are counted.
pub(crate) fn confirmations(email: &str) -> String {
    format!("confirmation:{email}")
}
