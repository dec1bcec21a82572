//! Who is calling: an access token whose session and account are alive right now.

use portcullis_store::{Account, AccountId, Session, SessionId};
use portcullis_verifier::{Claims, Expectations};

use crate::Identity;
use crate::error::Error;
use crate::sign_in::login::unix_seconds;

/// A person with a live session.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Their account as it is now, which may be newer than what the token says.
    pub account: Account,
    /// The session the token belongs to.
    pub session: Session,
    /// What the token says.
    pub claims: Claims,
}

impl Identity {
    /// The claims of an access token of ours that has not expired. Whether its session still lives is another question.
    pub(crate) fn claims(&self, token: &str) -> Result<Claims, Error> {
        let expected = Expectations {
            algorithms: self.keyring.verification.algorithms().to_vec(),
            ..Expectations::new(self.settings.issuer.clone(), self.settings.audience.clone())
        };
        let now = unix_seconds(self.clock.now());
        self.keyring.verification.verify(token, &expected, now).ok_or(Error::InvalidAccessToken)
    }

    /// Whose account and which session the claims speak of.
    pub(crate) fn ids(claims: &Claims) -> Result<(AccountId, SessionId), Error> {
        let account = claims.sub.parse().map_err(|_| Error::InvalidAccessToken)?;
        let session = claims.session_id.parse().map_err(|_| Error::InvalidAccessToken)?;
        Ok((account, session))
    }

    /// Who holds this access token. Here, unlike at the edge, a session that was ended is refused at once.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Error> {
        let claims = self.claims(token)?;
        let (account, session) = Self::ids(&claims)?;
        let (account, session) =
            tokio::try_join!(self.store.account(account), self.store.session(account, session))?;
        match (account, session) {
            (Some(account), Some(session)) if self.is_usable(&account, &session, self.clock.now()) => {
                Ok(Caller { account, session, claims })
            }
            _ => Err(Error::InvalidAccessToken),
        }
    }
}
