//! Trading accounts: one row among all that is its owner's, with credentials under seal, and one that names the
//! owner of an account. Nothing here can open a seal.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as, skip_serializing_none, with_prefix};

use crate::audit::AuditEvent;
use crate::backoff::{Contended, Round, until_settled};
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::factors::SealedSecret;
use crate::id::{AccountId, TradingAccountId};
use crate::idempotency::{IdempotentRequest, REMEMBERED, unused};
use crate::item::{self, Attributes, number, text};
use crate::keys;
use crate::session_news::{self, DueSessionNews};
use crate::transaction::{Outdated, Transaction};

/// What is known of an account's credentials.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TradingAccountStatus {
    /// The broker has not been asked yet.
    Pending,
    /// The broker accepted them.
    Active,
    /// The broker's session is over; the owner has to log in there again.
    Expired,
    /// The broker refused them.
    Rejected,
    /// The owner switched the account off.
    Disabled,
}

impl TradingAccountStatus {
    /// Returns the word in records and responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A broker's login page for one account. It contains the API key, which is public there: the owner's browser shows it, and
/// the secret that belongs to it is under seal. It is not printed all the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginUrl(pub String);

impl fmt::Debug for LoginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginUrl(…)")
    }
}

with_prefix!(credentials "credentials_");
with_prefix!(session "session_");

/// A broker's session, under a seal of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerSession {
    /// What a service needs to use it.
    #[serde(flatten, with = "session")]
    pub sealed: SealedSecret,
    /// When the broker ends it.
    #[serde(rename = "session_expires_at", with = "millisecond::required")]
    pub expires_at: Timestamp,
}

/// A trading account as the table has it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTradingAccount {
    /// The id of the trading account, `acc_…`.
    #[serde(rename = "trading_account")]
    pub id: TradingAccountId,
    /// The account that owns it.
    #[serde(rename = "account")]
    pub owner: AccountId,
    /// The broker's name.
    pub broker: String,
    /// What the broker calls the owner.
    pub broker_user: String,
    /// What the owner calls the account.
    pub label: Option<String>,
    /// What is known of the credentials.
    #[serde(rename = "account_status")]
    pub status: TradingAccountStatus,
    /// When it was linked.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// When the broker last accepted the credentials.
    #[serde(default, with = "millisecond::optional")]
    pub verified_at: Option<Timestamp>,
    /// The end of the API key, to tell two of them apart.
    pub api_key_hint: String,
    /// The broker's login page for this account.
    pub login_url: Option<LoginUrl>,
    /// The addresses that its orders are sent from, where its owner named them.
    pub order_ips: Option<Vec<IpAddr>>,
    /// Whether its owner is sent letters before and when its session ends; `None` where they never said, which is yes. What begins with
    /// `session_` in the row goes with the session.
    #[serde(rename = "mails_of_sessions")]
    pub session_mails: Option<bool>,
    /// The long-lived credentials.
    #[serde(flatten, with = "credentials")]
    pub credentials: SealedSecret,
    /// When they were sealed under their present data key.
    #[serde(with = "millisecond::required")]
    pub sealed_at: Timestamp,
    /// The broker's session of the day.
    #[serde(skip)]
    pub session: Option<BrokerSession>,
    /// How often the row was replaced.
    #[serde(rename = "row_version")]
    pub version: u64,
}

/// How a link ended.
#[derive(Debug)]
pub enum Link {
    /// The account exists now.
    Linked,
    /// This very request was carried out before, with this result.
    Repeated(FirstLink),
    /// The idempotency key was used for something else.
    KeyReused,
    /// The owner's account is gone.
    OwnerGone,
}

/// What the first of several equal requests made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstLink {
    /// The id of the trading account that was linked.
    pub id: TradingAccountId,
    /// When it was linked.
    pub created_at: Timestamp,
}

/// How a replacement ended that a freeze forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezableSwap {
    /// The row was replaced.
    Swapped,
    /// Another writer replaced or removed it first.
    Raced,
    /// The owner, or an administrator, stopped every reading of their credentials.
    Frozen,
}

/// A page of all trading accounts, in the order of their ids.
#[derive(Debug)]
pub struct LookupPage {
    /// Accounts and their owners.
    pub accounts: Vec<(TradingAccountId, AccountId)>,
    /// Where to go on in this shard, if there may be more.
    pub next: Option<TradingAccountId>,
}

/// What stood in the way of a link.
#[derive(Debug, Clone, Copy)]
enum LinkRefusal {
    RequestRemembered,
    OwnerGone,
}

impl Store {
    /// How many shards [`Store::trading_account_lookup`] knows.
    pub const TRADING_ACCOUNT_SHARDS: u16 = keys::LOOKUP_SHARDS;

