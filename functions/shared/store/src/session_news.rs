//! Letters about the ends of sessions at brokers: what is to be told, whom, and when. A row is written with the session and taken
//! by whoever writes the letter, so that nobody is told anything twice.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::Condition;
use crate::id::{AccountId, TradingAccountId};
use crate::item::{self, Attributes, text};
use crate::keys;
use crate::transaction::{Outdated, Transaction};

/// What is told about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionNews {
    /// It ends soon.
    EndsSoon,
    /// It has ended.
    Ended,
}

/// A letter that is due at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueSessionNews {
    /// The person whose account it is.
    #[serde(rename = "account")]
    pub owner: AccountId,
    /// The trading account that the session is of.
    #[serde(rename = "trading_account")]
    pub id: TradingAccountId,
    /// What is told.
    pub news: SessionNews,
    /// From when on it is told.
    #[serde(with = "millisecond::required")]
    pub due_at: Timestamp,
    /// When that session ends: a later one of the same account has letters of its own.
    #[serde(rename = "session_expires_at", with = "millisecond::required")]
    pub session_ends_at: Timestamp,
}

/// How long after the end of a session a letter is kept that nobody sent.
const KEPT: std::time::Duration = std::time::Duration::from_hours(24);

impl Store {
    /// How many shards [`Store::due_session_news`] knows.
    pub const SESSION_NEWS_SHARDS: u8 = keys::SESSION_NEWS_SHARDS;

    /// Returns the letters of one shard that are due at this time, `limit` at most, the oldest first.
    pub async fn due_session_news(
        &self,
        shard: u8,
        now: Timestamp,
        limit: u16,
    ) -> Result<Vec<DueSessionNews>, StoreError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND sk < :after")
            .expression_attribute_values(":shard", text(keys::session_news_shard(shard)))
            .expression_attribute_values(":after", text(keys::session_news_after(now)))
            .limit(i32::from(limit))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("listing letters about sessions", error))?;
        page.items.unwrap_or_default().into_iter().map(|row| item::read("session news", row)).collect()
    }

    /// Takes a letter, and leaves the next one about the same session in its place. Returns whether it was there: of several who
    /// take it, one sends it.
    pub async fn take_session_news(
        &self,
        taken: &DueSessionNews,
        next: Option<&DueSessionNews>,
    ) -> Result<bool, StoreError> {
        let mut transaction =
            Transaction::on(self).delete_if(&keys::session_news(taken), Condition::row_exists(), Outdated);
        if let Some(next) = next {
            transaction = transaction.put(row(next)?);
        }
        Ok(transaction.commit("taking a letter about a session").await?.is_ok())
    }
}

/// Returns the row of a letter.
pub(crate) fn row(news: &DueSessionNews) -> Result<Attributes, StoreError> {
    item::expiring_item(&keys::session_news(news), news, news.session_ends_at + KEPT)
}
