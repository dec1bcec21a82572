//! An order in words: what the person who approves it reads. Nobody who asks has a say in it.
//!
//! Every member of an order is in it, in the form that it is executed in. What the owner calls their account comes last, between
//! quotation marks; it is their own text.

use portcullis_store::StoredTradingAccount;

use super::details::{Order, OrderType, Side, Validity};

/// Returns what a person reads before they approve an order with this account of theirs.
pub(super) fn in_words(order: &Order, account: &StoredTradingAccount) -> String {
    let verb = match order.side {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    };
    let what = format!("{verb} {} {} on {}", order.quantity, order.symbol.as_str(), order.exchange.as_str());
    let trigger = order.trigger_price.as_ref();
    let when = trigger.map(|trigger| format!(", once the price reaches {trigger},")).unwrap_or_default();
    let at = match (&order.price, order.side) {
        (Some(price), Side::Buy) => format!(" for {price} each at most"),
        (Some(price), Side::Sell) => format!(" for {price} each at least"),
        (None, _) => " at the market price".to_owned(),
    };
    let kind = match order.pricing {
        OrderType::Market => " (market order).",
        OrderType::Limit => " (limit order).",
        OrderType::Stop => " (stop order).",
        OrderType::StopLimit => " (stop-limit order).",
    };
    let product = order.product.as_ref();
    let product = product.map(|product| format!(" Product {}.", product.as_str())).unwrap_or_default();
    let validity = match order.validity {
        None => "",
        Some(Validity::Day) => " Until the end of the day.",
        Some(Validity::Ioc) => " Whatever can be executed at once.",
        Some(Validity::Fok) => " Whole and at once, or not at all.",
        Some(Validity::Gtc) => " Until it is cancelled.",
    };
    let label = account.label.as_ref().map(|label| format!(", “{label}”")).unwrap_or_default();
    let with = format!(" Account {} at {}{label}.", account.broker_user, account.broker);
    [what.as_str(), &when, &at, kind, &product, validity, &with].concat()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use portcullis_store::{AccountId, SealedSecret, TradingAccountId, TradingAccountStatus};

    use super::*;
    use crate::approvals::details::{Decimal, Exchange, Product, Symbol};

    fn account(label: Option<&str>) -> StoredTradingAccount {
        StoredTradingAccount {
            id: TradingAccountId::derived([1; 16]),
            owner: AccountId::derived([2; 16]),
            broker: "kite".to_owned(),
            broker_user: "AB1234".to_owned(),
            label: label.map(str::to_owned),
            status: TradingAccountStatus::Active,
            created_at: Timestamp::UNIX_EPOCH,
            verified_at: None,
            api_key_hint: String::new(),
            login_url: None,
            order_ips: None,
            session_mails: None,
            credentials: SealedSecret { wrapped_key: Vec::new(), ciphertext: Vec::new() },
            sealed_at: Timestamp::UNIX_EPOCH,
            session: None,
            version: 1,
        }
    }

    fn order(side: Side, order_type: OrderType, price: Option<&str>, trigger: Option<&str>) -> Order {
        let what = (Exchange::parse("NSE").unwrap(), Symbol::parse("M&M").unwrap());
        let number = |text: &str| Decimal::parse(text).unwrap();
        let order = Order::new(TradingAccountId::derived([1; 16]), what, (side, number("10")), order_type);
        order.at(price.map(number), trigger.map(number)).unwrap()
    }

    #[test]
    fn an_order_is_told_in_words_with_all_that_it_says() {
        let whole = order(Side::Buy, OrderType::StopLimit, Some("1500.50"), Some("1490"));
        let whole = whole.held(Some(Product::parse("CNC").unwrap()), Some(Validity::Day));
        assert_eq!(
            in_words(&whole, &account(Some("Family"))),
            "Buy 10 M&M on NSE, once the price reaches 1490, for 1500.50 each at most (stop-limit order). Product CNC. \
             Until the end of the day. Account AB1234 at kite, “Family”."
        );
        for (order, words) in [
            (
                order(Side::Sell, OrderType::Market, None, None),
                "Sell 10 M&M on NSE at the market price (market order).",
            ),
            (
                order(Side::Sell, OrderType::Limit, Some("7"), None),
                "Sell 10 M&M on NSE for 7 each at least (limit order).",
            ),
            (
                order(Side::Sell, OrderType::Stop, None, Some("9")),
                "Sell 10 M&M on NSE, once the price reaches 9, at the market price (stop order).",
            ),
        ] {
            assert_eq!(in_words(&order, &account(None)), format!("{words} Account AB1234 at kite."));
        }
    }

    #[test]
    fn no_member_of_an_order_is_left_out() {
        let order = order(Side::Buy, OrderType::StopLimit, Some("1500.50"), Some("1490"));
        let order = order.held(Some(Product::parse("CNC").unwrap()), Some(Validity::Gtc));
        let words = in_words(&order, &account(None));
        let members = serde_json::to_value(&order).unwrap();
        for (name, value) in members.as_object().unwrap() {
            let said = match name.as_str() {
                // The account is named by what its broker calls it.
                "account_id" => "AB1234",
                "type" => "order",
                "side" => "Buy",
                "order_type" => "stop-limit order",
                "validity" => "Until it is cancelled",
                _ => value.as_str().unwrap(),
            };
            assert!(words.contains(said), "{name}: {words}");
        }
    }
}