    /// Links an account, with the event that tells of it.
    pub async fn link_trading_account(
        &self,
        account: &StoredTradingAccount,
        request: Option<&IdempotentRequest>,
        event: &AuditEvent,
    ) -> Result<Link, StoreError> {
        let lookup = Lookup { trading_account: account.id, account: account.owner };
        let lookup = item::item(&keys::trading_account_owner(account.id), &lookup)?;
        let mut transaction = Transaction::on(self);
        // What the same request did before is said even where its owner is gone by now.
        if let Some(request) = request {
            let item = request_item(request, account)?;
            transaction =
                transaction.put_if(item, unused(account.created_at), LinkRefusal::RequestRemembered);
        }
        // The check races an erasure: an account that is being erased must not be left with a row without an owner.
        let committed = transaction
            .check(&keys::profile(account.owner), Condition::row_exists(), LinkRefusal::OwnerGone)
            .put(row(account)?)
            .put(lookup)
            .record(event)
            .commit("linking a trading account")
            .await?;
        let Err(refused) = committed else { return Ok(Link::Linked) };
        match (refused.by, request) {
            (LinkRefusal::RequestRemembered, Some(request)) => first(account, request, refused.row),
            (LinkRefusal::RequestRemembered, None) => Ok(Link::KeyReused),
            (LinkRefusal::OwnerGone, _) => Ok(Link::OwnerGone),
        }
    }

    /// One account of a person.
    pub async fn trading_account(
        &self,
        owner: AccountId,
        id: TradingAccountId,
    ) -> Result<Option<StoredTradingAccount>, StoreError> {
        self.get(&keys::trading_account(owner, id), "reading a trading account").await?.map(read).transpose()
    }

    /// The accounts of a person, oldest first, at most `limit`.
    pub async fn trading_accounts(
        &self,
        owner: AccountId,
        limit: usize,
    ) -> Result<Vec<StoredTradingAccount>, StoreError> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :owner AND begins_with(sk, :prefix)")
                .expression_attribute_values(":owner", text(keys::vault(owner)))
                .expression_attribute_values(":prefix", text(keys::TRADING_ACCOUNT_PREFIX))
                .set_exclusive_start_key(start)
                .consistent_read(true)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("listing trading accounts", error))?;
            for item in page.items.unwrap_or_default() {
                if found.len() == limit {
                    return Ok(found);
                }
                found.push(read(item)?);
            }
            // A page may be empty and still not the last.
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// Returns the owner of a trading account, or `None` where there is none.
    pub async fn trading_account_owner(&self, id: TradingAccountId) -> Result<Option<AccountId>, StoreError> {
        let key = keys::trading_account_owner(id);
        let found = self.get(&key, "reading the owner of a trading account").await?;
        found.map(|found| Ok(read_lookup(found)?.account)).transpose()
    }

    /// Returns a page of all accounts in one of [`Store::TRADING_ACCOUNT_SHARDS`] shards, after the one called `after`.
    pub async fn trading_account_lookup(
        &self,
        shard: u8,
        limit: u16,
        after: Option<TradingAccountId>,
    ) -> Result<LookupPage, StoreError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND begins_with(sk, :prefix)")
            .expression_attribute_values(":shard", text(keys::trading_account_shard(shard)))
            .expression_attribute_values(":prefix", text(keys::TRADING_ACCOUNT_PREFIX))
            .set_exclusive_start_key(after.map(|id| keys::trading_account_owner(id).attributes()))
            .limit(i32::from(limit))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("listing all trading accounts", error))?;
        let read = |item| read_lookup(item).map(|lookup| (lookup.trading_account, lookup.account));
        let last = page.last_evaluated_key.and_then(|mut key| key.remove(keys::SORT));
        let next =
            last.and_then(|sort| sort.as_s().ok()?.strip_prefix(keys::TRADING_ACCOUNT_PREFIX)?.parse().ok());
        let accounts = page.items.unwrap_or_default().into_iter().map(read);
        Ok(LookupPage { accounts: accounts.collect::<Result<_, StoreError>>()?, next })
    }

    /// Decides on a trading account as it is now (`None` where there is none), as often as it takes until no other
    /// writer came between. `decide` writes what follows with [`Store::swap_trading_account`] and its like. The first
    /// round decides on `seen` where the caller has read the row already.
    ///
    /// Returns what `decide` settled on; fails as it does, or where other writers were faster in every round.
    pub async fn change_trading_account<T, E, F>(
        &self,
        (owner, id): (AccountId, TradingAccountId),
        mut seen: Option<StoredTradingAccount>,
        decide: impl Fn(Option<StoredTradingAccount>) -> F,
    ) -> Result<T, E>
    where
        E: From<StoreError> + From<Contended>,
        F: Future<Output = Result<Round<T>, E>>,
    {
        let decide = &decide;
        until_settled(|| {
            let seen = seen.take();
            async move {
                let row = match seen {
                    Some(seen) => Some(seen),
                    None => self.trading_account(owner, id).await?,
                };
                decide(row).await
            }
        })
        .await
    }

    /// Replaces the row by `next` if its version is still that of `next`, with the event that tells of it. Returns
    /// whether it was; if not, another writer replaced or removed it first.
    pub async fn swap_trading_account(
        &self,
        next: &StoredTradingAccount,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let committed = Transaction::on(self)
            .put_if(next_row(next)?, as_seen(next), Outdated)
            .record(event)
            .commit("changing a trading account")
            .await?;
        Ok(committed.is_ok())
    }

    /// The same, with the first letter about its session, unless the owner's credentials are frozen: once that is so, nothing new
    /// comes to be read.
    pub async fn swap_trading_account_unless_frozen(
        &self,
        next: &StoredTradingAccount,
        news: &DueSessionNews,
        event: &AuditEvent,
    ) -> Result<FreezableSwap, StoreError> {
        Transaction::on(self)
            .unless_frozen(next.owner, event.at, FreezableSwap::Frozen)
            .put_if(next_row(next)?, as_seen(next), FreezableSwap::Raced)
            .put(session_news::row(news)?)
            .record(event)
            .commit_as(FreezableSwap::Swapped, "changing a trading account")
            .await
    }

    /// Removes an account with all its ciphertext. Returns whether it was there.
    pub async fn unlink_trading_account(
        &self,
        owner: AccountId,
        id: TradingAccountId,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        // First, so that nothing of it is left where this is cut off. What a reading begins in between names an account that is
        // gone by then: nothing opens it, and it is removed when it expires.
        self.delete_reading_leases_of(owner, id).await?;
        let committed = Transaction::on(self)
            .delete_if(&keys::trading_account(owner, id), Condition::row_exists(), Outdated)
            .delete(&keys::trading_account_owner(id))
            .record(event)
            .commit("unlinking a trading account")
            .await?;
        Ok(committed.is_ok())
    }

    /// Removes every trading account of a person.
    pub async fn delete_trading_accounts(&self, owner: AccountId) -> Result<(), StoreError> {
        // As many as fit into one transaction.
        const AT_ONCE: usize = 50;
        loop {
            let accounts = self.trading_accounts(owner, AT_ONCE).await?;
            if accounts.is_empty() {
                return Ok(());
            }
            let transaction = accounts.iter().fold(Transaction::on(self), |transaction, account| {
                transaction
                    .delete(&keys::trading_account(owner, account.id))
                    .delete(&keys::trading_account_owner(account.id))
            });
            transaction.write("removing trading accounts").await?;
        }
    }
}

