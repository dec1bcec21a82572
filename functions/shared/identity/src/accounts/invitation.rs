//! Invitations: an account that an operator makes for somebody, who chooses its password with the link of a mail.
//!
//! Until then the account has no password at all, so nothing that is typed signs in to it. The link is one that resets a
//! password, with a longer life: it works once, and using it confirms the address.

use std::time::Duration;

use portcullis_store::{Account, AccountStatus, AuditKind, Challenge, ChallengeKind};

use crate::accounts::administration::{AccountRequest, FirstPassword, Operator};
use crate::accounts::email::Email;
use crate::accounts::person::{PersonName, Username};
use crate::error::Error;
use crate::notifications::Notification;
use crate::tokens::session_token::SessionToken;
use crate::{ClientContext, Identity};

/// How long the link of an invitation works.
const TO_ACCEPT: Duration = Duration::from_hours(72);

/// Somebody an operator makes an account for.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The address the link is sent to, which signs in afterwards.
    pub email: Email,
    /// The person's name.
    pub name: PersonName,
    /// Second name to sign in with.
    pub username: Option<Username>,
    /// Names of roles.
    pub roles: Vec<String>,
}

impl Identity {
    /// Returns the new account, once the link was sent. The same invitation again sends another link, as long as no
    /// password was chosen. Fails with [`Error::EmailTaken`], [`Error::UsernameTaken`] or [`Error::Invalid`], and with
    /// [`Error::MailNotSent`] where the account is there and only the link has to be sent again.
    pub async fn invite(
        &self,
        operator: &Operator,
        invitation: Invitation,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let Invitation { email, name, username, roles } = invitation.clone();
        let request = AccountRequest {
            email: Some(email),
            name,
            username,
            phone: None,
            password: FirstPassword::ToBeChosen,
            roles,
            status: AccountStatus::Active,
            email_verified: false,
        };
        let account = match self.create_account(operator, request, client).await {
            Ok(account) => account,
            Err(Error::EmailTaken) => self.invited_before(&invitation).await?.ok_or(Error::EmailTaken)?,
            Err(error) => return Err(error),
        };
        self.send_invitation(operator, &account, client).await?;
        Ok(account)
    }

    /// Returns the account that this very invitation made, if its owner has not chosen a password yet.
    async fn invited_before(&self, invitation: &Invitation) -> Result<Option<Account>, Error> {
        let found = self.store.login_record_by_email(invitation.email.as_str()).await?;
        let waiting = found.filter(|record| record.password_hash.is_none()).map(|record| record.account);
        let username = invitation.username.as_ref().map(|username| username.0.as_str());
        Ok(waiting.filter(|account| {
            account.status == AccountStatus::Active
                && account.roles == invitation.roles
                && account.username.as_deref() == username
        }))
    }

    async fn send_invitation(
        &self,
        operator: &Operator,
        account: &Account,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let token = SessionToken::generate(ChallengeKind::PasswordReset, self.entropy.as_ref())?;
        let challenge = Challenge {
            kind: ChallengeKind::PasswordReset,
            digest: token.digest(),
            account: account.id,
            email: account.email.clone(),
            session_epoch: account.session_epoch,
            methods: Vec::new(),
            persistent: false,
            token_in_body: false,
            device_name: None,
            expires_at: self.clock.now() + TO_ACCEPT,
        };
        let event = self.event_by(operator, AuditKind::AccountInvited, account.id, client)?;
        // No attempt at a password, so never throttled here.
        let _ = self.store.begin_challenge(&challenge, &event, &[]).await?;
        self.send(&account.email, &Notification::Invitation(&token)).await.map_err(Error::MailNotSent)
    }
}
