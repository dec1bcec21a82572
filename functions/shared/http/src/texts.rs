//! What the texts in requests have to look like, as the OpenAPI document says it: one schema for each kind of text.
//!
//! The rules are those of the operations, which know nothing of documents; the tests below hold both together. A pattern is
//! there where it says neither more nor less than the rule. What no pattern can say has a `format`.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Text that can be shown: no control or format characters, none that are unassigned or for private use, and at least one
/// that can be seen.
const PRINTABLE: &str = "printable";

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident = $rule:expr;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let rule: Rule = $rule;
                rule.schema(concat!($($doc),+).trim_start())
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

texts! {
    /// An e-mail address. Its domain may be written in Unicode or as A-labels.
    EmailAddress = Rule { shortest: 5, longest: 254, format: Some("email"), ..ANY };
    /// A username: 3 to 32 of `a-z 0-9 . _ -`, beginning with a letter. Capitals are taken for small letters.
    Username = Rule { pattern: Some("^[A-Za-z][A-Za-z0-9._-]{2,31}$"), shortest: 3, longest: 32, ..ANY };
    /// A password to be chosen: 12 to 256 characters, hard to predict.
    NewPassword = Rule { shortest: 12, longest: 256, format: Some("password"), ..ANY };
    /// The name of a person: 1 to 100 printable characters.
    PersonName = Rule { shortest: 1, longest: 100, format: Some(PRINTABLE), ..ANY };
    /// A telephone number as its owner writes it.
    PhoneNumber = Rule { pattern: Some("^[ ().+-]*[0-9][0-9 ().+-]*$"), shortest: 1, longest: 32, ..ANY };
    /// The name of a device: 1 to 100 printable characters.
    DeviceName = Rule { shortest: 1, longest: 100, format: Some(PRINTABLE), ..ANY };
    /// The name of an API key: 1 to 100 printable characters.
    ApiKeyName = Rule { shortest: 1, longest: 100, format: Some(PRINTABLE), ..ANY };
    /// The name of a passkey: 1 to 100 printable characters.
    PasskeyName = Rule { shortest: 1, longest: 100, format: Some(PRINTABLE), ..ANY };
    /// The label of a trading account: 1 to 100 printable characters.
    TradingAccountLabel = Rule { shortest: 1, longest: 100, format: Some(PRINTABLE), ..ANY };
    /// The reason of a mark: at most 200 printable characters.
    MarkReason = Rule { shortest: 1, longest: 200, format: Some(PRINTABLE), ..ANY };
    /// The reason of a freeze: 1 to 200 printable characters.
    FreezeReasonText = Rule { shortest: 1, longest: 200, format: Some(PRINTABLE), ..ANY };
    /// The name of a broker: one of those in `GET /v1/providers`.
    BrokerName = Rule { format: Some("broker"), shortest: 1, longest: 64, ..ANY };
    /// A user id at a broker: 1 to 64 visible ASCII characters.
    BrokerUserId = Rule { pattern: Some("^[!-~]{1,64}$"), shortest: 1, longest: 64, ..ANY };
    /// A key, secret or token of a broker: 1 to 256 visible ASCII characters.
    BrokerSecret = Rule { pattern: Some("^[!-~]{1,256}$"), shortest: 1, longest: 256, ..ANY };
    /// What a login at a broker leads back with: 1 to 2048 visible ASCII characters.
    BrokerLoginCode = Rule { pattern: Some("^[!-~]{1,2048}$"), shortest: 1, longest: 2048, ..ANY };
    /// The state beside it: 1 to 128 visible ASCII characters.
    BrokerLoginState = Rule { pattern: Some("^[!-~]{1,128}$"), shortest: 1, longest: 128, ..ANY };
    /// An IPv4 or IPv6 address.
    IpAddressText = Rule { format: Some("ip"), shortest: 2, longest: 45, ..ANY };
    /// The id of an order at a broker.
    OrderIdText = Rule { pattern: Some("^[A-Za-z0-9_-]{1,64}$"), shortest: 1, longest: 64, ..ANY };
    /// The time of an order, as Kite writes it.
    OrderTimeText = Rule { pattern: Some("^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"), shortest: 19, longest: 19, ..ANY };
    /// A SHA-256 in hexadecimal.
    ChecksumText = Rule { pattern: Some("^[0-9a-f]{64}$"), shortest: 64, longest: 64, ..ANY };
    /// The name of an exchange.
    ExchangeName = Rule { pattern: Some("^[A-Z0-9][A-Z0-9._-]{0,15}$"), shortest: 1, longest: 16, ..ANY };
    /// What an exchange calls what is ordered.
    SymbolName = Rule { pattern: Some("^[A-Z0-9][A-Z0-9&./:_-]{0,63}$"), shortest: 1, longest: 64, ..ANY };
    /// What a broker calls the kind of position.
    ProductName = Rule { pattern: Some("^[A-Z0-9][A-Z0-9_]{0,15}$"), shortest: 1, longest: 16, ..ANY };
    /// A decimal number above zero, as a text: it is compared letter by letter.
    DecimalNumber = Rule { pattern: Some("^(0|[1-9][0-9]{0,11})(\\.[0-9]{1,9})?$"), shortest: 1, longest: 22, ..ANY };
    /// Why a service reads credentials, in one word.
    ReadingPurpose = Rule { pattern: Some("^[a-z0-9._:-]{1,64}$"), shortest: 1, longest: 64, ..ANY };
    /// A permission, as `resource:action`.
    PermissionName = Rule { pattern: Some("^[a-z][a-z0-9_-]{0,63}:[a-z][a-z0-9_-]{0,63}$"), shortest: 3, longest: 129, ..ANY };
    /// One half of a permission: the resource, or the action on it.
    PermissionWord = Rule { pattern: Some("^[a-z][a-z0-9_-]{0,63}$"), shortest: 1, longest: 64, ..ANY };
    /// A scope of an API key, as `resource:action`; `*` stands for all.
    ScopeName = Rule { format: Some("scope"), shortest: 3, longest: 129, ..ANY };
    /// The name of a role in the policy.
    RoleName = Rule { format: Some("role"), shortest: 1, longest: 64, ..ANY };
    /// A key that names one intended effect: 1 to 255 visible ASCII characters.
    IdempotencyKeyText = Rule { pattern: Some("^[!-~]{1,255}$"), shortest: 1, longest: 255, ..ANY };
}

