//! What a freeze does, in this order: the row is written; then, account by account and side by side, resting orders are
//! cancelled and the session is ended. Whoever is cut off in between has stopped every reading; what is left, the sweep does.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use portcullis_identity::{ClientContext, CredentialChange};
use portcullis_store::{
    Account, AccountId, AuditEvent, AuditKind, Freeze, Freezer, Round, StoredTradingAccount,
    TradingAccountId, UnfinishedFreeze,
};

use crate::Vault;
use crate::account_fields::CANCEL_ORDERS;
use crate::brokers::{Broker, CancelsFrom, OrderAccess};
use crate::credentials::SessionCredentials;
use crate::error::Error;
use crate::freezing::orders::without_session;
use crate::freezing::{Frozen, FrozenAccount, Orders, SessionEnd};
use crate::opening::{AccessBy, AccessRequest};

/// More trading accounts than a person can have.
pub(super) const ALL: usize = 100;
/// How many accounts are told of in the write that freezes: a transaction has a limit.
const TOLD_AT_ONCE: usize = 60;
/// How long a request that freezes has before the sweep does what it left: twice its deadline.
const UNDER_WAY: Duration = Duration::from_secs(10);

/// What is to be frozen, by whom, and how.
#[derive(Debug)]
pub(super) struct FreezeOrder<'a> {
    /// The person whose credentials are to be frozen.
    pub(super) owner: AccountId,
    /// Which of the owner's freezes it is.
    pub(super) freezer: Freezer,
    /// The person or the operator who asked, as events name them.
    pub(super) by: AccessBy<'a>,
    /// Whether resting orders are to be cancelled.
    pub(super) cancel_orders: bool,
    /// When it ends by itself.
    pub(super) ends_at: Option<Timestamp>,
    /// What an administrator gave as the reason.
    pub(super) reason: Option<String>,
    /// The client that asked.
    pub(super) origin: &'a ClientContext,
}

/// What was done about one account.
struct Stopped {
    session: SessionEnd,
    orders: Orders,
    open_orders: Option<u32>,
}

impl FreezeOrder<'_> {
    fn access(&self, id: TradingAccountId) -> AccessRequest<'_> {
        let Self { owner, by, origin, .. } = *self;
        AccessRequest { owner, id, origin, by, during_freeze: false }
    }
}

impl Vault {
    /// Freezes, mails the news if there are any, and returns what became of each account; `None` where the person is gone.
    pub(super) async fn carry_out(
        &self,
        order: &FreezeOrder<'_>,
        news: Option<(&Account, CredentialChange)>,
    ) -> Result<Option<Frozen>, Error> {
        // What is opened after the freeze is told of in the same write, so that one write comes before the first request to a
        // broker. A read that fails must not hold up the freeze: what is not told of here is told of later.
        let seen = self.store().trading_accounts(order.owner, ALL).await.unwrap_or_default();
        let (freeze, events, told) = self.freeze_with_events(order, &seen)?;
        let due_at = freeze.since + self.cancel_grace.max(UNDER_WAY);
        // The freeze is stored before anything else: every reading checks for it before it decrypts and once more before
        // it releases, and a session that is being exchanged meanwhile is not stored beside it.
        let kind = (order.owner, order.freezer);
        let Some(unwritten) = self.store().put_freeze(kind, &freeze, Some(due_at), &events).await? else {
            return Ok(None);
        };
        let stopping = async {
            // Read anew: a session may have been stored between the first look and the freeze.
            let accounts = self.store().trading_accounts(order.owner, ALL).await?;
            let stops = accounts.into_iter().map(|account| self.stop(order, &told, account));
            Ok::<_, Error>(join_all(stops).await)
        };
        let mail = async {
            if let Some((owner, change)) = news {
                self.identity.notify_of_credentials(owner, change, order.origin).await;
            }
        };
        let ((), accounts, ()) = tokio::join!(unwritten.write(), Box::pin(stopping), mail);
        let accounts = accounts?;
        self.settle(order, &freeze, &accounts).await;
        let Freeze { since, cancel_until, ends_at, .. } = freeze;
        Ok(Some(Frozen { since, cancel_until, ends_at, accounts }))
    }

