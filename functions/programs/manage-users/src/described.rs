//! The commands that show and find accounts, and list what belongs to one.

use jiff::Timestamp;
use portcullis_identity::{
    Account, AccountFilter, AccountId, AccountStatus, ApiKey, ApiKeyId, Listed, Session, SessionId,
};
use serde_json::{Map, Value};

use crate::accounts::account_json;
use crate::arguments::{Find, ListUsers, Paging};
use crate::dates::moment;
use crate::failure::Failure;
use crate::listing;
use crate::output::{Output, line, members};
use crate::progress::while_working;
use crate::tool::Tool;

/// The number of accounts or sessions read in one page.
const PAGE: usize = 100;
const COLUMNS: [&str; 7] =
    ["user_id", "username", "email", "roles", "status", "last_login_at", "api_key_status"];
const FILTERS: &str = "text=, role=, status=, since= and not-since= are filters";

pub(crate) async fn show(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    let (sessions, _) = sessions_of(tool, &account, None, None).await?;
    let last_login = tool.identity.last_login(&account).await?;
    let mut value = described(tool, Listed { account, last_login }).await?;
    value.insert("sessions".to_owned(), sessions.len().into());
    tool.has_read(output, "1 account");
    if output.json {
        return line(&Value::from(value).to_string());
    }
    for (name, value) in &value {
        line(&format!("{name:24}{}", listing::cell(value)))?;
    }
    Ok(())
}

pub(crate) async fn list(tool: &Tool, output: Output, wanted: ListUsers) -> Result<(), Failure> {
    let mut filter = AccountFilter::default();
    for written in &wanted.filters {
        let (name, value) = written.split_once('=').ok_or_else(|| Failure::Unusable(FILTERS.to_owned()))?;
        set(&mut filter, name, value)?;
    }
    print(tool, output, &filter, &wanted.paging).await
}

pub(crate) async fn find(tool: &Tool, output: Output, wanted: Find) -> Result<(), Failure> {
    let mut filter = AccountFilter::default();
    let named = [
        ("text", &wanted.text),
        ("role", &wanted.role),
        ("status", &wanted.status),
        ("since", &wanted.since),
        ("not-since", &wanted.not_since),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            set(&mut filter, name, value)?;
        }
    }
    if filter == AccountFilter::default() {
        return Err(Failure::Unusable("say what to find: a text or an option".to_owned()));
    }
    print(tool, output, &filter, &wanted.paging).await
}

/// Sets one member of a filter; fails for a name or a value that is none.
fn set(filter: &mut AccountFilter, name: &str, value: &str) -> Result<(), Failure> {
    let time = || moment(value).map(Some).map_err(|why| Failure::Unusable(format!("{name}: {why}")));
    match name {
        "text" => filter.text = Some(value.to_owned()),
        "role" => filter.role = Some(value.to_owned()),
        "status" => {
            let status = value.parse::<AccountStatus>();
            filter.status = Some(
                status.map_err(|_| Failure::Unusable("status: is neither active nor disabled".to_owned()))?,
            );
        }
        "since" => filter.signed_in_since = time()?,
        "not-since" => filter.not_signed_in_since = time()?,
        _ => return Err(Failure::Unusable(FILTERS.to_owned())),
    }
    Ok(())
}

/// Prints the accounts that a filter wants, as far as the page goes.
async fn print(tool: &Tool, output: Output, filter: &AccountFilter, paging: &Paging) -> Result<(), Failure> {
    let after = listing::start_of(paging.after.as_deref(), "an account")?;
    let (rows, next) = while_working("reading accounts", read(tool, filter, paging.limit, after)).await?;
    let said = listing::page_of(rows.len(), "account", next);
    listing::print(output, &paging.shown.columns(&COLUMNS), rows)?;
    tool.has_read(output, &said);
    Ok(())
}

