//! The second half of a sign-in: a code, after the password was right.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_platform::Entropy;
use portcullis_store::{
    Account, AuditKind, ChainEnd, Challenge, ChallengeKind, Factor, FactorSignIn, Round, SignInStep,
};
use secrecy::SecretString;

use super::{PresentedCode, Proven};
use crate::error::Error;
use crate::sign_in::attempts::{PASSWORD_BACKOFF, throttled};
use crate::sign_in::login::{PendingSession, PendingSignIn, SignedIn};
use crate::tokens::challenge_token::{self, OfChallenge};
use crate::tokens::session_token::SessionToken;
use crate::{ClientContext, Identity};

/// Time to find the phone.
const TO_FINISH: Duration = Duration::from_mins(5);
/// The `amr` value of a one-time code (RFC 8176).
pub(crate) const CODE_METHOD: &str = "otp";

/// A sign-in that still requires a code.
#[derive(Debug)]
pub struct MfaChallenge {
    /// The token to send with the code.
    pub token: SessionToken,
    /// Lifetime of the token.
    pub expires_in: Duration,
    /// Whether the account has a passkey, which signs in by itself and needs no token.
    pub has_passkeys: bool,
    /// Whether backup codes are the only codes that there are, because the account has no authenticator app.
    pub has_codes_only: bool,
}

/// The second request of a sign-in: its token and a code.
#[derive(Debug)]
pub struct MfaSignIn {
    /// The token of [`MfaChallenge`], unverified.
    pub session_token: SecretString,
    /// The code, unverified.
    pub code: PresentedCode,
}

impl Identity {
    /// Records that the password was right and returns the challenge for a code; fails with [`Error::TooManyAttempts`]
    /// where parallel attempts throttled this one.
    pub(crate) async fn ask_for_code(
        &self,
        account: &Account,
        pending: PendingSession,
        sign_ins: ChainEnd,
        client: &ClientContext,
    ) -> Result<MfaChallenge, Error> {
        let challenge = pending.sealed_challenge(ChallengeKind::Mfa, account, self.clock.now() + TO_FINISH);
        let token = challenge_token::seal(&challenge, &self.keyring.challenge_keys, self.entropy.as_ref())?;
        let event = self.audit_event(AuditKind::MfaRequired, account.id, client)?;
        let step = SignInStep::Right(self.attempt_source(Some(account), client));
        let event = event.of_sign_in_with(&account.email, step).behind(sign_ins);
        let answered = self.store.record_attempt(&event, &PASSWORD_BACKOFF.waits()).await?;
        answered.map_err(|refusal| throttled(refusal, event.at))?;
        let (has_passkeys, has_codes_only) = (account.passkeys > 0, account.mfa_has_codes_only);
        Ok(MfaChallenge { token, expires_in: TO_FINISH, has_passkeys, has_codes_only })
    }

    /// Returns the session of a sign-in that is completed with a code. Fails with [`Error::InvalidCode`] for a wrong
    /// code, after which another may be tried; with [`Error::TooManyAttempts`] while codes are throttled; with
    /// [`Error::InvalidSessionToken`] when the challenge is unknown, expired, spent, or behind the session epoch.
    pub async fn sign_in_with_code(
        &self,
        sign_in: &MfaSignIn,
        client: &ClientContext,
    ) -> Result<SignedIn, Error> {
        let now = self.clock.now();
        let (kind, keys) = (ChallengeKind::Mfa, &self.keyring.challenge_keys);
        let challenge = challenge_token::open(kind, &sign_in.session_token, keys, now);
        let challenge = challenge.ok_or(Error::InvalidSessionToken)?;
        let (account, sign_ins) = tokio::try_join!(
            self.store.account(challenge.account),
            self.store.sign_ins_end(&challenge.email)
        )?;
        // A raised session epoch ends challenges like sessions: a password that was changed since the first half of the
        // sign-in is not completed by its second half.
        let account = account
            .filter(|account| self.admit(account).is_ok() && account.session_epoch <= challenge.session_epoch)
            .ok_or(Error::InvalidSessionToken)?;
        let (challenge, account, sign_ins) = (&challenge, &account, &sign_ins);
        let decide = |factor: Factor| async move {
            if factor.has_spent(challenge) {
                return Err(Error::InvalidSessionToken);
            }
            let proven = match Box::pin(self.prove(account, factor, &sign_in.code, now, client)).await {
                Err(Error::WrongCode) => return Err(Error::InvalidCode),
                // It was switched off meanwhile; the next sign-in will not ask for it.
                Err(Error::MfaNotSetUp) => return Err(Error::InvalidSessionToken),
                proven => proven?,
            };
            match proven {
                Round::Raced => Ok(Round::Raced),
                Round::Settled(proven) => {
                    self.finish_by_factor(challenge, account, sign_ins, proven, (now, client)).await
                }
            }
        };
        let pending = self.store.change_factor(account.id, decide).await?;
        Box::pin(self.notify_of_new_device(account, sign_ins.sign_ins(), client)).await;
        pending.finish().await
    }

    /// Begins the session and spends the code and the challenge; or, with an expired password, the challenge to replace it. `Raced` where the factor changed since it was read: the code is then checked again, and
    /// nothing was spent.
    async fn finish_by_factor(
        &self,
        challenge: &Challenge,
        account: &Account,
        sign_ins: &ChainEnd,
        proven: Proven,
        (now, client): (Timestamp, &ClientContext),
    ) -> Result<Round<PendingSignIn>, Error> {
        let mut pending = PendingSession::of(challenge);
        pending.methods.push(CODE_METHOD.to_owned());
        if !self.has_current_password(account, now) {
            let ((next, expired), event) = self.rotation(account, pending, now, client)?;
            let event = event.behind(sign_ins.clone());
            return match self.store.continue_by_factor(challenge, &proven.next, &next, &event).await? {
                FactorSignIn::Started => Err(expired),
                FactorSignIn::Outdated => Ok(Round::Raced),
                FactorSignIn::ChallengeSpent => Err(Error::InvalidSessionToken),
            };
        }
        // However often this is tried, it is one session.
        let same_each_time = OfChallenge::new(challenge, &self.keyring.challenge_keys)?;
        let source = (challenge.expires_at - TO_FINISH, &same_each_time as &dyn Entropy);
        let made = self.make_session_of(source, account.clone(), pending, now, client)?;
        let event = made.event.behind(sign_ins.clone());
        match self.store.sign_in_by_factor(challenge, &proven.next, &made.session, &event).await? {
            FactorSignIn::Started => Ok(Round::Settled(made.sign_in)),
            FactorSignIn::Outdated => Ok(Round::Raced),
            FactorSignIn::ChallengeSpent => Err(Error::InvalidSessionToken),
        }
    }
}
