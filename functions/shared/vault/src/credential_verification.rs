//! Requests to the broker on the owner's behalf: verifying the credentials, and exchanging the owner's login at the broker
//! for a session.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_identity::{Caller, ClientContext, Field, sealing};
use portcullis_store::{
    AuditKind, BrokerSession, FreezableSwap, LoginUrl, Round, StoredTradingAccount, TradingAccountId,
    TradingAccountStatus,
};

use crate::Vault;
use crate::accounts::status_at;
use crate::brokers::{Broker, BrokerError, LoginBegins, LoginResult};
use crate::context::{Sealed, context};
use crate::credentials::{Credentials, LoginCode, SessionCredentials};
use crate::error::Error;
use crate::length_prefixed;
use crate::login_state::{self, LoginState};
use crate::opening::AccessRequest;
use crate::session_news::first_news;

/// How long a broker may take to end a session. A freeze ends all sessions at once and waits no longer than this.
const LOGOUT_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The account's status after it.
    pub status: TradingAccountStatus,
    /// When the broker responded.
    pub checked_at: Timestamp,
    /// Advice for the owner; `None` where the credentials are accepted.
    pub reason: Option<String>,
    /// The broker's login page, where a login is what is missing.
    pub login_url: Option<String>,
}

impl Vault {
    /// Verifies the credentials at the broker and returns the outcome. A broker that does not respond changes nothing.
    /// Fails when the account is not the caller's, is disabled or frozen, or was changed while the broker was asked.
    pub async fn verify(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        origin: &ClientContext,
    ) -> Result<Verification, Error> {
        self.may(caller, "verify")?;
        let account = self.usable(caller, id).await?;
        let broker = self.brokers().of_record(&account.broker)?;
        let access = AccessRequest::of_owner(caller.account.id, id, origin);
        let credentials = self.open_credentials(access, &account).await?;
        let session = self.open_session(access, &account).await?;
        self.record_event(AuditKind::CredentialsUsed, access).await?;

        if broker.login_begins() != LoginBegins::Never && session.is_none() {
            // Without a session there is no request that this broker would accept.
            return self.missing_session(access, &account, broker, &credentials).await;
        }
        let result = broker.verify(self.brokers().http.as_ref(), &credentials, session.as_ref());
        let result = self.providers.timed(broker.name(), result).await;
        let result = result.and_then(|users| check_owner(&account, &users));
        let checked_at = self.identity.clock.now();
        let status = status_after(account.status, result);
        let verified_at = result.is_ok().then_some(checked_at);
        self.record_verdict(access, &account, AuditKind::TradingAccountVerified, |next| {
            StoredTradingAccount { status, verified_at: verified_at.or(next.verified_at), ..next }
        })
        .await?;
        let login_url = match result {
            Err(BrokerError::Expired) => {
                let seen =
                    StoredTradingAccount { verified_at: verified_at.or(account.verified_at), ..account };
                self.login_page(&seen, broker, &credentials).await?.unwrap_or_default()
            }
            _ => None,
        };
        let reason = result.err().map(|error| error.advice(broker.title()));
        Ok(Verification { status, checked_at, reason, login_url })
    }

    /// Returns what the owner has to do where there is no session; fails when the store does, or the account was changed while
    /// the broker was asked for a page.
    async fn missing_session(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
        broker: &dyn Broker,
        credentials: &Credentials,
    ) -> Result<Verification, Error> {
        let page = self.login_page(account, broker, credentials).await?;
        let checked_at = self.identity.clock.now();
        let login_url = match page {
            Ok(login_url) => login_url,
            Err(cause) => {
                self.note_refusal(access, account, cause).await?;
                let status = status_after(status_at(account, checked_at), Err(cause));
                let reason = Some(cause.advice(broker.title()));
                return Ok(Verification { status, checked_at, reason, login_url: None });
            }
        };
        let reason = match account.session {
            Some(_) => BrokerError::Expired.advice(broker.title()),
            None => format!("Log in at {} to finish linking the account.", broker.title()),
        };
        let status = status_at(account, checked_at);
        Ok(Verification { status, checked_at, reason: Some(reason), login_url })
    }

    /// Returns the page where the owner logs in, or what a broker said that had to be asked for it; fails if there is no key for
    /// its state.
    async fn login_page(
        &self,
        account: &StoredTradingAccount,
        broker: &dyn Broker,
        credentials: &Credentials,
    ) -> Result<Result<Option<String>, BrokerError>, Error> {
        if broker.login_begins() == LoginBegins::WhenAsked {
            let begun = broker.begin_login(self.brokers().http.as_ref(), credentials, &account.broker_user);
            return Ok(self.providers.timed(broker.name(), begun).await);
        }
        let page = broker.login_url(credentials, account.id, &self.redirect_uri()).map(LoginUrl);
        Ok(Ok(self.with_state(account, page)?.map(|page| page.0)))
    }

