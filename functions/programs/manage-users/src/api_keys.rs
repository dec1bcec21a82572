//! The commands that set and rotate the API key of an account.

use portcullis_identity::{Account, IssuedApiKey};
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;
use crate::output::{Output, members};
use crate::tool::Tool;

/// The environment variables in which a rotation finds the new key; the first that is set is used.
const NEW_KEY: [&str; 2] = ["PORTFOLIO_NEW_API_KEY", "PORTFOLIO_ROTATION_API_KEY"];

pub(crate) async fn give(
    tool: &Tool,
    account: &Account,
    key: Option<String>,
) -> Result<IssuedApiKey, Failure> {
    let key = key.map(SecretString::from);
    Ok(tool.identity.set_managed_key(&tool.operator, account, key, &tool.origin).await?)
}

pub(crate) async fn set(tool: &Tool, output: Output, name: &str, key: Option<String>) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    let is_fresh = key.is_none();
    let issued = give(tool, &account, key).await?;
    print_key(output, name, &issued, is_fresh)
}

pub(crate) async fn rotate(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let account = tool.identity.account_by_name(name).await?;
    let given = NEW_KEY.into_iter().find_map(|variable| tool.environment.raw(variable));
    let is_fresh = given.is_none();
    let given = given.map(SecretString::from);
    let issued = tool.identity.rotate_managed_key(&tool.operator, &account, given, &tool.origin).await?;
    print_key(output, name, &issued, is_fresh)
}

/// Prints the key. A key that was generated here is shown this once; one that was passed in is known to the operator.
fn print_key(output: Output, name: &str, issued: &IssuedApiKey, is_fresh: bool) -> Result<(), Failure> {
    let id = issued.key.id.to_string();
    let mut value = members([("key_id", id.into()), ("scopes", issued.key.scopes.clone().into())]);
    let mut text = format!("{name} has the API key {}", issued.key.id);
    if is_fresh {
        let clear = issued.text.expose_secret();
        value.insert("api_key".to_owned(), clear.into());
        text = format!("{text}, shown this once:\n{clear}");
    }
    output.say(&text, value)
}
