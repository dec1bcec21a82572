//! Accounts without a password. A passkey takes the password away and sets one again; whoever loses their passkeys gets back in
//! with a link in a mail *and* a backup code: neither of them alone is worth anything.
//!
//! Nobody outside learns that an account has no password: its sign-in by one is the comparison with a hash that nobody has, as
//! for a name without an account, and what it answers, counts and records is that of a wrong password.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    Account, AccountRecovery, AuditKind, Challenge, ChallengeKind, Factor, NewPassword, PasskeyRule,
    PasswordByPasskey, Recovered, Round,
};
use secrecy::SecretString;

use crate::access::caller::Caller;
use crate::error::Error;
use crate::mfa::{CODE_METHOD, EnrolmentChallenge, EnrolmentMethod, PresentedCode};
use crate::notifications::Notification;
use crate::passkeys::PresentedPasskey;
use crate::passwords::password::Password;
use crate::tokens::challenge_token;
use crate::{ClientContext, Identity};

/// Time to find a new authenticator.
const TO_MAKE_A_PASSKEY: Duration = Duration::from_mins(15);

/// What somebody shows who lost their passkeys.
#[derive(Debug)]
pub struct LostPasskeys {
    /// The token in the link of the mail, unverified.
    pub token: SecretString,
    /// A backup code, unverified.
    pub code: PresentedCode,
}

impl Identity {
    /// Removes the caller's password and ends every session but the caller's. Returns new backup codes where there were none;
    /// empty where there are. Fails with [`Error::WrongPasskey`] or [`Error::InvalidSessionToken`] where the passkey proves
    /// nothing; with [`Error::NotFound`] where there is no password; with [`Error::LastFactor`] where there would be no way back:
    /// the account has no address that a link could be sent to.
    pub async fn remove_password(
        &self,
        caller: &Caller,
        shown: &PresentedPasskey,
        client: &ClientContext,
    ) -> Result<Vec<SecretString>, Error> {
        let account = &caller.account;
        if account.is_passwordless {
            return Err(Error::NotFound);
        }
        // Where addresses are confirmed, nobody has a session before theirs is.
        if account.address().is_none() {
            return Err(Error::LastFactor);
        }
        let used = self.assert_passkey(account, shown, client).await?;
        let by = PasswordByPasskey { account, used: &used, keep: caller.session.made.id };
        let mut event = self.audit_event(AuditKind::PasswordChanged, account.id, client)?;
        event.details.reason = Some("removed".to_owned());
        let event = &event;
        let codes = if account.mfa_enabled {
            settled(self.store.remove_password(&by, None, event).await?)?;
            Vec::new()
        } else {
            let (active, codes) = self.factor_of_codes(account.id).await?;
            let (active, by) = (&active, &by);
            let decide = |factor: Factor| async move {
                if factor.active.is_some() {
                    return Err(Error::InvalidAccessToken);
                }
                let next = factor.replaced_by(Some(active.clone()));
                match self.store.remove_password(by, Some(&next), event).await? {
                    PasskeyRule::FactorOutdated => Ok(Round::Raced),
                    ended => settled(ended).map(Round::Settled),
                }
            };
            self.store.change_factor::<_, Error, _>(account.id, decide).await?;
            codes
        };
        self.notify(&account.email, &Notification::PasswordRemoved(client)).await;
        Ok(codes)
    }

    /// Sets a password of the caller, who has none, and ends every session but the caller's. Fails with
    /// [`Error::WrongPasskey`] or [`Error::InvalidSessionToken`], with [`Error::WeakPassword`], and with [`Error::NotFound`]
    /// where there is a password, which is changed by itself.
    pub async fn set_password(
        &self,
        caller: &Caller,
        shown: &PresentedPasskey,
        password: &Password,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = &caller.account;
        if !account.is_passwordless {
            return Err(Error::NotFound);
        }
        self.check_choice(password, account)?;
        let used = self.assert_passkey(account, shown, client).await?;
        let hash = self.hasher.of(client).hash(password, self.entropy.as_ref()).await?;
        let new = NewPassword { hash, at: used.at };
        let by = PasswordByPasskey { account, used: &used, keep: caller.session.made.id };
        let event = self.audit_event(AuditKind::PasswordChanged, account.id, client)?;
        settled(self.store.set_password(&by, &new, &event).await?)?;
        self.notify(&account.email, &Notification::PasswordChanged(client)).await;
        Ok(())
    }

