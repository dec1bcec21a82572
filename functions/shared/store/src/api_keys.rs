//! API keys: one row among all that is its owner's, and one that names the owner of a key.

use aws_sdk_dynamodb::operation::query::QueryOutput;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as, skip_serializing_none};

use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::factors::SealedSecret;
use crate::id::{AccountId, ApiKeyId};
use crate::idempotency::{IdempotentRequest, REMEMBERED, unused};
use crate::item::{self, Attributes, bytes, text, time};
use crate::keys;
use crate::transaction::{Outdated, Transaction};

/// An API key as the table has it.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The id of the key, which is part of its text.
    #[serde(rename = "api_key")]
    pub id: ApiKeyId,
    /// The account that owns it.
    pub account: AccountId,
    /// Keyed digest of the whole key.
    #[serde_as(as = "Bytes")]
    #[serde(rename = "key_digest")]
    pub digest: Digest,
    /// What its owner calls it.
    #[serde(rename = "key_name")]
    pub name: String,
    /// Whether an operator set it and rotates it, whatever it and its owner's other keys are called.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub managed: bool,
    /// What it may do at most, as `resource:action`.
    pub scopes: Vec<String>,
    /// When it was made.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// When it ends, if it does.
    #[serde(default, with = "millisecond::optional")]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    #[serde(default, with = "millisecond::optional")]
    pub last_used_at: Option<Timestamp>,
}

/// A request for a key that may be sent again, with the clear key of its answer under seal.
#[derive(Debug)]
pub struct IdempotentApiKey {
    /// What the client calls it, and what it asks for.
    pub request: IdempotentRequest,
    /// The clear key.
    pub answer: SealedSecret,
}

/// What the first of several equal requests made.
#[derive(Debug)]
pub struct FirstApiKey {
    /// The id of the key that was made.
    pub id: ApiKeyId,
    /// When it was made.
    pub created_at: Timestamp,
    /// The clear key.
    pub answer: SealedSecret,
}

/// How the making of a key ended.
#[derive(Debug)]
pub enum ApiKeyCreation {
    /// The key exists now.
    Created,
    /// This very request was carried out before, with this result.
    Repeated(FirstApiKey),
    /// The idempotency key was used for something else.
    KeyReused,
    /// The owner's account is gone.
    OwnerGone,
    /// A key of this id exists already.
    Taken,
}

/// Some of a person's keys, newest first.
#[derive(Debug)]
pub struct ApiKeyPage {
    /// The keys of this page, newest first.
    pub keys: Vec<ApiKey>,
    /// Where to go on, if there may be more.
    pub next: Option<ApiKeyId>,
}

/// What stood in the way of a key.
#[derive(Debug, Clone, Copy)]
enum KeyRefusal {
    RequestRemembered,
    OwnerGone,
    Taken,
}

impl Store {
    /// Makes a key beside its owner's living profile, with the event that tells of it.
    pub async fn create_api_key(
        &self,
        key: &ApiKey,
        request: Option<&IdempotentApiKey>,
        event: &AuditEvent,
    ) -> Result<ApiKeyCreation, StoreError> {
        let mut transaction = put_api_key(Transaction::on(self), key, KeyRefusal::Taken)?.record(event);
        if let Some(request) = request {
            let item = request_item(request, key)?;
            transaction = transaction.put_if(item, unused(key.created_at), KeyRefusal::RequestRemembered);
        }
        // The check races an erasure: a key must not be left without an owner.
        let committed = transaction
            .check(&keys::profile(key.account), Condition::row_exists(), KeyRefusal::OwnerGone)
            .commit("making an API key")
            .await?;
        let Err(refused) = committed else { return Ok(ApiKeyCreation::Created) };
        match (refused.by, request) {
            (KeyRefusal::RequestRemembered, Some(request)) => first(key, request, refused.row),
            (KeyRefusal::RequestRemembered, None) => Ok(ApiKeyCreation::KeyReused),
            (KeyRefusal::OwnerGone, _) => Ok(ApiKeyCreation::OwnerGone),
            (KeyRefusal::Taken, _) => Ok(self.is_written(key).await?),
        }
    }

    /// Returns whether the row in the way is this very key's, written by an attempt whose answer was lost.
    async fn is_written(&self, key: &ApiKey) -> Result<ApiKeyCreation, StoreError> {
        let found = self.api_key(key.account, key.id).await?;
        let is_this =
            found.is_some_and(|found| found.created_at == key.created_at && found.digest == key.digest);
        Ok(if is_this { ApiKeyCreation::Created } else { ApiKeyCreation::Taken })
    }

    /// Returns the owner of the key of this id, or `None` where there is no such key.
    pub async fn api_key_owner(&self, id: ApiKeyId) -> Result<Option<AccountId>, StoreError> {
        let found = self.get(&keys::api_key_owner(id), "reading the owner of an API key").await?;
        found.map(|found| Ok(item::read::<Owner>("API key owner", found)?.account)).transpose()
    }

    /// One key of an account.
    pub async fn api_key(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.get(&keys::api_key(account, id), "reading an API key").await?.map(read).transpose()
    }

