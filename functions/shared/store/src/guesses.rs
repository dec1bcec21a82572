//! Guesses that are counted before anybody looks at them: passwords of whoever is signed in, letters asked for.
//!
//! The count is raised by a write whose condition is that the time of the guess has come. So guesses sent side by side
//! are counted one by one, and no more of them are looked at than of guesses sent one after the other. Sign-ins are
//! counted by their trail instead, see `sign_ins`.

use std::fmt::Write;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;

use crate::connection::Store;
use crate::error::{StoreError, is_failed_condition};
use crate::item::{Attributes, ItemReader, bytes, number, time, ttl};
use crate::keys;
use crate::sign_ins::{Count, TooEarly, Wait};
use crate::transaction::Transaction;

/// How long a count is kept after the last guess.
const KEPT: Duration = Duration::from_hours(24);

impl Store {
    /// Counts a guess, if its time has come; `waits` in ascending order. `attempt` is a number of this guess alone: sent
    /// twice, because the first answer was lost, it is counted once.
    pub async fn reserve_guess(
        &self,
        name: &str,
        waits: &[Wait],
        attempt: [u8; 16],
        now: Timestamp,
    ) -> Result<Result<(), TooEarly>, StoreError> {
        let mut may = String::from("attribute_not_exists(guesses)");
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
                may.push_str(" OR guesses < :n0");
            }
            let until = waits.get(place + 1).map(|_| format!(" AND guesses < :n{}", place + 1));
            let until = until.unwrap_or_default();
            // Writing to a `String` cannot fail.
            let _ = write!(may, " OR (guesses >= {least}{until} AND guessed_at <= {earliest})");
            values.insert(least, number(step.after));
            values.insert(earliest, time(now - step.wait));
        }
        let counted = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::guesses(name).attributes()))
            .update_expression(
                "SET guessed_at = :now, attempt = :attempt, expires_ttl = :ttl ADD guesses :one",
            )
            .condition_expression(format!(
                "(attribute_not_exists(attempt) OR attempt <> :attempt) AND ({may})"
            ))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match counted {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let mut reader = ItemReader::new("guesses", failed.item().cloned().unwrap_or_default());
                    if reader.bytes_if_any("attempt")?.is_some_and(|last| last == attempt) {
                        return Ok(Ok(()));
                    }
                    let (guesses, last) = (reader.number("guesses")?, reader.time("guessed_at")?);
                    Ok(Count { guesses, last }.check(waits, now))
                }
                _ => Err(StoreError::from_sdk("counting a guess", error)),
            },
        }
    }

    /// Takes a guess back that was counted and could not be looked at.
    pub async fn withdraw_guess(&self, name: &str) -> Result<(), StoreError> {
        let withdrawn = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::guesses(name).attributes()))
            .update_expression("ADD guesses :less")
            .condition_expression("guesses >= :one")
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
    pub async fn forgive_guesses(&self, name: &str) -> Result<(), StoreError> {
        let forgiven = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::guesses(name).attributes()))
            .update_expression(FORGIVING);
        forgiven.send().await.map(drop).map_err(|error| StoreError::from_sdk("forgiving guesses", error))
    }
}

/// What sets a count back. The row goes with its time.
const FORGIVING: &str = "REMOVE guesses, guessed_at";

/// The same as part of a transaction, where there may be no row yet.
pub(crate) fn forgiving<'a>(transaction: Transaction<'a>, name: &str, now: Timestamp) -> Transaction<'a> {
    let update = format!("{FORGIVING} SET expires_ttl = :ttl");
    transaction.update(
        &keys::guesses(name),
        &update,
        Attributes::from([(":ttl".to_owned(), ttl(now + KEPT))]),
    )
}
