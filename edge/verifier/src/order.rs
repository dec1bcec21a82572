//! How much the order in the body of a request can come to: what decides, at the edge, whether a person has to approve it.
//!
//! A body counts only where every reader takes it for the same one order: no member twice, none that is unknown, all of them
//! texts. Whatever else it is, nobody can tell what is ordered by it, and it comes to more than any limit.

use core::fmt;

use serde::de::MapAccess;

use crate::Rejection;
use crate::object::{self, Member, Members, Text};

/// Digits of an amount before and after its point.
const MOST_DIGITS: usize = 12;
const MOST_DECIMALS: usize = 9;

/// One, in the unit that amounts are counted in.
const ONE: u128 = 1_000_000_000;

const NO_ORDER: Rejection = Rejection::Malformed("the body is no order");

/// A price, a quantity or the product of a limit: above zero, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(
    /// How many billionths it is.
    u128,
);

impl Amount {
    /// Reads a number: 1 to 12 digits, and behind a point 1 to 9 more, without a sign, an exponent or zeros in front; `None`
    /// for anything else, and for zero.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = match text.split_once('.') {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (text, None),
        };
        let is_number = |part: &str, most| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let has_form = is_number(whole, MOST_DIGITS)
            && (whole == "0" || !whole.starts_with('0'))
            && decimals.is_none_or(|decimals| is_number(decimals, MOST_DECIMALS));
        if !has_form {
            return None;
        }
        let missing = MOST_DECIMALS - decimals.map_or(0, str::len);
        let digits = whole.bytes().chain(decimals.unwrap_or_default().bytes());
        let digits = digits.chain(core::iter::repeat_n(b'0', missing));
        let value = digits.fold(0, |value, digit| value * 10 + u128::from(digit - b'0'));
        (value > 0).then_some(Self(value))
    }

    /// Returns whether this many at this price come to more than `limit`.
    fn at_price_exceeds(self, price: Self, limit: Self) -> bool {
        // Limits end long before the numbers do: a product that has no room is above all of them.
        self.0.saturating_mul(price.0) > limit.0 * ONE
    }
}

/// As it is written in a policy, without zeros at its end.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut decimals, mut width) = (self.0 % ONE, MOST_DECIMALS);
        write!(f, "{}", self.0 / ONE)?;
        if decimals == 0 {
            return Ok(());
        }
        while decimals % 10 == 0 {
            (decimals, width) = (decimals / 10, width - 1);
        }
        write!(f, ".{decimals:0width$}")
    }
}

/// The members of an order that say what it can come to; the others have to be texts.
#[derive(Default)]
struct Order<'t> {
    kind: Option<Text<'t>>,
    side: Option<Text<'t>>,
    order_type: Option<Text<'t>>,
    quantity: Option<Text<'t>>,
    price: Option<Text<'t>>,
    other: Option<Text<'t>>,
}

impl<'de> Members<'de> for Order<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, member: Member<'_, A>) -> Result<(), A::Error> {
        let place = match name {
            "type" => &mut self.kind,
            "side" => &mut self.side,
            "order_type" => &mut self.order_type,
            "quantity" => &mut self.quantity,
            "price" => &mut self.price,
            "account_id" | "exchange" | "symbol" | "trigger_price" | "product" | "validity" => {
                &mut self.other
            }
            _ => return member.refuse(NO_ORDER),
        };
        member.into(place, NO_ORDER)
    }
}

/// Returns whether a body is one order, as an approval has it, that comes to no more than `most` however it is executed. Only
/// the price of a buy at a limit says that: what is sold may fetch more than its price, and other orders have none.
pub fn stays_within(body: &[u8], most: Amount) -> bool {
    notional_stays_within(body, most).unwrap_or_default()
}

fn notional_stays_within(body: &[u8], most: Amount) -> Option<bool> {
    let mut order = Order::default();
    object::read(the_only_order(body)?, &mut order, NO_ORDER).ok()?;
    let is = |member: &Option<Text<'_>>, word| member.as_ref().is_some_and(|Text(text)| text == word);
    let amount = |member: Option<Text<'_>>| Amount::parse(&member?.0);
    let has_a_most = is(&order.kind, "order")
        && is(&order.side, "buy")
        && (is(&order.order_type, "limit") || is(&order.order_type, "stop_limit"));
    Some(has_a_most && !amount(order.quantity)?.at_price_exceeds(amount(order.price)?, most))
}

