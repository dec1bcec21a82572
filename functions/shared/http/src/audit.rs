//! The audit trail in requests and responses, for its owner and for administrators alike.

use std::borrow::Cow;
use std::str::FromStr;

use jiff::Timestamp;
use portcullis_identity::{AuditDetails, AuditFilter, AuditKind, AuditRecord, EVENT_TYPES, InvalidValue};
use serde::{Deserialize, Serialize};
use serde_with::{As, NoneAsEmptyString};
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::rfc3339;

/// The filter of a search: `?type=&from=&to=&target=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The type of the events to return, such as `login_succeeded`.
    #[serde(default, rename = "type", with = "As::<NoneAsEmptyString>")]
    #[param(inline, value_type = Option<EventType>)]
    pub kind: Option<EventType>,
    /// The earliest time of the events to return (RFC 3339), included.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<QueryTime>,
    /// The latest time of the events to return (RFC 3339), excluded.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<QueryTime>,
    /// The object of the events to return beside the account, such as the id of a trading account.
    #[serde(default, with = "As::<NoneAsEmptyString>")]
    pub target: Option<String>,
}

impl From<AuditQuery> for AuditFilter {
    fn from(query: AuditQuery) -> Self {
        Self {
            kind: query.kind.map(|kind| kind.0.as_str().to_owned()),
            from: query.from.map(|from| from.0),
            to: query.to.map(|to| to.0),
            target: query.target,
        }
    }
}

/// A type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType(AuditKind);

impl FromStr for EventType {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let found = EVENT_TYPES.iter().find(|kind| kind.as_str() == text);
        found.copied().map(Self).ok_or_else(|| {
            let types: Vec<&str> = EVENT_TYPES.iter().map(|kind| kind.as_str()).collect();
            InvalidValue::new(format!("must be a type of event: {}", types.join(", ")))
        })
    }
}

impl PartialSchema for EventType {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A type of event."))
            .enum_values(Some(EVENT_TYPES.iter().map(|kind| kind.as_str())))
            .into()
    }
}

impl ToSchema for EventType {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("EventType")
    }
}

/// How an event ended.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "records have the word; this describes it")]
enum EventOutcome {
    /// It took place.
    Success,
    /// It was refused.
    Refused,
}

/// A time in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryTime(Timestamp);

impl From<QueryTime> for Timestamp {
    fn from(time: QueryTime) -> Self {
        time.0
    }
}

impl FromStr for QueryTime {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map(Self).map_err(|_| InvalidValue::new("must be a time as RFC 3339 has it"))
    }
}

/// An event in the audit trail of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEventItem {
    /// The id of the event, opaque; ids sort by time.
    #[schema(example = "aud_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    pub event_id: String,
    /// The type of the event.
    #[serde(rename = "type")]
    #[schema(example = "login_succeeded")]
    pub kind: String,
    /// When it happened (RFC 3339, UTC).
    pub at: String,
    /// The id of the account that the trail belongs to.
    pub user_id: String,
    /// The actor: `self`, `anonymous`, `admin:<user id>`, `service:<name>` or `cli:<name>`.
    pub actor: String,
    /// The outcome: `success` or `refused`.
    #[schema(value_type = EventOutcome)]
    pub outcome: String,
    /// The object of the event beside the account, such as the id of an API key.
    pub target: Option<String>,
    /// The name of the service that read credentials.
    pub service: Option<String>,
    /// The purpose that the service gave, or the health that an administrator set for a provider and its end.
    pub purpose: Option<String>,
    /// The id of the session that the event happened in, or that it is about.
    pub session_id: Option<String>,
    /// The IP address of the client.
    pub ip: Option<String>,
    /// The `User-Agent` of the client.
    pub user_agent: Option<String>,
    /// The id of the request that caused the event.
    pub request_id: String,
    /// What the event changed or refused; `null` where its type says it all.
    pub details: Option<EventDetails>,
}

/// The particulars of an event. Those that its type does not have are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventDetails {
    /// The roles before, of `roles_changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["viewer"]))]
    pub roles_before: Option<Vec<String>>,
    /// The roles after, of `roles_changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["trader"]))]
    pub roles_after: Option<Vec<String>>,
    /// The name of the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The scopes of the API key, as `resource:action`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The refused request: its method and the pattern of its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Why it was refused: `forbidden` or `last_admin`; of `provider_marked`, `credentials_frozen` and
    /// `everybody_frozen`, the reason that the administrator gave; of `orders_cancelled`, what became of the orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ends by itself (RFC 3339, UTC), of a freeze, and of a lease where the reading began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// `true` of a reading in spite of a freeze, to cancel orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub during_freeze: Option<bool>,
    /// How many orders a service says that it cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<u32>,
    /// How many orders it could not cancel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    /// The lease that a reading of credentials was in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
}

impl EventDetails {
    /// Returns the particulars of a record; `None` for a record without any.
    fn of(details: AuditDetails) -> Option<Self> {
        let any = details != AuditDetails::default();
        let AuditDetails {
            roles_before, roles_after, key_name, scopes, request, reason, until, lease, ..
        } = details;
        let (cancelled, failed) = details.orders.unzip();
        let during_freeze = details.during_freeze.then_some(true);
        any.then_some(Self {
            roles_before,
            roles_after,
            key_name,
            scopes,
            request,
            reason,
            until,
            during_freeze,
            cancelled,
            failed,
            lease,
        })
    }
}

impl From<AuditRecord> for AuditEventItem {
    fn from(record: AuditRecord) -> Self {
        Self {
            event_id: record.id.to_string(),
            kind: record.kind,
            at: rfc3339(record.at),
            user_id: record.subject.to_string(),
            actor: record.actor,
            outcome: record.outcome,
            target: record.target,
            service: record.service,
            purpose: record.purpose,
            session_id: record.session,
            ip: record.ip,
            user_agent: record.user_agent,
            request_id: record.request_id,
            details: EventDetails::of(record.details),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::Query;
    use crate::testing::{app, request, send};

    async fn search(query: &str) -> crate::testing::TestResponse {
        let echo = async |Query(query): Query<AuditQuery>| {
            let filter = AuditFilter::from(query);
            format!("{:?} {:?}", filter.kind, filter.from)
        };
        send(&app(Router::new().route("/", get(echo))), request("GET", &format!("/{query}"), &[])).await
    }

    #[tokio::test]
    async fn a_query_is_read_and_a_bad_one_named() {
        assert_eq!(search("").await.body, "None None");
        let both = search("?type=mfa_failed&from=2026-11-01T00:00:00Z&to=").await;
        assert_eq!(both.body, "Some(\"mfa_failed\") Some(2026-11-01T00:00:00Z)");
        for (query, pointer) in [
            ("?type=a%23b", "/type"),
            ("?type=nope", "/type"),
            ("?kind=mfa_failed", "/kind"),
            ("?type=mfa_failed&type=mfa_failed", "/type"),
            ("?from=yesterday", "/from"),
            ("?to=1", "/to"),
        ] {
            assert_eq!(search(query).await.complaint().0, pointer, "{query}");
        }
    }
}
