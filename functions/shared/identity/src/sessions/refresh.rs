//! Refresh token rotation: one valid refresh token for each session, and detection of its reuse.
//!
//! **Why a race signs nobody out.** A current token is rotated no sooner than the grace period after it took its
//! predecessor's place; until then it is answered with itself. So within any stretch of time as long as the grace there
//! is one rotation at most, and whatever was sent in it shows the current token or its predecessor, which gets the
//! current one again. It holds as long as a successor reaches its client within the grace, by the first response or by
//! one to a repetition. A response with the unchanged token must not be stored over a newer one that arrived first,
//! which is why browsers get no cookie with it ([`RefreshGrant::is_new`]).
//!
//! **The first token of a session** is rotated whenever it comes. Nothing of before it can be under way, so tabs that
//! all begin with it show the current token or its predecessor like any others; and the token that the response to a
//! sign-in carried is replaced by the first refresh and not only after the grace.
//!
//! **Clocks.** The time of a rotation is that of the instance that made it. One whose clock is behind answers a current
//! token with itself for longer, which harms nobody; one that is ahead shortens the grace by the difference, of
//! milliseconds where clocks are kept, as on Lambda. A client that learns nothing of the successor before the grace is
//! over, say because its device slept, shows a predecessor afterwards. Nothing tells that from a stolen token, so it
//! ends the session.
//!
//! **Idleness.** Only a rotation moves the idle timeout on. A client that refreshes more often than once a grace period
//! still rotates once in each, so that no session expires of being busy.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{
    Account, AuditKind, Digest, NewSession, Revocation, Rotation, RotationResult, Session,
};
use portcullis_verifier::Assurance;
use secrecy::SecretString;

use crate::error::Error;
use crate::notifications::Notification;
use crate::tokens::refresh_token::{PresentedToken, RefreshToken};
use crate::{ClientContext, Identity};

/// A refresh token for its owner, with the attributes of its cookie.
#[derive(Debug)]
pub struct RefreshGrant {
    /// The refresh token that the client keeps from now on.
    pub token: RefreshToken,
    /// Whether the browser keeps it when it is closed.
    pub persistent: bool,
    /// How long it is valid at most.
    pub max_age: Duration,
    /// Whether it is another token than the presented one. One that is not may arrive after its successor and must not
    /// be stored over it.
    pub is_new: bool,
}

