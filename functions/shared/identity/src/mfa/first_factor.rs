//! A sign-in that has to wait for its first factor: a role of the account requires more than a password, and there is
//! nothing yet to prove more with. The password was right, which is as fresh a proof as an enrolment asks for anywhere; what
//! is enrolled then completes the sign-in.
//!
//! The token is good for enrolling and for nothing else. It is worth one session: it is spent in the row of the factor, by
//! the write that begins the session.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    Account, AuditKind, ChainEnd, Challenge, ChallengeKind, Factor, FirstFactor, FirstFactorSignIn, Passkey,
    Round, SignInStep, SpentCeremony,
};
use portcullis_verifier::Assurance;
use secrecy::SecretString;

use super::sign_in::CODE_METHOD;
use super::{PresentedCode, TotpEnrolment};
use crate::error::Error;
use crate::notifications::Notification;
use crate::passkeys::{over, unusable};
use crate::sign_in::attempts::{PASSWORD_BACKOFF, throttled};
use crate::sign_in::login::{PendingSession, PendingSignIn, SignedIn};
use crate::tokens::challenge_token;
use crate::tokens::session_token::SessionToken;
use crate::{ClientContext, Identity};

/// Time to install an app and to come back, as inside a session.
const TO_ENROL: Duration = Duration::from_mins(15);

/// A first factor that was proved, and what the session is to be begun from.
pub(crate) struct ProvedFirst<'a> {
    /// The challenge of the sign-in that waits for it.
    pub(crate) challenge: &'a Challenge,
    /// The account as it was read.
    pub(crate) account: &'a Account,
    /// Where the record of its sign-ins ends.
    pub(crate) sign_ins: &'a ChainEnd,
    /// How the person proves who they are with it (RFC 8176 values).
    pub(crate) methods: &'a [&'a str],
    /// The passkey, where it is one, and the ceremony it was made in.
    pub(crate) passkey: Option<(&'a Passkey, &'a SpentCeremony)>,
}

/// A sign-in that waits for a factor to be set up.
#[derive(Debug)]
pub struct EnrolmentChallenge {
    /// The token to enrol with.
    pub token: SessionToken,
    /// What may be enrolled: any of it completes the sign-in.
    pub methods: Vec<EnrolmentMethod>,
    /// Lifetime of the token.
    pub expires_in: Duration,
}

/// A factor that can be set up to complete a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentMethod {
    /// An authenticator app.
    Totp,
    /// A passkey, made at `/v1/passkeys/options` and `/v1/passkeys`.
    Passkey,
}

impl EnrolmentMethod {
    /// Returns what a sign-in amounts to that it completed.
    fn proves(self) -> Assurance {
        match self {
            Self::Totp => Assurance::Aal2,
            Self::Passkey => Assurance::Phr,
        }
    }
}

/// A sign-in that an enrolment completed.
#[derive(Debug)]
pub struct EnrolledSignIn {
    /// The session that waited for the factor, with its tokens.
    pub session: SignedIn,
    /// The backup codes, which are never shown again.
    pub backup_codes: Vec<SecretString>,
}

impl Identity {
    /// Records that the password was right and returns the challenge to enrol; fails with [`Error::TooManyAttempts`] where
    /// parallel attempts throttled this one.
    pub(crate) async fn ask_for_enrolment(
        &self,
        account: &Account,
        pending: PendingSession,
        sign_ins: ChainEnd,
        client: &ClientContext,
    ) -> Result<EnrolmentChallenge, Error> {
        let asked = self.enrolment_challenge(account, pending)?;
        let event = self.audit_event(AuditKind::MfaEnrolmentRequired, account.id, client)?;
        let step = SignInStep::Right(self.attempt_source(Some(account), client));
        let event = event.of_sign_in_with(&account.email, step).behind(sign_ins);
        let answered = self.store.record_attempt(&event, &PASSWORD_BACKOFF.waits()).await?;
        answered.map_err(|refusal| throttled(refusal, event.at))?;
        Ok(asked)
    }

