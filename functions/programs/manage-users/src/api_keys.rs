//! The commands that set and rotate the API key of an account.

use portcullis_identity::{IssuedApiKey, ManagedKey};
use secrecy::{ExposeSecret, SecretString};

use crate::arguments::KeyOptions;
use crate::failure::Failure;
use crate::output::{Output, members, warn_of_shell};
use crate::tool::Tool;

/// The environment variables in which a rotation finds the new key; the first that is set is used.
const NEW_KEY: [&str; 2] = ["PORTFOLIO_NEW_API_KEY", "PORTFOLIO_ROTATION_API_KEY"];

pub(crate) async fn set(tool: &Tool, output: Output, name: &str, key: KeyOptions) -> Result<(), Failure> {
    if key.api_key.is_some() {
        warn_of_shell(output, "--api-key");
    }
    let account = tool.identity.account_by_name(name).await?;
    let is_fresh = key.api_key.is_none();
    let wanted = ManagedKey {
        text: key.api_key.map(SecretString::from),
        scopes: (!key.scopes.is_empty()).then_some(key.scopes),
        expires_at: key.expires,
    };
    let issued = tool.identity.set_managed_key(&tool.operator, &account, wanted, &tool.origin).await?;
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
    let mut value = members([
        ("key_id", id.into()),
        ("scopes", issued.key.scopes.clone().into()),
        ("expires_at", issued.key.expires_at.map(|end| end.to_string()).into()),
    ]);
    let mut text = format!("{name} has the API key {}", issued.key.id);
    if is_fresh {
        let clear = issued.text.expose_secret();
        value.insert("api_key".to_owned(), clear.into());
        text = format!("{text}, shown this once:\n{clear}");
    }
    output.say(&text, value)
}
