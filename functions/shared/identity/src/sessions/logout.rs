//! Signing out: whatever of its own a client shows has ended afterwards.
//!
//! Each token counts, whatever the others are: a stale or foreign one beside a good one changes nothing about the good
//! one, and two of two sessions end both. A token that is not of this service proves nothing and can be used for
//! nothing, so that it leaves nothing alive.
//!
//! **An access token that has expired** but was issued here ends its own session still, as any refresh token of the
//! session's line does: clients sign out with what they have, and that a person is signed out of one session is the
//! least that anybody could do with an old token. It does not end others: for all devices it takes a token of a live
//! session that has not expired.

use std::collections::BTreeMap;

use portcullis_store::{Account, AccountId, AuditKind, Revocation, SessionId};
use secrecy::SecretString;

use crate::error::Error;
use crate::tokens::refresh_token::PresentedToken;
use crate::{ClientContext, Identity};

/// Which sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logout {
    /// Those of the tokens.
    ThisDevice,
    /// Every session of their accounts.
    AllDevices,
}

/// The tokens a client shows to sign out.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShownTokens<'a> {
    /// The refresh token of a program.
    pub refresh_token: Option<&'a SecretString>,
    /// The access token.
    pub access_token: Option<&'a str>,
    /// The refresh token of a browser, if it comes from a page that may send it.
    pub cookie: Option<&'a SecretString>,
}

/// What a sign-out ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignedOut {
    /// The sessions of the shown tokens, except those that had ended before.
    pub sessions: Vec<SessionId>,
    /// The accounts all of whose sessions ended.
    pub accounts: Vec<AccountId>,
}

/// What a token may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Its own session alone: it has expired.
    Itself,
    /// The others of its account too, as long as its session is live.
    Account,
}

/// Sessions that a token was shown of, by account.
type Proved = BTreeMap<AccountId, BTreeMap<SessionId, Reach>>;

impl ShownTokens<'_> {
    /// Returns whether nothing is shown.
    pub fn is_empty(&self) -> bool {
        self.refresh_token.is_none() && self.access_token.is_none() && self.cookie.is_none()
    }
}

impl Identity {
    /// Ends the session of every shown token that was issued here, or all sessions of their accounts. Idempotent: what
    /// had ended before is no error. Fails with [`Error::InvalidRefreshToken`] or [`Error::InvalidAccessToken`] when no
    /// token was issued here, unless a cookie is shown: one that belongs to no session is signed out already.
    pub async fn sign_out(
        &self,
        shown: &ShownTokens<'_>,
        which: Logout,
        client: &ClientContext,
    ) -> Result<SignedOut, Error> {
        let mut signed_out = SignedOut::default();
        for (account, sessions) in self.proved(shown)? {
            let holder = match which {
                Logout::ThisDevice => None,
                Logout::AllDevices => self.holder_of_live(account, &sessions).await?,
            };
            if let Some((holder, live)) = holder {
                let event = self.audit_event(AuditKind::SessionsRevoked, account, client)?;
                self.store.revoke_sessions(&holder, None, &event).await?;
                signed_out.accounts.push(account);
                signed_out.sessions.extend(live);
            } else {
                self.end_each(account, sessions.into_keys(), client, &mut signed_out.sessions).await?;
            }
        }
        Ok(signed_out)
    }

    fn proved(&self, shown: &ShownTokens<'_>) -> Result<Proved, Error> {
        let by_access_token = shown.access_token.map(|token| self.proved_by_access_token(token));
        let by_refresh_token = [shown.refresh_token, shown.cookie].map(|token| {
            let presented = PresentedToken::parse(token?, &self.keyring.refresh_macs);
            Some(presented.map(|token| (token.account, token.session, Reach::Account)))
        });
        let [of_body, of_cookie] = by_refresh_token;
        let results = [of_cookie, by_access_token, of_body];
        let mut proved = Proved::new();
        for (account, session, reach) in results.iter().flatten().flatten() {
            let known = proved.entry(*account).or_default().entry(*session).or_insert(*reach);
            *known = (*known).max(*reach);
        }
        let is_refused = proved.is_empty() && shown.cookie.is_none();
        match results.into_iter().flatten().filter_map(Result::err).last() {
            Some(error) if is_refused => Err(error),
            _ => Ok(proved),
        }
    }

    fn proved_by_access_token(&self, token: &str) -> Result<(AccountId, SessionId, Reach), Error> {
        let (claims, reach) = match self.claims(token) {
            Ok(claims) => (claims, Reach::Account),
            Err(refused) => (self.claims_of_expired(token).ok_or(refused)?, Reach::Itself),
        };
        let (account, session) = Self::ids(&claims)?;
        Ok((account, session, reach))
    }

    /// Returns the account and those of the sessions that are live, if one of them may end all the others: a token that
    /// was signed out must not sign others out.
    async fn holder_of_live(
        &self,
        account: AccountId,
        sessions: &BTreeMap<SessionId, Reach>,
    ) -> Result<Option<(Account, Vec<SessionId>)>, Error> {
        let rows = async {
            let mut rows = Vec::with_capacity(sessions.len());
            for id in sessions.keys() {
                rows.extend(self.store.session(account, *id).await?);
            }
            Ok(rows)
        };
        let (holder, rows) = tokio::try_join!(self.store.account(account), rows)?;
        let Some(holder) = holder else { return Ok(None) };
        let now = self.clock.now();
        let is_live = rows.iter().filter(|row| row.is_live(&holder, now));
        let live: Vec<SessionId> = is_live.map(|row| row.made.id).collect();
        let may_end_all = live.iter().any(|id| sessions.get(id) == Some(&Reach::Account));
        Ok(may_end_all.then_some((holder, live)))
    }

    /// Ends these sessions one by one, and adds those that had not ended before.
    async fn end_each(
        &self,
        account: AccountId,
        sessions: impl Iterator<Item = SessionId>,
        client: &ClientContext,
        ended: &mut Vec<SessionId>,
    ) -> Result<(), Error> {
        for session in sessions {
            let mut event = self.audit_event(AuditKind::SessionRevoked, account, client)?;
            event.session = Some(session);
            if self.store.revoke_session(account, session, &event).await? == Revocation::Revoked {
                ended.push(session);
            }
        }
        Ok(())
    }
}