    /// Returns the challenge to enrol, of a sign-in that has come so far; fails without randomness.
    pub(crate) fn enrolment_challenge(
        &self,
        account: &Account,
        pending: PendingSession,
    ) -> Result<EnrolmentChallenge, Error> {
        let ends = self.clock.now() + TO_ENROL;
        let challenge = pending.sealed_challenge(ChallengeKind::Enrolment, account, ends);
        let token = challenge_token::seal(&challenge, &self.keyring.challenge_keys, self.entropy.as_ref())?;
        Ok(EnrolmentChallenge { token, methods: self.enrolment_methods(account), expires_in: TO_ENROL })
    }

    /// Returns what can be set up here and is as much as the roles of the account require.
    fn enrolment_methods(&self, account: &Account) -> Vec<EnrolmentMethod> {
        let passkey = self.passkeys.is_some().then_some(EnrolmentMethod::Passkey);
        let methods = std::iter::once(EnrolmentMethod::Totp).chain(passkey);
        methods.filter(|method| self.check_roles_met(account, method.proves()).is_ok()).collect()
    }

    /// Returns a new secret for the authenticator app of an account whose sign-in waits for it. Fails with
    /// [`Error::InvalidSessionToken`], or [`Error::TooManyAttempts`].
    pub async fn set_up_first_mfa(
        &self,
        session_token: &SecretString,
        client: &ClientContext,
    ) -> Result<TotpEnrolment, Error> {
        let (_, account) =
            self.enrolling(&[ChallengeKind::Enrolment], session_token, self.clock.now()).await?;
        self.new_totp_secret(&account, None, || Ok(()), client).await
    }

    /// Enables the first factor of an account and returns the session that waited for it, with the backup codes. Fails with
    /// [`Error::InvalidCode`], after which another may be tried; with [`Error::MfaNotSetUp`] where no secret waits to be
    /// proven; with [`Error::InvalidSessionToken`] when the token is unknown, expired, spent, behind the session epoch, or
    /// the account has a factor by now; with [`Error::TooManyAttempts`] while codes are throttled.
    pub async fn enable_first_mfa(
        &self,
        session_token: &SecretString,
        code: &PresentedCode,
        client: &ClientContext,
    ) -> Result<EnrolledSignIn, Error> {
        let now = self.clock.now();
        let (challenge, account) = self.enrolling(&[ChallengeKind::Enrolment], session_token, now).await?;
        let before = self.store.sign_ins_end(&challenge.email).await?;
        let account = &account;
        let first = ProvedFirst {
            challenge: &challenge,
            account,
            sign_ins: &before,
            methods: &[CODE_METHOD],
            passkey: None,
        };
        let first = &first;
        let decide = |factor: Factor| async move {
            // It was set up in another sign-in meanwhile, and a code of it is needed from now on.
            if factor.active.is_some() || factor.has_spent(first.challenge) {
                return Err(Error::InvalidSessionToken);
            }
            let proven = match Box::pin(self.prove_pending(account, &factor, code, now, client)).await {
                Err(Error::WrongCode) => return Err(Error::InvalidCode),
                proven => proven?,
            };
            let Round::Settled((next, shown)) = proven else { return Ok(Round::Raced) };
            Ok(match Box::pin(self.begin_by_first_factor(first, &next, (now, client))).await? {
                Round::Settled(pending) => Round::Settled((pending, shown)),
                Round::Raced => Round::Raced,
            })
        };
        let (pending, backup_codes) = self.store.change_factor::<_, Error, _>(account.id, decide).await?;
        self.notify(&account.email, &Notification::MfaEnabled(client)).await;
        Box::pin(self.notify_of_new_device(account, before.sign_ins(), client)).await;
        Ok(EnrolledSignIn { session: pending.finish().await?, backup_codes })
    }

