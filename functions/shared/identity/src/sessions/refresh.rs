//! Refresh-token rotation: one live token for each session, and what a replay costs.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{Account, AuditKind, NewSession, Rotation, RotationResult, Session};
use secrecy::SecretString;

use crate::error::Error;
use crate::tokens::refresh_token::{PresentedToken, RefreshToken};
use crate::{ClientContext, Identity};

/// A refresh token for its owner, and how a cookie has to carry it.
#[derive(Debug)]
pub struct RefreshGrant {
    /// The token.
    pub token: RefreshToken,
    /// Whether the browser shall keep it when it is closed.
    pub persistent: bool,
    /// How long it can be used at most.
    pub max_age: Duration,
}

impl RefreshGrant {
    pub(crate) fn of(token: RefreshToken, session: &NewSession, now: Timestamp) -> Self {
        let end = session.idle_expires_at.min(session.expires_at);
        let left = end.duration_since(now).max(jiff::SignedDuration::ZERO).unsigned_abs();
        Self { token, persistent: session.persistent, max_age: left }
    }
}

/// A session that goes on.
#[derive(Debug)]
pub struct Refreshed {
    /// A fresh access token.
    pub access_token: String,
    /// How long it lives.
    pub expires_in: Duration,
    /// The token to refresh with next.
    pub refresh: RefreshGrant,
}

/// What a presented token is to a session whose condition refused it.
enum TokenState {
    /// The session is over for everybody.
    Over,
    /// The predecessor of the current token, so soon after the rotation that its answer was lost or raced.
    Replayed(RefreshToken),
    /// A token that was rotated away before: two parties hold tokens of one session.
    Stolen,
}

impl Identity {
    /// Trades a refresh token for its successor and an access token.
    ///
    /// A lost answer or a second tab presents the predecessor once more and gets *the same* successor inside the grace
    /// period, so a session never has two live branches and nobody is signed out by a race. Any older token of ours
    /// ends the session.
    pub async fn refresh(&self, token: &SecretString, client: &ClientContext) -> Result<Refreshed, Error> {
        let presented = PresentedToken::parse(token, &self.keyring.refresh_macs)?;
        let now = self.clock.now();
        let next = RefreshToken::generate(
            self.keyring.making_mac()?,
            presented.account,
            presented.session,
            presented.generation.saturating_add(1),
            self.entropy.as_ref(),
        )?;
        let step = Rotation {
            account: presented.account,
            session: presented.session,
            generation: presented.generation,
            presented: presented.digest(),
            next: next.digest(),
            successor: presented.seal(&next, self.entropy.as_ref())?,
            now,
            idle_expires_at: now + self.settings.idle_limit(),
        };
        let (rotated, account) =
            tokio::try_join!(self.store.rotate(&step), self.store.account(presented.account))?;
        let account = account.ok_or(Error::InvalidRefreshToken)?;
        match rotated {
            RotationResult::Rotated(session) if self.may_go_on(&account, &session, now) => {
                self.refreshed(&account, &session, next, now)
            }
            RotationResult::Refused(session) if self.may_go_on(&account, &session, now) => {
                match self.token_state(&presented, &session, now) {
                    TokenState::Replayed(current) => self.refreshed(&account, &session, current, now),
                    TokenState::Stolen => self.end_stolen(&presented, client).await,
                    TokenState::Over => Err(Error::InvalidRefreshToken),
                }
            }
            _ => Err(Error::InvalidRefreshToken),
        }
    }

    /// Whoever has a password that is too old signs in once more and replaces it.
    fn may_go_on(&self, account: &Account, session: &Session, now: Timestamp) -> bool {
        self.is_usable(account, session, now) && self.has_current_password(account, now)
    }

    fn token_state(&self, presented: &PresentedToken, session: &Session, now: Timestamp) -> TokenState {
        let is_predecessor = session.previous.is_some_and(|previous| {
            aws_lc_rs::constant_time::verify_slices_are_equal(&previous, &presented.digest()).is_ok()
        });
        let in_grace = session.rotated_at.is_some_and(|at| now < at + self.settings.refresh_reuse_grace);
        if is_predecessor && in_grace {
            let successor = session.successor.as_deref().and_then(|sealed| presented.open(sealed));
            return successor.map_or(TokenState::Over, TokenState::Replayed);
        }
        // A token of ours that is ahead of the row can only come from a table restored from a backup.
        if presented.generation > session.generation { TokenState::Over } else { TokenState::Stolen }
    }

    async fn end_stolen(
        &self,
        presented: &PresentedToken,
        client: &ClientContext,
    ) -> Result<Refreshed, Error> {
        let mut event = self.audit_event(AuditKind::RefreshTokenReuse, presented.account, client)?;
        event.session = Some(presented.session);
        self.store.revoke_session(presented.account, presented.session, &event).await?;
        Err(Error::SessionRevoked)
    }

    fn refreshed(
        &self,
        account: &Account,
        session: &Session,
        token: RefreshToken,
        now: Timestamp,
    ) -> Result<Refreshed, Error> {
        Ok(Refreshed {
            access_token: self.access_token(account, &session.made, now)?,
            expires_in: self.settings.access_token_ttl,
            refresh: RefreshGrant::of(token, &session.made, now),
        })
    }
}