/// Returns what stands in the list of `{"authorization_details": […]}`, the only member of a body. Another spelling of the name
/// is left to whoever redeems the approval.
fn the_only_order(body: &[u8]) -> Option<&[u8]> {
    let rest = body.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?;
    let rest = rest.trim_ascii().strip_prefix(b"\"authorization_details\"")?;
    let list = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii();
    list.strip_prefix(b"[")?.strip_suffix(b"]")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORDER: &str = r#"{"authorization_details": [{"type": "order", "account_id": "acc_1", "exchange": "NSE",
        "symbol": "INFY", "side": "buy", "quantity": "10", "order_type": "limit", "price": "1500.50", "product": "CNC"}]}"#;

    fn within(body: &str, most: &str) -> bool {
        stays_within(body.as_bytes(), Amount::parse(most).unwrap())
    }

    #[test]
    fn an_order_is_quantity_times_price() {
        assert!(within(ORDER, "15005") && within(ORDER, "15005.000000001") && within(ORDER, "999999999999"));
        assert!(!within(ORDER, "15004.999999999") && !within(ORDER, "1"));
        let small = ORDER.replace("\"10\"", "\"0.000000001\"").replace("1500.50", "0.000000001");
        assert!(within(&small, "0.000000001"), "a billionth of a billionth");
        let large = ORDER.replace("\"10\"", "\"999999999999\"").replace("1500.50", "999999999999");
        assert!(!within(&large, "999999999999.999999999"), "more than numbers hold");
        assert!(within(&ORDER.replace("limit\"", "stop_limit\""), "15005"), "a stop with a limit");
    }

    /// Each of them is more than any limit.
    #[test]
    fn what_has_no_most_is_above_every_limit() {
        for (from, to) in [
            ("\"buy\"", "\"sell\""),
            ("\"limit\"", "\"market\""),
            ("\"limit\"", "\"stop\""),
            ("\"limit\"", "\"LIMIT\""),
            (", \"price\": \"1500.50\"", ""),
            ("\"1500.50\"", "1500.50"),
            ("\"1500.50\"", "null"),
            ("\"1500.50\"", "\"-1\""),
            ("\"1500.50\"", "\"0\""),
            ("\"10\"", "\"1e1\""),
            ("\"order\"", "\"orders\""),
        ] {
            assert!(ORDER.contains(from), "{from}");
            assert!(!within(&ORDER.replace(from, to), "999999999999"), "{from} {to}");
        }
    }

    /// What the edge takes for one order, the service behind must not take for another.
    #[test]
    fn a_body_with_two_readings_is_above_every_limit() {
        let order = ORDER.trim_start_matches(r#"{"authorization_details": ["#).trim_end_matches("]}");
        for body in [
            String::new(),
            "{}".into(),
            "null".into(),
            order.into(),
            format!("[{order}]"),
            r#"{"authorization_details": []}"#.into(),
            r#"{"authorization_details": [[]]}"#.into(),
            format!(r#"{{"authorization_details": {order}}}"#),
            format!(r#"{{"authorization_details": [{order}, {order}]}}"#),
            format!(r#"{{"authorization_details": [{order}], "quantity": "9000"}}"#),
            format!(r#"{{"quantity": "9000", "authorization_details": [{order}]}}"#),
            format!(r#"{{"authorization_details": [{order}], "authorization_details": [{order}]}}"#),
            format!(r#"{{"authorization\u005fdetails": [{order}]}}"#),
            format!("{ORDER} {ORDER}"),
            format!("\u{feff}{ORDER}"),
            ORDER.replace("\"quantity\"", "\"quantity\": \"9000\", \"quantity\""),
            ORDER.replace("\"quantity\"", "\"quantit\\u0079\": \"9000\", \"quantity\""),
            ORDER.replace("\"product\"", "\"iceberg\""),
            ORDER.replace("\"CNC\"", "[\"CNC\"]"),
        ] {
            assert!(!within(&body, "999999999999"), "{body}");
        }
        assert!(within(&ORDER.replace(' ', "\r\n"), "15005"), "blanks mean nothing");
        assert!(!stays_within(b"{\"authorization_details\":[\xff]}", Amount(1)));
    }

    #[test]
    fn amounts_are_written_as_they_were_read() {
        for text in ["1", "0.5", "100000", "999999999999.999999999", "0.000000001", "10.05"] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "0",
            "0.0",
            "-1",
            "+1",
            "01",
            ".5",
            "1.",
            "1e3",
            "1,5",
            " 1",
            "1000000000000",
            "1.0000000000",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    proptest! {
        /// Compared with numbers that leave room for both.
        #[test]
        fn products_are_exact(quantity in 1_u64..10_000_000, price in 1_u64..10_000_000, limit in 1_u64..1_000_000_000_000) {
            let body = ORDER.replace("\"10\"", &format!("\"{quantity}\"")).replace("1500.50", &price.to_string());
            prop_assert_eq!(within(&body, &limit.to_string()), quantity * price <= limit);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a-z0-9 ]{0,80}") {
            let _ = (stays_within(&bytes, Amount(1)), within(&text, "1"), Amount::parse(&text));
            let listed = format!(r#"{{"authorization_details":[{text}]}}"#);
            prop_assert!(!within(&listed, "1"));
        }
    }
}
