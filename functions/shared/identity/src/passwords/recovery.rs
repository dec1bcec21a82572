//! Change of a known password, and reset of a forgotten one by mail.

use std::time::Duration;

use portcullis_store::{
    Account, Actor, AuditKind, Challenge, ChallengeKind, Finished, NewPassword, PasswordChange, SignInStep,
};
use secrecy::SecretString;

use crate::access::caller::Caller;
use crate::accounts::email::Email;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::notifications::{Notification, with_fixed_duration};
use crate::passwords::password::Password;
use crate::sign_in::attempts::placeholder_account;
use crate::tokens::session_token::{self, SessionToken};
use crate::{ClientContext, Identity};

/// How long the link of a password reset is valid.
pub(crate) const TO_RESET: Duration = Duration::from_mins(30);

/// A kind of notification with a link that anyone can request for an address, and the accounts it is for.
pub(crate) struct Wanted {
    pub(crate) kind: ChallengeKind,
    /// The name of its limits: what is sent for one purpose uses up nothing of another.
    pub(crate) counted_as: &'static str,
    /// Whether the request counts as a failure of the client address; false where it has been limited otherwise.
    pub(crate) counts_for_address: bool,
    pub(crate) event: AuditKind,
    pub(crate) works_for: Duration,
    pub(crate) is_for: fn(&Account) -> bool,
}

/// A token for a link, with the account it is for; `None` where the address has no such account and nothing is sent.
pub(crate) struct Begun {
    pub(crate) token: SessionToken,
    pub(crate) account: Option<Account>,
}