    /// Enables a passkey as the first factor, with backup codes beside it for the day it is lost, and returns the session that
    /// waited for it. Fails with [`Error::InvalidSessionToken`] as [`Identity::enable_first_mfa`] does; with
    /// [`Error::Invalid`] for a ceremony that was finished, and for a credential that is somebody's already.
    pub(crate) async fn begin_by_first_passkey(
        &self,
        first: &ProvedFirst<'_>,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<EnrolledSignIn, Error> {
        let (active, backup_codes) = self.factor_of_codes(first.account.id).await?;
        let (active, is_recovery) = (&active, first.challenge.kind == ChallengeKind::Recovery);
        let decide = |factor: Factor| async move {
            if factor.has_spent(first.challenge) || (factor.active.is_some() && !is_recovery) {
                return Err(Error::InvalidSessionToken);
            }
            // An app that is in use stays, with the codes that are left. Of one that was to be set up nothing does.
            let has_app = factor.active.as_ref().is_some_and(|active| !active.codes_only);
            let next = if has_app { factor } else { factor.replaced_by(Some(active.clone())) };
            let begun = Box::pin(self.begin_by_first_factor(first, &next, (now, client))).await?;
            Ok(match begun {
                Round::Settled(pending) => Round::Settled((pending, has_app)),
                Round::Raced => Round::Raced,
            })
        };
        let (pending, has_app) = self.store.change_factor::<_, Error, _>(first.account.id, decide).await?;
        let backup_codes = if has_app { Vec::new() } else { backup_codes };
        self.notify(&first.account.email, &Notification::PasskeyAdded(client)).await;
        Box::pin(self.notify_of_new_device(first.account, first.sign_ins.sign_ins(), client)).await;
        Ok(EnrolledSignIn { session: pending.finish().await?, backup_codes })
    }

    /// Switches the factor on, begins the session and spends the challenge. `Raced` where the factor changed since it was
    /// read, and nothing was written.
    async fn begin_by_first_factor(
        &self,
        first: &ProvedFirst<'_>,
        next: &Factor,
        (now, client): (Timestamp, &ClientContext),
    ) -> Result<Round<PendingSignIn>, Error> {
        let ProvedFirst { challenge, account, sign_ins, methods, passkey } = *first;
        let mut pending = PendingSession::of(challenge);
        pending.methods.extend(methods.iter().map(|method| (*method).to_owned()));
        let signed_in = Account {
            mfa_enabled: true,
            mfa_enabled_at: Some(now),
            mfa_has_codes_only: next.active.as_ref().is_some_and(|active| active.codes_only),
            passkeys: account.passkeys + u64::from(passkey.is_some()),
            ..account.clone()
        };
        let made = self.make_session(signed_in, pending, now, client)?;
        let mut events = Vec::with_capacity(3);
        if let Some((passkey, _)) = passkey {
            let mut added = self.audit_event(AuditKind::PasskeyAdded, account.id, client)?;
            added.target = Some(passkey.id.to_string());
            added.session = Some(made.session.id);
            events.push(added);
        }
        events.push(self.audit_event(AuditKind::MfaEnabled, account.id, client)?);
        events.push(made.event.behind(sign_ins.clone()));
        let sign_in = FirstFactorSignIn { challenge, account, next, passkey, session: &made.session };
        match self.store.sign_in_by_first_factor(&sign_in, &events).await? {
            FirstFactor::Started => Ok(Round::Settled(made.sign_in)),
            FirstFactor::FactorOutdated => Ok(Round::Raced),
            FirstFactor::AccountChanged | FirstFactor::ChallengeSpent => Err(Error::InvalidSessionToken),
            FirstFactor::CeremonySpent => Err(over()),
            FirstFactor::Taken => Err(unusable()),
        }
    }

    /// Returns the challenge of a presented token, of one of these kinds, and its account; fails with
    /// [`Error::InvalidSessionToken`]. A raised session epoch ends it. So does a factor, where it waits for the first one: whoever
    /// has one signs in with it. So does a password, where it is to get somebody back in who has none.
    pub(crate) async fn enrolling(
        &self,
        kinds: &[ChallengeKind],
        session_token: &SecretString,
        now: Timestamp,
    ) -> Result<(Challenge, Account), Error> {
        let keys = &self.keyring.challenge_keys;
        let opened = |kind: &ChallengeKind| challenge_token::open(*kind, session_token, keys, now);
        let challenge = kinds.iter().find_map(opened).ok_or(Error::InvalidSessionToken)?;
        let is_recovery = challenge.kind == ChallengeKind::Recovery;
        let account = self.store.account(challenge.account).await?;
        let account = account
            .filter(|account| self.admit(account).is_ok() && account.session_epoch <= challenge.session_epoch)
            .filter(|account| is_recovery || !account.mfa_enabled && self.has_current_password(account, now))
            .filter(|account| is_recovery == account.is_passwordless)
            .ok_or(Error::InvalidSessionToken)?;
        Ok((challenge, account))
    }
}
