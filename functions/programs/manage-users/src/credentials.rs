//! The command that re-encrypts broker credentials.

use jiff::Timestamp;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Output, members};
use crate::progress::while_working;
use crate::tool::Tool;

pub(crate) async fn rotate(tool: &Tool, output: Output, before: Option<Timestamp>) -> Result<(), Failure> {
    let before = before.unwrap_or_else(|| tool.identity.clock.now());
    let sealed = while_working("sealing anew", tool.vault.reencrypt_all(before)).await?;
    let text = format!(
        "{} sealed anew, {} sealed later than {before}, {} gone meanwhile, {} not to be opened",
        sealed.done, sealed.recent, sealed.gone, sealed.unreadable
    );
    let counts = [
        ("sealed", json!(sealed.done)),
        ("recent", json!(sealed.recent)),
        ("gone", json!(sealed.gone)),
        ("unreadable", json!(sealed.unreadable)),
        ("before", json!(before.to_string())),
    ];
    output.say(&text, members(counts))?;
    match sealed.unreadable {
        0 => Ok(()),
        number => {
            Err(Failure::Refused(format!("{number} accounts do not open; their owners' trails name them")))
        }
    }
}
