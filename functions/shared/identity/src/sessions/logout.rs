//! Signing out.

use portcullis_store::{AccountId, AuditKind, SessionId};
use secrecy::SecretString;

use crate::error::Error;
use crate::tokens::refresh_token::PresentedToken;
use crate::{ClientContext, Identity};

/// Which sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logout {
    /// The session of the token.
    ThisDevice,
    /// Every session of the account.
    AllDevices,
}

impl Identity {
    /// Ends the session of a refresh token, of any generation, or all of its account. Idempotent. Fails with
    /// [`Error::InvalidRefreshToken`] for a token that was not issued here.
    pub async fn sign_out_by_refresh_token(
        &self,
        token: &SecretString,
        which: Logout,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let presented = PresentedToken::parse(token, &self.keyring.refresh_macs)?;
        self.sign_out(presented.account, presented.session, which, client).await
    }

    /// Ends the session of an access token, or all of its account. Idempotent. Fails with [`Error::InvalidAccessToken`]
    /// for a token that is not valid or has expired.
    pub async fn sign_out_by_access_token(
        &self,
        token: &str,
        which: Logout,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let (account, session) = Self::ids(&self.claims(token)?)?;
        self.sign_out(account, session, which, client).await
    }

    async fn sign_out(
        &self,
        account: AccountId,
        session: SessionId,
        which: Logout,
        client: &ClientContext,
    ) -> Result<(), Error> {
        match which {
            Logout::ThisDevice => {
                let mut event = self.audit_event(AuditKind::SessionRevoked, account, client)?;
                event.session = Some(session);
                self.store.revoke_session(account, session, &event).await?;
            }
            Logout::AllDevices => {
                // Only a live session may end the others: a token that was signed out must not sign others out.
                let now = self.clock.now();
                let (holder, row) =
                    tokio::try_join!(self.store.account(account), self.store.session(account, session))?;
                let (Some(holder), Some(row)) = (holder, row) else { return Ok(()) };
                if row.is_live(&holder, now) {
                    let event = self.audit_event(AuditKind::SessionsRevoked, account, client)?;
                    self.store.revoke_sessions(&holder, None, &event).await?;
                }
            }
        }
        Ok(())
    }
}
