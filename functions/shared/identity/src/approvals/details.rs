//! What is approved: the `authorization_details` of RFC 9396, of one type, in fields that each have one form.
//!
//! Numbers are texts, because JSON has no decimal numbers that every reader reads alike. Their digest is that of their canonical
//! form (RFC 8785), which any program can make of the same members: `0.10` and `0.1` are not the same order.

use std::cmp::Ordering;
use std::fmt;

use portcullis_store::{Digest, TradingAccountId};
use portcullis_verifier::order::Amount;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::invalid::{InvalidValue, read_by_parsing};
use crate::sha256::sha256;

/// A price or a quantity as its order has it: above zero, without a sign, an exponent or zeros in front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Decimal(String);

impl Decimal {
    /// Reads a number: 1 to 12 digits, and behind a point 1 to 9 more. Fails for anything else, and for zero. The edge, which
    /// works out what an order comes to, reads it in the same way.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        Amount::parse(text).map(|_| Self(text.to_owned())).ok_or(InvalidValue::new(
            "must be a decimal number above zero as a text: up to 12 digits, and up to 9 behind a point",
        ))
    }

    /// Returns the text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text of capital letters, digits and a few signs, a letter or digit first.
fn code(text: &str, signs: &[u8], most: usize) -> Result<String, InvalidValue> {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let fits = (1..=most).contains(&text.len())
        && text.bytes().next().is_some_and(is_plain)
        && text.bytes().all(|byte| is_plain(byte) || signs.contains(&byte));
    fits.then(|| text.to_owned()).ok_or_else(|| {
        let signs: String = signs.iter().flat_map(|sign| [' ', char::from(*sign)]).collect();
        InvalidValue::new(format!("must be 1 to {most} of A-Z 0-9{signs}, beginning with a letter or digit"))
    })
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident: $signs:literal, $most:literal;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads it; fails for what has another form.
            pub fn parse(text: &str) -> Result<Self, InvalidValue> {
                code(text, $signs, $most).map(Self)
            }

            /// Returns the text of it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )+};
}

codes! {
    /// The name of an exchange, such as `NSE`.
    Exchange: b".-_", 16;
    /// What an exchange calls what is ordered, such as `INFY`, `M&M` or `BTC/USD`.
    Symbol: b"&./:_-", 64;
    /// What a broker calls the kind of position, such as `CNC`.
    Product: b"_", 16;
}

read_by_parsing!(Decimal, Exchange, Symbol, Product);

/// Whether something is bought or sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It is bought.
    Buy,
    /// It is sold.
    Sell,
}

/// At which price an order is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderType {
    /// At the best there is.
    Market,
    /// At `price` or better.
    Limit,
    /// At the best there is, once `trigger_price` is reached.
    Stop,
    /// At `price` or better, once `trigger_price` is reached.
    StopLimit,
}

impl OrderType {
    fn has_price(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }

    fn has_trigger(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit)
    }
}

/// How long an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Until the end of the day.
    Day,
    /// For what can be executed at once, and no longer.
    Ioc,
    /// Whole and at once, or not at all.
    Fok,
    /// Until it is cancelled.
    Gtc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Order,
}

/// One order at a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    #[serde(rename = "type")]
    kind: Kind,
    pub(crate) account_id: TradingAccountId,
    pub(super) exchange: Exchange,
    pub(super) symbol: Symbol,
    pub(super) side: Side,
    pub(super) quantity: Decimal,
    #[serde(rename = "order_type")]
    pub(super) pricing: OrderType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) price: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trigger_price: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) product: Option<Product>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) validity: Option<Validity>,
}

/// A price that is missing from an order of its type, or that such an order has none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MisfitPrice {
    /// The member that is meant.
    pub member: &'static str,
    /// What is wrong with it.
    pub detail: &'static str,
}

impl Order {
    /// Returns an order at the best price for the whole day that a broker gives it.
    pub fn new(
        account_id: TradingAccountId,
        (exchange, symbol): (Exchange, Symbol),
        (side, quantity): (Side, Decimal),
        pricing: OrderType,
    ) -> Self {
        Self {
            kind: Kind::Order,
            account_id,
            exchange,
            symbol,
            side,
            quantity,
            pricing,
            price: None,
            trigger_price: None,
            product: None,
            validity: None,
        }
    }