async fn read(
    tool: &Tool,
    filter: &AccountFilter,
    limit: Option<usize>,
    mut after: Option<AccountId>,
) -> Result<(Vec<Map<String, Value>>, Option<AccountId>), Failure> {
    let (mut rows, limit) = (Vec::new(), limit.unwrap_or(usize::MAX));
    while rows.len() < limit {
        let page = PAGE.min(limit - rows.len());
        let (listed, next) = tool.identity.find_accounts(filter, page, after).await?;
        for one in listed {
            rows.push(described(tool, one).await?);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok((rows, after))
}

pub(crate) async fn sessions(
    tool: &Tool,
    output: Output,
    name: &str,
    paging: &Paging,
) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    let after = listing::start_of(paging.after.as_deref(), "a session")?;
    let reading = while_working("reading sessions", sessions_of(tool, &account, paging.limit, after));
    let (sessions, next) = reading.await?;
    let names = ["session_id", "device_name", "user_agent", "ip", "created_at", "last_seen_at"];
    listing::print(output, &paging.shown.columns(&names), sessions.iter().map(session_json).collect())?;
    tool.has_read(output, &listing::page_of(sessions.len(), "session", next));
    Ok(())
}

pub(crate) async fn keys(tool: &Tool, output: Output, name: &str, paging: &Paging) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    let after: Option<ApiKeyId> = listing::start_of(paging.after.as_deref(), "an API key")?;
    // An account has so few that they are read at once. Newest first, those that go on have a smaller id.
    let mut keys = tool.identity.api_keys_of(&account).await?;
    keys.retain(|key| after.is_none_or(|after| key.id < after));
    let is_cut = paging.limit.is_some_and(|limit| keys.len() > limit);
    keys.truncate(paging.limit.unwrap_or(usize::MAX));
    let next = keys.last().filter(|_| is_cut).map(|last| last.id);
    let names = ["key_id", "name", "managed", "scopes", "created_at", "expires_at", "last_used_at"];
    listing::print(output, &paging.shown.columns(&names), keys.iter().map(key_json).collect())?;
    tool.has_read(output, &listing::page_of(keys.len(), "API key", next));
    Ok(())
}

/// Returns this many live sessions of an account after the one called `after`, and the last of them if there are more.
async fn sessions_of(
    tool: &Tool,
    account: &Account,
    limit: Option<usize>,
    mut after: Option<SessionId>,
) -> Result<(Vec<Session>, Option<SessionId>), Failure> {
    let (mut sessions, limit) = (Vec::new(), limit.unwrap_or(usize::MAX));
    while sessions.len() < limit {
        let page = tool.identity.sessions_of(account, PAGE.min(limit - sessions.len()), after).await?;
        sessions.extend(page.sessions);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok((sessions, after))
}

fn session_json(session: &Session) -> Map<String, Value> {
    members([
        ("session_id", session.made.id.to_string().into()),
        ("device_name", session.made.device_name.clone().into()),
        ("user_agent", session.made.user_agent.clone().into()),
        ("ip", session.made.ip.clone().into()),
        ("created_at", session.made.created_at.to_string().into()),
        ("last_seen_at", session.last_seen_at.to_string().into()),
    ])
}

fn key_json(key: &ApiKey) -> Map<String, Value> {
    members([
        ("key_id", key.id.to_string().into()),
        ("name", key.name.clone().into()),
        ("managed", key.managed.into()),
        ("scopes", key.scopes.clone().into()),
        ("created_at", key.created_at.to_string().into()),
        ("expires_at", time(key.expires_at)),
        ("last_used_at", time(key.last_used_at)),
    ])
}

/// Returns an account with what is known of its sign-ins and its keys.
async fn described(tool: &Tool, listed: Listed) -> Result<Map<String, Value>, Failure> {
    let Listed { account, last_login } = listed;
    let history = tool.identity.history(&account).await?;
    let keys = tool.identity.api_keys_of(&account).await?;
    let mut value = account_json(&account);
    value.extend(members([
        ("last_login_at", time(last_login)),
        ("failed_login_attempts", history.failed_login_attempts.into()),
        ("last_failed_login_at", time(history.last_failed_login_at)),
        ("password_changed_at", time(Some(account.password_changed_at))),
        ("password_expires_at", time(tool.identity.password_expires_at(&account))),
        ("api_key_status", status_of(&keys, tool.identity.clock.now()).into()),
        ("api_keys", keys.iter().map(key_json).collect()),
    ]));
    Ok(value)
}

fn status_of(keys: &[ApiKey], now: Timestamp) -> &'static str {
    let is_live = |key: &ApiKey| key.expires_at.is_none_or(|end| end > now);
    match (keys.iter().any(is_live), keys.is_empty()) {
        (true, _) => "active",
        (false, false) => "expired",
        (false, true) => "none",
    }
}

fn time(at: Option<Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}
