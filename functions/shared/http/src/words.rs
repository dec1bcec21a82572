//! Words that stand for a state, as enums that the OpenAPI document lists.
//!
//! The enums of the operations know nothing of HTTP. A [`Word`] writes one of them into a response and describes it.

use std::borrow::Cow;

use portcullis_identity::{AccountStatus, ApprovalMethod, ApprovalState, Decision};
use portcullis_vault::{HealthStatus, LeaseKind, Orders, SessionEnd, TradingAccountStatus};
use serde::{Serialize, Serializer};
use strum::VariantNames;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

/// An enum with variants that are words in responses.
pub trait Words: VariantNames + Copy + Into<&'static str> {
    /// The name of its schema.
    const SCHEMA: &'static str;
    /// The description of its schema.
    const DESCRIPTION: &'static str;
}

/// A value of such an enum, on its way into a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<E>(pub E);

impl<E: Words> Serialize for Word<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.into())
    }
}

impl<E: Words> PartialSchema for Word<E> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(E::DESCRIPTION))
            .enum_values(Some(E::VARIANTS.iter().copied()))
            .into()
    }
}

impl<E: Words> ToSchema for Word<E> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(E::SCHEMA)
    }
}

/// The status of an account, in a response.
pub type AccountStatusWord = Word<AccountStatus>;

impl Words for AccountStatus {
    const SCHEMA: &'static str = "AccountStatus";
    const DESCRIPTION: &'static str = "The status of an account: whether it may be used.";
}

/// The status of a trading account, in a response.
pub type TradingAccountStatusWord = Word<TradingAccountStatus>;

impl Words for TradingAccountStatus {
    const SCHEMA: &'static str = "TradingAccountStatus";
    const DESCRIPTION: &'static str = "The status of a trading account and its credentials.";
}

/// How much of a trading account a service was given, in a response.
pub type LeaseKindWord = Word<LeaseKind>;

impl Words for LeaseKind {
    const SCHEMA: &'static str = "LeaseKind";
    const DESCRIPTION: &'static str = "How much of a trading account a service was given.";
}

/// The health of a provider, in a response.
pub type HealthStatusWord = Word<HealthStatus>;

impl Words for HealthStatus {
    const SCHEMA: &'static str = "HealthStatus";
    const DESCRIPTION: &'static str = "The health of a provider.";
}

/// What became of resting orders, in a response.
pub type OrdersWord = Word<Orders>;

impl Words for Orders {
    const SCHEMA: &'static str = "Orders";
    const DESCRIPTION: &'static str = "What became of the resting orders of a trading account.";
}

/// How a session at a broker ended, in a response.
pub type SessionEndWord = Word<SessionEnd>;

impl Words for SessionEnd {
    const SCHEMA: &'static str = "SessionEnd";
    const DESCRIPTION: &'static str = "How a session at a broker ended.";
}

/// The reason why a permission is granted or not, in a response.
pub type DecisionWord = Word<Decision>;

impl Words for Decision {
    const SCHEMA: &'static str = "Decision";
    const DESCRIPTION: &'static str = "The reason why a permission is granted or not.";
}

/// What has become of an approval, in a response.
pub type ApprovalStateWord = Word<ApprovalState>;

impl Words for ApprovalState {
    const SCHEMA: &'static str = "ApprovalStatus";
    const DESCRIPTION: &'static str = "What has become of an approval.";
}

/// A way to approve something, in a response.
pub type ApprovalMethodWord = Word<ApprovalMethod>;

impl Words for ApprovalMethod {
    const SCHEMA: &'static str = "ApprovalMethod";
    const DESCRIPTION: &'static str = "A way to approve something.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_written_as_the_document_lists_it() {
        assert_eq!(serde_json::to_string(&Word(Decision::NeverWithAKey)).unwrap(), r#""never_with_api_key""#);
        let schema = serde_json::to_value(DecisionWord::schema()).unwrap();
        let listed = [
            "granted",
            "not_granted_by_roles",
            "outside_scopes",
            "never_with_api_key",
            "insufficient_user_authentication",
            "provider_unavailable",
            "approval_required",
        ];
        assert_eq!(schema["enum"], serde_json::json!(listed));
    }
}
