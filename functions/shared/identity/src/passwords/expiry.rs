//! Expired passwords: they lead to their replacement and nowhere else.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    Account, AuditEvent, AuditKind, Challenge, ChallengeKind, Finished, NewPassword, SignInStep,
};
use secrecy::SecretString;

use crate::error::Error;
use crate::notifications::Notification;
use crate::passwords::hashing::Verdict;
use crate::passwords::password::Password;
use crate::sign_in::login::{Login, MadeSession, PendingSession};
use crate::tokens::session_token::{self, SessionToken};
use crate::{ClientContext, Identity};

/// How long the token to replace an expired password is valid.
const TO_CHOOSE: Duration = Duration::from_mins(10);

impl Identity {
    /// Returns the challenge to replace an expired password, the error that carries its token (for the client once the
    /// challenge is stored), and the event of the trail.
    pub(crate) fn rotation(
        &self,
        account: &Account,
        pending: PendingSession,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<((Challenge, Error), AuditEvent), Error> {
        let token = SessionToken::generate(ChallengeKind::PasswordRotation, self.entropy.as_ref())?;
        let challenge = pending.challenge(ChallengeKind::PasswordRotation, &token, account, now + TO_CHOOSE);
        let event = self.audit_event(AuditKind::PasswordExpired, account.id, client)?;
        let step = SignInStep::Right(self.attempt_source(Some(account), client));
        let event = event.of_sign_in_with(&account.email, step);
        Ok(((challenge, Error::PasswordExpired(token)), event))
    }

    /// Replaces an expired password, ends every other session and returns the new one; or the challenge to enrol a factor,
    /// where a role of the account requires one and there is none. Fails with
    /// [`Error::InvalidSessionToken`] when the token is unknown, expired, spent or behind the session epoch, and with
    /// [`Error::WeakPassword`].
    pub async fn rotate_password(
        &self,
        session_token: &SecretString,
        password: &Password,
        client: &ClientContext,
    ) -> Result<Login, Error> {
        let kind = ChallengeKind::PasswordRotation;
        let digest = session_token::presented(kind, session_token).ok_or(Error::InvalidSessionToken)?;
        let now = self.clock.now();
        let challenge = self.store.challenge(kind, &digest, now).await?.ok_or(Error::InvalidSessionToken)?;
        let account = self.store.account(challenge.account).await?;
        let account = account
            .filter(|account| self.admit(account).is_ok() && account.session_epoch <= challenge.session_epoch)
            .ok_or(Error::InvalidSessionToken)?;
        let record = self.store.login_record_by_email(&account.email).await?;
        let old = record.and_then(|record| record.password_hash).ok_or(Error::InvalidSessionToken)?;
        let hash = self.hash_another(password, &account, &old, client).await?;

        // The transaction raises the session epoch; the new session already carries the raised one, so that it is the
        // only one left.
        let next = Account {
            session_epoch: account.session_epoch.saturating_add(1),
            password_changed_at: now,
            ..account.clone()
        };
        let pending = PendingSession::of(&challenge);
        let mut events = vec![self.audit_event(AuditKind::PasswordRotated, account.id, client)?];
        let (made, answer) = if self.check_roles_met(&next, pending.assurance()).is_ok() {
            let MadeSession { session, event, sign_in } = self.make_session(next, pending, now, client)?;
            events.push(event);
            (Some(session), Ok(sign_in))
        } else {
            (None, Err(self.enrolment_challenge(&next, pending)?))
        };
        let new = NewPassword { hash, at: now };
        let rotated =
            self.store.rotate_password(&challenge, &account, &old, &new, made.as_ref(), &events).await?;
        if rotated == Finished::Spent {
            return Err(Error::InvalidSessionToken);
        }
        self.notify(&account.email, &Notification::PasswordChanged(client)).await;
        match answer {
            Ok(sign_in) => Ok(Login::SignedIn(Box::new(sign_in.finish().await?))),
            Err(asked) => Ok(Login::EnrolmentRequired(asked)),
        }
    }

    /// Returns the hash of a new password; fails with [`Error::WeakPassword`] if it may not be chosen or is the present
    /// one.
    pub(crate) async fn hash_another(
        &self,
        password: &Password,
        account: &Account,
        old: &str,
        client: &ClientContext,
    ) -> Result<String, Error> {
        self.check_choice(password, account)?;
        let hasher = self.hasher.of(client);
        if hasher.verify(password, Some(old)).await? != Verdict::Wrong {
            return Err(Error::WeakPassword("Choose another password than the present one.".to_owned()));
        }
        hasher.hash(password, self.entropy.as_ref()).await
    }

    /// Returns [`Error::WeakPassword`] unless the owner of this account may choose this password.
    pub(crate) fn check_choice(&self, password: &Password, account: &Account) -> Result<(), Error> {
        let address = account.address().unwrap_or_default();
        let local_part = address.split('@').next().unwrap_or_default();
        let known =
            [account.name.as_str(), address, local_part, account.username.as_deref().unwrap_or_default()];
        password.check_strength(&known, self.settings.password_min_score)
    }
}
