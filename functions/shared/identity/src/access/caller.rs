//! Authentication by access token, checked against the session and the account as they are now.

use portcullis_store::{Account, AccountId, Session, SessionId};
use portcullis_verifier::{Claims, Expectations, Rejection};
use serde::Deserialize;

use crate::Identity;
use crate::error::Error;
use crate::sign_in::login::unix_seconds;

/// A signed-in user with a live session.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user's account as it is now, which may be newer than the claims.
    pub account: Account,
    /// The session of the token.
    pub session: Session,
    /// The verified claims of the token.
    pub claims: Claims,
}

impl Identity {
    /// Returns the claims of an access token; fails with [`Error::UnverifiedAccessToken`] unless it is signed by a key of
    /// this service and not expired. Its session is not looked up.
    pub(crate) fn claims(&self, token: &str) -> Result<Claims, Error> {
        let now = unix_seconds(self.clock.now());
        self.claims_at(token, now).map_err(Error::UnverifiedAccessToken)
    }

    /// Returns the claims of an access token that is signed by a key of this service and has expired; `None` if it is
    /// not, or has not. It proves which session it was of and opens nothing.
    pub(crate) fn claims_of_expired(&self, token: &str) -> Option<Claims> {
        #[derive(Deserialize)]
        struct Expiry {
            exp: u64,
        }
        // Not verified yet: it only says for which moment to verify the token, the last of its life.
        let Expiry { exp } = jsonwebtoken::dangerous::insecure_decode(token).ok()?.claims;
        let last = exp.checked_sub(1).filter(|last| *last < unix_seconds(self.clock.now()))?;
        self.claims_at(token, last).ok()
    }

    fn claims_at(&self, token: &str, now: u64) -> Result<Claims, Rejection> {
        let expected = Expectations {
            algorithms: self.keyring.verification.algorithms().to_vec(),
            ..Expectations::new(self.settings.issuer.clone(), self.settings.audience.clone())
        };
        self.keyring.verification.verify(token, &expected, now)
    }

    /// Returns the ids of account and session in the claims; fails with [`Error::InvalidAccessToken`].
    pub(crate) fn ids(claims: &Claims) -> Result<(AccountId, SessionId), Error> {
        let account = claims.sub.parse().map_err(|_| Error::InvalidAccessToken)?;
        let session = claims.session_id.parse().map_err(|_| Error::InvalidAccessToken)?;
        Ok((account, session))
    }

    /// Returns the caller with this access token; fails with [`Error::UnverifiedAccessToken`] if the token is not valid,
    /// [`Error::InvalidAccessToken`] if its session has ended or the account may not be used. Account and session are read on every call, so unlike at
    /// the edge a revocation is effective at once.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Error> {
        let (caller, ()) = self.authenticate_beside(token, async |_| Ok(())).await?;
        Ok(caller)
    }

    /// Returns the same, and what `more` reads about the account in the same round. Whoever's token is refused is not told
    /// what that is.
    pub(crate) async fn authenticate_beside<T>(
        &self,
        token: &str,
        more: impl AsyncFnOnce(AccountId) -> Result<T, Error>,
    ) -> Result<(Caller, T), Error> {
        let claims = self.claims(token)?;
        let (account, session) = Self::ids(&claims)?;
        let (account, session, more) = tokio::try_join!(
            async { Ok(self.store.account(account).await?) },
            async { Ok(self.store.session(account, session).await?) },
            more(account),
        )?;
        match (account, session) {
            (Some(account), Some(session)) if self.is_usable(&account, &session, self.clock.now()) => {
                Ok((Caller { account, session, claims }, more))
            }
            _ => Err(Error::InvalidAccessToken),
        }
    }
}
