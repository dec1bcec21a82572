//! Trading accounts: one row among all that is its owner's, with credentials under seal, and one that names the
//! owner of an account. Nothing here can open a seal.

use jiff::Timestamp;

use crate::audit::AuditEvent;
use crate::backoff::{Contended, Round, until_settled};
use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::factors::{SealedSecret, read_secret, secret};
use crate::id::{AccountId, AuditId, TradingAccountId};
use crate::idempotency::{IdempotentRequest, REMEMBERED, unused};
use crate::item::{Attributes, ItemReader, ItemWriter, bytes, number, text, time};
use crate::keys;
use crate::transaction::{Outdated, Transaction};

/// What is known of an account's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
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

/// A broker's session, under a seal of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSession {
    /// What a service needs to use it.
    pub sealed: SealedSecret,
    /// When the broker ends it.
    pub expires_at: Timestamp,
}

/// A trading account as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTradingAccount {
    /// Its id.
    pub id: TradingAccountId,
    /// The account that owns it.
    pub owner: AccountId,
    /// The broker's name.
    pub broker: String,
    /// What the broker calls the owner.
    pub broker_user: String,
    /// What the owner calls the account.
    pub label: Option<String>,
    /// What is known of the credentials.
    pub status: TradingAccountStatus,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When the broker last accepted the credentials.
    pub verified_at: Option<Timestamp>,
    /// The end of the API key, to tell two of them apart.
    pub api_key_hint: String,
    /// The long-lived credentials.
    pub credentials: SealedSecret,
    /// When they were sealed under their present data key.
    pub sealed_at: Timestamp,
    /// The broker's session of the day.
    pub session: Option<BrokerSession>,
    /// How often the row was replaced.
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
    /// The account.
    pub id: TradingAccountId,
    /// When it was linked.
    pub created_at: Timestamp,
}

/// That a person's credentials must not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// Since when.
    pub since: Timestamp,
    /// The event that told of it: tells one freeze from the next.
    pub told_by: AuditId,
}

/// How a replacement ended that a freeze forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezableSwap {
    /// The row was replaced.
    Swapped,
    /// Another writer replaced or removed it first.
    Raced,
    /// The owner stopped every reading of their credentials.
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
        let lookup = ItemWriter::new(&keys::trading_account_owner(account.id))
            .set("trading_account", text(account.id.to_string()))
            .set("account", text(account.owner.to_string()))
            .finish();
        let mut transaction = Transaction::on(self);
        // What the same request did before is said even where its owner is gone by now.
        if let Some(request) = request {
            let item = request_item(request, account);
            transaction =
                transaction.put_if(item, unused(account.created_at), LinkRefusal::RequestRemembered);
        }
        // The check races an erasure: an account that is being erased must not be left with a row without an owner.
        let committed = transaction
            .check(&keys::profile(account.owner), Condition::row_exists(), LinkRefusal::OwnerGone)
            .put(item(account, account.version))
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
                .key_condition_expression("pk = :person AND begins_with(sk, :prefix)")
                .expression_attribute_values(":person", text(keys::person(owner)))
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
        found.map(|found| ItemReader::new("trading account owner", found).parsed("account")).transpose()
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
        let read = |item| {
            let mut reader = ItemReader::new("trading account owner", item);
            Ok((reader.parsed("trading_account")?, reader.parsed("account")?))
        };
        let next = page.last_evaluated_key.map(|mut key| {
            ItemReader::new("trading account owner", Attributes::from_iter(key.remove_entry(keys::SORT)))
                .text(keys::SORT)
        });
        let next =
            next.transpose()?.and_then(|sort| sort.strip_prefix(keys::TRADING_ACCOUNT_PREFIX)?.parse().ok());
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
            .put_if(item(next, next.version + 1), as_seen(next), Outdated)
            .record(event)
            .commit("changing a trading account")
            .await?;
        Ok(committed.is_ok())
    }

    /// The same unless the owner's credentials are frozen: once that is so, nothing new comes to be read.
    pub async fn swap_trading_account_unless_frozen(
        &self,
        next: &StoredTradingAccount,
        event: &AuditEvent,
    ) -> Result<FreezableSwap, StoreError> {
        Transaction::on(self)
            .check(&keys::freeze(next.owner), Condition::row_missing(), FreezableSwap::Frozen)
            .put_if(item(next, next.version + 1), as_seen(next), FreezableSwap::Raced)
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

    /// Whether a person's credentials must not be read.
    pub async fn freeze(&self, owner: AccountId) -> Result<Option<Freeze>, StoreError> {
        let found = self.get(&keys::freeze(owner), "reading a freeze").await?;
        let read = |found| {
            let mut reader = ItemReader::new("freeze", found);
            Ok(Freeze { since: reader.time("since")?, told_by: reader.parsed("told_by")? })
        };
        found.map(read).transpose()
    }

    /// Stops every reading of a person's credentials, stopped before or not. Returns whether the person's account is
    /// still there.
    pub async fn put_freeze(&self, event: &AuditEvent) -> Result<bool, StoreError> {
        let item = ItemWriter::new(&keys::freeze(event.subject))
            .set("since", time(event.at))
            .set("told_by", text(event.id.to_string()))
            .finish();
        let committed = Transaction::on(self)
            .check(&keys::profile(event.subject), Condition::row_exists(), Outdated)
            .put(item)
            .record(event)
            .commit("freezing credentials")
            .await?;
        Ok(committed.is_ok())
    }

    /// Allows them again, if they are still stopped by this very freeze: a request to lift one that arrives late lifts
    /// none that came after it. Returns whether it did.
    pub async fn lift_freeze(&self, freeze: Freeze, event: &AuditEvent) -> Result<bool, StoreError> {
        let the_same = Condition::equals("told_by", text(freeze.told_by.to_string()));
        let committed = Transaction::on(self)
            .delete_if(&keys::freeze(event.subject), the_same, Outdated)
            .record(event)
            .commit("unfreezing credentials")
            .await?;
        Ok(committed.is_ok())
    }
}

