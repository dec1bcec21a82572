//! Step-up authentication: one more proof inside a session, for one operation or for the session itself (RFC 9470).
//!
//! A session is raised in two rounds to the store: what the proof is judged by is read, then the proof is spent and the
//! session raised in one write. So the assurance of a session never rises without a proof that is spent with it, and a code
//! that was spent here is spent everywhere. Wrong proofs are counted where they always are: codes with those of sign-ins,
//! passwords with all other confirmations of a session. Passkeys are not counted: there is nothing to guess at.
//!
//! **A lost answer** costs nothing but a refresh: it returns what the session has become. That the same code got the same
//! answer again would make it worth two.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    AuditEvent, AuditKind, ChainEnd, Factor, PasskeyOutcome, PasskeyUse, RaisedSession, Round, SessionRaise,
    until_settled,
};
use portcullis_verifier::Assurance;
use secrecy::SecretString;

use super::PresentedCode;
use super::sign_in::CODE_METHOD;
use crate::access::caller::Caller;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::passkeys::{PresentedPasskey, methods_of};
use crate::passwords::password::Password;
use crate::sessions::refresh::TokenState;
use crate::sign_in::confirmation::confirmations;
use crate::sign_in::login::PASSWORD_METHOD;
use crate::tokens::refresh_token::PresentedToken;
use crate::{ClientContext, Identity};

/// One proof beside the session.
#[derive(Debug)]
pub enum StepUp {
    /// The account's password.
    Password(Password),
    /// A code of the account's second factor.
    Code(PresentedCode),
    /// One of the account's passkeys, over a challenge of `/v1/auth/passkey/options`.
    Passkey(Box<PresentedPasskey>),
}

impl From<Password> for StepUp {
    fn from(password: Password) -> Self {
        Self::Password(password)
    }
}

/// A proof as far as reading it goes. A passkey is verified by now; passwords and codes are where they are spent.
enum Weighed<'a> {
    Password(&'a Password),
    Code(&'a PresentedCode),
    Passkey(Box<(PasskeyUse, ChainEnd)>),
}

impl Weighed<'_> {
    /// Returns how the person proves who they are with it (RFC 8176 values).
    fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Password(_) => &[PASSWORD_METHOD],
            Self::Code(_) => &[CODE_METHOD],
            Self::Passkey(used) => methods_of(&used.0.passkey),
        }
    }

    /// Returns the methods of a session after this proof. One that is weaker than what the session has been proved with
    /// counts for itself alone, because the time of the last proof is then that of the weaker one.
    fn added_to(&self, methods: &[String]) -> Vec<String> {
        let mut after = methods.to_vec();
        if Assurance::of_methods(self.methods()) < Assurance::of_methods(methods) {
            after.clear();
        }
        for method in self.methods() {
            if !after.iter().any(|known| known == method) {
                after.push((*method).to_owned());
            }
        }
        after
    }
}