/// The trading account is linked, and its owner has not switched it off.
pub(crate) fn in_use() -> Condition {
    Condition::row_exists().and(Condition::Compare(
        "account_status",
        "<>",
        text(TradingAccountStatus::Disabled.as_str()),
    ))
}

/// The row has not been replaced since it was read: every replacement raises its version.
fn as_seen(next: &StoredTradingAccount) -> Condition {
    Condition::equals("row_version", number(next.version))
}

/// The row that names the owner of a trading account.
#[derive(Debug, Serialize, Deserialize)]
struct Lookup {
    trading_account: TradingAccountId,
    account: AccountId,
}

fn read_lookup(row: Attributes) -> Result<Lookup, StoreError> {
    item::read("trading account owner", row)
}

/// The row of a request that linked an account.
#[serde_as]
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    #[serde_as(as = "Bytes")]
    fingerprint: Digest,
    trading_account: TradingAccountId,
    #[serde(with = "millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "millisecond::required")]
    expires_at: Timestamp,
}

fn row(account: &StoredTradingAccount) -> Result<Attributes, StoreError> {
    let key = keys::trading_account(account.owner, account.id);
    let mut row = item::item(&key, account)?;
    if let Some(session) = &account.session {
        row.extend(item::item(&key, session)?);
    }
    Ok(row)
}

/// The row that takes the place of the one `next` was decided on.
fn next_row(next: &StoredTradingAccount) -> Result<Attributes, StoreError> {
    row(&StoredTradingAccount { version: next.version + 1, ..next.clone() })
}

fn read(row: Attributes) -> Result<StoredTradingAccount, StoreError> {
    const RECORD: &str = "trading account";
    let has_session = row.keys().any(|name| name.starts_with("session_"));
    let session = has_session.then(|| item::read(RECORD, row.clone())).transpose()?;
    Ok(StoredTradingAccount { session, ..item::read(RECORD, row)? })
}

fn request_item(
    request: &IdempotentRequest,
    account: &StoredTradingAccount,
) -> Result<Attributes, StoreError> {
    let (created_at, expires_at) = (account.created_at, account.created_at + REMEMBERED);
    let fingerprint = request.fingerprint;
    let remembered = Remembered { fingerprint, trading_account: account.id, created_at, expires_at };
    let key = keys::idempotency("trading-account", &request.key_digest);
    item::expiring_item(&key, &remembered, expires_at)
}

/// What the record in the way says. Our own means that an earlier attempt of this very call was carried out and its
/// answer lost.
fn first(
    account: &StoredTradingAccount,
    request: &IdempotentRequest,
    found: Attributes,
) -> Result<Link, StoreError> {
    let found: Remembered = item::read("idempotency", found)?;
    if found.fingerprint != request.fingerprint {
        return Ok(Link::KeyReused);
    }
    let first = FirstLink { id: found.trading_account, created_at: found.created_at };
    Ok(if first.id == account.id { Link::Linked } else { Link::Repeated(first) })
}
