//! The commands that create, change and export accounts.

use portcullis_identity::{
    Account, AccountRequest, AccountStatus, AccountUpdate, Email, Field, FirstPassword, Invitation, Listed,
    ManagedKey, Password, PersonName, Username,
};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::arguments::{Confirmed, CreateUser, InviteUser};
use crate::confirmation::confirm;
use crate::failure::Failure;
use crate::output::{Output, counted, line, members, warn_of_shell};
use crate::progress::while_printing;
use crate::secret_input::new_password;
use crate::tool::Tool;

/// The number of accounts read in one page.
const PAGE: usize = 100;

pub(crate) async fn create(tool: &Tool, output: Output, user: CreateUser) -> Result<(), Failure> {
    // Before a password is asked for: what is refused anyway is not worth typing one.
    tool.identity.check_roles(&user.roles)?;
    let username = Username::parse(&user.name).map_err(|invalid| invalid.of(Field::Username))?;
    let email = user.email.as_deref().map(Email::parse).transpose();
    if user.api_key.is_some() {
        warn_of_shell(output, "--api-key");
    }
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
    let key = user.api_key.map(|key| ManagedKey { text: Some(key.into()), ..ManagedKey::default() });
    let made = tool.identity.create_account_with_key(&tool.operator, request, key, &tool.origin);
    let (account, issued) = made.await?;
    let mut value = account_json(&account);
    let mut text = format!("made {} ({})", user.name, account.id);
    if let Some(issued) = issued {
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

pub(crate) async fn reset_mfa(
    tool: &Tool,
    output: Output,
    name: &str,
    confirmed: Confirmed,
) -> Result<(), Failure> {
    let id = tool.identity.account_by_name(name).await?.id;
    confirm(confirmed, &format!("removes the second factor of {name}"))?;
    tool.identity.reset_mfa(&tool.operator, id, &tool.origin).await?;
    let account = tool.identity.account_by_id(id).await?;
    output.say(&format!("{name} signs in without a second factor"), account_json(&account))
}

pub(crate) async fn revoke_sessions(
    tool: &Tool,
    output: Output,
    name: &str,
    confirmed: Confirmed,
) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    confirm(confirmed, &format!("ends every session of {name}"))?;
    tool.identity.revoke_sessions_of(&tool.operator, account.id, &tool.origin).await?;
    output.say(&format!("every session of {name} is over"), account_json(&account))
}

pub(crate) async fn delete(
    tool: &Tool,
    output: Output,
    name: &str,
    confirmed: Confirmed,
) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    confirm(confirmed, &format!("erases {name} ({}) and all that belongs to it", account.id))?;
    tool.identity.erase_account_of(&tool.operator, account.id, &tool.origin).await?;
    output.say(&format!("{name} is erased; the audit trail stays"), account_json(&account))
}

pub(crate) async fn verify_email(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let id = tool.identity.account_by_name(name).await?.id;
    let account = tool.identity.vouch_for_address(&tool.operator, id, &tool.origin).await?;
    output.say(&format!("the address of {name} counts as confirmed"), account_json(&account))
}

pub(crate) async fn send_reset(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let id = tool.identity.account_by_name(name).await?.id;
    let account = tool.identity.send_reset(&tool.operator, id, &tool.origin).await?;
    let text = format!("sent {name} a link to choose another password, which works for 30 minutes");
    output.say(&text, account_json(&account))
}

pub(crate) async fn rotate_password(
    tool: &Tool,
    output: Output,
    name: &str,
    given: Option<String>,
) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    let password = match given.map(SecretString::from) {
        Some(given) => {
            warn_of_shell(output, "--password");
            Password::new(&given)
        }
        None => new_password(name)?,
    };
    tool.identity.override_password(&tool.operator, &account, &password, &tool.origin).await?;
    output.say(&format!("{name} has another password, and all sessions are over"), account_json(&account))
}

/// Prints all accounts as JSON lines, in the form `import` reads.
pub(crate) async fn export(tool: &Tool, output: Output, with_hashes: bool) -> Result<(), Failure> {
    let count = while_printing("exporting accounts", print_all(tool, with_hashes)).await?;
    tool.has_read(output, &counted(count, "account"));
    Ok(())
}

/// Prints all accounts, and returns how many there were.
async fn print_all(tool: &Tool, with_hashes: bool) -> Result<usize, Failure> {
    let (mut after, mut count) = (None, 0);
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
            count += 1;
        }
        after = next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

/// Returns the account as the commands print it in JSON.
pub(crate) fn account_json(account: &Account) -> Map<String, Value> {
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
