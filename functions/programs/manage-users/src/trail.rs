//! The commands that verify, search and export the audit trail.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_identity::{AccountId, AuditDetails, AuditFilter, AuditId, AuditRecord};
use serde_json::{Map, Value, json};

use crate::arguments::{Period, SearchTrail};
use crate::failure::Failure;
use crate::listing;
use crate::output::{Output, counted, line};
use crate::progress::{while_printing, while_working};
use crate::tool::Tool;

const PAGE: usize = 500;

pub(crate) async fn verify(tool: &Tool, output: Output) -> Result<(), Failure> {
    let verified = while_working("reading the trail", tool.identity.verify_audit()).await?;
    let findings: Vec<Value> = verified
        .findings
        .iter()
        .map(|found| json!({"chain": found.chain, "record": found.number, "finding": found.what.as_str()}))
        .collect();
    let whole = findings.is_empty();
    if output.json {
        line(
            &json!({
                "source": tool.source,
                "whole": whole,
                "first_record_at": verified.first.map(|at| at.to_string()),
                "last_record_at": verified.last.map(|at| at.to_string()),
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
        tool.has_read(output, &period_of(verified.first, verified.last));
    }
    if whole {
        Ok(())
    } else {
        Err(Failure::Refused(format!("{} findings in the audit trail", findings.len())))
    }
}

pub(crate) async fn export(tool: &Tool, output: Output, period: &Period) -> Result<(), Failure> {
    let read = while_printing("exporting the trail", print_all(tool, period)).await?;
    tool.has_read(output, &read);
    Ok(())
}

/// Prints the records of a period, and returns in words how many there were and from when.
async fn print_all(tool: &Tool, period: &Period) -> Result<String, Failure> {
    let filter = AuditFilter { kind: None, from: period.from, to: period.to, target: None };
    let (mut after, mut count, mut last, mut first) = (None, 0, None, None);
    loop {
        let page = tool.identity.audit_by_time(&filter, PAGE, after).await?;
        for record in &page.records {
            line(&record_json(record).to_string())?;
            count += 1;
            last = last.or(Some(record.at));
            first = Some(record.at);
        }
        after = page.next;
        if after.is_none() {
            return Ok(format!("{}, {}", counted(count, "record"), period_of(first, last)));
        }
    }
}

pub(crate) async fn search(tool: &Tool, output: Output, wanted: SearchTrail) -> Result<(), Failure> {
    let after: Option<AuditId> = listing::start_of(wanted.after.as_deref(), "a record")?;
    let filter = filter_of(&wanted, after);
    let subject = match &wanted.user {
        Some(name) => Some(tool.identity.account_by_name(name).await?.id),
        None => None,
    };
    let is_wanted = |record: &AuditRecord| {
        wanted.actor.as_ref().is_none_or(|actor| record.actor == *actor)
            && after.is_none_or(|after| record.id < after)
    };
    let reading = records(tool, &filter, subject, wanted.limit, is_wanted);
    let (found, next) = while_working("searching the trail", reading).await?;
    let period = period_of(found.last().map(|record| record.at), found.first().map(|record| record.at));
    let rows = found.iter().filter_map(|record| match record_json(record) {
        Value::Object(row) => Some(row),
        _ => None,
    });
    let names = ["at", "type", "user_id", "actor", "outcome", "target", "ip"];
    listing::print(output, &wanted.shown.columns(&names), rows.collect())?;
    tool.has_read(output, &format!("{}, {period}", listing::page_of(found.len(), "record", next)));
    Ok(())
}

/// Returns what the trail is asked for: nothing later than the record to go on after, whose id begins with its time.
fn filter_of(wanted: &SearchTrail, after: Option<AuditId>) -> AuditFilter {
    let Period { from, to } = wanted.period;
    let end = after.map(|after| after.created_at() + Duration::from_millis(1));
    let to = to.into_iter().chain(end).min();
    AuditFilter { kind: wanted.kind.clone(), from, to, target: None }
}

/// Returns this many records at most, newest first, of one account or of all, and the last of them if there are more.
async fn records(
    tool: &Tool,
    filter: &AuditFilter,
    subject: Option<AccountId>,
    limit: usize,
    is_wanted: impl Fn(&AuditRecord) -> bool,
) -> Result<(Vec<AuditRecord>, Option<AuditId>), Failure> {
    let (mut found, mut of_account, mut by_time) = (Vec::new(), None, None);
    while found.len() <= limit {
        let (records, is_last) = if let Some(id) = subject {
            let page = tool.identity.audit_of(id, filter, PAGE, of_account).await?;
            of_account = page.next;
            (page.records, page.next.is_none())
        } else {
            let page = tool.identity.audit_by_time(filter, PAGE, by_time).await?;
            by_time = page.next;
            (page.records, page.next.is_none())
        };
        found.extend(records.into_iter().filter(&is_wanted));
        if is_last {
            break;
        }
    }
    let is_cut = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| is_cut).map(|last| last.id);
    Ok((found, next))
}

/// Returns the times of the first and the last record, in words.
fn period_of(first: Option<Timestamp>, last: Option<Timestamp>) -> String {
    match first.zip(last) {
        Some((first, last)) => format!("from {first} to {last}"),
        None => "no record".to_owned(),
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
    let AuditDetails { roles_before, roles_after, key_name, scopes, request, reason, until, lease, .. } =
        details;
    let all = [
        ("roles_before", json!(roles_before)),
        ("roles_after", json!(roles_after)),
        ("key_name", json!(key_name)),
        ("scopes", json!(scopes)),
        ("request", json!(request)),
        ("reason", json!(reason)),
        ("until", json!(until)),
        ("lease", json!(lease)),
        ("during_freeze", json!(details.during_freeze.then_some(true))),
        ("cancelled", json!(details.orders.map(|(cancelled, _)| cancelled))),
        ("failed", json!(details.orders.map(|(_, failed)| failed))),
    ];
    let present: Map<String, Value> = all
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if present.is_empty() { Value::Null } else { present.into() }
}