impl Identity {
    /// Replaces the caller's password and ends every session but the caller's. Returns a token that keeps the caller's
    /// device a known one; all earlier ones are over. Fails with [`Error::WrongPassword`], [`Error::WeakPassword`], or
    /// [`Error::TooManyAttempts`] while throttled.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &Password,
        password: &Password,
        client: &ClientContext,
    ) -> Result<SecretString, Error> {
        self.check_choice(password, &caller.account)?;
        let record = self.confirm_password(caller, current, client).await?;
        let old = record.password_hash.as_deref().ok_or(Error::WrongPassword)?;
        let hash = self.hash_another(password, &caller.account, old, client).await?;
        let new = NewPassword { hash, at: self.clock.now() };
        let event = self.audit_event(AuditKind::PasswordChanged, caller.account.id, client)?;
        let keep = caller.session.made.id;
        match self.store.change_password(&record.account, old, &new, keep, &event).await? {
            PasswordChange::Changed => {}
            // The write is conditional on the old hash. Another change was first, raised the session epoch, and thereby
            // ended this session.
            PasswordChange::Outdated => return Err(Error::InvalidAccessToken),
        }
        self.notify(&caller.account.email, &Notification::PasswordChanged(client)).await;
        self.device_token(&Account { password_changed_at: new.at, ..record.account }, client)
    }

    /// Sends a link to reset the password, if the address has an enabled account. Returns the same, after the same
    /// calls and the same time, whether or not it has. Fails with [`Error::TooManyAttempts`] while the client address
    /// is throttled.
    pub async fn forgot_password(&self, email: &Email, client: &ClientContext) -> Result<(), Error> {
        let wanted = Wanted {
            kind: ChallengeKind::PasswordReset,
            counted_as: "reset",
            counts_for_address: true,
            event: AuditKind::PasswordResetRequested,
            works_for: TO_RESET,
            is_for: |_| true,
        };
        with_fixed_duration(Box::pin(async {
            let begun = Box::pin(self.begin_by_mail(email, &wanted, client)).await?;
            if let Some(Begun { token, account: Some(account) }) = begun {
                self.notify(&account.email, &Notification::ResetPassword(&token)).await;
            }
            Ok(())
        }))
        .await
    }

    /// Resets the password with the token of a link, which works once, ends every session and confirms the address.
    /// Returns a token that makes the device a known one, so that a lockout caused by strangers does not hold up the
    /// owner. Fails with [`Error::InvalidMailToken`] or [`Error::WeakPassword`].
    pub async fn reset_password(
        &self,
        token: &SecretString,
        password: &Password,
        client: &ClientContext,
    ) -> Result<SecretString, Error> {
        self.reset_password_and(false, token, password, client).await
    }

    /// Does the same, and ends every API key of the account: for one that somebody else may have used.
    pub async fn reset_password_and_end_keys(
        &self,
        token: &SecretString,
        password: &Password,
        client: &ClientContext,
    ) -> Result<SecretString, Error> {
        self.reset_password_and(true, token, password, client).await
    }

    async fn reset_password_and(
        &self,
        ends_keys: bool,
        token: &SecretString,
        password: &Password,
        client: &ClientContext,
    ) -> Result<SecretString, Error> {
        let (challenge, account) = self.begun_by_mail(ChallengeKind::PasswordReset, token).await?;
        if account.is_passwordless {
            let needed =
                InvalidField::new(Field::Code, "the account has no password; recover it with a backup code");
            return Err(Error::Invalid(needed));
        }
        // Before the token is spent: a weak password does not use up the link.
        self.check_choice(password, &account)?;
        let hash = self.hasher.of(client).hash(password, self.entropy.as_ref()).await?;
        let new = NewPassword { hash, at: self.clock.now() };
        let mut event = self.audit_event(AuditKind::PasswordReset, account.id, client)?;
        event.details.reason = ends_keys.then(|| "api_keys_ended".to_owned());
        match self.store.reset_password(&challenge, &account, &new, ends_keys, &event).await? {
            Finished::Done => {}
            Finished::Spent => return Err(Error::InvalidMailToken),
        }
        self.notify(&account.email, &Notification::PasswordChanged(client)).await;
        // Of the password that was just chosen: what was issued under another one is over.
        self.device_token(&Account { password_changed_at: new.at, ..account }, client)
    }

    /// Returns a token to be sent by mail; `None` where requests for the address are throttled. For an address without
    /// such an account the same calls are made, and the token is of a placeholder account. Fails with
    /// [`Error::TooManyAttempts`] while the client address is throttled.
    pub(crate) async fn begin_by_mail(
        &self,
        email: &Email,
        wanted: &Wanted,
        client: &ClientContext,
    ) -> Result<Option<Begun>, Error> {
        let now = self.clock.now();
        let (found, sign_ins) = tokio::try_join!(
            self.store.login_record_by_email(email.as_str()),
            self.store.sign_ins_end(email.as_str()),
        )?;
        // Before a mail is reserved: what is reserved is sent.
        let known = found.as_ref().map(|record| &record.account);
        let requester = self.attempt_source(known, client);
        if wanted.counts_for_address {
            self.count_failure(&requester, client, now).await?;
        }
        if !self.reserve_mail(wanted, (email, known), &requester, now).await? {
            return Ok(None);
        }
        let account = found
            .map(|record| record.account)
            .filter(|account| self.admits_by_mail(account) && (wanted.is_for)(account));
        let subject =
            account.as_ref().map_or_else(|| placeholder_account(email.as_str()), |account| Ok(account.id))?;
        let token = SessionToken::generate(wanted.kind, self.entropy.as_ref())?;
        let epoch = account.as_ref().map_or(0, |account| account.session_epoch);
        let (of, ends) = ((subject, epoch), now + wanted.works_for);
        let challenge = Challenge::of_address(wanted.kind, token.digest(), of, email.as_str(), ends);
        let event = self.audit_event(wanted.event, subject, client)?;
        let mut event = event.of_sign_in_with(email.as_str(), SignInStep::None).behind(sign_ins);
        event.actor = Actor::Anonymous;
        // No attempt at a password, so never throttled here: refused only where the account was erased meanwhile.
        let begun = self.store.begin_challenge(&challenge, &event, &[]).await?;
        Ok(begun.is_ok().then_some(Begun { token, account }))
    }

    /// Returns the challenge of a token that came by mail, and its account. Fails with [`Error::InvalidMailToken`] when
    /// the token is unknown or expired, the address belongs to another account by now, or the session epoch was raised
    /// since.
    pub(crate) async fn begun_by_mail(
        &self,
        kind: ChallengeKind,
        token: &SecretString,
    ) -> Result<(Challenge, Account), Error> {
        let digest = session_token::presented(kind, token).ok_or(Error::InvalidMailToken)?;
        let challenge = self.store.challenge(kind, &digest, self.clock.now()).await?;
        let challenge = challenge.ok_or(Error::InvalidMailToken)?;
        let found = self.store.login_record_by_email(&challenge.email).await?;
        // The address may belong to another account by now.
        let account = found
            .map(|record| record.account)
            .filter(|account| {
                account.id == challenge.account && account.session_epoch <= challenge.session_epoch
            })
            .filter(|account| self.admits_by_mail(account))
            .ok_or(Error::InvalidMailToken)?;
        Ok((challenge, account))
    }

    /// Returns whether the account passes the gate, leaving aside whether its address is confirmed: the link shows
    /// that.
    pub(crate) fn admits_by_mail(&self, account: &Account) -> bool {
        self.admit(&Account { email_verified: true, ..account.clone() }).is_ok()
    }
}
