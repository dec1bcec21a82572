//! Sessions: one row for each sign-in, rotated, ended and listed.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    DeleteRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, WriteRequest,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use serde_with::{Bytes, serde_as, skip_serializing_none};

use crate::account::Account;
use crate::audit::{AuditEvent, AuditSeal, CARRIED};
use crate::connection::Store;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::{AccountId, SessionId};
use crate::item::{self, Attributes, bytes, number, text, time, ttl};
use crate::keys::{self, Key};
use crate::revocation_entry::RevocationEntry;
use crate::revocations::{AccountChange, Raise};
use crate::row::InTheWay;
use crate::sign_ins::{Throttled, Wait};
use crate::transaction::Transaction;

/// DynamoDB takes this many writes in one batch.
const BATCH: usize = 25;
/// How long a session that was ended stays in the table, for an investigation.
const KEPT_AFTER_END: Duration = Duration::from_hours(24);

/// A session to be made.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewSession {
    /// The id of the session, as it stands in access tokens.
    #[serde(rename = "session")]
    pub id: SessionId,
    /// The account it belongs to.
    pub account: AccountId,
    /// The account's session epoch when the password was checked.
    #[serde(rename = "epoch")]
    pub session_epoch: u64,
    /// Digest of the first refresh token.
    #[serde_as(as = "Bytes")]
    #[serde(rename = "cur")]
    pub current: Digest,
    /// How the person proved who they are (RFC 8176 values).
    pub methods: Vec<String>,
    /// Whether the browser keeps the cookie when it is closed.
    pub persistent: bool,
    /// What the person calls the device.
    pub device_name: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// Address of the client.
    pub ip: Option<String>,
    /// When it was made.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// When it ends unless it is refreshed.
    #[serde(with = "millisecond::required")]
    pub idle_expires_at: Timestamp,
    /// When it ends whatever happens.
    #[serde(with = "millisecond::required")]
    pub expires_at: Timestamp,
}

/// A session as the table has it.
#[serde_as]
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// What was said when it was made; `idle_expires_at` and `session_epoch` as they are now.
    #[serde(flatten)]
    pub made: NewSession,
    /// How many refresh tokens came before the current one.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// Digest of the token before the current one.
    #[serde_as(as = "Option<Bytes>")]
    #[serde(rename = "prev")]
    pub previous: Option<Digest>,
    /// The current token, sealed under the one before it.
    #[serde_as(as = "Option<Bytes>")]
    pub successor: Option<Vec<u8>>,
    /// When the current token took the place of the one before it.
    #[serde(default, with = "millisecond::optional")]
    pub rotated_at: Option<Timestamp>,
    /// When the person last proved who they are inside it; never where that was when it was made.
    #[serde(default, with = "millisecond::optional")]
    pub auth_time: Option<Timestamp>,
    /// When it was last used.
    #[serde(with = "millisecond::required")]
    pub last_seen_at: Timestamp,
    /// When it was ended.
    #[serde(default, with = "millisecond::optional")]
    pub revoked_at: Option<Timestamp>,
}

impl Session {
    /// When the person last proved who they are.
    pub fn proved_at(&self) -> Timestamp {
        self.auth_time.unwrap_or(self.made.created_at)
    }

    /// Neither ended nor expired, and of the account's present session epoch or, if the account was read a moment
    /// earlier than this row, a later one.
    pub fn is_live(&self, account: &Account, now: Timestamp) -> bool {
        self.revoked_at.is_none()
            && self.made.idle_expires_at > now
            && self.made.expires_at > now
            && self.made.session_epoch >= account.session_epoch
    }
}

/// One step of a session from a refresh token to the next.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The account of the session.
    pub account: AccountId,
    /// The session that the token belongs to.
    pub session: SessionId,
    /// The generation of the presented token.
    pub generation: u64,
    /// Digest of the presented token.
    pub presented: Digest,
    /// Digest of the token that takes its place.
    pub next: Digest,
    /// The token that takes its place, sealed under the presented one.
    pub successor: Vec<u8>,
    /// The time of the step.
    pub now: Timestamp,
    /// When the step before must have been at the latest; after the first token of a session there was none.
    pub last_step_by: Timestamp,
    /// When the session ends unless it is refreshed again.
    pub idle_expires_at: Timestamp,
}

