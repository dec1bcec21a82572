//! Asking the broker on the owner's behalf: whether it accepts the credentials, and for the session of the day.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_identity::{Caller, Origin, sealing};
use portcullis_store::{
    AuditKind, BrokerSession, FreezableSwap, Round, StoredTradingAccount, TradingAccountId,
    TradingAccountStatus,
};

use crate::Vault;
use crate::accounts::status_at;
use crate::brokers::{Broker, BrokerError};
use crate::context::{Sealed, context};
use crate::credentials::{BrokerToken, SessionCredentials};
use crate::error::Error;
use crate::opening::Asked;
use crate::parts;

/// As long as a broker may take to end a session. A freeze waits for all of them at once.
const GOODBYE: Duration = Duration::from_millis(2_500);

/// What the broker said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The account's status from now on.
    pub status: TradingAccountStatus,
    /// When the broker was asked.
    pub checked_at: Timestamp,
    /// What a person can do, unless all is well.
    pub reason: Option<String>,
    /// Where to log in, if that is what is missing.
    pub login_url: Option<String>,
}

impl Vault {
    /// Asks the broker whether it accepts the credentials. A broker that does not answer changes nothing.
    pub async fn verify(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        origin: &Origin,
    ) -> Result<Verification, Error> {
        self.may(caller, "verify")?;
        let account = self.usable(caller, id).await?;
        let broker = self.brokers().of_record(&account.broker)?;
        let asked = Asked { owner: caller.account.id, id, origin, service: None };
        let credentials = self.open_credentials(asked, &account).await?;
        let session = self.open_session(asked, &account).await?;
        self.note(AuditKind::CredentialsUsed, asked).await?;

        let login_url = broker.login_url(&credentials);
        if login_url.is_some() && session.is_none() {
            // There is nothing the broker could be asked with.
            let checked_at = self.identity.clock.now();
            let reason = match account.session {
                Some(_) => BrokerError::Expired.advice(broker.title()),
                None => format!("Log in at {} to finish linking the account.", broker.title()),
            };
            let status = status_at(&account, checked_at);
            return Ok(Verification { status, checked_at, reason: Some(reason), login_url });
        }
        let answer = broker.verify(self.brokers().http.as_ref(), &credentials, session.as_ref());
        let answer = self.providers.timed(broker.name(), answer).await;
        let answer = answer.and_then(|users| is_the_owners(&account, &users));
        let checked_at = self.identity.clock.now();
        let status = status_after(account.status, answer);
        let verified_at = answer.is_ok().then_some(checked_at);
        self.conclude(asked, &account, AuditKind::TradingAccountVerified, |next| StoredTradingAccount {
            status,
            verified_at: verified_at.or(next.verified_at),
            ..next
        })
        .await?;
        let needs_login = matches!(answer, Err(BrokerError::Expired));
        Ok(Verification {
            status,
            checked_at,
            reason: answer.err().map(|error| error.advice(broker.title())),
            login_url: login_url.filter(|_| needs_login),
        })
    }

    /// Trades what the owner's login at the broker gave for the session of the day, and seals it.
    pub async fn begin_session(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        request_token: &BrokerToken,
        origin: &Origin,
    ) -> Result<Verification, Error> {
        self.may(caller, "verify")?;
        let account = self.usable(caller, id).await?;
        let broker = self.brokers().of_record(&account.broker)?;
        let asked = Asked { owner: caller.account.id, id, origin, service: None };
        let credentials = self.open_credentials(asked, &account).await?;
        if broker.login_url(&credentials).is_none() {
            return Err(Error::SessionsUnknown);
        }
        self.note(AuditKind::CredentialsUsed, asked).await?;

        let now = self.identity.clock.now();
        let exchange =
            broker.exchange(self.brokers().http.as_ref(), &credentials, request_token.secret(), now);
        let exchanged = self.providers.timed(broker.name(), exchange).await;
        let exchanged = exchanged.and_then(|session| {
            is_the_owners(&account, std::slice::from_ref(&session.user)).map(|()| session)
        });
        let session = match exchanged {
            Ok(session) => session,
            Err(cause) => return Err(self.refused(asked, &account, broker, cause).await?),
        };
        let open = SessionCredentials { api_key: credentials.api_key, access_token: session.access_token };
        if let Err(error) = self.keep_session(asked, &account, &open, (now, session.expires_at)).await {
            // A store that fails may have kept it all the same. Of one that was not kept nobody would know any more.
            if !matches!(error, Error::Identity(portcullis_identity::Error::Store(_))) {
                let _ = self.end_session(broker, &open).await;
            }
            return Err(error);
        }
        Ok(Verification {
            status: TradingAccountStatus::Active,
            checked_at: now,
            reason: None,
            login_url: None,
        })
    }