/// What a text has to look like.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Characters it has at least, and at most.
    shortest: usize,
    longest: usize,
    pattern: Option<&'static str>,
    format: Option<&'static str>,
}

const ANY: Rule = Rule { shortest: 0, longest: usize::MAX, pattern: None, format: None };

impl Rule {
    fn schema(self, about: &str) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(about))
            .format(self.format.map(|format| SchemaFormat::Custom(format.to_owned())))
            .min_length((self.shortest > 0).then_some(self.shortest))
            .max_length(Some(self.longest))
            .pattern(self.pattern)
            .into()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_identity as identity;
    use portcullis_vault as vault;
    use proptest::prop_assert;
    use proptest::string::string_regex;
    use proptest::test_runner::TestRunner;

    use super::*;

    /// A kind of text with a pattern, and whether the operations take a text of that kind.
    type Kind = (fn() -> RefOr<Schema>, fn(&str) -> bool);

    const WITH_PATTERNS: [Kind; 15] = [
        (ExchangeName::schema, |text| identity::Exchange::parse(text).is_ok()),
        (SymbolName::schema, |text| identity::Symbol::parse(text).is_ok()),
        (ProductName::schema, |text| identity::Product::parse(text).is_ok()),
        (Username::schema, |text| identity::Username::parse(text).is_ok()),
        (PhoneNumber::schema, |text| identity::PhoneNumber::parse(text).is_ok()),
        (BrokerUserId::schema, |text| vault::BrokerUser::parse(text).is_ok()),
        (BrokerSecret::schema, |text| vault::BrokerToken::parse(&text.into()).is_ok()),
        (OrderIdText::schema, |text| vault::OrderId::parse(text).is_ok()),
        (OrderTimeText::schema, |text| vault::OrderTime::parse(text).is_ok()),
        (ChecksumText::schema, |text| vault::Checksum::parse(text).is_ok()),
        (BrokerLoginCode::schema, |text| vault::LoginCode::parse(&text.into()).is_ok()),
        (BrokerLoginState::schema, |text| vault::LoginState::parse(&text.into()).is_ok()),
        (ReadingPurpose::schema, |text| vault::Purpose::parse(text).is_ok()),
        (PermissionName::schema, |text| text.parse::<identity::Permission>().is_ok()),
        (IdempotencyKeyText::schema, |text| crate::IdempotencyKey::parse(text).is_some()),
    ];

    fn value(schema: fn() -> RefOr<Schema>) -> serde_json::Value {
        serde_json::to_value(schema()).unwrap()
    }

    #[test]
    fn what_a_pattern_and_its_lengths_allow_is_taken() {
        let mut runner = TestRunner::deterministic();
        for (schema, is_taken) in WITH_PATTERNS {
            let rule = value(schema);
            let lengths = rule["minLength"].as_u64().unwrap()..=rule["maxLength"].as_u64().unwrap();
            let texts = string_regex(rule["pattern"].as_str().unwrap().trim_matches(['^', '$'])).unwrap();
            let tried = runner.run(&texts, |text| {
                let is_allowed = lengths.contains(&(text.chars().count() as u64));
                // The operations leave the space around a text away.
                prop_assert!(!is_allowed || text.trim() != text || is_taken(&text), "{text:?}");
                Ok(())
            });
            tried.unwrap_or_else(|error| panic!("{rule}: {error}"));
        }
    }

    #[test]
    fn what_a_length_forbids_is_not_taken() {
        for (schema, is_taken) in WITH_PATTERNS {
            let rule = value(schema);
            let longest = usize::try_from(rule["maxLength"].as_u64().unwrap()).unwrap();
            for letter in ["a", "7"] {
                assert!(!is_taken(&letter.repeat(longest + 1)), "{rule}");
            }
            assert!(!is_taken("") && !is_taken("\u{7}") && !is_taken("ü ß"), "{rule}");
        }
        let named: [Kind; 5] = [
            (PersonName::schema, |text| identity::PersonName::parse(text).is_ok()),
            (DeviceName::schema, |text| identity::DeviceName::parse(text).is_ok()),
            (ApiKeyName::schema, |text| identity::ApiKeyName::try_from(text.to_owned()).is_ok()),
            (PasskeyName::schema, |text| identity::PasskeyName::parse(text).is_ok()),
            (TradingAccountLabel::schema, |text| vault::Label::parse(text).is_ok()),
        ];
        for (schema, is_taken) in named {
            let longest = usize::try_from(value(schema)["maxLength"].as_u64().unwrap()).unwrap();
            assert!(is_taken(&"न".repeat(longest)) && !is_taken(&"न".repeat(longest + 1)) && !is_taken(""));
        }
        let address =
            |length: usize| format!("{}@{}.example", "a".repeat(64), "b.".repeat((length - 73) / 2) + "c");
        let is_address = |text: &str| identity::Email::parse(text).is_ok();
        assert!(
            is_address(&address(253))
                && !is_address(&address(255))
                && is_address("a@b.c")
                && !is_address("@b.c")
        );
    }
}