/// How a rotation ended.
#[derive(Debug)]
pub enum RotationResult {
    /// The presented token was the current one; the session as it is now.
    Rotated(Box<Session>),
    /// It was not, or took its predecessor's place too short a time ago, or the session is over: the session as it stands.
    Refused(Box<Session>),
    /// There is no such session.
    Unknown,
}

/// How the end of a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It was live and is not any more.
    Revoked,
    /// It had been ended before, or never was.
    AlreadyEnded,
}

/// Some of a person's sessions, newest first.
#[derive(Debug)]
pub struct SessionPage {
    /// The sessions of this page, newest first.
    pub sessions: Vec<Session>,
    /// Where to go on, if there may be more.
    pub next: Option<SessionId>,
}

impl Store {
    /// Makes a session beside the event that tells of it, unless the attempt that led to it is throttled by now.
    pub async fn start_session(
        &self,
        session: &NewSession,
        event: &AuditEvent,
        waits: &[Wait],
    ) -> Result<Result<(), Throttled>, StoreError> {
        let over = || taken_back(session, event.at);
        self.put_beside_event(new_item(session)?, over, event, waits, "starting a session").await
    }

    /// One conditional write that rotates, tells a replay from a theft, and returns what the answer needs.
    pub async fn rotate(&self, step: &Rotation) -> Result<RotationResult, StoreError> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::session(step.account, step.session).attributes()))
            .update_expression(
                "SET gen = :next_gen, cur = :next, prev = :presented, successor = :successor, rotated_at = :now, \
                 last_seen_at = :now, idle_expires_at = :idle",
            )
            // Two requests with one token meet here. The first moves the generation on; the condition of the second
            // fails, and the row it gets back tells a repetition, whose token is the previous one, from a theft. Two
            // steps in quick succession meet here as well: after the second, a request from before the first would
            // look like a theft, so the second waits until nothing of before the first can be under way.
            .condition_expression(
                "gen = :gen AND cur = :presented AND attribute_not_exists(revoked_at) \
                 AND idle_expires_at > :now AND expires_at > :now \
                 AND (attribute_not_exists(rotated_at) OR rotated_at <= :last_step_by)",
            )
            .expression_attribute_values(":gen", number(step.generation))
            .expression_attribute_values(":next_gen", number(step.generation + 1))
            .expression_attribute_values(":presented", bytes(step.presented))
            .expression_attribute_values(":next", bytes(step.next))
            .expression_attribute_values(":successor", bytes(step.successor.clone()))
            .expression_attribute_values(":now", time(step.now))
            .expression_attribute_values(":last_step_by", time(step.last_step_by))
            .expression_attribute_values(":idle", time(step.idle_expires_at))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match updated {
            Ok(output) => Ok(RotationResult::Rotated(Box::new(read(output.attributes.unwrap_or_default())?))),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => match failed.item() {
                    Some(found) => Ok(RotationResult::Refused(Box::new(read(found.clone())?))),
                    None => Ok(RotationResult::Unknown),
                },
                _ => Err(StoreError::from_sdk("rotating a session", error)),
            },
        }
    }

    /// Gives a session, as [`Store::rotate`] left it, its refresh token back that was presented: no successor may be issued.
    /// Nothing is lost by it but the successor that nobody was given, because the token before the presented one was too
    /// old by then to be good for anything.
    pub async fn take_back_rotation(&self, rotated: &Session, presented: Digest) -> Result<(), StoreError> {
        let Session { made, generation, .. } = rotated;
        let update = Update::new()
            .set("gen", number(generation.saturating_sub(1)))
            .set("cur", bytes(presented))
            .remove("prev")
            .remove("successor")
            .remove("rotated_at");
        let is_ours = Condition::equals("gen", number(*generation))
            .and(Condition::equals("cur", bytes(made.current)))
            .and(Condition::Missing("revoked_at"));
        // Whoever changed it since may keep it: it was ended, or a request with the same token has taken it back.
        let key = keys::session(made.account, made.id);
        self.update_if(&key, update, is_ours, "taking a rotation back").await.map(drop)
    }

    /// One session of an account.
    pub async fn session(&self, account: AccountId, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.get(&keys::session(account, id), "reading a session").await?.map(read).transpose()
    }

    /// Ends a session, with the event that tells of it; ending it twice tells of it once.
    ///
    /// Four single writes in place of a transaction, which would cost nearly twice as much, in an order in which each may be
    /// the last: the feed of revocations first, because a session must not be over while its tokens pass; then the session,
    /// which decides and carries the event; then its record and the head of the chain. Of one whose end was cut off before
    /// its record, whoever ends it again or refreshes it writes the record.
    pub async fn revoke_session(
        &self,
        account: AccountId,
        id: SessionId,
        event: &AuditEvent,
    ) -> Result<Revocation, StoreError> {
        const OPERATION: &str = "revoking a session";
        let (of, key) = ((account, id), keys::session(account, id));
        let chain = event.chain();
        let (row, end) = tokio::try_join!(self.get(&key, OPERATION), Box::pin(self.chain_end(&chain)))?;
        let is_live = |row: &Attributes| !row.contains_key("revoked_at");
        let Some(row) = row.filter(|row| !row.is_empty()) else { return Ok(Revocation::AlreadyEnded) };
        if !is_live(&row) {
            self.record_carried(&row, of, &event.seal).await?;
            return Ok(Revocation::AlreadyEnded);
        }
        self.put(RevocationEntry::Session { id, at: event.at }.item(), OPERATION).await?;
        let event = AuditEvent { is_carried: true, ..event.clone() };
        if let Err(InTheWay(row)) = self.end_session(&key, &event).await? {
            let row = row.unwrap_or_default();
            // Ours, of an attempt whose response was lost, or another one's, who was faster.
            let ours =
                AuditEvent::in_session(&row, of, &event.seal)?.is_some_and(|other| other.id == event.id);
            if !ours {
                self.record_carried(&row, of, &event.seal).await?;
                return Ok(Revocation::AlreadyEnded);
            }
        }
        self.record(&event.behind(end)).await?;
        Ok(Revocation::Revoked)
    }

    /// Writes that a session is over, and into the same row the event that tells of it.
    async fn end_session(&self, key: &Key, event: &AuditEvent) -> Result<Result<(), InTheWay>, StoreError> {
        let update = Update::new()
            .set("revoked_at", time(event.at))
            .set("expires_ttl", ttl(event.at + KEPT_AFTER_END))
            .set(CARRIED, event.carried_by(key))
            // Nobody is given it any more, and the row stays below the kilobyte that a write unit is.
            .remove("successor");
        let live = Condition::row_exists().and(Condition::Missing("revoked_at"));
        self.update_if(key, update, live, "revoking a session").await
    }

    /// Records the end of a session that was ended, unless that was done: the process that ended it may have been cut off.
    /// Fails when the store does.
    pub async fn record_end(
        &self,
        account: AccountId,
        session: SessionId,
        seal: &AuditSeal,
    ) -> Result<(), StoreError> {
        let row = self.get(&keys::session(account, session), "reading a session").await?;
        self.record_carried(&row.unwrap_or_default(), (account, session), seal).await
    }

    /// Ends every session of an account but `keep`, however many there are, in one write: the account's session epoch
    /// goes up, and only the kept session's goes with it. The kept session must be live.
    pub async fn revoke_sessions(
        &self,
        account: &Account,
        keep: Option<SessionId>,
        event: &AuditEvent,
    ) -> Result<Revocation, StoreError> {
        let make = |account: &Account| {
            let nothing_more = AccountChange::default();
            let transaction = Transaction::on(self)
                .raise_session_epoch(account, nothing_more, keep, event.at, Raise::AccountChanged)
                .record(event);
            match keep {
                Some(kept) => transaction.take_along(account, kept, Raise::SessionOver),
                None => transaction,
            }
        };
        let committed = self.commit_raise(account, "revoking sessions", make).await?;
        Ok(if committed.is_ok() { Revocation::Revoked } else { Revocation::AlreadyEnded })
    }

    /// Live sessions of an account, newest first, after the one called `after`.
    pub async fn live_sessions(
        &self,
        account: &Account,
        now: Timestamp,
        limit: usize,
        after: Option<SessionId>,
    ) -> Result<SessionPage, StoreError> {
        let mut sessions = Vec::new();
        let mut start = after.map(|id| keys::session(account.id, id).attributes());
        loop {
            let page = self.session_items(account.id).set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| StoreError::from_sdk("listing sessions", error))?;
            for item in page.items.unwrap_or_default() {
                let session = read(item)?;
                if !session.is_live(account, now) {
                    continue;
                }
                if sessions.len() == limit {
                    let next = sessions.last().map(|last: &Session| last.made.id);
                    return Ok(SessionPage { sessions, next });
                }
                sessions.push(session);
            }
            // A page may be empty and still not the last.
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(SessionPage { sessions, next: None });
            }
        }
    }

    /// Deletes every session row of an account but the one to keep, if any.
    pub(crate) async fn delete_other_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "deleting sessions";
        let kept = keep.map(|keep| text(keys::session(account, keep).sort));
        let mut pages = self.session_items(account).into_paginator().send();
        while let Some(page) = pages.next().await {
            let items = page.map_err(|error| StoreError::from_sdk(OPERATION, error))?.items;
            let others = items
                .unwrap_or_default()
                .into_iter()
                .filter(|item| kept.is_none() || item.get(keys::SORT) != kept.as_ref());
            let deletes: Vec<WriteRequest> = others
                .map(|mut item| {
                    item.retain(|name, _| name == keys::PARTITION || name == keys::SORT);
                    let delete = DeleteRequest::builder().set_key(Some(item)).build()?;
                    Ok(WriteRequest::builder().delete_request(delete).build())
                })
                .collect::<Result<_, BuildError>>()
                .map_err(|cause| StoreError::Refused { operation: OPERATION, cause: cause.into() })?;
            for batch in deletes.chunks(BATCH) {
                self.write_batch(batch.to_vec(), OPERATION).await?;
            }
        }
        Ok(())
    }

    /// Sessions of an account, newest first.
    fn session_items(&self, account: AccountId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :sessions AND begins_with(sk, :prefix)")
            .expression_attribute_values(":sessions", text(keys::sessions(account)))
            .expression_attribute_values(":prefix", text(keys::SESSION_PREFIX))
            .scan_index_forward(false)
            .consistent_read(true)
    }

    /// Sends a batch until nothing of it is left over. Every write in it may be repeated without harm.
    async fn write_batch(
        &self,
        mut writes: Vec<WriteRequest>,
        operation: &'static str,
    ) -> Result<(), StoreError> {
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_millis(200))
            .with_max_times(4)
            .with_jitter()
            .build();
        while !writes.is_empty() {
            let output = self
                .client
                .batch_write_item()
                .request_items(&self.table, writes)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk(operation, error))?;
            writes = output.unprocessed_items.unwrap_or_default().remove(&self.table).unwrap_or_default();
            if !writes.is_empty() {
                let cause = || format!("{} writes were left unprocessed", writes.len()).into();
                let wait =
                    waits.next().ok_or_else(|| StoreError::Unavailable { operation, cause: cause() })?;
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }
}

/// The row of a session that did not come to be. Its token was never sent; it has expired, so that no list shows it either,
/// and says nothing of a person.
pub(crate) fn taken_back(session: &NewSession, at: Timestamp) -> Result<Attributes, StoreError> {
    new_item(&NewSession {
        device_name: None,
        user_agent: None,
        ip: None,
        idle_expires_at: at,
        expires_at: at,
        ..session.clone()
    })
}

pub(crate) fn new_item(session: &NewSession) -> Result<Attributes, StoreError> {
    let begun = Session {
        made: session.clone(),
        generation: 0,
        previous: None,
        successor: None,
        rotated_at: None,
        auth_time: None,
        last_seen_at: session.created_at,
        revoked_at: None,
    };
    item::expiring_item(&keys::session(session.account, session.id), &begun, session.expires_at)
}

fn read(row: Attributes) -> Result<Session, StoreError> {
    item::read("session", row)
}
