//! The second half of a sign-in: a code, after the password was right.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    Account, AuditKind, ChainEnd, Challenge, ChallengeKind, Factor, FactorSignIn, Round, SignInStep,
};
use secrecy::SecretString;

use super::{PresentedCode, Proven};
use crate::error::Error;
use crate::sign_in::attempts::{PASSWORD_BACKOFF, throttled};
use crate::sign_in::login::{PendingSession, PendingSignIn, SignedIn};
use crate::tokens::session_token::{self, SessionToken};
use crate::{ClientContext, Identity};

/// Time to find the phone.
const TO_FINISH: Duration = Duration::from_mins(5);
/// RFC 8176: what stands for a one-time code in `amr`.
const CODE_METHOD: &str = "otp";

/// A sign-in that still wants a code.
#[derive(Debug)]
pub struct MfaChallenge {
    /// What to send with the code.
    pub token: SessionToken,
    /// How long there is time.
    pub expires_in: Duration,
}

/// Somebody with a code.
#[derive(Debug)]
pub struct MfaSignIn {
    /// What the first half of the sign-in was answered with.
    pub session_token: SecretString,
    /// The code.
    pub code: PresentedCode,
}

impl Identity {
    /// Remembers that the password was right.
    pub(crate) async fn ask_for_code(
        &self,
        account: &Account,
        pending: PendingSession,
        sign_ins: ChainEnd,
        client: &ClientContext,
    ) -> Result<MfaChallenge, Error> {
        let token = SessionToken::generate(ChallengeKind::Mfa, self.entropy.as_ref())?;
        let challenge = pending.challenge(ChallengeKind::Mfa, &token, account, self.clock.now() + TO_FINISH);
        let event = self.audit_event(AuditKind::MfaRequired, account.id, client)?;
        let step = SignInStep::Right(self.attempt_source(&account.email, client));
        let event = event.of_sign_in_with(&account.email, step).behind(sign_ins);
        let answered = self.store.begin_challenge(&challenge, &event, &PASSWORD_BACKOFF.waits()).await?;
        answered.map_err(|refusal| throttled(refusal, event.at))?;
        Ok(MfaChallenge { token, expires_in: TO_FINISH })
    }

    /// Finishes a sign-in with a code. A wrong one leaves it open for another try, as long as the account has tries left.
    pub async fn sign_in_with_code(
        &self,
        sign_in: &MfaSignIn,
        client: &ClientContext,
    ) -> Result<SignedIn, Error> {
        let digest = session_token::presented(ChallengeKind::Mfa, &sign_in.session_token)
            .ok_or(Error::InvalidSessionToken)?;
        let now = self.clock.now();
        let challenge = self.store.challenge(ChallengeKind::Mfa, &digest, now).await?;
        let challenge = challenge.ok_or(Error::InvalidSessionToken)?;
        let (account, sign_ins) = tokio::try_join!(
            self.store.account(challenge.account),
            self.store.sign_ins_end(&challenge.email)
        )?;
        // Whatever ended all that was issued before ends what was begun before as well.
        let account = account
            .filter(|account| self.admit(account).is_ok() && account.session_epoch <= challenge.session_epoch)
            .ok_or(Error::InvalidSessionToken)?;
        let (challenge, account, sign_ins) = (&challenge, &account, &sign_ins);
        let decide = |factor: Factor| async move {
            let proven = match Box::pin(self.prove(account.id, factor, &sign_in.code, now, client)).await {
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
        let answer = self.store.change_factor(account.id, decide).await?;
        Box::pin(self.notify_of_new_device(account, sign_ins.sign_ins(), client)).await;
        answer.finish().await
    }

    /// Spends the code and the challenge, and begins the session; or, with a password that is too old, the challenge that
    /// asks for another one.
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
        let made = self.make_session(account.clone(), pending, now, client)?;
        let event = made.event.behind(sign_ins.clone());
        match self.store.sign_in_by_factor(challenge, &proven.next, &made.session, &event).await? {
            FactorSignIn::Started => Ok(Round::Settled(made.sign_in)),
            FactorSignIn::Outdated => Ok(Round::Raced),
            FactorSignIn::ChallengeSpent => Err(Error::InvalidSessionToken),
        }
    }
}