    /// Seals the session of the day into its row, unless the owner froze their credentials while the broker was asked.
    async fn keep_session(
        &self,
        asked: Asked<'_>,
        seen: &StoredTradingAccount,
        open: &SessionCredentials,
        (began_at, expires_at): (Timestamp, Timestamp),
    ) -> Result<(), Error> {
        let joined = parts::join([&open.api_key, &open.access_token]);
        let context = context(asked.owner, asked.id, &seen.broker, Sealed::Session);
        let entropy = self.identity.entropy.as_ref();
        let sealed = sealing::seal(&joined, &context, self.key_wrap.as_ref(), entropy).await?;
        let session = BrokerSession { sealed, expires_at };
        let event = self.event(AuditKind::BrokerSessionStarted, asked.owner, Some(asked.id), asked.origin)?;
        let (session, event) = (&session, &event);
        let decide = |present: Option<StoredTradingAccount>| async move {
            let next = StoredTradingAccount {
                status: TradingAccountStatus::Active,
                verified_at: Some(began_at),
                session: Some(session.clone()),
                ..still(present, seen)?
            };
            match self.store().swap_trading_account_unless_frozen(&next, event).await? {
                FreezableSwap::Swapped => Ok(Round::Settled(())),
                FreezableSwap::Frozen => Err(Error::Frozen),
                FreezableSwap::Raced => Ok(Round::Raced),
            }
        };
        self.store().change_trading_account((asked.owner, asked.id), Some(seen.clone()), decide).await
    }

    /// Ends a session at the broker. One that hangs is given up on before the request that asked for it is.
    pub(crate) async fn end_session(
        &self,
        broker: &dyn Broker,
        session: &SessionCredentials,
    ) -> Result<(), BrokerError> {
        let ended = tokio::time::timeout(GOODBYE, broker.logout(self.brokers().http.as_ref(), session));
        let ended = async { ended.await.unwrap_or(Err(BrokerError::Down)) };
        self.providers.timed(broker.name(), ended).await
    }

    /// One of the caller's accounts, if the broker may be asked about it: nothing is opened while it is frozen.
    async fn usable(&self, caller: &Caller, id: TradingAccountId) -> Result<StoredTradingAccount, Error> {
        let (account, freeze) = tokio::try_join!(self.own(caller, id), async {
            Ok(self.store().freeze(caller.account.id).await?)
        })?;
        match (freeze, account.status) {
            (Some(_), _) => Err(Error::Frozen),
            (None, TradingAccountStatus::Disabled) => Err(Error::Disabled),
            (None, _) => Ok(account),
        }
    }

    async fn refused(
        &self,
        asked: Asked<'_>,
        account: &StoredTradingAccount,
        broker: &dyn Broker,
        cause: BrokerError,
    ) -> Result<Error, Error> {
        let status = status_after(account.status, Err(cause));
        if status != account.status {
            let kind = AuditKind::TradingAccountVerified;
            self.conclude(asked, account, kind, |next| StoredTradingAccount { status, ..next }).await?;
        }
        Ok(Error::Broker { advice: cause.advice(broker.title()), cause })
    }

    /// Writes down what the broker said of `seen`, unless the credentials it was said of are not there any more.
    async fn conclude(
        &self,
        asked: Asked<'_>,
        seen: &StoredTradingAccount,
        kind: AuditKind,
        changed: impl Fn(StoredTradingAccount) -> StoredTradingAccount,
    ) -> Result<(), Error> {
        let event = self.event(kind, asked.owner, Some(asked.id), asked.origin)?;
        let (changed, event) = (&changed, &event);
        let decide = |present: Option<StoredTradingAccount>| async move {
            let next = changed(still(present, seen)?);
            let swapped = self.store().swap_trading_account(&next, event).await?;
            Ok(if swapped { Round::Settled(()) } else { Round::Raced })
        };
        self.store().change_trading_account((asked.owner, asked.id), Some(seen.clone()), decide).await
    }
}

/// The row as it is now, if the credentials are still in it that the broker was asked about.
fn still(
    present: Option<StoredTradingAccount>,
    seen: &StoredTradingAccount,
) -> Result<StoredTradingAccount, Error> {
    let row = present.ok_or_else(Error::not_found)?;
    if row.credentials != seen.credentials || row.status == TradingAccountStatus::Disabled {
        return Err(Error::contended());
    }
    Ok(row)
}

fn is_the_owners(account: &StoredTradingAccount, users: &[String]) -> Result<(), BrokerError> {
    let is_named = users.iter().any(|user| user.eq_ignore_ascii_case(&account.broker_user));
    if is_named { Ok(()) } else { Err(BrokerError::OtherUser) }
}

/// What an answer makes of an account.
fn status_after(before: TradingAccountStatus, answer: Result<(), BrokerError>) -> TradingAccountStatus {
    match answer {
        Ok(()) => TradingAccountStatus::Active,
        Err(BrokerError::Expired) => TradingAccountStatus::Expired,
        Err(BrokerError::Revoked | BrokerError::Blocked | BrokerError::OtherUser) => {
            TradingAccountStatus::Rejected
        }
        Err(BrokerError::LoginRefused | BrokerError::RateLimited | BrokerError::Down) => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_says_nothing_of_the_credentials_changes_nothing() {
        use TradingAccountStatus::{Active, Expired, Pending, Rejected};
        for before in [Pending, Active, Expired, Rejected] {
            for silent in [BrokerError::Down, BrokerError::RateLimited, BrokerError::LoginRefused] {
                assert_eq!(status_after(before, Err(silent)), before);
            }
            assert_eq!(status_after(before, Err(BrokerError::Revoked)), Rejected);
            assert_eq!(status_after(before, Ok(())), Active);
        }
    }
}
