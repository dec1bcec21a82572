//! A person's trading accounts: linking, listing, relabelling, replacing credentials, unlinking. Nothing here decrypts but the last,
//! which ends the session at the broker.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_identity::{Admin, Caller, ClientContext, CredentialChange, sealing};
use portcullis_store::{
    AccountId, AuditKind, FirstLink, Freezes, Id, IdempotentRequest, Link, LoginUrl, Round, SealedSecret,
    StoredTradingAccount, TradingAccountId, TradingAccountStatus,
};
use secrecy::ExposeSecret;

use crate::Vault;
use crate::account_fields::{BrokerUser, Label, OrderIps};
use crate::context::{Sealed, context};
use crate::credentials::{Credentials, SessionCredentials};
use crate::error::Error;
use crate::length_prefixed;
use crate::opening::AccessRequest;

/// How many accounts one person may have.
const MOST_ACCOUNTS: usize = 50;

/// A trading account without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingAccount {
    /// The id of the trading account, `acc_…`.
    pub id: TradingAccountId,
    /// The broker's name.
    pub broker: String,
    /// The owner's user id at the broker.
    pub broker_user: String,
    /// The owner's label for the account.
    pub label: Option<String>,
    /// Its status now.
    pub status: TradingAccountStatus,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When the broker last accepted the credentials.
    pub verified_at: Option<Timestamp>,
    /// The end of the API key.
    pub api_key_hint: String,
    /// When the broker ends the session that is stored; `None` where there is none, or it is over.
    pub session_expires_at: Option<Timestamp>,
    /// The broker's login page for this account; `None` for a broker without sessions.
    pub login_url: Option<LoginUrl>,
    /// The addresses that its orders are sent from; empty where the owner named none.
    pub order_ips: Vec<IpAddr>,
    /// Whether its owner is sent letters before and when its session ends.
    pub session_mails: bool,
}

impl TradingAccount {
    pub(crate) fn of(stored: StoredTradingAccount, now: Timestamp) -> Self {
        Self {
            status: status_at(&stored, now),
            id: stored.id,
            broker: stored.broker,
            broker_user: stored.broker_user,
            label: stored.label,
            created_at: stored.created_at,
            verified_at: stored.verified_at,
            api_key_hint: stored.api_key_hint,
            session_expires_at: stored.session.map(|session| session.expires_at).filter(|end| *end > now),
            login_url: stored.login_url,
            order_ips: stored.order_ips.unwrap_or_default(),
            session_mails: stored.session_mails != Some(false),
        }
    }
}

/// Returns the account's status now: where the session in the row has expired, the account has, whatever the row says.
pub(crate) fn status_at(stored: &StoredTradingAccount, now: Timestamp) -> TradingAccountStatus {
    match (&stored.session, stored.status) {
        (Some(session), TradingAccountStatus::Active) if session.expires_at <= now => {
            TradingAccountStatus::Expired
        }
        (_, status) => status,
    }
}

/// A trading account to be linked.
#[derive(Debug)]
pub struct NewTradingAccount {
    /// The broker's name.
    pub broker: String,
    /// The owner's user id at the broker.
    pub broker_user: BrokerUser,
    /// Key and secret.
    pub credentials: Credentials,
    /// The owner's label for it.
    pub label: Option<Label>,
    /// The client's `Idempotency-Key`, where it may send the request again.
    pub idempotency_key: Option<String>,
}

/// What a person changes about an account; `None` leaves it as it is.
#[derive(Debug, Default)]
pub struct AccountChange {
    /// Another label, or none from now on.
    pub label: Option<Option<Label>>,
    /// Whether the account may be used.
    pub enabled: Option<bool>,
    /// Other addresses that its orders are sent from, or none from now on.
    pub order_ips: Option<Option<OrderIps>>,
    /// Whether letters are sent before and when its session ends.
    pub session_mails: Option<bool>,
}

