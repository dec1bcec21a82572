//! Invitations: an account that an operator makes for somebody, who chooses its password with the link of a mail.
//!
//! Until then the account has no password at all, so nothing that is typed signs in to it. The link is one that resets a
//! password, with a longer life: it works once, and using it confirms the address.

use std::time::Duration;

use portcullis_store::{Account, AccountId, AccountStatus, AuditKind, Challenge, ChallengeKind};

use crate::accounts::administration::{AccountRequest, FirstPassword, Operator, require_address};
use crate::accounts::email::Email;
use crate::accounts::person::{PersonName, Username};
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::notifications::Notification;
use crate::passwords::recovery::TO_RESET;
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
        let waiting = found
            .filter(|record| record.password_hash.is_none() && !record.account.is_passwordless)
            .map(|record| record.account);
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
        let token =
            self.link_by_operator(operator, AuditKind::AccountInvited, account, TO_ACCEPT, client).await?;
        self.send(&account.email, &Notification::Invitation(&token)).await.map_err(Error::MailNotSent)
    }

    /// Sends the owner of an account a link to choose another password, as if they had asked for it. Fails with
    /// [`Error::NotFound`], with [`Error::Invalid`] where there is no address or the account is disabled, and with
    /// [`Error::MailNotSent`].
    pub async fn send_reset(
        &self,
        operator: &Operator,
        id: AccountId,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let account = self.account_by_id(id).await?;
        require_address(&account)?;
        if account.status == AccountStatus::Disabled {
            let detail = "the account is disabled, so that no link would work; activate it first";
            return Err(Error::Invalid(InvalidField::new(Field::Email, detail)));
        }
        let asked = AuditKind::PasswordResetRequested;
        let token = self.link_by_operator(operator, asked, &account, TO_RESET, client).await?;
        let sent = self.send(&account.email, &Notification::ResetPassword(&token)).await;
        sent.map_err(Error::MailNotSent).map(|()| account)
    }

    /// Returns the token of a link with which the owner of an account chooses a password.
    async fn link_by_operator(
        &self,
        operator: &Operator,
        kind: AuditKind,
        account: &Account,
        works_for: Duration,
        client: &ClientContext,
    ) -> Result<SessionToken, Error> {
        let token = SessionToken::generate(ChallengeKind::PasswordReset, self.entropy.as_ref())?;
        let ends = self.clock.now() + works_for;
        let challenge = Challenge::of_account(ChallengeKind::PasswordReset, token.digest(), account, ends);
        let event = self.event_by(operator, kind, account.id, client)?;
        // No attempt at a password, so never throttled here.
        let _ = self.store.begin_challenge(&challenge, &event, &[]).await?;
        Ok(token)
    }
}