impl RefreshGrant {
    pub(crate) fn of(token: RefreshToken, session: &NewSession, now: Timestamp) -> Self {
        let end = session.idle_expires_at.min(session.expires_at);
        let left = end.duration_since(now).max(jiff::SignedDuration::ZERO).unsigned_abs();
        Self { token, persistent: session.persistent, max_age: left, is_new: true }
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

/// What the table says to a presented token.
enum Presentation {
    /// It was the current token of a live session and old enough: this one took its place.
    Rotated(Box<Session>, RefreshToken),
    /// Nothing was written; the session as it stands.
    Unchanged(Box<Session>),
    /// There is no such session.
    Unknown,
}

/// The state of a presented token that was not rotated.
pub(crate) enum TokenState {
    /// The session has ended, or the token is not one of its line.
    Over,
    /// The current token, within the grace period: it goes on.
    Current,
    /// The predecessor of the current token, within the grace period: its response was lost, or two requests raced.
    /// Holds the current token.
    Replayed(RefreshToken),
    /// A token that was rotated before: two parties hold tokens of one session.
    Stolen,
}

impl Identity {
    /// Returns the successor of a refresh token and a new access token. Fails with [`Error::InvalidRefreshToken`] when
    /// the token or its session is not valid, [`Error::InsufficientAuthentication`] while a role of the account requires a
    /// stronger sign-in (the token stays good), [`Error::SessionRevoked`] when the token was rotated before (reuse),
    /// which ends the session.
    ///
    /// Within the grace period after a rotation the current token gets itself and its predecessor gets the current one,
    /// so a session never has two valid branches and a race signs nobody out.
    pub async fn refresh(&self, token: &SecretString, client: &ClientContext) -> Result<Refreshed, Error> {
        let presented = PresentedToken::parse(token, &self.keyring.refresh_macs)?;
        let now = self.clock.now();
        let account = async { Ok(self.store.account(presented.account).await?) };
        let (presentation, account) = tokio::try_join!(self.present(&presented, now), account)?;
        let account = account.ok_or(Error::InvalidRefreshToken)?;
        match presentation {
            Presentation::Rotated(session, next) if self.may_go_on(&account, &session, now) => {
                if let Err(refusal) = self.check_session_met(&account, &session) {
                    return Err(Box::pin(self.take_back(&session, &presented, refusal)).await);
                }
                self.refreshed(&account, &session, next, now)
            }
            Presentation::Unchanged(session) if self.may_go_on(&account, &session, now) => {
                let is_enough = self.check_session_met(&account, &session);
                match self.token_state(&presented, &session, now) {
                    TokenState::Current => {
                        is_enough.and_then(|()| self.refreshed_in_place(&account, &session, &presented, now))
                    }
                    TokenState::Replayed(current) => {
                        is_enough.and_then(|()| self.refreshed(&account, &session, current, now))
                    }
                    TokenState::Stolen => Err(self.end_stolen(&account, &presented, client).await),
                    TokenState::Over => Err(Error::InvalidRefreshToken),
                }
            }
            Presentation::Unchanged(session) if session.revoked_at.is_some() => {
                Err(Box::pin(self.refuse_ended(&presented)).await)
            }
            _ => Err(Error::InvalidRefreshToken),
        }
    }

    /// Shows a token to the table in one call: a read where the token itself says that no rotation is due, and the
    /// rotation otherwise. A write that is refused costs as much as one that is not, so nothing is tried in vain.
    async fn present(&self, presented: &PresentedToken, now: Timestamp) -> Result<Presentation, Error> {
        let grace = self.settings.refresh_reuse_grace;
        if presented.is_young(grace, now) {
            let found = self.store.session(presented.account, presented.session).await?;
            return Ok(
                found.map_or(Presentation::Unknown, |session| Presentation::Unchanged(Box::new(session)))
            );
        }
        let next = RefreshToken::generate(
            self.keyring.making_mac()?,
            (presented.account, presented.session),
            presented.generation.saturating_add(1),
            now,
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
            last_step_by: now - grace,
            idle_expires_at: now + self.settings.idle_limit(),
        };
        // One conditional write decides the race: of two requests with the current token one rotates it and the other
        // finds itself refused with the row as it is now. So does one whose token looked old to a clock that is ahead.
        Ok(match self.store.rotate(&step).await? {
            RotationResult::Rotated(session) => Presentation::Rotated(session, next),
            RotationResult::Refused(session) => Presentation::Unchanged(session),
            RotationResult::Unknown => Presentation::Unknown,
        })
    }

    /// Returns whether the session may be refreshed: it is usable, its session epoch is not behind the account's, and
    /// the password has not expired (its owner signs in and replaces it).
    pub(crate) fn may_go_on(&self, account: &Account, session: &Session, now: Timestamp) -> bool {
        self.is_usable(account, session, now) && self.has_current_password(account, now)
    }

    /// Returns [`Error::InsufficientAuthentication`] where the roles of the account, as they are now, require more than the
    /// session has been proved with: it is not let on, and not ended either.
    fn check_session_met(&self, account: &Account, session: &Session) -> Result<(), Error> {
        self.check_roles_met(account, Assurance::of_methods(&session.made.methods))
    }

    /// Gives the client of a refused refresh its token back, and returns the refusal. The account was read beside the
    /// rotation and not before it, or each refresh would take a round longer; so what the refused one had rotated is taken
    /// back. A client whose service is cut off just here may show its token within the grace period all the same.
    async fn take_back(&self, rotated: &Session, presented: &PresentedToken, refusal: Error) -> Error {
        let taken_back = self.store.take_back_rotation(rotated, presented.digest()).await;
        taken_back.map_or_else(Error::from, |()| refusal)
    }

    /// Returns the state of a token that was not rotated, from the row of its live session.
    pub(crate) fn token_state(
        &self,
        presented: &PresentedToken,
        session: &Session,
        now: Timestamp,
    ) -> TokenState {
        let digest = presented.digest();
        let is = |stored: &Digest| aws_lc_rs::constant_time::verify_slices_are_equal(stored, &digest).is_ok();
        // Of a live session, the write leaves a current token in its place only while it is young; and one that was
        // only read for is young by the very time that stands in the row, which the token carries under its MAC.
        if is(&session.made.current) {
            return TokenState::Current;
        }
        let in_grace = session.rotated_at.is_some_and(|at| now < at + self.settings.refresh_reuse_grace);
        if in_grace && session.previous.as_ref().is_some_and(is) {
            let successor = session.successor.as_deref().and_then(|sealed| presented.open(sealed));
            return successor.map_or(TokenState::Over, TokenState::Replayed);
        }
        // A token of ours that is ahead of the row can only come from a table restored from a backup.
        if presented.generation > session.generation { TokenState::Over } else { TokenState::Stolen }
    }

    /// Ends the session of a reused token and returns [`Error::SessionRevoked`]. Which of the two parties is the owner
    /// cannot be known, so both lose it, and the owner is notified: once, by the request that ended the session.
    pub(crate) async fn end_stolen(
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

    /// Returns the refusal of a token whose session was ended. Who ended it may have been cut off before it was on record: it
    /// is from here on.
    async fn refuse_ended(&self, presented: &PresentedToken) -> Error {
        let recorded = async {
            let seal = self.audit_seal()?;
            Ok::<_, Error>(self.store.record_end(presented.account, presented.session, &seal).await?)
        };
        recorded.await.map_or_else(|error| error, |()| Error::InvalidRefreshToken)
    }

    /// Returns the presented token with a fresh access token.
    fn refreshed_in_place(
        &self,
        account: &Account,
        session: &Session,
        presented: &PresentedToken,
        now: Timestamp,
    ) -> Result<Refreshed, Error> {
        let mut refreshed = self.refreshed(account, session, presented.unchanged(), now)?;
        refreshed.refresh.is_new = false;
        Ok(refreshed)
    }

    fn refreshed(
        &self,
        account: &Account,
        session: &Session,
        token: RefreshToken,
        now: Timestamp,
    ) -> Result<Refreshed, Error> {
        Ok(Refreshed {
            access_token: self.access_token(account, session, now)?,
            expires_in: self.settings.access_token_ttl,
            refresh: RefreshGrant::of(token, &session.made, now),
        })
    }
}