impl Vault {
    /// Links an account and returns it; fails when the broker is unknown, or the owner has too many accounts. The
    /// credentials are encrypted before anything is stored. A repeated request with the same key returns the first result.
    pub async fn link(
        &self,
        caller: &Caller,
        wanted: NewTradingAccount,
        origin: &ClientContext,
    ) -> Result<TradingAccount, Error> {
        self.may(caller, "create")?;
        let (owner, now) = (caller.account.id, self.identity.clock.now());
        let known = self.brokers().known(&wanted.broker)?;
        let broker = known.name();
        // Two requests at once may both pass this check and exceed the limit by one: it is there against mistakes, and no
        // security property depends on it.
        if self.store().trading_accounts(owner, MOST_ACCOUNTS).await?.len() >= MOST_ACCOUNTS {
            return Err(Error::TooManyTradingAccounts);
        }
        let id = Id::generate(now, self.identity.entropy.as_ref())?;
        let request =
            wanted.idempotency_key.as_deref().map(|key| self.repeatable(owner, &wanted, key)).transpose()?;
        let account = StoredTradingAccount {
            id,
            owner,
            broker: broker.to_owned(),
            api_key_hint: wanted.credentials.hint(),
            login_url: known.login_url(&wanted.credentials, id, &self.redirect_uri()).map(LoginUrl),
            credentials: self.seal_credentials(owner, id, broker, &wanted.credentials).await?,
            broker_user: wanted.broker_user.0,
            label: wanted.label.map(|label| label.0),
            status: TradingAccountStatus::Pending,
            created_at: now,
            verified_at: None,
            order_ips: None,
            session_mails: None,
            sealed_at: now,
            session: None,
            version: 0,
        };
        let event = self.event(AuditKind::TradingAccountLinked, owner, Some(id), origin)?;
        match self.store().link_trading_account(&account, request.as_ref(), &event).await? {
            Link::Linked => {
                self.identity.notify_of_credentials(&caller.account, CredentialChange::Linked, origin).await;
                self.shown(account, now)
            }
            Link::Repeated(FirstLink { id, created_at }) => {
                let login_url = known.login_url(&wanted.credentials, id, &self.redirect_uri()).map(LoginUrl);
                self.shown(StoredTradingAccount { id, created_at, login_url, ..account }, now)
            }
            Link::KeyReused => Err(portcullis_identity::Error::IdempotencyKeyReused.into()),
            Link::OwnerGone => Err(portcullis_identity::Error::InvalidAccessToken.into()),
        }
    }

