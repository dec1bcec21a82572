//! Refresh token rotation: one valid refresh token for each session, and detection of its reuse.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{Account, AuditKind, NewSession, Revocation, Rotation, RotationResult, Session};
use secrecy::SecretString;

use crate::error::Error;
use crate::notifications::Notification;
use crate::tokens::refresh_token::{PresentedToken, RefreshToken};
use crate::{ClientContext, Identity};

/// A refresh token for its owner, with the attributes of its cookie.
#[derive(Debug)]
pub struct RefreshGrant {
    /// The token.
    pub token: RefreshToken,
    /// Whether the browser keeps it when it is closed.
    pub persistent: bool,
    /// How long it is valid at most.
    pub max_age: Duration,
}

impl RefreshGrant {
    pub(crate) fn of(token: RefreshToken, session: &NewSession, now: Timestamp) -> Self {
        let end = session.idle_expires_at.min(session.expires_at);
        let left = end.duration_since(now).max(jiff::SignedDuration::ZERO).unsigned_abs();
        Self { token, persistent: session.persistent, max_age: left }
    }
}

/// The tokens of a session that was refreshed.
#[derive(Debug)]
pub struct Refreshed {
    /// A fresh access token.
    pub access_token: String,
    /// Lifetime of the access token.
    pub expires_in: Duration,
    /// The token to refresh with next.
    pub refresh: RefreshGrant,
}

/// The state of a presented token that was not the current one of its session.
enum TokenState {
    /// The session has ended, or the token is not one of its line.
    Over,
    /// The predecessor of the current token, within the grace period: its response was lost, or two requests raced.
    /// Holds the current token.
    Replayed(RefreshToken),
    /// A token that was rotated before: two parties hold tokens of one session.
    Stolen,
}

impl Identity {
    /// Returns the successor of a refresh token and a new access token. Fails with [`Error::InvalidRefreshToken`] when
    /// the token or its session is not valid, [`Error::SessionRevoked`] when the token was rotated before (reuse),
    /// which ends the session.
    ///
    /// After a lost response or in a second tab the predecessor is presented again and gets *the same* successor within
    /// the grace period, so a session never has two valid branches and a race signs nobody out.
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
        // One conditional write decides the race: its condition compares generation and digest, never a time, so of two
        // requests with the current token one rotates it and the other finds itself refused with the row as it is now.
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
                    TokenState::Stolen => Err(self.end_stolen(&account, &presented, client).await),
                    TokenState::Over => Err(Error::InvalidRefreshToken),
                }
            }
            _ => Err(Error::InvalidRefreshToken),
        }
    }

    /// Returns whether the session may be refreshed: it is usable, its session epoch is not behind the account's, and
    /// the password has not expired (its owner signs in and replaces it).
    fn may_go_on(&self, account: &Account, session: &Session, now: Timestamp) -> bool {
        self.is_usable(account, session, now) && self.has_current_password(account, now)
    }

    /// Returns the state of a token that the conditional write refused, from the row as that write found it.
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

    /// Ends the session of a reused token and returns [`Error::SessionRevoked`]. Which of the two parties is the owner
    /// cannot be known, so both lose it, and the owner is notified: once, by the request that ended the session.
    async fn end_stolen(
        &self,
        account: &Account,
        presented: &PresentedToken,
        client: &ClientContext,
    ) -> Error {
        let ended = async {
            let mut event = self.audit_event(AuditKind::RefreshTokenReuse, presented.account, client)?;
            event.session = Some(presented.session);
            let ended = self.store.revoke_session(presented.account, presented.session, &event).await?;
            if ended == Revocation::Revoked {
                self.notify(&account.email, &Notification::RefreshTokenReuse(client)).await;
            }
            Ok(Error::SessionRevoked)
        };
        Box::pin(ended).await.unwrap_or_else(|error: Error| error)
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
