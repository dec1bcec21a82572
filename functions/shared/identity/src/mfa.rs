//! The second factor: setting it up, and signing in with it.
//!
//! What a code is worth is decided on a copy of the factor's row; the store lets the decision stand only if the row is
//! still what it was, and otherwise it is decided anew. The count of wrong codes lies in that row too, so it belongs to
//! the account: neither a new sign-in nor another operation starts it afresh.

mod backup_code;
mod code;
mod enrolment;
mod sign_in;
mod step_up;
mod totp;

use jiff::Timestamp;
use portcullis_platform::{EncryptionContext, KeyWrapError};
use portcullis_store::{AccountId, ActiveFactor, AuditKind, Factor, FactorSwap, Round, SealedSecret};

pub use self::code::PresentedCode;
pub use self::enrolment::MfaConfirmation;
pub use self::sign_in::{MfaChallenge, MfaSignIn};
pub use self::step_up::StepUp;
pub use self::totp::TotpEnrolment;

use self::code::{Worth, after_right_code, after_wrong_code, check_throttle};
use self::totp::TotpSecret;
use crate::error::Error;
use crate::{ClientContext, Identity, sealing};

/// A right code, and the factor as it shall be once it is spent.
#[derive(Debug)]
struct Proven {
    next: Factor,
    active: ActiveFactor,
    secret: TotpSecret,
}

impl Identity {
    /// Returns what a right code leads to on this copy of the factor. A wrong one is counted, with an event that tells of
    /// it, before anyone learns that it was wrong: of codes sent side by side, no more are answered than of codes sent
    /// one by one. Raced where another code was counted since the copy was read.
    async fn prove(
        &self,
        account: AccountId,
        factor: Factor,
        code: &PresentedCode,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<Round<Proven>, Error> {
        let active = factor.active.clone().ok_or(Error::MfaNotSetUp)?;
        check_throttle(&factor, now)?;
        let secret = self.open_totp_secret(account, &active.secret).await?;
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

    /// Says whether the count is what it was decided on; if not, somebody else's guess came in between.
    async fn count_wrong_code(
        &self,
        account: AccountId,
        factor: &Factor,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<bool, Error> {
        let event = self.audit_event(AuditKind::MfaFailed, account, client)?;
        let swapped = self.store.swap_factor(account, &after_wrong_code(factor, now), &event).await?;
        Ok(swapped == FactorSwap::Swapped)
    }

    async fn open_totp_secret(&self, account: AccountId, sealed: &SealedSecret) -> Result<TotpSecret, Error> {
        let opened = sealing::open(sealed, &context(account), self.key_wrap.as_ref()).await;
        if let Err(Error::KeyWrap(KeyWrapError::Refused)) = &opened {
            return Err(Error::Internal("the secret of a second factor does not open"));
        }
        Ok(TotpSecret::from_bytes(opened?))
    }
}

/// What the secret of a second factor belongs to.
fn context(account: AccountId) -> EncryptionContext {
    EncryptionContext::new([("purpose", "totp-secret".to_owned()), ("user_id", account.to_string())])
}
