//! Second factors (MFA): enrolment, in a session or before the first one, sign-in with a code, and step-up inside a session.
//!
//! A code is checked against a copy of the factor's row, and the store accepts the decision only if the row is still
//! the one that was read (compare and swap); otherwise the code is checked again. Two requests with one code therefore
//! spend it once. The count of wrong codes is in the same row, so it belongs to the account: neither a new sign-in nor
//! another operation resets it.

mod backup_code;
mod code;
mod enrolment;
mod first_factor;
mod sign_in;
mod step_up;
mod totp;

use jiff::Timestamp;
use portcullis_platform::{EncryptionContext, KeyWrapError};
use portcullis_store::{
    Account, AccountId, ActiveFactor, AuditKind, Factor, FactorSwap, Round, SealedSecret,
};

pub use self::code::PresentedCode;
pub use self::enrolment::MfaConfirmation;
pub(crate) use self::first_factor::ProvedFirst;
pub use self::first_factor::{EnrolledSignIn, EnrolmentChallenge, EnrolmentMethod};
pub(crate) use self::sign_in::CODE_METHOD;
pub use self::sign_in::{MfaChallenge, MfaSignIn};
pub use self::step_up::{ShownToken, StepUp, SteppedUp};
pub use self::totp::TotpEnrolment;

use self::code::{Worth, after_right_code, after_wrong_code, check_throttle};
use self::totp::TotpSecret;
use crate::error::Error;
use crate::notifications::Notification;
use crate::{ClientContext, Identity, sealing};

/// Wrong codes in a row after which the owner is notified: people mistype one or two.
const WRONG_CODES_BEFORE_NOTICE: u64 = 3;

/// A right code, and the factor once it is spent.
#[derive(Debug)]
struct Proven {
    next: Factor,
    active: ActiveFactor,
    secret: TotpSecret,
}

impl Identity {
    /// Returns the factor after a right code; `Raced` where another code was counted since this copy was read. Fails
    /// with [`Error::WrongCode`], or [`Error::TooManyAttempts`] while throttled.
    ///
    /// A wrong code is counted before the client learns that it was wrong, by a swap of the copy it was checked
    /// against: of codes sent in parallel one swap succeeds and the others are checked again, then throttled like codes
    /// sent one by one.
    async fn prove(
        &self,
        account: &Account,
        factor: Factor,
        code: &PresentedCode,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<Round<Proven>, Error> {
        let active = factor.active.clone().ok_or(Error::MfaNotSetUp)?;
        check_throttle(&factor, now)?;
        let secret = self.open_totp_secret(account.id, &active.secret).await?;
        match code.worth(&secret, &active, now)? {
            Worth::Spent => Err(Error::WrongCode),
            Worth::Nothing if self.count_wrong_code(account, &factor, now, client).await? => {
                Err(Error::WrongCode)
            }
            Worth::Nothing => Ok(Round::Raced),
            worth => {
                let next = after_right_code(&factor, &active, worth);
                Ok(Round::Settled(Proven { next, active, secret }))
            }
        }
    }

    /// Returns the factor once a right code is spent in it, for a write of something else that the code is to prove; `Raced` and
    /// errors as of a sign-in.
    pub(crate) async fn spend_code(
        &self,
        account: &Account,
        factor: Factor,
        code: &PresentedCode,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<Round<Factor>, Error> {
        Ok(match self.prove(account, factor, code, now, client).await? {
            Round::Settled(proven) => Round::Settled(proven.next),
            Round::Raced => Round::Raced,
        })
    }

    /// Returns whether the wrong code was counted; `false` if another request changed the row since it was read, so
    /// that the decision must be made again. The owner of a factor is notified once for each row of wrong codes: the count
    /// goes on over sign-ins until a code is right, so that whoever has the password cannot make a flood of mail.
    async fn count_wrong_code(
        &self,
        account: &Account,
        factor: &Factor,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<bool, Error> {
        let event = self.audit_event(AuditKind::MfaFailed, account.id, client)?;
        let next = after_wrong_code(factor, now);
        let is_counted = self.store.swap_factor(account.id, &next, &event).await? == FactorSwap::Swapped;
        if is_counted && factor.active.is_some() && next.failures == WRONG_CODES_BEFORE_NOTICE {
            self.notify(&account.email, &Notification::WrongCodes(client)).await;
        }
        Ok(is_counted)
    }

    async fn open_totp_secret(&self, account: AccountId, sealed: &SealedSecret) -> Result<TotpSecret, Error> {
        let opened = sealing::open(sealed, &context(account), self.key_wrap.as_ref()).await;
        if let Err(Error::KeyWrap(KeyWrapError::Refused)) = &opened {
            return Err(Error::Internal("the secret of a second factor does not open"));
        }
        Ok(TotpSecret::from_bytes(opened?))
    }
}

/// Returns the encryption context a TOTP secret is bound to.
fn context(account: AccountId) -> EncryptionContext {
    EncryptionContext::new([("purpose", "totp-secret".to_owned()), ("user_id", account.to_string())])
}
