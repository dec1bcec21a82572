//! Enrolment of a second factor, switching it on and off, and new backup codes. An account with a factor needs a code
//! of it for each of these: a stolen session must not be able to replace it.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    Account, AccountId, ActiveFactor, AuditKind, Factor, FactorSwap, PendingFactor, Round, SealedSecret,
};
use secrecy::SecretString;

use super::backup_code::BackupCodes;
use super::code::check_throttle;
use super::totp::{TotpEnrolment, TotpSecret};
use super::{PresentedCode, StepUp, context};
use crate::access::caller::Caller;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::limits::TOTP_SECRETS;
use crate::notifications::Notification;
use crate::passkeys::PresentedPasskey;
use crate::passwords::password::Password;
use crate::{ClientContext, Identity, sealing};

/// Time to install an app and to come back.
const TO_PROVE_IT: Duration = Duration::from_mins(15);

/// The proofs that a change to a factor requires.
#[derive(Debug)]
pub struct MfaConfirmation {
    /// The account's password.
    pub password: Password,
    /// A code of the factor.
    pub code: PresentedCode,
}

impl Identity {
    /// Returns a new secret for the caller's authenticator app. It becomes the factor once [`Identity::enable_mfa`]
    /// gets a code of it; until then an earlier factor stays in use, and a code of that one is required here. For the first
    /// one a fresh proof is: a stolen token must not make its thief's app the owner's. Fails with
    /// [`Error::InsufficientAuthentication`], [`Error::WrongCode`], or [`Error::TooManyAttempts`] while throttled.
    pub async fn set_up_mfa(
        &self,
        caller: &Caller,
        code: Option<&PresentedCode>,
        client: &ClientContext,
    ) -> Result<TotpEnrolment, Error> {
        self.new_totp_secret(&caller.account, code, || self.require_fresh_proof(caller), client).await
    }

    /// Returns a new secret for the authenticator app of an account, which has `code` of its present factor or passes
    /// `may_be_first`.
    pub(super) async fn new_totp_secret(
        &self,
        account: &Account,
        code: Option<&PresentedCode>,
        may_be_first: impl Fn() -> Result<(), Error>,
        client: &ClientContext,
    ) -> Result<TotpEnrolment, Error> {
        let now = self.clock.now();
        self.limit(&TOTP_SECRETS, &account.id.to_string(), client, now).await?;
        let (secret, sealed) = self.sealed_totp_secret(account.id).await?;
        let pending = PendingFactor { secret: sealed, expires_at: now + TO_PROVE_IT };
        let event = self.audit_event(AuditKind::MfaSetUp, account.id, client)?;
        let (event, pending, may_be_first) = (&event, &pending, &may_be_first);
        let decide = |factor: Factor| async move {
            let base = match (&factor.active, code) {
                (None, _) => {
                    may_be_first()?;
                    factor
                }
                (Some(_), Some(code)) => match self.prove(account, factor, code, now, client).await? {
                    Round::Settled(proven) => proven.next,
                    Round::Raced => return Ok(Round::Raced),
                },
                (Some(_), None) => return Err(Error::Invalid(code_is_needed())),
            };
            let next = Factor { pending: Some(pending.clone()), ..base };
            Ok(self.store.swap_factor(account.id, &next, event).await?.round())
        };
        match self.store.change_factor::<_, Error, _>(account.id, decide).await? {
            FactorSwap::AccountGone => return Err(Error::InvalidAccessToken),
            FactorSwap::Swapped | FactorSwap::Outdated => {}
        }
        secret.enrolment(&self.settings.totp_issuer, account.shown_name())
    }

    /// Returns a new secret of an account's factor, and the same as it is kept; fails without randomness or the master key.
    async fn sealed_totp_secret(&self, account: AccountId) -> Result<(TotpSecret, SealedSecret), Error> {
        let secret = TotpSecret::generate(self.entropy.as_ref())?;
        let (bound, key_wrap) = (context(account), self.key_wrap.as_ref());
        let sealed = sealing::seal(secret.bytes(), &bound, key_wrap, self.entropy.as_ref()).await?;
        Ok((secret, sealed))
    }

    /// Returns a factor of nothing but backup codes, beside a passkey, and the codes. No app gets its secret.
    pub(crate) async fn factor_of_codes(
        &self,
        account: AccountId,
    ) -> Result<(ActiveFactor, Vec<SecretString>), Error> {
        let (secret, sealed) = self.sealed_totp_secret(account).await?;
        let codes = BackupCodes::generate(&secret, self.entropy.as_ref())?;
        let active =
            ActiveFactor { secret: sealed, last_step: 0, backup_codes: codes.kept, codes_only: true };
        Ok((active, codes.shown))
    }

    /// Enables the second factor and returns its backup codes, which are never shown again. Fails with
    /// [`Error::MfaNotSetUp`] where no secret waits to be proven, [`Error::WrongCode`] if the code is not of it.
    pub async fn enable_mfa(
        &self,
        caller: &Caller,
        code: &PresentedCode,
        client: &ClientContext,
    ) -> Result<Vec<SecretString>, Error> {
        let (account, now) = (&caller.account, self.clock.now());
        let event = self.audit_event(AuditKind::MfaEnabled, account.id, client)?;
        let event = &event;
        let decide = |factor: Factor| async move {
            let Round::Settled((next, shown)) =
                self.prove_pending(account, &factor, code, now, client).await?
            else {
                return Ok(Round::Raced);
            };
            match self.store.switch_factor(account, &next, event).await? {
                FactorSwap::Swapped => Ok(Round::Settled(shown)),
                FactorSwap::Outdated => Ok(Round::Raced),
                FactorSwap::AccountGone => Err(Error::InvalidAccessToken),
            }
        };
        let shown = self.store.change_factor(account.id, decide).await?;
        self.notify(&account.email, &Notification::MfaEnabled(client)).await;
        Ok(shown)
    }