    /// Returns the caller's accounts, oldest first; fails when their roles do not permit it.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<TradingAccount>, Error> {
        self.may(caller, "read")?;
        let now = self.identity.clock.now();
        let accounts = self.store().trading_accounts(caller.account.id, MOST_ACCOUNTS * 2).await?;
        accounts.into_iter().map(|account| self.shown(account, now)).collect()
    }

    /// Returns an account as its owner sees it: where a login brings back a state, the login page has one.
    fn shown(&self, mut account: StoredTradingAccount, now: Timestamp) -> Result<TradingAccount, Error> {
        let page = account.login_url.take();
        account.login_url = self.with_state(&account, page)?;
        Ok(TradingAccount::of(account, now))
    }

    /// Returns a person's accounts, oldest first, and the freezes of their credentials, for an administrator;
    /// fails when the store does.
    pub async fn accounts_of(
        &self,
        owner: AccountId,
        _admin: &Admin,
    ) -> Result<(Vec<TradingAccount>, Freezes), Error> {
        let now = self.identity.clock.now();
        // Boxed: each is a future of some size, and they are waited for side by side.
        let accounts = Box::pin(self.store().trading_accounts(owner, MOST_ACCOUNTS * 2));
        let (accounts, freezes) = tokio::try_join!(accounts, Box::pin(self.store().freezes(owner, now)))?;
        Ok((accounts.into_iter().map(|account| TradingAccount::of(account, now)).collect(), freezes))
    }

    /// Returns one of the caller's accounts; fails when they have no such account.
    pub async fn account(&self, caller: &Caller, id: TradingAccountId) -> Result<TradingAccount, Error> {
        self.may(caller, "read")?;
        self.shown(self.own(caller, id).await?, self.identity.clock.now())
    }

    /// Relabels, disables or enables an account, notes where its orders come from or whether letters tell of its session, and
    /// returns it; fails when the caller has no such account. An enabled account is `pending` until it is verified again.
    pub async fn change(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        change: &AccountChange,
        origin: &ClientContext,
    ) -> Result<TradingAccount, Error> {
        self.may(caller, "update")?;
        let changed = |mut account: StoredTradingAccount| {
            if let Some(label) = &change.label {
                account.label = label.as_ref().map(|label| label.0.clone());
            }
            if let Some(order_ips) = &change.order_ips {
                account.order_ips = order_ips.as_ref().map(|order_ips| order_ips.0.clone());
            }
            account.session_mails = change.session_mails.or(account.session_mails);
            account.status = match (change.enabled, account.status) {
                (Some(false), _) => TradingAccountStatus::Disabled,
                (Some(true), TradingAccountStatus::Disabled) => TradingAccountStatus::Pending,
                (_, status) => status,
            };
            account
        };
        self.replace(caller, id, AuditKind::TradingAccountChanged, origin, changed).await
    }

    /// Replaces an account's credentials and returns the account; fails when the caller has no such account. The old
    /// credentials and the session that belongs to them are destroyed, and the session is ended at the broker as well as that
    /// works.
    pub async fn replace_credentials(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        credentials: &Credentials,
        origin: &ClientContext,
    ) -> Result<TradingAccount, Error> {
        self.may(caller, "update")?;
        let (owner, now) = (caller.account.id, self.identity.clock.now());
        let account = self.own(caller, id).await?;
        let broker = account.broker.clone();
        let login_url =
            self.brokers().of_record(&broker)?.login_url(credentials, id, &self.redirect_uri()).map(LoginUrl);
        let sealed = self.seal_credentials(owner, id, &broker, credentials).await?;
        let access = AccessRequest::of_owner(owner, id, origin);
        let session = self.session_to_end(access, &account).await;
        let changed = |account: StoredTradingAccount| StoredTradingAccount {
            status: match account.status {
                TradingAccountStatus::Disabled => TradingAccountStatus::Disabled,
                _ => TradingAccountStatus::Pending,
            },
            api_key_hint: credentials.hint(),
            login_url: login_url.clone(),
            credentials: sealed.clone(),
            sealed_at: now,
            verified_at: None,
            session: None,
            ..account
        };
        let replaced = self.replace(caller, id, AuditKind::CredentialsReplaced, origin, changed).await?;
        // They ended with the replacement. What is sealed in them goes now, and not when they would have expired.
        if let Err(error) = self.store().delete_reading_leases_of(owner, id).await {
            tracing::warn!(%error, account = %id, "leases of replaced credentials are left until they expire");
        }
        self.end_orphan(access, &broker, session).await;
        Ok(replaced)
    }

    /// Unlinks an account, destroys its ciphertext, and ends its session at the broker; fails when the caller has no such account.
    /// The session is ended last, as well as that works: neither the broker nor the key of the seals holds up that the
    /// credentials are gone, and a session that nobody has any more ends by itself.
    pub async fn unlink(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        origin: &ClientContext,
    ) -> Result<(), Error> {
        self.may(caller, "delete")?;
        let owner = caller.account.id;
        let account = self.own(caller, id).await?;
        let access = AccessRequest::of_owner(owner, id, origin);
        let session = self.session_to_end(access, &account).await;
        let event = self.event(AuditKind::TradingAccountUnlinked, owner, Some(id), origin)?;
        if !self.store().unlink_trading_account(owner, id, &event).await? {
            return Err(Error::not_found());
        }
        self.end_orphan(access, &account.broker, session).await;
        Ok(())
    }

    /// Ends a session at its broker that is stored nowhere any more, as well as that works.
    async fn end_orphan(&self, access: AccessRequest<'_>, broker: &str, session: Option<SessionCredentials>) {
        let (Some(session), Some(broker)) = (session, self.brokers().get(broker)) else { return };
        let ended = self.end_session(broker, &session).await;
        if let Err(error) = ended {
            tracing::warn!(%error, account = %access.id, "a session whose credentials are gone may live on at its broker");
        } else if let Err(error) = self.record_event(AuditKind::BrokerSessionEnded, access).await {
            tracing::warn!(%error, account = %access.id, "the end of a session is not on record");
        }
    }

    /// Returns the session of an account that is about to lose it, once it is on record that it was opened; `None` where there is none,
    /// or it cannot be opened now.
    async fn session_to_end(
        &self,
        access: AccessRequest<'_>,
        account: &StoredTradingAccount,
    ) -> Option<SessionCredentials> {
        let now = self.identity.clock.now();
        account.session.as_ref().filter(|session| session.expires_at > now)?;
        let opened = async {
            self.record_event(AuditKind::CredentialsUsed, access).await?;
            self.open_session(access, account).await
        };
        opened.await.unwrap_or_else(|error| {
            tracing::warn!(%error, account = %account.id, "the session of an account goes unopened");
            None
        })
    }

    /// Fails unless the caller's roles permit this action on trading accounts.
    pub(crate) fn may(&self, caller: &Caller, action: &str) -> Result<(), Error> {
        Ok(caller.require(&self.identity.settings.policy, "trading-account", action)?)
    }

    /// Returns one of the caller's accounts; fails with "not found" for an account of another person, because the key that
    /// is read is made of the caller's own id.
    pub(crate) async fn own(
        &self,
        caller: &Caller,
        id: TradingAccountId,
    ) -> Result<StoredTradingAccount, Error> {
        self.store().trading_account(caller.account.id, id).await?.ok_or_else(Error::not_found)
    }

    /// Changes a row and returns the account; a row that changes meanwhile is read and changed again.
    async fn replace(
        &self,
        caller: &Caller,
        id: TradingAccountId,
        kind: AuditKind,
        origin: &ClientContext,
        changed: impl Fn(StoredTradingAccount) -> StoredTradingAccount,
    ) -> Result<TradingAccount, Error> {
        let event = self.event(kind, caller.account.id, Some(id), origin)?;
        let (changed, event) = (&changed, &event);
        let decide = |row: Option<StoredTradingAccount>| async move {
            let next = changed(row.ok_or_else(Error::not_found)?);
            let swapped = self.store().swap_trading_account(&next, event).await?;
            Ok(if swapped { Round::Settled(next) } else { Round::Raced })
        };
        let key = (caller.account.id, id);
        let changed = self.store().change_trading_account::<_, Error, _>(key, None, decide).await?;
        self.shown(changed, self.identity.clock.now())
    }

    /// Returns the credentials, encrypted for this owner, account and broker.
    pub(crate) async fn seal_credentials(
        &self,
        owner: AccountId,
        id: TradingAccountId,
        broker: &str,
        credentials: &Credentials,
    ) -> Result<SealedSecret, Error> {
        let joined = length_prefixed::join([&credentials.api_key, &credentials.api_secret]);
        let context = context(owner, id, broker, Sealed::Credentials);
        let entropy = self.identity.entropy.as_ref();
        Ok(sealing::seal(&joined, &context, self.key_wrap.as_ref(), entropy).await?)
    }

    /// Returns the digests by which a repeated request is recognised: of its key, and of everything in it. Fails if there is no
    /// key to digest under.
    fn repeatable(
        &self,
        owner: AccountId,
        wanted: &NewTradingAccount,
        key: &str,
    ) -> Result<IdempotentRequest, Error> {
        let (keyring, owner) = (&self.identity.keyring, owner.to_string());
        let digest = keyring.fingerprint(&[b"trading-account", owner.as_bytes(), key.as_bytes()])?;
        let label = wanted.label.as_ref().map(|label| label.0.as_bytes()).unwrap_or_default();
        let fingerprint = keyring.fingerprint(&[
            owner.as_bytes(),
            wanted.broker.as_bytes(),
            wanted.broker_user.0.as_bytes(),
            wanted.credentials.api_key.expose_secret().as_bytes(),
            wanted.credentials.api_secret.expose_secret().as_bytes(),
            label,
        ])?;
        Ok(IdempotentRequest { key_digest: BASE64URL.encode(digest), fingerprint })
    }
}
