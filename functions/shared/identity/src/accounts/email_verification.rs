//! Addresses that are confirmed by their owners before an account can be used.

use std::time::Duration;

use portcullis_store::{Account, AuditKind, ChallengeKind, Finished, SignInStep};
use secrecy::SecretString;

use crate::accounts::email::Email;
use crate::accounts::register::NewPerson;
use crate::error::Error;
use crate::notifications::{Notification, evenly};
use crate::passwords::recovery::{Begun, Wanted};
use crate::{ClientContext, Identity};

/// How long a link to confirm an address works.
const TO_CONFIRM: Duration = Duration::from_hours(24);

const CONFIRMATION: Wanted = Wanted {
    kind: ChallengeKind::EmailVerification,
    event: AuditKind::VerificationRequested,
    works_for: TO_CONFIRM,
    is_for: |account| !account.email_verified,
};

impl Identity {
    /// Makes an account that can be used once its address is confirmed. Whether the address was taken nobody learns but
    /// its owner, who is told by mail; what takes the same time for both is the answer.
    pub async fn register_unconfirmed(&self, person: NewPerson, client: &ClientContext) -> Result<(), Error> {
        let (email, username) = (person.email.clone(), person.username.clone());
        evenly(Box::pin(async {
            let is_new = match self.register(person, client).await {
                Ok(_) => true,
                Err(Error::EmailTaken) => false,
                Err(error) => return Err(error),
            };
            // A taken username is told of in any case, or a free address could be told by it.
            if let (false, Some(username)) = (is_new, username)
                && self.store.address_of_username(&username.0).await?.is_some()
            {
                return Err(Error::UsernameTaken);
            }
            match Box::pin(self.begin_by_mail(&email, &CONFIRMATION, client)).await? {
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

    /// Sends the link once more, if the address has an account that waits for it. Nobody learns whether.
    pub async fn resend_confirmation(&self, email: &Email, client: &ClientContext) -> Result<(), Error> {
        evenly(Box::pin(async {
            let begun = Box::pin(self.begin_by_mail(email, &CONFIRMATION, client)).await?;
            if let Some(Begun { token, account: Some(account) }) = begun {
                self.notify(&account.email, &Notification::ConfirmAddress(&token)).await;
            }
            Ok(())
        }))
        .await
    }

    /// Confirms an address with the link of a mail, which works once.
    pub async fn confirm_address(
        &self,
        token: &SecretString,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let (challenge, account) = self.begun_by_mail(ChallengeKind::EmailVerification, token).await?;
        let event = self.audit_event(AuditKind::EmailVerified, account.id, client)?;
        let event = event.of_sign_in_with(&account.email, SignInStep::None);
        match self.store.confirm_address(&challenge, &account, &event).await? {
            Finished::Done => Ok(Account { email_verified: true, ..account }),
            Finished::Spent => Err(Error::InvalidMailToken),
        }
    }
}
