//! Guesses at a name: how many there were, and when the next one may come.
//!
//! A guess is counted before anybody looks at it, by a write whose condition is that its time has come. So guesses sent
//! side by side are counted one by one, and no more of them are looked at than of guesses sent one after the other.
//! There is one row for each name that was guessed at, whether or not it is anybody's; whose guesses are counted apart
//! have attributes of their own in it. The time of the last sign-in lies there too, because every sign-in sets the
//! count back anyway.

use std::fmt::Write;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

use crate::audit::AuditEvent;
use crate::connection::Store;
use crate::error::{StoreError, is_failed_condition};
use crate::item::{Attributes, ItemReader, bytes, number, time, ttl};
use crate::keys;
use crate::transaction::Transaction;

/// How long a row is kept whose name is nobody's.
const KEPT: std::time::Duration = std::time::Duration::from_hours(24);

/// Whose guesses are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guesser {
    /// Everybody of whom nothing is known.
    Stranger,
    /// A device the person has signed in with before, by its hexadecimal id.
    Device(String),
    /// Whoever is signed in already and confirms something.
    Session,
}

impl Guesser {
    fn word(&self) -> String {
        match self {
            Self::Stranger => "stranger".to_owned(),
            Self::Device(id) => format!("device_{id}"),
            Self::Session => "session".to_owned(),
        }
    }

    fn count(&self) -> String {
        format!("count_{}", self.word())
    }

    fn last(&self) -> String {
        format!("last_{}", self.word())
    }
}

/// After this many guesses the next one must come this long after the last. Of several the longest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// So many guesses.
    pub after: u64,
    /// So long.
    pub wait: std::time::Duration,
}

/// Whether a guess may be looked at.
#[derive(Debug, Clone)]
pub enum Reservation {
    /// It was counted, and may.
    Counted(Guesses),
    /// It came too early, and was not counted.
    TooEarly {
        /// Guesses so far.
        count: u64,
        /// When the last of them came.
        last: Timestamp,
    },
}

/// What is known of guesses at a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guesses {
    /// Sign-ins that failed since the last one that did not.
    pub failed_login_attempts: u64,
    /// When the last of all failed.
    pub last_failed_login_at: Option<Timestamp>,
    /// When somebody last signed in.
    pub last_login_at: Option<Timestamp>,
    /// Digest of what they looked like.
    pub last_seen_as: Option<Vec<u8>>,
}