    /// Returns the address that logins at brokers lead back to, where they are told one.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}/broker-callback", self.identity.frontend_url.trim_end_matches('/'))
    }

    /// Returns a login page with the state of one login, for a broker that brings one back; fails if there is no key for it.
    pub(crate) fn with_state(
        &self,
        account: &StoredTradingAccount,
        page: Option<LoginUrl>,
    ) -> Result<Option<LoginUrl>, Error> {
        let broker = self.brokers().get(&account.broker);
        let takes_state = broker.is_some_and(|broker| broker.login_begins() == LoginBegins::AtPageWithState);
        match page {
            Some(LoginUrl(page)) if takes_state => {
                let state = login_state::issue(&self.identity.keyring, account, self.identity.clock.now())?;
                // The address has a query already, and nothing in a state needs escaping.
                Ok(Some(LoginUrl(format!("{page}&state={state}"))))
            }
            page => Ok(page),
        }
    }

    /// Exchanges the result of the owner's login at the broker for a session, stores it encrypted, and returns the outcome.
    /// Fails when the broker refuses it or has no sessions, when the login was begun by somebody else or for another account,
    /// when the account is not the caller's or disabled, and with [`Error::Frozen`] when the owner freezes their credentials
    /// meanwhile.
    pub async fn begin_session(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        (code, state): (&LoginCode, Option<&LoginState>),
        origin: &ClientContext,
    ) -> Result<Verification, Error> {
        self.may(caller, "verify")?;
        let account = self.usable(caller, id).await?;
        let broker = self.brokers().of_record(&account.broker)?;
        let now = self.identity.clock.now();
        self.check_login(&account, broker, state, now)?;
        let access = AccessRequest::of_owner(caller.account.id, id, origin);
        let credentials = self.open_credentials(access, &account).await?;
        self.record_event(AuditKind::CredentialsUsed, access).await?;

        let redirect_uri = self.redirect_uri();
        let login = LoginResult { code: code.secret(), redirect_uri: &redirect_uri };
        let exchange = broker.exchange(self.brokers().http.as_ref(), &credentials, login, now);
        let exchanged = self.providers.timed(broker.name(), exchange).await;
        let exchanged = exchanged
            .and_then(|session| check_owner(&account, std::slice::from_ref(&session.user)).map(|()| session));
        let session = match exchanged {
            Ok(session) => session,
            Err(cause) => return Err(self.refused(access, &account, broker, cause).await?),
        };
        let open = SessionCredentials { api_key: credentials.api_key, access_token: session.access_token };
        if let Err(error) = self.keep_session(access, &account, &open, (now, session.expires_at)).await {
            // The session is alive at the broker and not in the table, so no later freeze would find it: it is ended here.
            // Only where the store itself failed the row may have been written all the same, and the session in it stays.
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

    /// Fails unless a login at this broker may lead back now, with this state: before anything is decrypted.
    fn check_login(
        &self,
        account: &StoredTradingAccount,
        broker: &dyn Broker,
        state: Option<&LoginState>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match (broker.login_begins(), state) {
            (LoginBegins::Never, _) => Err(Error::SessionsUnknown),
            (LoginBegins::AtPage | LoginBegins::WhenAsked, _) => Ok(()),
            (LoginBegins::AtPageWithState, Some(state))
                if login_state::is_valid(&self.identity.keyring, account, state, now)? =>
            {
                Ok(())
            }
            (LoginBegins::AtPageWithState, None) => {
                Err(Error::invalid(Field::State, "is required for a login at this broker"))
            }
            (LoginBegins::AtPageWithState, Some(_)) => {
                let cause = BrokerError::LoginRefused;
                Err(Error::Broker { advice: cause.advice(broker.title()), cause })
            }
        }
    }

    /// Stores the session, encrypted, in its row; fails with [`Error::Frozen`] when the owner, or an administrator, froze
    /// their credentials while the broker was asked. The transaction itself checks for the freeze: either this write comes
    /// first, and the freeze finds the session and ends it, or the freeze comes first, and nothing is written. A freeze of
    /// everybody ends no session, and so it may come in between.
    async fn keep_session(
        &self,
        access: AccessRequest<'_>,
        seen: &StoredTradingAccount,
        open: &SessionCredentials,
        (began_at, expires_at): (Timestamp, Timestamp),
    ) -> Result<(), Error> {
        let joined = length_prefixed::join([&open.api_key, &open.access_token]);
        let context = context(access.owner, access.id, &seen.broker, Sealed::Session);
        let entropy = self.identity.entropy.as_ref();
        let sealed = sealing::seal(&joined, &context, self.key_wrap.as_ref(), entropy).await?;
        let session = BrokerSession { sealed, expires_at };
        let event =
            self.event(AuditKind::BrokerSessionStarted, access.owner, Some(access.id), access.origin)?;
        let (session, event) = (&session, &event);
        let broker = self.brokers().of_record(&seen.broker)?;
        let binds_login = broker.login_begins() == LoginBegins::AtPageWithState;
        let news = &first_news((access.owner, access.id), expires_at, began_at);
        let decide = |current: Option<StoredTradingAccount>| async move {
            let row = with_same_credentials(current, seen)?;
            // Of two logins with one state the second finds that the first succeeded.
            if binds_login && row.verified_at != seen.verified_at {
                return Err(Error::contended());
            }
            let next = StoredTradingAccount {
                status: TradingAccountStatus::Active,
                verified_at: Some(began_at),
                session: Some(session.clone()),
                ..row
            };
            match self.store().swap_trading_account_unless_frozen(&next, news, event).await? {
                FreezableSwap::Swapped => Ok(Round::Settled(())),
                FreezableSwap::Frozen => Err(Error::Frozen),
                FreezableSwap::Raced => Ok(Round::Raced),
            }
        };
        self.store().change_trading_account((access.owner, access.id), Some(seen.clone()), decide).await
    }

    /// Ends a session at the broker; fails when the broker refuses or does not respond in time, which is well before the
    /// deadline of the request that waits for it.
    pub(crate) async fn end_session(
        &self,
        broker: &dyn Broker,
        session: &SessionCredentials,
    ) -> Result<(), BrokerError> {
        let ended =
            tokio::time::timeout(LOGOUT_TIMEOUT, broker.logout(self.brokers().http.as_ref(), session));
        let ended = async { ended.await.unwrap_or(Err(BrokerError::Down)) };
        self.providers.timed(broker.name(), ended).await
    }

    /// Returns one of the caller's accounts; fails when it is disabled, or the owner's credentials are frozen: nothing is
    /// decrypted while they are.
    async fn usable(&self, caller: &Caller, id: TradingAccountId) -> Result<StoredTradingAccount, Error> {
        let (account, freezes) = tokio::try_join!(
            self.own(caller, id),
            // Boxed: each is a future of some size, and they are waited for side by side.
            Box::pin(self.standing_freezes(caller.account.id)),
        )?;
        match account.status {
            _ if freezes.any() => Err(Error::Frozen),
            TradingAccountStatus::Disabled => Err(Error::Disabled),
            _ => Ok(account),
        }
    }

    /// Returns the error for a refused exchange, after what it says of the account is stored.
    async fn refused(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
        broker: &dyn Broker,
        cause: BrokerError,
    ) -> Result<Error, Error> {
        self.note_refusal(access, account, cause).await?;
        Ok(Error::Broker { advice: cause.advice(broker.title()), cause })
    }

    /// Stores what a refusal says of the account, where it says anything.
    async fn note_refusal(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
        cause: BrokerError,
    ) -> Result<(), Error> {
        let status = status_after(account.status, Err(cause));
        if status == account.status {
            return Ok(());
        }
        let kind = AuditKind::TradingAccountVerified;
        self.record_verdict(access, account, kind, |next| StoredTradingAccount { status, ..next }).await
    }

    /// Stores what the broker's response means for the account; fails when the credentials in the row are no longer those
    /// the broker was asked about, so that the verdict on old credentials never stands beside new ones.
    async fn record_verdict(
        &self,
        access: AccessRequest<'_>,
        seen: &StoredTradingAccount,
        kind: AuditKind,
        changed: impl Fn(StoredTradingAccount) -> StoredTradingAccount,
    ) -> Result<(), Error> {
        let event = self.event(kind, access.owner, Some(access.id), access.origin)?;
        let (changed, event) = (&changed, &event);
        let decide = |current: Option<StoredTradingAccount>| async move {
            let next = changed(with_same_credentials(current, seen)?);
            let swapped = self.store().swap_trading_account(&next, event).await?;
            Ok(if swapped { Round::Settled(()) } else { Round::Raced })
        };
        self.store().change_trading_account((access.owner, access.id), Some(seen.clone()), decide).await
    }
}

/// Returns the row as it is now; fails when it is gone or disabled, or its credentials are not those the broker was asked
/// about.
fn with_same_credentials(
    current: Option<StoredTradingAccount>,
    seen: &StoredTradingAccount,
) -> Result<StoredTradingAccount, Error> {
    let row = current.ok_or_else(Error::not_found)?;
    if row.credentials != seen.credentials || row.status == TradingAccountStatus::Disabled {
        return Err(Error::contended());
    }
    Ok(row)
}

/// Fails with [`BrokerError::OtherUser`] unless the account's owner is among the users the broker named.
fn check_owner(account: &StoredTradingAccount, users: &[String]) -> Result<(), BrokerError> {
    let is_named = users.iter().any(|user| user.eq_ignore_ascii_case(&account.broker_user));
    if is_named { Ok(()) } else { Err(BrokerError::OtherUser) }
}

/// Returns the account's status after a response of the broker.
fn status_after(before: TradingAccountStatus, result: Result<(), BrokerError>) -> TradingAccountStatus {
    match result {
        Ok(()) => TradingAccountStatus::Active,
        Err(BrokerError::Expired) => TradingAccountStatus::Expired,
        Err(BrokerError::Revoked | BrokerError::Blocked | BrokerError::OtherUser) => {
            TradingAccountStatus::Rejected
        }
        Err(
            BrokerError::LoginRefused | BrokerError::RateLimited | BrokerError::Down | BrokerError::CannotEnd,
        ) => before,
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
