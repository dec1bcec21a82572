//! The notifications that functions sent through SES, as moto keeps them.

use serde_json::Value;

/// Returns every message sent to this address so far, oldest first, as moto at `endpoint` keeps it; fails when moto does
/// not respond.
pub async fn notifications_to(endpoint: &str, address: &str) -> reqwest::Result<Vec<Value>> {
    let kept: Value = reqwest::get(format!("{endpoint}/moto-api/data.json")).await?.json().await?;
    let messages = kept.pointer("/ses/Message").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_to =
        |message: &Value| message.get("destinations").is_some_and(|to| to.to_string().contains(address));
    Ok(messages.into_iter().filter(is_to).collect())
}

/// Returns the token of the link in a message; none when it has no link.
pub fn token_in(message: &Value) -> Option<String> {
    let text = message.to_string();
    let (_, rest) = text.split_once("#token=")?;
    let is_part = |char: char| char.is_ascii_alphanumeric() || "_-".contains(char);
    Some(rest.chars().take_while(|char| is_part(*char)).collect())
}