/// The token that says which session is to be raised.
#[derive(Debug, Clone, Copy)]
pub enum ShownToken<'a> {
    /// An access token.
    Access(&'a str),
    /// A refresh token: one that is refused as long as its session is not raised.
    Refresh(&'a SecretString),
}

/// The access token of a session that was raised.
#[derive(Debug)]
pub struct SteppedUp {
    /// A fresh access token.
    pub access_token: String,
    /// Lifetime of the access token.
    pub expires_in: Duration,
}

impl Identity {
    /// Raises a session by one more proof and returns an access token that says so. Fails like [`Identity::confirm_strongly`];
    /// with [`Error::InvalidAccessToken`] or [`Error::InvalidRefreshToken`] where the session is over; with
    /// [`Error::InsufficientAuthentication`] where the proof is less than the roles of the account require.
    pub async fn step_up(
        &self,
        shown: ShownToken<'_>,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<SteppedUp, Error> {
        let now = self.clock.now();
        let caller = match shown {
            ShownToken::Access(token) => self.authenticate(token).await?,
            ShownToken::Refresh(token) => Box::pin(self.caller_by_refresh_token(token, now, client)).await?,
        };
        demand_code(&caller, proof)?;
        let proof = Box::pin(self.weigh(&caller, proof, client)).await?;
        let methods = proof.added_to(&caller.session.made.methods);
        self.check_roles_met(&caller.account, Assurance::of_methods(&methods))?;
        let raised = RaisedSession {
            account: caller.account.id,
            id: caller.session.made.id,
            session_epoch: caller.session.made.session_epoch,
            methods: (methods != caller.session.made.methods).then(|| methods.clone()),
            at: now,
        };
        let mut event = self.audit_event(AuditKind::SteppedUp, caller.account.id, client)?;
        event.session = Some(raised.id);
        match &proof {
            Weighed::Code(code) => {
                Box::pin(self.raise_by_code(&caller, code, &raised, &event, client)).await?;
            }
            Weighed::Password(password) => {
                Box::pin(self.raise_by_password(&caller, password, &raised, event, client)).await?;
            }
            Weighed::Passkey(used) => {
                event.target = Some(used.0.passkey.id.to_string());
                let event = event.behind(used.1.clone());
                settled(self.store.raise_by_passkey(&raised, &used.0, &event).await?)?;
            }
        }
        let mut session = caller.session;
        (session.made.methods, session.auth_time) = (methods, Some(now));
        Ok(SteppedUp {
            access_token: self.access_token(&caller.account, &session, now)?,
            expires_in: self.settings.access_token_ttl,
        })
    }

    /// Judges a passkey, which nothing is spent by; leaves passwords and codes to where they are.
    async fn weigh<'a>(
        &self,
        caller: &Caller,
        proof: &'a StepUp,
        client: &ClientContext,
    ) -> Result<Weighed<'a>, Error> {
        Ok(match proof {
            StepUp::Password(password) => Weighed::Password(password),
            StepUp::Code(code) => Weighed::Code(code),
            StepUp::Passkey(shown) => {
                let end = async { Ok(self.store.account_trail_end(caller.account.id).await?) };
                let used = tokio::try_join!(self.assert_passkey(&caller.account, shown, client), end)?;
                Weighed::Passkey(Box::new(used))
            }
        })
    }

    async fn raise_by_code(
        &self,
        caller: &Caller,
        code: &PresentedCode,
        raised: &RaisedSession,
        event: &AuditEvent,
        client: &ClientContext,
    ) -> Result<(), Error> {
        until_settled(|| async move {
            let (factor, end) = self.store.factor_and_trail(raised.account).await?;
            let proven = Box::pin(self.prove(&caller.account, factor, code, raised.at, client)).await?;
            let Round::Settled(proven) = proven else { return Ok(Round::Raced) };
            let event = event.clone().behind(end);
            match self.store.raise_by_factor(raised, &proven.next, &event).await? {
                SessionRaise::FactorOutdated => Ok(Round::Raced),
                ended => settled(ended).map(Round::Settled),
            }
        })
        .await
    }

    async fn raise_by_password(
        &self,
        caller: &Caller,
        password: &Password,
        raised: &RaisedSession,
        event: AuditEvent,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let end = async { Ok(self.store.account_trail_end(raised.account).await?) };
        let (_, end) = tokio::try_join!(self.check_confirmation(caller, password, client), end)?;
        let name = confirmations(&caller.account.email);
        settled(self.store.raise_by_password(raised, &name, &event.behind(end)).await?)
    }

    /// Returns who shows a refresh token, as their session stands; nothing of it is rotated. Fails like a refresh.
    async fn caller_by_refresh_token(
        &self,
        token: &SecretString,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<Caller, Error> {
        let presented = PresentedToken::parse(token, &self.keyring.refresh_macs)?;
        let (account, session) = tokio::try_join!(
            self.store.account(presented.account),
            self.store.session(presented.account, presented.session)
        )?;
        let (account, session) = account.zip(session).ok_or(Error::InvalidRefreshToken)?;
        if !self.may_go_on(&account, &session, now) {
            return Err(Error::InvalidRefreshToken);
        }
        match self.token_state(&presented, &session, now) {
            TokenState::Current | TokenState::Replayed(_) => {
                let claims = self.fresh_claims(&account, (&session.made, session.proved_at()), now)?;
                Ok(Caller { account, session, claims })
            }
            TokenState::Stolen => Err(self.end_stolen(&account, &presented, client).await),
            TokenState::Over => Err(Error::InvalidRefreshToken),
        }
    }

    /// Returns an error unless the proof is the caller's, and a code where the account has a second factor: a stolen
    /// password must not be enough.
    pub async fn confirm_strongly(
        &self,
        caller: &Caller,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        demand_code(caller, proof)?;
        self.confirm(caller, proof, client).await
    }

    /// Returns an error unless the proof is the caller's: [`Error::WrongPassword`], [`Error::WrongCode`], or
    /// [`Error::TooManyAttempts`] while throttled. A code is spent by it.
    pub async fn confirm(
        &self,
        caller: &Caller,
        proof: &StepUp,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let code = match proof {
            StepUp::Password(password) => {
                return Box::pin(self.confirm_password(caller, password, client)).await.map(drop);
            }
            StepUp::Passkey(shown) => return Box::pin(self.confirm_passkey(caller, shown, client)).await,
            StepUp::Code(code) => code,
        };
        let (account, now) = (&caller.account, self.clock.now());
        let event = self.audit_event(AuditKind::Confirmed, account.id, client)?;
        let event = &event;
        let decide = |factor: Factor| async move {
            let Round::Settled(proven) = self.prove(account, factor, code, now, client).await? else {
                return Ok(Round::Raced);
            };
            Ok(self.store.swap_factor(account.id, &proven.next, event).await?.round())
        };
        self.store.change_factor(account.id, decide).await.map(drop)
    }

    async fn confirm_passkey(
        &self,
        caller: &Caller,
        shown: &PresentedPasskey,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = &caller.account;
        let used = self.assert_passkey(account, shown, client).await?;
        let mut event = self.audit_event(AuditKind::Confirmed, account.id, client)?;
        event.target = Some(used.passkey.id.to_string());
        match self.store.confirm_by_passkey(&used, &event).await? {
            PasskeyOutcome::Done => Ok(()),
            PasskeyOutcome::CeremonySpent => Err(Error::InvalidSessionToken),
            PasskeyOutcome::CounterFell | PasskeyOutcome::Removed => Err(Error::WrongPasskey),
        }
    }
}