    /// Returns the freeze, the events that are written with it, and which accounts they tell of.
    fn freeze_with_events(
        &self,
        order: &FreezeOrder<'_>,
        seen: &[StoredTradingAccount],
    ) -> Result<(Freeze, Vec<AuditEvent>, BTreeSet<TradingAccountId>), Error> {
        let mut event = self.event(AuditKind::CredentialsFrozen, order.owner, None, order.origin)?;
        order.by.sign(&mut event);
        event.details.reason.clone_from(&order.reason);
        event.details.until = order.ends_at.map(|end| end.to_string());
        event.purpose = order.cancel_orders.then(|| CANCEL_ORDERS.to_owned());
        let may_cancel = order.cancel_orders && !self.cancel_grace.is_zero();
        let freeze = Freeze {
            cancel_until: may_cancel.then(|| event.at + self.cancel_grace),
            ends_at: order.ends_at,
            reason: order.reason.clone(),
            frozen_by: match order.by {
                AccessBy::Operator(operator) => Some(operator.actor().to_string()),
                AccessBy::Owner | AccessBy::Service(..) => None,
            },
            ..Freeze::of(&event)
        };
        let opened = seen.iter().filter(|account| self.opens(order, account)).take(TOLD_AT_ONCE);
        let told: BTreeSet<TradingAccountId> = opened.map(|account| account.id).collect();
        let uses = told.iter().map(|id| self.event_of(AuditKind::CredentialsUsed, order.access(*id)));
        let events = std::iter::once(Ok(event)).chain(uses).collect::<Result<_, Error>>()?;
        Ok((freeze, events, told))
    }

    /// Returns whether something of an account is opened to stop it: its session, or the credentials that cancel orders.
    fn opens(&self, order: &FreezeOrder<'_>, account: &StoredTradingAccount) -> bool {
        let now = self.identity.clock.now();
        let has_session = account.session.as_ref().is_some_and(|session| session.expires_at > now);
        has_session || order.cancel_orders && self.cancels(account)
    }

    /// Returns whether the vault itself can cancel orders of an account.
    fn cancels(&self, account: &StoredTradingAccount) -> bool {
        let broker = self.brokers().get(&account.broker);
        broker.is_some_and(|broker| broker.cancels_from() == CancelsFrom::Anywhere)
    }

    /// Stops one account, and returns what became of it. Whatever fails is unconfirmed.
    async fn stop(
        &self,
        order: &FreezeOrder<'_>,
        told: &BTreeSet<TradingAccountId>,
        account: StoredTradingAccount,
    ) -> FrozenAccount {
        let (id, broker) = (account.id, account.broker.clone());
        let lives_until = account.session.as_ref().map(|session| session.expires_at);
        let stopped = self.stop_account(order, told, account).await.unwrap_or_else(|error| {
            tracing::warn!(%error, account = %id, "an account was not stopped at its broker");
            let orders = if order.cancel_orders { Orders::Unconfirmed } else { Orders::None };
            Stopped { session: SessionEnd::Unconfirmed, orders, open_orders: None }
        });
        let Stopped { session, orders, open_orders } = stopped;
        let advice = self.advice(&broker, &stopped, lives_until);
        FrozenAccount { id, broker, session, orders, open_orders, advice }
    }

    /// Cancels the orders of an account where that is asked for, then ends its session; fails when what is needed for it does
    /// not decrypt, or the store does.
    async fn stop_account(
        &self,
        order: &FreezeOrder<'_>,
        told: &BTreeSet<TradingAccountId>,
        account: StoredTradingAccount,
    ) -> Result<Stopped, Error> {
        let access = order.access(account.id);
        let broker = self.brokers().of_record(&account.broker)?;
        let is_told = told.contains(&account.id);
        if !is_told && self.opens(order, &account) {
            self.record_event(AuditKind::CredentialsUsed, access).await?;
        }
        let session = self.open_session(access, &account).await?;
        let (orders, open_orders) = if order.cancel_orders {
            Box::pin(self.stop_orders(access, broker, &account, session.as_ref())).await?
        } else {
            (Orders::None, None)
        };
        let session = match session {
            None => SessionEnd::None,
            Some(_) if orders == Orders::Delegated => SessionEnd::Kept,
            Some(open) => self.end_and_forget(access, broker, account, &open).await?,
        };
        Ok(Stopped { session, orders, open_orders })
    }

