//! Confirmation of email addresses, before an account can be used where `EMAIL_VERIFICATION` requires it.

use std::time::Duration;

use portcullis_store::{Account, AuditKind, ChallengeKind, Finished, SignInStep};
use secrecy::SecretString;

use crate::accounts::email::Email;
use crate::accounts::register::{NewPerson, Outcome};
use crate::error::Error;
use crate::notifications::{Notification, with_fixed_duration};
use crate::passwords::recovery::{Begun, Wanted};
use crate::{ClientContext, Identity};

/// How long a link to confirm an address works.
const TO_CONFIRM: Duration = Duration::from_hours(24);

const CONFIRMATION: Wanted = Wanted {
    kind: ChallengeKind::EmailVerification,
    counted_as: "confirmation",
    counts_for_address: true,
    event: AuditKind::VerificationRequested,
    works_for: TO_CONFIRM,
    is_for: |account| !account.email_verified,
};

/// The same beside a registration. Counted apart: whoever registers somebody else's address again and again leaves the
/// owner's requests for a link alone.
const REGISTRATION: Wanted = Wanted { counted_as: "registration", counts_for_address: false, ..CONFIRMATION };

impl Identity {
    /// Registers an account that can be used once its address is confirmed, and gets its username then. Returns the
    /// same, after the same time, whether or not the address was taken: only its owner learns that, by a notification.
    /// Fails with [`Error::UsernameTaken`], [`Error::WeakPassword`] or [`Error::IdempotencyKeyReused`].
    pub async fn register_unconfirmed(&self, person: NewPerson, client: &ClientContext) -> Result<(), Error> {
        let email = person.email.clone();
        with_fixed_duration(Box::pin(async {
            let outcome = Box::pin(self.register_silently(person, client)).await?;
            let is_new = matches!(outcome, Outcome::Made(_));
            match Box::pin(self.begin_by_mail(&email, &REGISTRATION, client)).await? {
                Some(Begun { token, account: Some(_) }) if is_new => {
                    self.notify(email.as_str(), &Notification::ConfirmAddress(&token)).await;
                }
                Some(_) => self.notify(email.as_str(), &Notification::AlreadyRegistered).await,
                None => {}
            }
            Ok(())
        }))
        .await
    }

    /// Sends the link again, if the address has an account that is not confirmed. Returns the same, after the same
    /// time, whether or not it does.
    pub async fn resend_confirmation(&self, email: &Email, client: &ClientContext) -> Result<(), Error> {
        with_fixed_duration(Box::pin(async {
            let begun = Box::pin(self.begin_by_mail(email, &CONFIRMATION, client)).await?;
            if let Some(Begun { token, account: Some(account) }) = begun {
                self.notify(&account.email, &Notification::ConfirmAddress(&token)).await;
            }
            Ok(())
        }))
        .await
    }

    /// Confirms an address with the token of a link, which works once, and returns its account. It has the username
    /// that it was registered with from then on, unless another account confirmed an address with that name first. Fails
    /// with [`Error::InvalidMailToken`] when the token is unknown, expired, used, or behind the session epoch.
    pub async fn confirm_address(
        &self,
        token: &SecretString,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let (challenge, account) = self.begun_by_mail(ChallengeKind::EmailVerification, token).await?;
        let event = self.audit_event(AuditKind::EmailVerified, account.id, client)?;
        let event = event.of_sign_in_with(&account.email, SignInStep::None);
        match self.store.confirm_address(&challenge, &account, &event).await? {
            Finished::Done => {
                // The link is spent: a read that fails must not turn this into an error.
                let now = self.store.login_record_by_email(&account.email).await.ok().flatten();
                Ok(now.map_or(Account { email_verified: true, ..account }, |record| record.account))
            }
            Finished::Spent => Err(Error::InvalidMailToken),
        }
    }
}