/// Returns what a refused write means to whoever gave the proof.
fn settled(ended: SessionRaise) -> Result<(), Error> {
    match ended {
        SessionRaise::Raised => Ok(()),
        SessionRaise::CeremonySpent => Err(Error::InvalidSessionToken),
        SessionRaise::PasskeyChanged => Err(Error::WrongPasskey),
        SessionRaise::SessionOver | SessionRaise::FactorOutdated => Err(Error::InvalidAccessToken),
    }
}

/// Returns [`Error::Invalid`] for a password where the account has a second factor: a stolen one must not be enough.
fn demand_code(caller: &Caller, proof: &StepUp) -> Result<(), Error> {
    let is_too_little = caller.account.mfa_enabled && matches!(proof, StepUp::Password(_));
    if is_too_little {
        let needed = InvalidField::new(Field::Code, "a code of the second factor is needed");
        return Err(Error::Invalid(needed));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(proof: &Weighed<'_>, methods: &[&str]) -> Vec<String> {
        let methods: Vec<String> = methods.iter().map(|method| (*method).to_owned()).collect();
        proof.added_to(&methods)
    }

    #[test]
    fn a_proof_adds_to_weaker_ones_and_takes_the_place_of_stronger_ones() {
        let (code, password) =
            (PresentedCode::new(&"050471".into()), Password::new(&"copper lantern drifts upstream".into()));
        let (code, password) = (Weighed::Code(&code), Weighed::Password(&password));
        assert_eq!(after(&code, &["pwd"]), ["pwd", "otp"]);
        assert_eq!(after(&code, &["pwd", "otp"]), ["pwd", "otp"]);
        assert_eq!(after(&password, &["pwd"]), ["pwd"]);
        // The factor of the session is gone: what is proved now is the password, and no more.
        assert_eq!(after(&password, &["pwd", "otp"]), ["pwd"]);
        assert_eq!(after(&code, &["hwk", "user"]), ["otp"]);
    }
}
