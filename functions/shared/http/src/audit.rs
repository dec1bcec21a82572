//! How the audit trail is asked for and told, to its owner and to administrators alike.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use jiff::Timestamp;
use portcullis_identity::{AuditFilter, AuditRecord};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{Code, Problem, rfc3339};

/// No word of an event is longer.
const LONGEST_WORD: usize = 64;

/// Which events are wanted: `?type=&from=&to=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Events of this type alone, such as `login_succeeded`.
    #[param(rename = "type", value_type = Option<String>)]
    pub kind: Option<String>,
    /// RFC 3339: no event before this.
    #[param(value_type = Option<String>, example = "2026-11-01T00:00:00Z")]
    pub from: Option<Timestamp>,
    /// RFC 3339: events before this.
    #[param(value_type = Option<String>)]
    pub to: Option<Timestamp>,
}

impl From<AuditQuery> for AuditFilter {
    fn from(query: AuditQuery) -> Self {
        Self { kind: query.kind, from: query.from, to: query.to }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AuditQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::BadRequest).with_detail("The query cannot be read."))?;
        let is_word = |text: &str| {
            text.len() <= LONGEST_WORD && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let kind = only(&pairs, "type")?;
        if kind.is_some_and(|kind| !is_word(kind)) {
            return Err(Problem::invalid("/type", "must be a type of event, such as login_succeeded"));
        }
        let time = |name| {
            let parsed = only(&pairs, name)?.map(str::parse::<Timestamp>).transpose();
            parsed.map_err(|_| Problem::invalid(format!("/{name}"), "must be a time as RFC 3339 has it"))
        };
        Ok(Self { kind: kind.map(str::to_owned), from: time("from")?, to: time("to")? })
    }
}

/// A parameter that is given once, or empty or not at all.
fn only<'a>(pairs: &'a [(String, String)], name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
        _ => Err(Problem::invalid(format!("/{name}"), "the query parameter must be given once")),
    }
}

/// Something that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEventItem {
    /// Opaque id; ids sort by time.
    #[schema(example = "aud_0199f3c2a6e47d0c8f21b7e5d4a39c10")]
    pub event_id: String,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "login_succeeded")]
    pub kind: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The account it happened to.
    pub user_id: String,
    /// Who did it: `self`, `anonymous`, `admin:<user id>`, `service:<name>` or `cli:<name>`.
    pub actor: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// What it is about beside the account, such as the id of an API key.
    pub target: Option<String>,
    /// The service that asked.
    pub service: Option<String>,
    /// What the service said it needed it for, or what an administrator said of a provider and until when.
    pub purpose: Option<String>,
    /// The session it happened in or to.
    pub session_id: Option<String>,
    /// Address of the client.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The request that caused it.
    pub request_id: String,
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
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::testing::{app, request, send};

    async fn asked(query: &str) -> crate::testing::Answer {
        let echo = async |query: AuditQuery| format!("{:?} {:?}", query.kind, query.from);
        send(&app(Router::new().route("/", get(echo))), request("GET", &format!("/{query}"), &[])).await
    }

    #[tokio::test]
    async fn a_query_is_read_and_a_bad_one_named() {
        assert_eq!(asked("").await.body, "None None");
        let both = asked("?type=mfa_failed&from=2026-11-01T00:00:00Z&to=").await;
        assert_eq!(both.body, "Some(\"mfa_failed\") Some(2026-11-01T00:00:00Z)");
        for (query, pointer) in [
            ("?type=a%23b", "/type"),
            ("?type=a&type=b", "/type"),
            ("?from=yesterday", "/from"),
            ("?to=1", "/to"),
        ] {
            assert_eq!(asked(query).await.complaint().0, pointer, "{query}");
        }
    }
}