    /// Cancels the orders of an account, or leaves that to a service, and returns what became of them and how many rest.
    async fn stop_orders(
        &self,
        access: AccessRequest<'_>,
        broker: &dyn Broker,
        account: &StoredTradingAccount,
        session: Option<&SessionCredentials>,
    ) -> Result<(Orders, Option<u32>), Error> {
        if broker.cancels_from() == CancelsFrom::Anywhere {
            let credentials = self.open_credentials(access, account).await?;
            let cancelled = self.cancel_at(broker, OrderAccess::Credentials(&credentials)).await;
            let mut event = self.event_of(AuditKind::OrdersCancelled, access)?;
            event.details.reason = Some(cancelled.orders().as_str().to_owned());
            event.details.orders = cancelled.counts();
            // The broker has been asked, and its owner is told either way.
            if let Err(error) = self.store().record(&event).await {
                tracing::error!(%error, account = %account.id, "what became of orders is not on record");
            }
            return Ok((cancelled.orders(), cancelled.rest.map(|rest| rest.count)));
        }
        // Nobody can ask for orders, or cancel them, without a session.
        let Some(session) = session else { return Ok((Orders::Unconfirmed, None)) };
        let rest = self.count_at(broker, OrderAccess::Session(session)).await;
        let orders = match rest {
            Some(0) => Orders::None,
            _ if self.delegates(broker.name()) => Orders::Delegated,
            _ => Orders::Unconfirmed,
        };
        Ok((orders, rest))
    }

    /// Returns whether there is time for a service, and a service with the right, to cancel orders at a broker.
    fn delegates(&self, broker: &str) -> bool {
        !self.cancel_grace.is_zero() && self.identity.settings.services.any_cancels_at(broker)
    }

    /// Ends a session at its broker, removes it from its row and returns how it ended.
    pub(super) async fn end_and_forget(
        &self,
        access: AccessRequest<'_>,
        broker: &dyn Broker,
        account: StoredTradingAccount,
        session: &SessionCredentials,
    ) -> Result<SessionEnd, Error> {
        if self.end_session(broker, session).await.is_err() {
            return Ok(SessionEnd::Unconfirmed);
        }
        self.forget_session(access, account).await?;
        Ok(SessionEnd::Ended)
    }

    /// Removes an ended session from its row, unless another session is there by now.
    async fn forget_session(
        &self,
        access: AccessRequest<'_>,
        seen: StoredTradingAccount,
    ) -> Result<(), Error> {
        let event = self.event_of(AuditKind::BrokerSessionEnded, access)?;
        let over = seen.session.clone();
        let (over, event) = (&over, &event);
        let decide = |row: Option<StoredTradingAccount>| async move {
            let Some(row) = row.filter(|row| row.session == *over) else { return Ok(Round::Settled(())) };
            let status = without_session(row.status);
            let next = StoredTradingAccount { session: None, status, ..row };
            let swapped = self.store().swap_trading_account(&next, event).await?;
            Ok(if swapped { Round::Settled(()) } else { Round::Raced })
        };
        self.store().change_trading_account((access.owner, access.id), Some(seen), decide).await
    }

    /// Notes that the sweep has nothing to do for this freeze, where that is so. An error is logged: the sweep finds out.
    async fn settle(&self, order: &FreezeOrder<'_>, freeze: &Freeze, accounts: &[FrozenAccount]) {
        let is_over = |end: SessionEnd| matches!(end, SessionEnd::None | SessionEnd::Ended);
        if !accounts.iter().all(|account| is_over(account.session)) {
            return;
        }
        let (owner, freezer, told_by) = (order.owner, order.freezer, freeze.told_by);
        if let Err(error) = self.store().settle_freeze(&UnfinishedFreeze { owner, freezer, told_by }).await {
            tracing::warn!(%error, "a freeze is left to the sweep, which has nothing to do for it");
        }
    }

    /// Returns the advice about what a broker did not confirm.
    fn advice(&self, broker: &str, stopped: &Stopped, lives_until: Option<Timestamp>) -> Option<String> {
        let title = self.brokers().get(broker).map_or(broker, |broker| broker.title());
        let orders = match (stopped.orders, stopped.open_orders) {
            (Orders::Partly, _) | (Orders::Unconfirmed, Some(1..)) => {
                Some(format!("Orders rest at {title}: look there, and cancel them or freeze again."))
            }
            (Orders::Unconfirmed, _) => Some(format!(
                "{title} did not confirm that no order rests: look there, or freeze again to try once more."
            )),
            _ => None,
        };
        let lives_until = lives_until.filter(|_| stopped.session == SessionEnd::Unconfirmed);
        let session = lives_until.map(|end| {
            format!(
                "{title} could not be reached or did not confirm the end of the session, which may live until \
                 {end}. No service is given it any more. Freeze again to try once more, or end it at {title}."
            )
        });
        let parts: Vec<String> = [session, orders].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}