/// The row has not been replaced since it was read: every replacement raises its version.
fn as_seen(next: &StoredTradingAccount) -> Condition {
    Condition::equals("row_version", number(next.version))
}

fn item(account: &StoredTradingAccount, version: u64) -> Attributes {
    let mut writer = ItemWriter::new(&keys::trading_account(account.owner, account.id))
        .set("trading_account", text(account.id.to_string()))
        .set("account", text(account.owner.to_string()))
        .set("broker", text(&account.broker))
        .set("broker_user", text(&account.broker_user))
        .set_some("label", account.label.as_deref().map(text))
        .set("account_status", text(account.status.as_str()))
        .set("created_at", time(account.created_at))
        .set_some("verified_at", account.verified_at.map(time))
        .set("api_key_hint", text(&account.api_key_hint))
        .set("sealed_at", time(account.sealed_at))
        .set("row_version", number(version));
    writer = secret(writer, "credentials", &account.credentials);
    if let Some(session) = &account.session {
        writer =
            secret(writer, "session", &session.sealed).set("session_expires_at", time(session.expires_at));
    }
    writer.finish()
}

fn read(found: Attributes) -> Result<StoredTradingAccount, StoreError> {
    let mut reader = ItemReader::new("trading account", found);
    let credentials = read_secret(&mut reader, "credentials")?
        .ok_or(StoreError::Corrupt { record: "trading account", attribute: "credentials_key".to_owned() })?;
    let session = match read_secret(&mut reader, "session")? {
        Some(sealed) => Some(BrokerSession { sealed, expires_at: reader.time("session_expires_at")? }),
        None => None,
    };
    Ok(StoredTradingAccount {
        id: reader.parsed("trading_account")?,
        owner: reader.parsed("account")?,
        broker: reader.text("broker")?,
        broker_user: reader.text("broker_user")?,
        label: reader.text_if_any("label")?,
        status: reader.parsed("account_status")?,
        created_at: reader.time("created_at")?,
        verified_at: reader.time_if_any("verified_at")?,
        api_key_hint: reader.text("api_key_hint")?,
        credentials,
        sealed_at: reader.time("sealed_at")?,
        session,
        version: reader.number("row_version")?,
    })
}

fn request_item(request: &IdempotentRequest, account: &StoredTradingAccount) -> Attributes {
    let expires_at = account.created_at + REMEMBERED;
    ItemWriter::new(&keys::idempotency("trading-account", &request.key_digest))
        .set("fingerprint", bytes(request.fingerprint))
        .set("trading_account", text(account.id.to_string()))
        .set("created_at", time(account.created_at))
        .set("expires_at", time(expires_at))
        .expires(expires_at)
        .finish()
}

/// What the record in the way says. Our own means that an earlier attempt of this very call was carried out and its
/// answer lost.
fn first(
    account: &StoredTradingAccount,
    request: &IdempotentRequest,
    found: Attributes,
) -> Result<Link, StoreError> {
    let mut reader = ItemReader::new("idempotency", found);
    if reader.digest("fingerprint")? != request.fingerprint {
        return Ok(Link::KeyReused);
    }
    let first = FirstLink { id: reader.parsed("trading_account")?, created_at: reader.time("created_at")? };
    Ok(if first.id == account.id { Link::Linked } else { Link::Repeated(first) })
}