    /// Ends everything of an account without a password and sets one, by a link and a code. Fails as
    /// [`Identity::begin_recovery`] does, and with [`Error::WeakPassword`], which spends neither.
    pub async fn recover_with_password(
        &self,
        lost: &LostPasskeys,
        password: &Password,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let (link, account) = self.lost(lost).await?;
        self.check_choice(password, &account)?;
        let hash = self.hasher.of(client).hash(password, self.entropy.as_ref()).await?;
        let new = NewPassword { hash, at: self.clock.now() };
        Box::pin(self.recover((&link, &account), &lost.code, Some(&new), client)).await
    }

    /// Ends everything of an account without a password, sessions and API keys, by a link and a code, which are spent. Returns
    /// the challenge to make a passkey, which ends in a session. Fails with [`Error::InvalidMailToken`] for a link that is
    /// unknown, expired or spent, or whose account has a password; with [`Error::InvalidCode`], after which another may be
    /// tried; with [`Error::TooManyAttempts`] while codes are throttled; with [`Error::PasskeysUnavailable`].
    pub async fn begin_recovery(
        &self,
        lost: &LostPasskeys,
        token_in_body: bool,
        client: &ClientContext,
    ) -> Result<EnrolmentChallenge, Error> {
        self.relying_party()?;
        let (link, account) = self.lost(lost).await?;
        Box::pin(self.recover((&link, &account), &lost.code, None, client)).await?;
        let ends = self.clock.now() + TO_MAKE_A_PASSKEY;
        let of = (account.id, account.session_epoch + 1);
        let challenge = Challenge {
            methods: vec![CODE_METHOD.to_owned()],
            token_in_body,
            ..Challenge::of_address(ChallengeKind::Recovery, [0; 32], of, &account.email, ends)
        };
        let token = challenge_token::seal(&challenge, &self.keyring.challenge_keys, self.entropy.as_ref())?;
        let methods = vec![EnrolmentMethod::Passkey];
        Ok(EnrolmentChallenge { token, methods, expires_in: TO_MAKE_A_PASSKEY })
    }

    /// Returns the challenge of the link, and its account, which has no password.
    async fn lost(&self, lost: &LostPasskeys) -> Result<(Challenge, Account), Error> {
        let found = self.begun_by_mail(ChallengeKind::PasswordReset, &lost.token).await?;
        if found.1.is_passwordless { Ok(found) } else { Err(Error::InvalidMailToken) }
    }

    /// Spends link and code in one write. A code that is wrong is counted like any other, and spends no link; a link that was
    /// spent costs no code.
    async fn recover(
        &self,
        (link, account): (&Challenge, &Account),
        code: &PresentedCode,
        new: Option<&NewPassword>,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let now: Timestamp = self.clock.now();
        let mut event = self.audit_event(AuditKind::PasswordReset, account.id, client)?;
        event.details.reason = Some("recovered".to_owned());
        let event = &event;
        let decide = |factor: Factor| async move {
            let next = match Box::pin(self.spend_code(account, factor, code, now, client)).await {
                Err(Error::WrongCode) => return Err(Error::InvalidCode),
                spent => spent?,
            };
            let Round::Settled(next) = next else { return Ok(Round::Raced) };
            let recovery = AccountRecovery { link, account, next: &next, new, at: now };
            match self.store.recover_account(&recovery, event).await? {
                Recovered::Done => Ok(Round::Settled(())),
                Recovered::FactorOutdated => Ok(Round::Raced),
                Recovered::Spent => Err(Error::InvalidMailToken),
            }
        };
        self.store.change_factor::<_, Error, _>(account.id, decide).await?;
        self.notify(&account.email, &Notification::AccountRecovered(client)).await;
        Ok(())
    }
}

/// Returns what a refused write means to whoever showed the passkey.
fn settled(ended: PasskeyRule) -> Result<(), Error> {
    match ended {
        PasskeyRule::Done => Ok(()),
        PasskeyRule::CeremonySpent => Err(Error::InvalidSessionToken),
        PasskeyRule::PasskeyChanged => Err(Error::WrongPasskey),
        PasskeyRule::FactorOutdated | PasskeyRule::Outdated => Err(Error::InvalidAccessToken),
    }
}
