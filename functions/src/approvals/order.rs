//! An order as requests and responses have it. Every member means something to the person who approves it, so that there are no
//! others, and none may be there and empty: the digest of what is sent is the digest of what is approved.

use portcullis_http::{Object, Problem, lasting, texts};
use portcullis_identity::{
    AuthorizationDetails, Decimal, Exchange, Order, OrderType, Product, Side, Symbol, TradingAccountId,
    Validity,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// What is to be approved: one order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!(OrderDetails::example()))]
pub(super) struct OrderDetails {
    /// The type of what is approved (RFC 9396): `order`.
    #[serde(rename = "type")]
    kind: DetailsType,
    /// The id of the trading account that is ordered with.
    #[schema(value_type = String, pattern = "^acc_[0-9a-f]{32}$")]
    account_id: TradingAccountId,
    /// The name of the exchange.
    #[schema(value_type = texts::ExchangeName)]
    exchange: Exchange,
    /// What the exchange calls what is ordered.
    #[schema(value_type = texts::SymbolName)]
    symbol: Symbol,
    /// Whether it is bought or sold.
    #[schema(value_type = OrderSide)]
    side: Side,
    /// How much of it.
    #[schema(value_type = texts::DecimalNumber)]
    quantity: Decimal,
    /// At which price the order is executed.
    #[schema(value_type = OrderKind)]
    order_type: OrderType,
    /// The price of a `limit` or `stop_limit` order, and of no other.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = texts::DecimalNumber, required = false)]
    price: Option<Decimal>,
    /// The price at which a `stop` or `stop_limit` order begins, and no other.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = texts::DecimalNumber, required = false)]
    trigger_price: Option<Decimal>,
    /// What the broker calls the kind of position.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = texts::ProductName, required = false)]
    product: Option<Product>,
    /// How long the order stands.
    #[serde(default, deserialize_with = "lasting")]
    #[schema(value_type = OrderValidity, required = false)]
    validity: Option<Validity>,
}

impl OrderDetails {
    /// Returns the one in the examples of the API's document.
    pub(super) fn example() -> Value {
        json!({
            "type": "order",
            "account_id": "acc_0199f3c2a6e47d0c8f21b7e5d4a39c10",
            "exchange": "NSE",
            "symbol": "INFY",
            "side": "buy",
            "quantity": "10",
            "order_type": "limit",
            "price": "1500.50",
            "product": "CNC",
            "validity": "day",
        })
    }
}

/// The type of what is approved.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DetailsType {
    /// An order at a broker.
    Order,
}

/// Whether something is bought or sold.
#[expect(dead_code, reason = "describes what `identity` reads")]
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum OrderSide {
    /// It is bought.
    Buy,
    /// It is sold.
    Sell,
}

/// At which price an order is executed.
#[expect(dead_code, reason = "describes what `identity` reads")]
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum OrderKind {
    /// At the best there is.
    Market,
    /// At `price` or better.
    Limit,
    /// At the best there is, once `trigger_price` is reached.
    Stop,
    /// At `price` or better, once `trigger_price` is reached.
    StopLimit,
}

/// How long an order stands.
#[expect(dead_code, reason = "describes what `identity` reads")]
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum OrderValidity {
    /// Until the end of the day.
    Day,
    /// For what can be executed at once, and no longer.
    Ioc,
    /// Whole and at once, or not at all.
    Fok,
    /// Until it is cancelled.
    Gtc,
}

/// Returns what is to be approved; fails unless it is one order, with the prices of its type.
pub(super) fn details(listed: Vec<Object<OrderDetails>>) -> Result<AuthorizationDetails, Problem> {
    let Ok([Object(order)]) = <[Object<OrderDetails>; 1]>::try_from(listed) else {
        return Err(Problem::invalid("/authorization_details", "must be a list of one order"));
    };
    let DetailsType::Order = order.kind;
    let what = (order.exchange, order.symbol);
    let of_type = Order::new(order.account_id, what, (order.side, order.quantity), order.order_type);
    let priced = of_type.at(order.price, order.trigger_price).map_err(|misfit| {
        Problem::invalid(format!("/authorization_details/0/{}", misfit.member), misfit.detail)
    })?;
    Ok(AuthorizationDetails::of(priced.held(order.product, order.validity))?)
}
