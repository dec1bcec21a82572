//! What moto was given to deliver.

use serde_json::Value;

/// Every message to this address so far, oldest first, as moto at `endpoint` keeps it.
pub async fn letters_to(endpoint: &str, address: &str) -> reqwest::Result<Vec<Value>> {
    let kept: Value = reqwest::get(format!("{endpoint}/moto-api/data.json")).await?.json().await?;
    let messages = kept.pointer("/ses/Message").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_to =
        |message: &Value| message.get("destinations").is_some_and(|to| to.to_string().contains(address));
    Ok(messages.into_iter().filter(is_to).collect())
}

/// The token of the link in a message.
pub fn token_in(message: &Value) -> Option<String> {
    let text = message.to_string();
    let (_, rest) = text.split_once("#token=")?;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    Some(rest.chars().take_while(|letter| is_part(*letter)).collect())
}
