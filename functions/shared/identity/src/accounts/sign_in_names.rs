//! A person changes what they sign in with: the address, by a link to the new one, or the username.
//!
//! An account gets an address once its owner has opened a link sent there, and never one that another account has: nothing
//! is merged. The owner of the old address is told and has a way back for a week, in which nobody else can register it. So
//! whoever took over a session and a password does not get the account for good.

use std::time::Duration;

use portcullis_store::{
    Account, AddressMove, AuditKind, Challenge, ChallengeKind, Moved, SessionId, UsernameChange,
};
use secrecy::SecretString;

use crate::access::caller::Caller;
use crate::accounts::email::Email;
use crate::accounts::person::Username;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::limits::{ADDRESS_CHANGES, Limit, PROFILE_CHANGES};
use crate::mfa::StepUp;
use crate::notifications::{Notification, with_fixed_duration};
use crate::tokens::session_token::{self, SessionToken};
use crate::{ClientContext, Identity};

/// How long the link to the new address works.
const TO_CONFIRM: Duration = Duration::from_hours(24);
/// How long the link back works, and the old address is held.
const WAY_BACK: Duration = Duration::from_hours(7 * 24);

impl Identity {
    /// Sends a link to a new address of the caller's account. Returns the same, after the same time, whether or not another
    /// account has the address: only its owner learns that, by a notification. Fails when the proof is not accepted, with
    /// [`Error::Invalid`] for the address that the account has, and with [`Error::TooManyAttempts`].
    pub async fn request_email_change(
        &self,
        caller: &Caller,
        email: &Email,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = &caller.account;
        if account.address() == Some(email.as_str()) {
            return Err(invalid(Field::Email, "the account has this address already"));
        }
        self.admit_change(&ADDRESS_CHANGES, caller, proof, client).await?;
        with_fixed_duration(Box::pin(async {
            let keep = Some(caller.session.made.id);
            let (kind, works_for) = (ChallengeKind::EmailChange, TO_CONFIRM);
            let (token, challenge) =
                self.address_challenge(kind, account, email.as_str(), keep, works_for)?;
            let event = self.audit_event(AuditKind::EmailChangeRequested, account.id, client)?;
            self.store.begin_address_change(&challenge, &event).await?;
            let is_free = self.store.is_address_free(email.as_str(), account.id, event.at).await?;
            let told =
                if is_free { Notification::ConfirmNewAddress(&token) } else { Notification::AddressTaken };
            self.notify(email.as_str(), &told).await;
            Ok(())
        }))
        .await
    }

    /// Gives an account the address that a link was sent to, and ends its sessions but the one that asked for it. Returns the
    /// account. Fails with [`Error::InvalidMailToken`] when the token is unknown, expired, used, or behind the session epoch,
    /// and with [`Error::EmailTaken`] where another account got the address meanwhile.
    pub async fn change_email(&self, token: &SecretString, client: &ClientContext) -> Result<Account, Error> {
        let (challenge, account) = self.changed_by_mail(ChallengeKind::EmailChange, token).await?;
        // A change of the address raises the epoch, too.
        let is_current = account.session_epoch == challenge.session_epoch;
        let Some(to) = challenge.wanted_email.as_deref().filter(|_| is_current) else {
            return Err(Error::InvalidMailToken);
        };
        let (kind, works_for) = (ChallengeKind::EmailRestoration, WAY_BACK);
        let (back, way_back) = self.address_challenge(kind, &account, &account.email, None, works_for)?;
        // An address that was never shown to be the owner's may be a stranger's: it gets no way into the account.
        let is_own = account.address().is_some() && account.email_verified;
        let moving = AddressMove {
            account: &account,
            to,
            keep: challenge.session,
            was_stolen: false,
            way_back: is_own.then_some(&way_back),
        };
        let moved = self.carry_out(moving, &challenge, AuditKind::EmailChanged, client).await?;
        if is_own {
            self.notify(&account.email, &Notification::AddressChanged(&back, client)).await;
        }
        Ok(moved)
    }