impl Store {
    /// Counts a guess, if its time has come. `attempt` is a number of this guess alone: sent twice, because the first
    /// answer was lost, it is counted once.
    pub async fn reserve_guess(
        &self,
        name: &str,
        guesser: &Guesser,
        waits: &[Wait],
        attempt: [u8; 16],
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        let mut may = String::from("attribute_not_exists(#count)");
        let mut values = Attributes::from([
            (":one".to_owned(), number(1)),
            (":now".to_owned(), time(now)),
            (":ttl".to_owned(), ttl(now + KEPT)),
            (":attempt".to_owned(), bytes(attempt)),
        ]);
        // Each range of counts has its wait: up to the next entry, and without end for the last.
        for (place, step) in waits.iter().enumerate() {
            let (least, earliest) = (format!(":n{place}"), format!(":t{place}"));
            if place == 0 {
                may.push_str(" OR #count < :n0");
            }
            let until = waits.get(place + 1).map(|_| format!(" AND #count < :n{}", place + 1));
            let until = until.unwrap_or_default();
            // Writing to a `String` cannot fail.
            let _ = write!(may, " OR (#count >= {least}{until} AND #last <= {earliest})");
            values.insert(least, number(step.after));
            values.insert(earliest, time(now - step.wait));
        }
        let counted = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::guesses(name).attributes()))
            .update_expression("SET #last = :now, attempt = :attempt, expires_ttl = :ttl ADD #count :one")
            .condition_expression(format!(
                "(attribute_not_exists(attempt) OR attempt <> :attempt) AND ({may})"
            ))
            .expression_attribute_names("#count", guesser.count())
            .expression_attribute_names("#last", guesser.last())
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match counted {
            Ok(output) => Ok(Reservation::Counted(read(output.attributes.unwrap_or_default())?)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let found = failed.item().cloned().unwrap_or_default();
                    let mut reader = ItemReader::new("guesses", found.clone());
                    if reader.bytes_if_any("attempt")?.is_some_and(|last| last == attempt) {
                        return Ok(Reservation::Counted(read(found)?));
                    }
                    let count = reader.number(&guesser.count())?;
                    Ok(Reservation::TooEarly { count, last: reader.time(&guesser.last())? })
                }
                _ => Err(StoreError::from_sdk("counting a guess", error)),
            },
        }
    }

    /// Takes a guess back that was counted and could not be looked at.
    pub async fn withdraw_guess(&self, name: &str, guesser: &Guesser) -> Result<(), StoreError> {
        let withdrawn = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::guesses(name).attributes()))
            .update_expression("ADD #count :less")
            .condition_expression("#count >= :one")
            .expression_attribute_names("#count", guesser.count())
            .expression_attribute_values(":less", number(-1))
            .expression_attribute_values(":one", number(1))
            .send()
            .await;
        match withdrawn {
            Err(error) if !is_failed_condition(&error) => {
                Err(StoreError::from_sdk("withdrawing a guess", error))
            }
            _ => Ok(()),
        }
    }

    /// Sets the count back after a guess that was right.
    pub async fn forgive_guesses(&self, name: &str, guesser: &Guesser) -> Result<(), StoreError> {
        self.update_guesses(name, "REMOVE #count, #last, expires_ttl", Some(guesser), Attributes::new()).await
    }

    /// The same after a guess that somebody signed in with.
    pub async fn note_login(
        &self,
        name: &str,
        guesser: &Guesser,
        seen_as: &[u8],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let values = Attributes::from([(":now".to_owned(), time(now)), (":seen".to_owned(), bytes(seen_as))]);
        let update = "SET last_login_at = :now, last_seen_as = :seen \
                      REMOVE #count, #last, failed_attempts, expires_ttl";
        self.update_guesses(name, update, Some(guesser), values).await
    }

    /// Notes that a sign-in failed, with the event that tells of it. The same two calls are made for a name that is
    /// nobody's, whose row is kept for a day.
    pub async fn note_failed_login(
        &self,
        name: &str,
        is_somebodys: bool,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let (now, one) = ((":now".to_owned(), time(event.at)), (":one".to_owned(), number(1)));
        let mut values = Attributes::from([now, one]);
        let update = if is_somebodys {
            "SET last_failed_at = :now REMOVE expires_ttl ADD failed_attempts :one"
        } else {
            values.insert(":ttl".to_owned(), ttl(event.at + KEPT));
            "SET last_failed_at = :now, expires_ttl = :ttl ADD failed_attempts :one"
        };
        tokio::try_join!(self.update_guesses(name, update, None, values), self.record(event))?;
        Ok(())
    }

    /// What is known of guesses at the address of an account.
    pub async fn guesses(&self, name: &str) -> Result<Guesses, StoreError> {
        let found = self.get(&keys::guesses(name), "reading guesses").await?;
        found.map_or_else(|| Ok(Guesses::default()), read)
    }

    /// Sets every count of guesses at an address back, with the event that tells of it.
    pub async fn unlock_account(&self, email: &str, event: &AuditEvent) -> Result<(), StoreError> {
        let key = keys::guesses(email);
        let found = self.get(&key, "reading guesses").await?.unwrap_or_default();
        let counts = found.keys().filter(|name| {
            name.starts_with("count_")
                || name.starts_with("last_") && !KEPT_AT_UNLOCK.contains(&name.as_str())
        });
        let mut removed = String::from("REMOVE failed_attempts, expires_ttl");
        for name in counts {
            removed.push_str(", ");
            removed.push_str(name);
        }
        let transaction = Transaction::on(self)
            .update(&key, &removed, Attributes::new())
            .record(event)
            .commit("unlocking an account");
        let committed = transaction.await?;
        debug_assert!(committed.is_ok(), "no condition was given");
        Ok(())
    }

    /// Writes an event that nothing else is written with.
    pub async fn record(&self, event: &AuditEvent) -> Result<(), StoreError> {
        let end = match &event.end {
            Some(end) => end.clone(),
            None => Box::pin(self.chain_end(&event.chain())).await?,
        };
        Box::pin(self.append(event, end)).await
    }

    async fn update_guesses(
        &self,
        name: &str,
        update: &str,
        guesser: Option<&Guesser>,
        values: Attributes,
    ) -> Result<(), StoreError> {
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::guesses(name).attributes()))
            .update_expression(update)
            .set_expression_attribute_values((!values.is_empty()).then_some(values));
        if let Some(guesser) = guesser {
            request = request
                .expression_attribute_names("#count", guesser.count())
                .expression_attribute_names("#last", guesser.last());
        }
        request.send().await.map(drop).map_err(|error| StoreError::from_sdk("noting a guess", error))
    }
}

/// What begins like a count and is none.
const KEPT_AT_UNLOCK: &[&str] = &["last_login_at", "last_failed_at", "last_seen_as"];

pub(crate) fn read(found: Attributes) -> Result<Guesses, StoreError> {
    let mut reader = ItemReader::new("guesses", found);
    Ok(Guesses {
        failed_login_attempts: reader.number_if_any("failed_attempts")?.unwrap_or(0),
        last_failed_login_at: reader.time_if_any("last_failed_at")?,
        last_login_at: reader.time_if_any("last_login_at")?,
        last_seen_as: reader.bytes_if_any("last_seen_as")?,
    })
}