    /// Keys of an account, newest first, after the one called `after`.
    pub async fn api_keys(
        &self,
        account: AccountId,
        limit: usize,
        after: Option<ApiKeyId>,
    ) -> Result<ApiKeyPage, StoreError> {
        let mut found = Vec::new();
        let mut start = after.map(|id| keys::api_key(account, id).attributes());
        loop {
            let page = self.api_key_items(account, start).await?;
            for item in page.items.unwrap_or_default() {
                if found.len() == limit {
                    let next = found.last().map(|last: &ApiKey| last.id);
                    return Ok(ApiKeyPage { keys: found, next });
                }
                found.push(read(item)?);
            }
            // A page may be empty and still not the last.
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(ApiKeyPage { keys: found, next: None });
            }
        }
    }

    /// Gives a key another secret. Returns whether it was still there with the one that was seen.
    pub async fn rotate_api_key(
        &self,
        seen: &ApiKey,
        next: &Digest,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let update = Update::new().set("key_digest", bytes(*next));
        let as_seen = Condition::equals("key_digest", bytes(seen.digest));
        let committed = Transaction::on(self)
            .update_if(&keys::api_key(seen.account, seen.id), update, as_seen, Outdated)
            .record(event)
            .commit("rotating an API key")
            .await?;
        Ok(committed.is_ok())
    }

    /// Removes a key. Returns whether it was there.
    pub async fn delete_api_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let committed = Transaction::on(self)
            .delete_if(&keys::api_key(account, id), Condition::row_exists(), Outdated)
            .delete(&keys::api_key_owner(id))
            .record(event)
            .commit("removing an API key")
            .await?;
        Ok(committed.is_ok())
    }

    /// Removes every key of an account.
    pub async fn delete_api_keys(&self, account: AccountId) -> Result<(), StoreError> {
        // As many as fit into one transaction.
        const AT_ONCE: usize = 50;
        loop {
            let page = self.api_keys(account, AT_ONCE, None).await?;
            if page.keys.is_empty() {
                return Ok(());
            }
            let transaction = page.keys.iter().fold(Transaction::on(self), |transaction, key| {
                transaction.delete(&keys::api_key(account, key.id)).delete(&keys::api_key_owner(key.id))
            });
            transaction.write("removing API keys").await?;
        }
    }

    /// Notes that a key is used, unless its use was noted after `unless_after`.
    pub async fn touch_api_key(
        &self,
        key: &ApiKey,
        now: Timestamp,
        unless_after: Timestamp,
    ) -> Result<(), StoreError> {
        let not_noted_since =
            Condition::Missing("last_used_at").or(Condition::at_most("last_used_at", time(unless_after)));
        // Without the first part a key that was just removed would come back as an empty row.
        let condition = Condition::row_exists().and(not_noted_since);
        let update = Update::new().set("last_used_at", time(now));
        let key = keys::api_key(key.account, key.id);
        self.update_if(&key, update, condition, "noting the use of an API key").await.map(drop)
    }

    async fn api_key_items(
        &self,
        account: AccountId,
        start: Option<Attributes>,
    ) -> Result<QueryOutput, StoreError> {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :keys AND begins_with(sk, :prefix)")
            .expression_attribute_values(":keys", text(keys::api_keys(account)))
            .expression_attribute_values(":prefix", text(keys::API_KEY_PREFIX))
            .set_exclusive_start_key(start)
            .scan_index_forward(false)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("listing API keys", error))
    }
}

/// The row that names the owner of a key.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    account: AccountId,
}

/// The row of a request that made a key.
#[serde_as]
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    #[serde_as(as = "Bytes")]
    fingerprint: Digest,
    api_key: ApiKeyId,
    #[serde(with = "millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "millisecond::required")]
    expires_at: Timestamp,
    #[serde_as(as = "Bytes")]
    answer_key: Vec<u8>,
    #[serde_as(as = "Bytes")]
    answer_secret: Vec<u8>,
}

/// Adds the two rows of a key: among what is its owner's, and the one that names its owner.
pub(crate) fn put_api_key<'a, R>(
    transaction: Transaction<'a, R>,
    key: &ApiKey,
    taken: R,
) -> Result<Transaction<'a, R>, StoreError> {
    let row = item::item(&keys::api_key(key.account, key.id), key)?;
    let owner = item::item(&keys::api_key_owner(key.id), &Owner { account: key.account })?;
    // Two operators may bring the same key along for two accounts.
    Ok(transaction.put(row).put_if(owner, Condition::row_missing(), taken))
}

fn read(found: Attributes) -> Result<ApiKey, StoreError> {
    item::read("API key", found)
}

fn request_item(request: &IdempotentApiKey, key: &ApiKey) -> Result<Attributes, StoreError> {
    let IdempotentApiKey { request, answer } = request;
    let expires_at = key.created_at + REMEMBERED;
    let remembered = Remembered {
        fingerprint: request.fingerprint,
        api_key: key.id,
        created_at: key.created_at,
        expires_at,
        answer_key: answer.wrapped_key.clone(),
        answer_secret: answer.ciphertext.clone(),
    };
    item::expiring_item(&keys::idempotency("api-key", &request.key_digest), &remembered, expires_at)
}

/// What the record in the way says. Our own means that an earlier attempt of this very call was carried out and its
/// answer lost.
fn first(key: &ApiKey, request: &IdempotentApiKey, found: Attributes) -> Result<ApiKeyCreation, StoreError> {
    let found: Remembered = item::read("idempotency", found)?;
    if found.fingerprint != request.request.fingerprint {
        return Ok(ApiKeyCreation::KeyReused);
    }
    if found.api_key == key.id {
        return Ok(ApiKeyCreation::Created);
    }
    let answer = SealedSecret { wrapped_key: found.answer_key, ciphertext: found.answer_secret };
    let (id, created_at) = (found.api_key, found.created_at);
    Ok(ApiKeyCreation::Repeated(FirstApiKey { id, created_at, answer }))
}
