//! How much the order in the body of a request can come to: what decides, at the edge, whether a person has to approve it.
//!
//! A body counts only where every reader takes it for the same one order: no member twice, none that is unknown, all of them
//! texts. Whatever else it is, nobody can tell what is ordered by it, and it comes to more than any limit.

use core::fmt;

use crate::strict_value::StrictValue;

/// Digits of an amount before and after its point.
const MOST_DIGITS: usize = 12;
const MOST_DECIMALS: usize = 9;

/// One, in the unit that amounts are counted in.
const ONE: u128 = 1_000_000_000;

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
        let (mut value, mut digits, mut decimals) = (0, 0, None);
        for byte in text.bytes() {
            match (byte, &mut decimals) {
                (b'0'..=b'9', None) => digits += 1,
                (b'0'..=b'9', Some(decimals)) => *decimals += 1,
                (b'.', None) => {
                    decimals = Some(0);
                    continue;
                }
                _ => return None,
            }
            if digits > MOST_DIGITS || decimals > Some(MOST_DECIMALS) {
                return None;
            }
            value = value * 10 + u128::from(byte - b'0');
        }
        let has_zeros_in_front = digits > 1 && text.starts_with('0');
        if digits == 0 || decimals == Some(0) || has_zeros_in_front || value == 0 {
            return None;
        }
        for _ in decimals.unwrap_or_default()..MOST_DECIMALS {
            value *= 10;
        }
        Some(Self(value))
    }

    /// Returns whether this many at this price come to more than `limit`.
    fn at_price_exceeds(self, price: Self, limit: Self) -> bool {
        // A product of more than 127 bits is above every limit, which all have fewer.
        let has_room = self.0.leading_zeros() + price.0.leading_zeros() > u128::BITS;
        !has_room || self.0 * price.0 > limit.0 * ONE
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

/// What an order may say.
const MEMBERS: [&str; 11] = [
    "type",
    "account_id",
    "exchange",
    "symbol",
    "side",
    "quantity",
    "order_type",
    "price",
    "trigger_price",
    "product",
    "validity",
];

/// Returns whether a body is one order, as an approval has it, that comes to no more than `most` however it is executed. Only
/// the price of a buy at a limit says that: what is sold may fetch more than its price, and other orders have none.
pub fn stays_within(body: &[u8], most: Amount) -> bool {
    notional_stays_within(body, most).unwrap_or_default()
}

fn notional_stays_within(body: &[u8], most: Amount) -> Option<bool> {
    let StrictValue::Object(members) = StrictValue::parse(body)? else { return None };
    let [(name, StrictValue::List(orders))] = members.as_slice() else { return None };
    let [order @ StrictValue::Object(members)] = orders.as_slice() else { return None };
    let is_plain = name == "authorization_details"
        && members.iter().all(|(name, value)| MEMBERS.contains(&name.as_str()) && value.as_text().is_some());
    let text = |name| order.member(name).and_then(StrictValue::as_text);
    let has_a_most = text("type")? == "order"
        && text("side")? == "buy"
        && matches!(text("order_type")?, "limit" | "stop_limit");
    let (quantity, price) = (Amount::parse(text("quantity")?)?, Amount::parse(text("price")?)?);
    Some(is_plain && has_a_most && !quantity.at_price_exceeds(price, most))
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
            ("\"type\": \"order\", ", ""),
            ("\"side\": \"buy\", ", ""),
            ("\"order_type\": \"limit\", ", ""),
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
            format!(r#"{{"authorization_details": [{order}], "authorization\u005fdetails": [{order}]}}"#),
            format!("{ORDER} {ORDER}"),
            format!("\u{feff}{ORDER}"),
            ORDER.replace("\"quantity\"", "\"quantity\": \"9000\", \"quantity\""),
            ORDER.replace("\"quantity\"", "\"quantit\\u0079\": \"9000\", \"quantity\""),
            ORDER.replace("\"10\"", "\"10\", \"quantity\": \"9000\""),
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
