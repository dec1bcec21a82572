//! `SERVICES`: the rights of each service, and which broker credentials it may read.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_verifier::policy::Permission;
use serde::Deserialize;

/// A million accounts that are read ten times a day are 27,000 readings a minute while a market is open
/// (`infra/COSTS.md`), if one service does them all.
const READS_PER_MINUTE: u64 = 30_000;

/// The rights that a service can have: what the routes for services ask for.
const RIGHTS: [&str; 8] = [
    "api-key:verify",
    "approval:redeem",
    "approval:request",
    "freeze:read",
    "postback:verify",
    "provider:report",
    "revocation:read",
    "trading:cancel",
];

/// The rights of every service, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRights(BTreeMap<String, Entry>);

/// The rights of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) rights: BTreeSet<Permission>,
    pub(crate) credentials: Option<CredentialRights>,
}

impl Entry {
    pub(crate) fn has(&self, resource: &str, action: &str) -> bool {
        self.rights.iter().any(|right| right.resource() == resource && right.action() == action)
    }

    /// Whether its service may read sessions of this broker in spite of a freeze, to cancel orders.
    pub(crate) fn cancels_at(&self, broker: &str) -> bool {
        let reads = self.credentials.as_ref().is_some_and(|rights| rights.brokers.contains(broker));
        reads && self.has("trading", "cancel")
    }
}

/// Which credentials a service may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRights {
    /// The brokers whose credentials it may read.
    pub brokers: BTreeSet<String>,
    /// Which part of the credentials it may read.
    pub kind: CredentialKind,
    /// Requests per minute; more are throttled.
    pub per_minute: u64,
    /// Whether a request has to say what it reads them for.
    pub purpose_required: bool,
}

/// Which part of a trading account's credentials a service may read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// The session where the broker has sessions, and the long-lived credentials where nothing else opens an account.
    #[default]
    ByBroker,
    /// The long-lived credentials, whole.
    LongLived,
    /// What the broker's session of the day needs, and never the secret that outlives it.
    Session,
}

/// A list of rights, or an object with more.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Rights(Vec<String>),
    Entry(WrittenEntry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    #[serde(default)]
    rights: Vec<String>,
    #[serde(default)]
    credentials: Option<WrittenCredentials>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCredentials {
    brokers: BTreeSet<String>,
    #[serde(default)]
    kind: CredentialKind,
    per_minute: Option<u64>,
    #[serde(default)]
    purpose_required: bool,
}

impl ServiceRights {
    /// Reads a JSON object of names, each with a list of `resource:action` or an object of `rights` and `credentials`.
    /// The error is one line for the operator.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let written: BTreeMap<String, Written> = serde_json::from_str(json)
            .map_err(|error| format!("is no object of services and their rights: {error}"))?;
        let entries = written.into_iter().map(|(name, written)| {
            let entry =
                entry(written).map_err(|error| format!("service `{}`: {error}", name.escape_debug()))?;
            Ok((name, entry))
        });
        entries.collect::<Result<_, String>>().map(Self)
    }

    /// Returns the names of the services.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns whether a service may read sessions of this broker in spite of a freeze, to cancel orders.
    pub fn any_cancels_at(&self, broker: &str) -> bool {
        self.0.values().any(|entry| entry.cancels_at(broker))
    }

    pub(crate) fn of(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }
}

/// Returns a right; fails for one that opens nothing, because whoever wrote it expects that it does.
fn right(text: &str) -> Result<Permission, String> {
    let known = RIGHTS.contains(&text).then(|| text.parse().ok()).flatten();
    known.ok_or_else(|| {
        format!(
            "right `{}`: there is none of this name; there are {}",
            text.escape_debug(),
            RIGHTS.join(", ")
        )
    })
}

fn entry(written: Written) -> Result<Entry, String> {
    let written = match written {
        Written::Rights(rights) => WrittenEntry { rights, credentials: None },
        Written::Entry(entry) => entry,
    };
    let credentials = written.credentials.map(|written| {
        let per_minute = written.per_minute.unwrap_or(READS_PER_MINUTE);
        if written.brokers.is_empty() || per_minute == 0 {
            return Err("credentials: at least one broker and one reading a minute are needed".to_owned());
        }
        let purpose_required = written.purpose_required;
        Ok(CredentialRights { brokers: written.brokers, kind: written.kind, per_minute, purpose_required })
    });
    Ok(Entry {
        rights: written.rights.iter().map(|text| right(text)).collect::<Result<_, _>>()?,
        credentials: credentials.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_list_of_rights_or_says_more() {
        let rights = ServiceRights::parse(
            r#"{"edge":["api-key:verify"],
                "ticker":{"rights":["provider:report"],"credentials":{"brokers":["kite"],"kind":"session"}}}"#,
        )
        .unwrap();
        assert!(rights.of("edge").unwrap().credentials.is_none());
        let ticker = rights.of("ticker").unwrap().credentials.clone().unwrap();
        assert_eq!((ticker.kind, ticker.per_minute), (CredentialKind::Session, READS_PER_MINUTE));
        assert!(ticker.brokers.contains("kite") && rights.of("nobody").is_none());
        assert!(!ticker.purpose_required && !rights.any_cancels_at("kite"));
        let both = r#"{"a":{"rights":["trading:cancel"],"credentials":{"brokers":["kite"],"kind":"session"}},
                       "b":["trading:cancel"]}"#;
        let both = ServiceRights::parse(both).unwrap();
        assert!(both.any_cancels_at("kite") && !both.any_cancels_at("alpaca"));
        assert!(!both.of("b").unwrap().cancels_at("kite"), "it can read no session");
        let short = r#"{"a":{"credentials":{"brokers":["kite"]}}}"#;
        let short = ServiceRights::parse(short).unwrap();
        assert_eq!(short.of("a").unwrap().credentials.as_ref().unwrap().kind, CredentialKind::ByBroker);
        let strict = r#"{"a":{"credentials":{"brokers":["kite"],"kind":"session","purpose_required":true}}}"#;
        let strict = ServiceRights::parse(strict).unwrap();
        assert!(strict.of("a").unwrap().credentials.as_ref().unwrap().purpose_required);
    }

    #[test]
    fn a_mistake_is_named_with_its_service() {
        for (json, wanted) in [
            (
                r#"{"a":["everything"]}"#,
                "service `a`: right `everything`: there is none of this name; there are api-key:verify, \
                 approval:redeem, approval:request, freeze:read, postback:verify, provider:report, revocation:read, trading:cancel",
            ),
            (r#"{"a":["api-key:create"]}"#, "service `a`: right `api-key:create`: there is none"),
            (r#"{"a":{"credentials":{"brokers":[],"kind":"session"}}}"#, "service `a`: credentials"),
            (r#"{"a":{"credentials":{"brokers":["kite"],"kind":"all"}}}"#, "is no object"),
            (r#"{"a":{"right":[]}}"#, "is no object"),
            ("[]", "is no object"),
        ] {
            let error = ServiceRights::parse(json).unwrap_err();
            assert!(error.starts_with(wanted) && error.lines().count() == 1, "{error}");
        }
    }
}