    /// Returns the order at these prices; fails unless it has those that its type needs, and no others: a person would approve
    /// a number that means nothing.
    pub fn at(mut self, price: Option<Decimal>, trigger_price: Option<Decimal>) -> Result<Self, MisfitPrice> {
        fits("price", self.pricing.has_price(), price.is_some())?;
        fits("trigger_price", self.pricing.has_trigger(), trigger_price.is_some())?;
        (self.price, self.trigger_price) = (price, trigger_price);
        Ok(self)
    }

    /// Returns the order of this kind of position, for this long.
    #[must_use]
    pub fn held(mut self, product: Option<Product>, validity: Option<Validity>) -> Self {
        (self.product, self.validity) = (product, validity);
        self
    }
}

fn fits(member: &'static str, is_needed: bool, is_there: bool) -> Result<(), MisfitPrice> {
    match is_needed.cmp(&is_there) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(MisfitPrice { member, detail: "is required of an order of this type" }),
        Ordering::Less => Err(MisfitPrice { member, detail: "is not for an order of this type" }),
    }
}

/// What is approved: one order. It is a list because that is what RFC 9396 has; a person approves one thing at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationDetails {
    /// The order that is approved.
    pub(crate) order: Order,
    canonical: String,
}

impl AuthorizationDetails {
    /// Returns the details of one order; fails only where they have no canonical form.
    pub fn of(order: Order) -> Result<Self, Error> {
        let canonical = serde_json_canonicalizer::to_string(&[&order])
            .map_err(|_| Error::Internal("an order has no canonical form"))?;
        Ok(Self { order, canonical })
    }

