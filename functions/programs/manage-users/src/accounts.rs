//! The commands that create, list, change and export accounts.

use jiff::Timestamp;
use portcullis_identity::{
    Account, AccountRequest, AccountStatus, AccountUpdate, ApiKey, Email, Field, FirstPassword, Invitation,
    Listed, PersonName, SignIns, Username,
};
use serde_json::{Map, Value, json};

use crate::api_keys;
use crate::arguments::{CreateUser, InviteUser};
use crate::failure::Failure;
use crate::output::{Output, line, members};
use crate::secret_input::new_password;
use crate::tool::Tool;

/// The number of accounts read in one page.
const PAGE: usize = 100;

pub(crate) async fn create(tool: &Tool, output: Output, user: CreateUser) -> Result<(), Failure> {
    let username = Username::parse(&user.name).map_err(|invalid| invalid.of(Field::Username))?;
    let email = user.email.as_deref().map(Email::parse).transpose();
    let request = AccountRequest {
        email: email.map_err(|invalid| invalid.of(Field::Email))?,
        name: PersonName::parse(&user.name).map_err(|invalid| invalid.of(Field::Name))?,
        username: Some(username),
        phone: None,
        password: FirstPassword::Chosen(new_password(&user.name)?),
        roles: user.roles,
        status: if user.inactive { AccountStatus::Disabled } else { AccountStatus::Active },
        email_verified: !user.unverified,
    };
    let account = tool.identity.create_account(&tool.operator, request, &tool.origin).await?;
    let mut value = account_json(&account);
    let mut text = format!("made {} ({})", user.name, account.id);
    if let Some(key) = user.api_key {
        let issued = api_keys::give(tool, &account, Some(key)).await?;
        value.insert("api_key_id".to_owned(), issued.key.id.to_string().into());
        text = format!("{text} with the API key {}", issued.key.id);
    }
    output.say(&text, value)
}

pub(crate) async fn invite(tool: &Tool, output: Output, user: InviteUser) -> Result<(), Failure> {
    let email = Email::parse(&user.email).map_err(|invalid| invalid.of(Field::Email))?;
    let local_part = email.as_str().split('@').next().unwrap_or_default();
    let name = user.name.as_deref().unwrap_or(local_part);
    let username = user.username.as_deref().map(Username::parse).transpose();
    let invitation = Invitation {
        name: PersonName::parse(name).map_err(|invalid| invalid.of(Field::Name))?,
        username: username.map_err(|invalid| invalid.of(Field::Username))?,
        roles: user.roles,
        email,
    };
    let account = tool.identity.invite(&tool.operator, invitation, &tool.origin).await?;
    let text = format!("invited {} ({}): the link works for 72 hours", account.shown_name(), account.id);
    output.say(&text, account_json(&account))
}

pub(crate) async fn list(tool: &Tool, output: Output) -> Result<(), Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (listed, next) = tool.identity.list_accounts(PAGE, after).await?;
        for one in listed {
            let history = tool.identity.history(&one.account).await?;
            let keys = tool.identity.api_keys_of(&one.account).await?;
            all.push(described(&one, &history, &keys, tool.identity.clock.now()));
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    if output.json {
        return line(&Value::from(all).to_string());
    }
    for user in &all {
        let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let roles: Vec<&str> = user
            .get("roles")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        line(&format!(
            "{}  {}  {}  {}  {}  last sign-in {}  failures {}  API key {}",
            text("user_id"),
            text("username"),
            text("email"),
            roles.join(","),
            text("status"),
            text("last_login_at"),
            user.get("failed_login_attempts").unwrap_or(&Value::Null),
            text("api_key_status"),
        ))?;
    }
    Ok(())
}

pub(crate) async fn set_roles(
    tool: &Tool,
    output: Output,
    name: &str,
    roles: Vec<String>,
) -> Result<(), Failure> {
    let update = AccountUpdate { roles: Some(roles), status: None };
    change(tool, output, name, &update, "has other roles from the next refresh on").await
}

