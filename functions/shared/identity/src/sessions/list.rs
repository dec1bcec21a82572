//! The list of a user's own sessions, and ending them.

use portcullis_store::{Account, AuditKind, Revocation, Session, SessionId};

use crate::access::caller::Caller;
use crate::error::Error;
use crate::limits::SESSION_DELETIONS;
use crate::{ClientContext, Identity};

/// One page of a user's live sessions, newest first.
#[derive(Debug)]
pub struct SessionList {
    /// The live sessions of this page, newest first.
    pub sessions: Vec<Session>,
    /// The cursor of the next page, if there may be more.
    pub next: Option<SessionId>,
}

impl Identity {
    /// Returns the caller's live sessions after the one called `after`; fails when the store does.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        limit: usize,
        after: Option<SessionId>,
    ) -> Result<SessionList, Error> {
        self.sessions_of(&caller.account, limit, after).await
    }

    /// Returns the live sessions of an account after the one called `after`; fails when the store does.
    pub async fn sessions_of(
        &self,
        account: &Account,
        limit: usize,
        after: Option<SessionId>,
    ) -> Result<SessionList, Error> {
        let page = self.store.live_sessions(account, self.clock.now(), limit, after).await?;
        Ok(SessionList { sessions: page.sessions, next: page.next })
    }

    /// Ends one of the caller's sessions. Fails with [`Error::NotFound`] for one that has ended or is another
    /// account's, and with [`Error::TooManyAttempts`] after too many of these.
    pub async fn revoke_session(
        &self,
        caller: &Caller,
        id: SessionId,
        client: &ClientContext,
    ) -> Result<(), Error> {
        self.limit_deletions(caller, client).await?;
        let mut event = self.audit_event(AuditKind::SessionRevoked, caller.account.id, client)?;
        event.session = Some(id);
        match self.store.revoke_session(caller.account.id, id, &event).await? {
            Revocation::Revoked => Ok(()),
            Revocation::AlreadyEnded => Err(Error::NotFound),
        }
    }

    async fn limit_deletions(&self, caller: &Caller, client: &ClientContext) -> Result<(), Error> {
        let session = caller.session.made.id.to_string();
        self.limit(&SESSION_DELETIONS, &session, client, self.clock.now()).await
    }

    /// Ends all of the caller's sessions except the one of this request. Fails with [`Error::TooManyAttempts`] after too
    /// many of these.
    pub async fn revoke_other_sessions(&self, caller: &Caller, client: &ClientContext) -> Result<(), Error> {
        self.limit_deletions(caller, client).await?;
        let event = self.audit_event(AuditKind::SessionsRevoked, caller.account.id, client)?;
        match self.store.revoke_sessions(&caller.account, Some(caller.session.made.id), &event).await? {
            Revocation::Revoked => Ok(()),
            // The caller's own session was ended between its check and this write.
            Revocation::AlreadyEnded => Err(Error::InvalidAccessToken),
        }
    }
}