    /// Returns their canonical JSON.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Returns the SHA-256 of that.
    pub fn digest(&self) -> Digest {
        sha256(&self.canonical)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_has_one_form_and_is_above_zero() {
        for text in ["1", "10", "0.5", "999999999999.999999999", "1500.50", "0.000000001"] {
            assert_eq!(Decimal::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "0",
            "0.0",
            "0.000000000",
            "-1",
            "+1",
            "01",
            "00.5",
            ".5",
            "1.",
            "1e3",
            "1E3",
            "1,5",
            " 1",
            "1 ",
            "1.5.5",
            "0x1",
            "१०",
            "∞",
            "NaN",
            "1000000000000",
            "1.0000000000",
            "1_000",
        ] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        let long = "9".repeat(1_000_000);
        assert!(Decimal::parse(&long).is_err() && Decimal::parse(&format!("1.{long}")).is_err());
        assert!(Symbol::parse(&"A".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_symbol_is_spelt_in_letters_that_look_like_no_others() {
        for text in ["INFY", "M&M", "BAJAJ-AUTO", "BTC/USD", "NIFTY26DEC24000CE", "BRK.B", "7203"] {
            assert_eq!(Symbol::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "infy", "INFY ", " INFY", "&M", "ІNFY", "INFY\n", "A\u{202e}B", "A<B", "A\"B"] {
            assert!(Symbol::parse(text).is_err(), "{text:?}");
        }
        assert!(Symbol::parse(&"A".repeat(64)).is_ok() && Symbol::parse(&"A".repeat(65)).is_err());
        assert!(Exchange::parse(&"A".repeat(16)).is_ok() && Exchange::parse(&"A".repeat(17)).is_err());
    }

    fn order(order_type: OrderType) -> Order {
        let account = TradingAccountId::derived([7; 16]);
        let what = (Exchange::parse("NSE").unwrap(), Symbol::parse("INFY").unwrap());
        Order::new(account, what, (Side::Buy, Decimal::parse("10").unwrap()), order_type)
    }

    #[test]
    fn an_order_has_the_prices_of_its_type_and_no_others() {
        let number = || Some(Decimal::parse("1500.5").unwrap());
        for (order_type, price, trigger) in [
            (OrderType::Market, false, false),
            (OrderType::Limit, true, false),
            (OrderType::Stop, false, true),
            (OrderType::StopLimit, true, true),
        ] {
            for (has_price, has_trigger) in [(false, false), (false, true), (true, false), (true, true)] {
                let given = (number().filter(|_| has_price), number().filter(|_| has_trigger));
                let taken = order(order_type).at(given.0, given.1);
                assert_eq!(taken.is_ok(), (has_price, has_trigger) == (price, trigger), "{order_type:?}");
            }
        }
    }

    /// What `rfc8785` of `PyPI` and `sha256sum` make of the same order.
    #[test]
    fn the_digest_of_an_order_is_what_another_program_makes_of_it() {
        let order = order(OrderType::Limit).at(Some(Decimal::parse("1500.50").unwrap()), None).unwrap();
        let order = order.held(Some(Product::parse("CNC").unwrap()), Some(Validity::Day));
        let details = AuthorizationDetails::of(order).unwrap();
        let canonical = r#"[{"account_id":"acc_07070707070787078707070707070707","exchange":"NSE","order_type":"limit","price":"1500.50","product":"CNC","quantity":"10","side":"buy","symbol":"INFY","type":"order","validity":"day"}]"#;
        assert_eq!(details.canonical(), canonical);
        assert_eq!(BASE64URL.encode(details.digest()), "Xp2KCrkA4ntLJjNry2U4Ua1fTfCe14PvDntMA1XZtIc");
    }

    #[test]
    fn what_was_stored_reads_back_and_nothing_more_than_that() {
        let details = AuthorizationDetails::of(order(OrderType::Market)).unwrap();
        let read: Vec<Order> = serde_json::from_str(details.canonical()).unwrap();
        assert_eq!(read, std::slice::from_ref(&details.order));
        let more = details.canonical().replace("\"side\"", "\"iceberg\":\"1\",\"side\"");
        assert!(serde_json::from_str::<Vec<Order>>(&more).is_err());
    }

    proptest! {
        #[test]
        fn any_other_field_is_another_digest(number in "[1-9][0-9]{0,5}(\\.[0-9]{1,3})?", symbol in "[A-Z]{1,8}") {
            let with = |number: &str, symbol: &str| {
                let what = (Exchange::parse("NSE").unwrap(), Symbol::parse(symbol).unwrap());
                let order = Order::new(
                    TradingAccountId::derived([7; 16]), what,
                    (Side::Buy, Decimal::parse(number).unwrap()), OrderType::Market,
                );
                AuthorizationDetails::of(order).unwrap().digest()
            };
            prop_assert_eq!(with(&number, &symbol), with(&number, &symbol));
            prop_assert_ne!(with(&number, &symbol), with(&format!("9{number}"), &symbol));
            prop_assert_ne!(with(&number, &symbol), with(&number, &format!("{symbol}X")));
        }
    }

    /// The examples of RFC 8785: section 3.2.2 with its result in 3.2.4, the order of members in 3.2.3, and appendix B.
    #[test]
    fn canonical_json_is_that_of_rfc_8785() {
        let canonical = |json: &str| {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            serde_json_canonicalizer::to_string(&value).unwrap()
        };
        let example = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let expected = "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b33333333333333\
            33332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac24\
            5c75303030665c6e4127425c225c5c5c5c5c222f227d"
            .to_owned();
        assert_eq!(canonical(example), String::from_utf8(bytes_of(&expected)).unwrap());
        let sorted = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
            "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let values: Vec<String> =
            canonical(sorted).split('"').skip(3).step_by(4).map(str::to_owned).collect();
        assert_eq!(
            values,
            [
                "Carriage Return",
                "One",
                "Control",
                "Latin Small Letter O With Diaeresis",
                "Euro Sign",
                "Emoji: Grinning Face",
                "Hebrew Letter Dalet With Dagesh",
            ]
        );
        for (bits, text) in NUMBERS {
            assert_eq!(serde_json_canonicalizer::to_string(&f64::from_bits(bits)).unwrap(), text, "{bits:x}");
        }
        for bits in [0x7fff_ffff_ffff_ffff_u64, 0x7ff0_0000_0000_0000] {
            assert!(serde_json_canonicalizer::to_string(&f64::from_bits(bits)).is_err(), "{bits:x}");
        }
    }

    fn bytes_of(hex: &str) -> Vec<u8> {
        hex::decode(hex).unwrap()
    }

    /// Appendix B of RFC 8785: the bits of numbers, and how they are written.
    const NUMBERS: [(u64, &str); 24] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
}