pub(crate) async fn set_active(tool: &Tool, output: Output, name: &str, active: bool) -> Result<(), Failure> {
    let (status, done) = if active {
        (AccountStatus::Active, "may be used again")
    } else {
        (AccountStatus::Disabled, "is switched off, and all its sessions are over")
    };
    change(tool, output, name, &AccountUpdate { roles: None, status: Some(status) }, done).await
}

async fn change(
    tool: &Tool,
    output: Output,
    name: &str,
    update: &AccountUpdate,
    done: &str,
) -> Result<(), Failure> {
    let id = tool.identity.account_by_name(name).await?.id;
    let account = tool.identity.update_account(&tool.operator, id, update, &tool.origin).await?;
    output.say(&format!("{name} {done}"), account_json(&account))
}

pub(crate) async fn unlock(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    tool.identity.unlock_account(&tool.operator, account.id, &tool.origin).await?;
    output.say(&format!("{name} may try again at once"), account_json(&account))
}

pub(crate) async fn reset_mfa(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let id = tool.identity.account_by_name(name).await?.id;
    tool.identity.reset_mfa(&tool.operator, id, &tool.origin).await?;
    let account = tool.identity.account_by_id(id).await?;
    output.say(&format!("{name} signs in without a second factor"), account_json(&account))
}

pub(crate) async fn rotate_password(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    let password = new_password(name)?;
    tool.identity.override_password(&tool.operator, &account, &password, &tool.origin).await?;
    output.say(&format!("{name} has another password, and all sessions are over"), account_json(&account))
}

/// Prints all accounts as JSON lines, in the form `import` reads.
pub(crate) async fn export(tool: &Tool, with_hashes: bool) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let (listed, next) = tool.identity.list_accounts(PAGE, after).await?;
        for Listed { account, .. } in listed {
            let mut value = members([
                ("email", account.address().into()),
                ("email_verified", account.email_verified.into()),
                ("username", account.username.clone().into()),
                ("name", account.name.clone().into()),
                ("phone", account.phone.clone().into()),
                ("roles", account.roles.clone().into()),
                ("status", account.status.as_str().into()),
            ]);
            if with_hashes {
                value.insert(
                    "password_hash".to_owned(),
                    tool.identity.password_hash_of(&account).await?.into(),
                );
            }
            line(&Value::from(value).to_string())?;
        }
        after = next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Returns the account as the commands print it in JSON.
fn account_json(account: &Account) -> Map<String, Value> {
    members([
        ("user_id", account.id.to_string().into()),
        ("username", account.username.clone().into()),
        ("email", account.address().into()),
        ("email_verified", account.email_verified.into()),
        ("name", account.name.clone().into()),
        ("roles", account.roles.clone().into()),
        ("status", account.status.as_str().into()),
        ("mfa_enabled", account.mfa_enabled.into()),
        ("created_at", account.created_at.to_string().into()),
    ])
}

fn described(listed: &Listed, history: &SignIns, keys: &[ApiKey], now: Timestamp) -> Map<String, Value> {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let is_live = |key: &&ApiKey| key.expires_at.is_none_or(|end| end > now);
    let status = match (keys.iter().any(|key| is_live(&key)), keys.is_empty()) {
        (true, _) => "active",
        (false, false) => "expired",
        (false, true) => "none",
    };
    let mut value = account_json(&listed.account);
    value.insert("last_login_at".to_owned(), time(listed.last_login).into());
    value.insert("failed_login_attempts".to_owned(), history.failed_login_attempts.into());
    value.insert("last_failed_login_at".to_owned(), time(history.last_failed_login_at).into());
    value.insert("password_changed_at".to_owned(), time(Some(listed.account.password_changed_at)).into());
    value.insert("api_key_status".to_owned(), status.into());
    let key = |key: &ApiKey| {
        json!({
            "key_id": key.id.to_string(),
            "name": key.name,
            "created_at": key.created_at.to_string(),
            "expires_at": time(key.expires_at),
            "last_used_at": time(key.last_used_at),
        })
    };
    value.insert("api_keys".to_owned(), keys.iter().map(key).collect());
    value
}
