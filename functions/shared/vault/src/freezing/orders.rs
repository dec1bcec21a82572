//! What becomes of resting orders: asked of the broker, and believed only where its order book says so.

use std::time::Duration;

use portcullis_store::TradingAccountStatus;

use crate::Vault;
use crate::brokers::{Broker, BrokerError, OpenOrders, OrderAccess};

/// How long a broker may take to say that it cancels orders.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take after that until none rests. With the time above it is well before the deadline of the request that
/// waits for both.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(1_200);
/// How long a broker may take to say how many orders rest, before its session is ended within the same request.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two looks at the order book.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What became of the resting orders of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Orders {
    /// None were to be cancelled, or none rested.
    None,
    /// They were cancelled: the broker's book had none left.
    Cancelled,
    /// Some were cancelled, and others rest.
    Partly,
    /// The broker did not confirm it; any of them may rest.
    Unconfirmed,
    /// The broker takes cancellations from the owner's registered address alone: a service there is to cancel them.
    Delegated,
}

impl Orders {
    /// Returns the word in responses and events.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a broker said when it was asked to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cancellation {
    /// Of how many orders it was asked for.
    pub(super) asked: Option<u32>,
    /// What rested when the book was looked at last.
    pub(super) rest: Option<OpenOrders>,
}

impl Cancellation {
    /// Returns what that means. Nothing is taken for cancelled but by the word of the book, in which an order is until its
    /// cancellation came about.
    pub(super) fn orders(self) -> Orders {
        match (self.asked, self.rest) {
            (Some(0), Some(OpenOrders { count: 0, .. })) => Orders::None,
            (_, Some(OpenOrders { count: 0, .. })) => Orders::Cancelled,
            (Some(asked), Some(OpenOrders { count, are_all: true })) if count < asked => Orders::Partly,
            _ => Orders::Unconfirmed,
        }
    }

    /// Returns how many were cancelled and how many were not, where both are known.
    pub(super) fn counts(self) -> Option<(u32, u32)> {
        let (asked, rest) = (self.asked?, self.rest.filter(|rest| rest.are_all)?);
        Some((asked.saturating_sub(rest.count), rest.count))
    }
}

impl Vault {
    /// Asks a broker to cancel every order, and looks into its book until none rests or the time is over.
    pub(super) async fn cancel_at(&self, broker: &dyn Broker, access: OrderAccess<'_>) -> Cancellation {
        let http = self.brokers().http.as_ref();
        let asked = in_time(CANCEL_TIMEOUT, broker.cancel_all(http, access));
        let asked = self.providers.timed(broker.name(), asked).await.ok();
        // What it says is a promise, and no answer may be the late answer to something that was done: the book decides.
        let mut rest = None;
        let look = async {
            loop {
                let open = broker.open_orders(http, access).await?;
                rest = Some(open);
                if open.count == 0 {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let confirmed: Result<(), BrokerError> =
            tokio::time::timeout(CONFIRM_TIMEOUT, look).await.unwrap_or(Ok(()));
        if let Err(error) = confirmed {
            tracing::warn!(%error, broker = broker.name(), "the order book was not seen after a cancellation");
        }
        Cancellation { asked, rest }
    }

    /// Returns how many orders rest; `None` where the broker does not say.
    pub(super) async fn count_at(&self, broker: &dyn Broker, access: OrderAccess<'_>) -> Option<u32> {
        let book = in_time(COUNT_TIMEOUT, broker.open_orders(self.brokers().http.as_ref(), access));
        Some(self.providers.timed(broker.name(), book).await.ok()?.count)
    }
}

async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    tokio::time::timeout(limit, call).await.unwrap_or(Err(BrokerError::Down))
}

/// Returns the status of an account whose session has ended.
pub(super) fn without_session(status: TradingAccountStatus) -> TradingAccountStatus {
    match status {
        TradingAccountStatus::Active => TradingAccountStatus::Expired,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cancelled_but_by_the_word_of_the_book() {
        let all = |count| OpenOrders { count, are_all: true };
        let said = |asked, rest: Option<u32>| Cancellation { asked, rest: rest.map(all) }.orders();
        assert_eq!(said(Some(0), Some(0)), Orders::None);
        assert_eq!(said(Some(100), Some(0)), Orders::Cancelled);
        // The answer was lost, and the book is empty.
        assert_eq!(said(None, Some(0)), Orders::Cancelled);
        assert_eq!(said(Some(100), Some(3)), Orders::Partly);
        for (asked, rest) in
            [(Some(100), None), (None, None), (None, Some(3)), (Some(100), Some(100)), (Some(0), Some(1))]
        {
            assert_eq!(said(asked, rest), Orders::Unconfirmed, "{asked:?} {rest:?}");
        }
        assert_eq!(Cancellation { asked: Some(100), rest: Some(all(3)) }.counts(), Some((97, 3)));
        assert_eq!(Cancellation { asked: None, rest: Some(all(3)) }.counts(), None);
        // A full page of a longer book says nothing of how many are left.
        let page = OpenOrders { count: 500, are_all: false };
        let cancelled = Cancellation { asked: Some(700), rest: Some(page) };
        assert_eq!((cancelled.orders(), cancelled.counts()), (Orders::Unconfirmed, None));
    }
}