    /// Gives an account an earlier address back, ends all its sessions and API keys, and mails a link to choose another
    /// password: until then none works. Fails with [`Error::InvalidMailToken`] when the token is unknown, expired or used.
    pub async fn restore_email(&self, token: &SecretString, client: &ClientContext) -> Result<(), Error> {
        let (challenge, account) = self.changed_by_mail(ChallengeKind::EmailRestoration, token).await?;
        // It was changed back already.
        if account.email == challenge.email {
            return Err(Error::InvalidMailToken);
        }
        let moving = AddressMove {
            account: &account,
            to: &challenge.email,
            keep: None,
            was_stolen: true,
            way_back: None,
        };
        let moved = self.carry_out(moving, &challenge, AuditKind::EmailRestored, client).await?;
        let email = Email::parse(&moved.email).map_err(|_| Error::Internal("a stored address is none"))?;
        self.forgot_password(&email, client).await
    }

    /// Gives the caller's account another username and returns the account. Fails when the proof is not accepted, with
    /// [`Error::UsernameTaken`], with [`Error::Invalid`] for an account without an address, and with
    /// [`Error::TooManyAttempts`].
    pub async fn change_username(
        &self,
        caller: &Caller,
        name: &Username,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let account = &caller.account;
        if account.address().is_none() {
            return Err(invalid(Field::Username, "an account without an e-mail address keeps its username"));
        }
        if account.username.as_deref() == Some(name.0.as_str()) {
            return Err(invalid(Field::Username, "the account has this username already"));
        }
        self.admit_change(&PROFILE_CHANGES, caller, proof, client).await?;
        let event = self.audit_event(AuditKind::UsernameChanged, account.id, client)?;
        match self.store.change_username(account, &name.0, &event).await? {
            UsernameChange::Changed => Ok(Account { username: Some(name.0.clone()), ..account.clone() }),
            UsernameChange::Taken => Err(Error::UsernameTaken),
            UsernameChange::Outdated => Err(Error::Contended),
        }
    }

    /// Counts a change of a sign-in name, and returns an error unless the proof is good enough for it. What is refused by the
    /// limit tries no password and no code.
    async fn admit_change(
        &self,
        limit: &Limit,
        caller: &Caller,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        self.limit(limit, &caller.account.id.to_string(), client, self.clock.now()).await?;
        self.confirm_strongly(caller, proof, client).await
    }

    fn address_challenge(
        &self,
        kind: ChallengeKind,
        account: &Account,
        wanted: &str,
        session: Option<SessionId>,
        works_for: Duration,
    ) -> Result<(SessionToken, Challenge), Error> {
        let token = SessionToken::generate(kind, self.entropy.as_ref())?;
        let begun = Challenge::of_account(kind, token.digest(), account, self.clock.now() + works_for);
        Ok((token, Challenge { wanted_email: Some(wanted.to_owned()), session, ..begun }))
    }

    /// Returns the challenge of a link that changes an address, and its account as it is now.
    async fn changed_by_mail(
        &self,
        kind: ChallengeKind,
        token: &SecretString,
    ) -> Result<(Challenge, Account), Error> {
        let digest = session_token::presented(kind, token).ok_or(Error::InvalidMailToken)?;
        let challenge = self.store.challenge(kind, &digest, self.clock.now()).await?;
        let challenge = challenge.ok_or(Error::InvalidMailToken)?;
        let account = self.store.account(challenge.account).await?;
        let account =
            account.filter(|account| self.admits_by_mail(account)).ok_or(Error::InvalidMailToken)?;
        Ok((challenge, account))
    }

    /// Carries out a change of address and returns the account as it is then.
    async fn carry_out(
        &self,
        moving: AddressMove<'_>,
        challenge: &Challenge,
        kind: AuditKind,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let event = self.audit_event(kind, moving.account.id, client)?;
        let moved = match self.store.move_address(&moving, challenge, &event).await? {
            // The session that asked is over; the link counts all the same.
            Moved::SessionOver => {
                self.store.move_address(&AddressMove { keep: None, ..moving }, challenge, &event).await?
            }
            moved => moved,
        };
        let AddressMove { account, to, .. } = moving;
        match moved {
            Moved::Done => Ok(Account {
                email: to.to_owned(),
                email_verified: true,
                session_epoch: account.session_epoch + 1,
                ..account.clone()
            }),
            Moved::Taken => Err(Error::EmailTaken),
            Moved::Spent => Err(Error::InvalidMailToken),
            Moved::Outdated | Moved::SessionOver => Err(Error::Contended),
        }
    }
}

fn invalid(field: Field, detail: &str) -> Error {
    Error::Invalid(InvalidField::new(field, detail))
}
