//! The command that ends every session of every account: after a table was restored to an earlier time, sessions that had
//! ended since are alive again in it.

use std::sync::Arc;

use portcullis_identity::{AccountId, Error, Listed};
use serde_json::json;
use tokio::task::JoinSet;

use crate::arguments::Confirmed;
use crate::confirmation::confirm;
use crate::failure::Failure;
use crate::output::{Output, counted, members};
use crate::progress::while_working;
use crate::tool::Tool;

/// The number of accounts read in one page, and ended side by side.
const PAGE: usize = 32;

/// Ends every session, and says of how many accounts. Run again it does the same once more, so that whatever interrupted it
/// needs no care.
pub(crate) async fn revoke_sessions(
    tool: &Tool,
    output: Output,
    confirmed: Confirmed,
) -> Result<(), Failure> {
    confirm(confirmed, &format!("ends every session of every account in {}", tool.source))?;
    let count = while_working("ending sessions", end_all(tool)).await?;
    let text = format!("every session of {} is over", counted(count, "account"));
    output.say(&text, members([("accounts", json!(count))]))
}

/// Returns the number of accounts whose sessions were ended; those that are erased meanwhile do not count.
async fn end_all(tool: &Tool) -> Result<usize, Failure> {
    let (mut after, mut count) = (None, 0);
    loop {
        let (listed, next) = tool.identity.list_accounts(PAGE, after).await?;
        count += end_of(tool, listed).await?;
        after = next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

async fn end_of(tool: &Tool, listed: Vec<Listed>) -> Result<usize, Failure> {
    let mut ending = JoinSet::new();
    for Listed { account, .. } in listed {
        ending.spawn(end_one(tool, account.id));
    }
    let mut count = 0;
    while let Some(ended) = ending.join_next().await {
        match ended.map_err(std::io::Error::other)? {
            Ok(()) => count += 1,
            Err(Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(count)
}

/// Ends the sessions of one account, in a task of its own.
fn end_one(tool: &Tool, id: AccountId) -> impl Future<Output = Result<(), Error>> + Send + 'static {
    let identity = Arc::clone(&tool.identity);
    let (operator, origin) = (tool.operator.clone(), tool.origin.clone());
    async move { identity.revoke_sessions_of(&operator, id, &origin).await }
}