    /// Returns the factor that a right code of the pending secret makes, and its backup codes; `Raced` where the row changed
    /// since this copy was read. Fails with [`Error::MfaNotSetUp`], [`Error::WrongCode`], or [`Error::TooManyAttempts`].
    pub(super) async fn prove_pending(
        &self,
        account: &Account,
        factor: &Factor,
        code: &PresentedCode,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<Round<(Factor, Vec<SecretString>)>, Error> {
        let pending = factor.pending.clone().filter(|pending| pending.expires_at > now);
        let pending = pending.ok_or(Error::MfaNotSetUp)?;
        check_throttle(factor, now)?;
        let secret = self.open_totp_secret(account.id, &pending.secret).await?;
        let Some(step) = code.step(&secret, now)? else {
            let is_counted = self.count_wrong_code(account, factor, now, client).await?;
            return if is_counted { Err(Error::WrongCode) } else { Ok(Round::Raced) };
        };
        let codes = BackupCodes::generate(&secret, self.entropy.as_ref())?;
        // The code that proves the secret is spent like any other.
        let active = ActiveFactor {
            secret: pending.secret,
            last_step: step,
            backup_codes: codes.kept,
            codes_only: false,
        };
        Ok(Round::Settled((factor.replaced_by(Some(active)), codes.shown)))
    }

    /// Disables the second factor. Fails with [`Error::WrongPassword`] or [`Error::WrongCode`].
    pub async fn disable_mfa(
        &self,
        caller: &Caller,
        proof: &MfaConfirmation,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let (account, now) = (&caller.account, self.clock.now());
        self.confirm_password(caller, &proof.password, client).await?;
        let event = self.audit_event(AuditKind::MfaDisabled, account.id, client)?;
        let event = &event;
        let decide = |factor: Factor| async move {
            let Round::Settled(proven) = self.prove(account, factor, &proof.code, now, client).await? else {
                return Ok(Round::Raced);
            };
            let next = proven.next.replaced_by(None);
            match self.store.switch_factor(account, &next, event).await? {
                FactorSwap::Swapped => Ok(Round::Settled(())),
                FactorSwap::Outdated => Ok(Round::Raced),
                FactorSwap::AccountGone => Err(Error::InvalidAccessToken),
            }
        };
        self.store.change_factor(account.id, decide).await?;
        self.notify(&account.email, &Notification::MfaDisabled(client)).await;
        Ok(())
    }

    /// Returns new backup codes, in place of the old ones, which are invalid at once. Fails with
    /// [`Error::WrongPassword`] or [`Error::WrongCode`].
    pub async fn renew_backup_codes(
        &self,
        caller: &Caller,
        proof: &MfaConfirmation,
        client: &ClientContext,
    ) -> Result<Vec<SecretString>, Error> {
        let (account, now) = (&caller.account, self.clock.now());
        self.confirm_password(caller, &proof.password, client).await?;
        let event = self.audit_event(AuditKind::BackupCodesRenewed, account.id, client)?;
        let event = &event;
        let decide = |factor: Factor| async move {
            let Round::Settled(proven) = self.prove(account, factor, &proof.code, now, client).await? else {
                return Ok(Round::Raced);
            };
            let codes = BackupCodes::generate(&proven.secret, self.entropy.as_ref())?;
            let spent = proven.next.active.unwrap_or(proven.active);
            let active = ActiveFactor { backup_codes: codes.kept, ..spent };
            let next = Factor { active: Some(active), ..proven.next };
            Ok(match self.store.swap_factor(account.id, &next, event).await?.round() {
                Round::Settled(_) => Round::Settled(codes.shown),
                Round::Raced => Round::Raced,
            })
        };
        let shown = self.store.change_factor::<_, Error, _>(account.id, decide).await?;
        self.notify(&account.email, &Notification::BackupCodesRenewed(client)).await;
        Ok(shown)
    }

    /// Returns new backup codes after a passkey, for whoever has no password or none of the codes left. Fails as
    /// [`Identity::confirm`] does, and with [`Error::MfaNotSetUp`].
    pub async fn renew_backup_codes_by_passkey(
        &self,
        caller: &Caller,
        shown: PresentedPasskey,
        client: &ClientContext,
    ) -> Result<Vec<SecretString>, Error> {
        let account = &caller.account;
        if !account.mfa_enabled {
            return Err(Error::MfaNotSetUp);
        }
        Box::pin(self.confirm(caller, &StepUp::Passkey(Box::new(shown)), client)).await?;
        let event = self.audit_event(AuditKind::BackupCodesRenewed, account.id, client)?;
        let event = &event;
        let decide = |factor: Factor| async move {
            let active = factor.active.clone().ok_or(Error::MfaNotSetUp)?;
            let secret = self.open_totp_secret(account.id, &active.secret).await?;
            let codes = BackupCodes::generate(&secret, self.entropy.as_ref())?;
            let active = ActiveFactor { backup_codes: codes.kept, ..active };
            let next = Factor { active: Some(active), ..factor };
            Ok(match self.store.swap_factor(account.id, &next, event).await?.round() {
                Round::Settled(_) => Round::Settled(codes.shown),
                Round::Raced => Round::Raced,
            })
        };
        let codes = self.store.change_factor::<_, Error, _>(account.id, decide).await?;
        self.notify(&account.email, &Notification::BackupCodesRenewed(client)).await;
        Ok(codes)
    }
}

fn code_is_needed() -> InvalidField {
    InvalidField::new(Field::Code, "a code of the present second factor is needed to set up another one")
}
