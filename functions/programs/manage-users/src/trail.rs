//! The commands that verify and export the audit trail.

use jiff::Timestamp;
use portcullis_identity::{AuditDetails, AuditFilter, AuditRecord};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::{Output, line};
use crate::tool::Tool;

const PAGE: usize = 500;

pub(crate) async fn verify(tool: &Tool, output: Output) -> Result<(), Failure> {
    let verified = tool.identity.verify_audit().await?;
    let findings: Vec<Value> = verified
        .findings
        .iter()
        .map(|found| json!({"chain": found.chain, "record": found.number, "finding": found.what.as_str()}))
        .collect();
    let whole = findings.is_empty();
    if output.json {
        line(
            &json!({
                "whole": whole,
                "chains": verified.chains,
                "records": verified.records,
                "findings": findings,
            })
            .to_string(),
        )?;
    } else {
        for found in &verified.findings {
            line(&format!("{} record {}: {}", found.chain, found.number, found.what.as_str()))?;
        }
        let verdict =
            if whole { "nothing was changed or removed" } else { "the trail is not as it was written" };
        line(&format!("{} records in {} chains: {verdict}", verified.records, verified.chains))?;
    }
    if whole {
        Ok(())
    } else {
        Err(Failure::Refused(format!("{} findings in the audit trail", findings.len())))
    }
}

pub(crate) async fn export(
    tool: &Tool,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<(), Failure> {
    let filter = AuditFilter { kind: None, from, to };
    let mut after = None;
    loop {
        let page = tool.identity.audit_by_time(&filter, PAGE, after).await?;
        for record in &page.records {
            line(&record_json(record).to_string())?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Returns a record as `audit export` prints it.
fn record_json(record: &AuditRecord) -> Value {
    json!({
        "event_id": record.id.to_string(),
        "type": record.kind,
        "at": record.at.to_string(),
        "user_id": record.subject.to_string(),
        "actor": record.actor,
        "outcome": record.outcome,
        "target": record.target,
        "service": record.service,
        "purpose": record.purpose,
        "session_id": record.session,
        "ip": record.ip,
        "user_agent": record.user_agent,
        "request_id": record.request_id,
        "details": details_json(&record.details),
    })
}

/// Returns the particulars that a record has, by their names; null for none.
fn details_json(details: &AuditDetails) -> Value {
    let AuditDetails { roles_before, roles_after, key_name, scopes, request, reason } = details;
    let all = [
        ("roles_before", json!(roles_before)),
        ("roles_after", json!(roles_after)),
        ("key_name", json!(key_name)),
        ("scopes", json!(scopes)),
        ("request", json!(request)),
        ("reason", json!(reason)),
    ];
    let present: Map<String, Value> = all
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if present.is_empty() { Value::Null } else { present.into() }
}
