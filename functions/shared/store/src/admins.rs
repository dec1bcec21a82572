//! The one row that lists the administrators that may be used.
//!
//! Whatever makes one account less an administrator takes its name from that row in the same transaction, on the condition
//! that another one stays.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::connection::Store;
use crate::error::StoreError;
use crate::expression::{Condition, Update};
use crate::id::AccountId;
use crate::item::text;
use crate::keys;
use crate::transaction::Transaction;

fn member(id: AccountId) -> AttributeValue {
    AttributeValue::Ss(vec![id.to_string()])
}

/// Takes an account from the administrators, if another one stays. Two who demote each other at the same time meet in
/// this row: DynamoDB lets one of the two transactions through, and the other one's condition sees what it left.
pub(crate) fn remove_admin<R>(
    transaction: Transaction<'_, R>,
    id: AccountId,
    last_admin: R,
) -> Transaction<'_, R> {
    let another_stays = Condition::Any(vec![
        Condition::Missing("members"),
        Condition::Lacks("members", text(id.to_string())),
        Condition::Size("members", ">", 1),
    ]);
    let update = Update::new().delete("members", member(id));
    transaction.update_if(&keys::admins(), update, another_stays, last_admin)
}

/// Counts an account among the administrators.
pub(crate) fn add_admin<R>(transaction: Transaction<'_, R>, id: AccountId) -> Transaction<'_, R> {
    transaction.update(&keys::admins(), Update::new().add("members", member(id)))
}

impl Store {
    /// Whether this account is the only administrator left.
    pub(crate) async fn is_last_admin(&self, id: AccountId) -> Result<bool, StoreError> {
        let Some(found) = self.get(&keys::admins(), "counting administrators").await? else {
            return Ok(false);
        };
        Ok(match found.get("members") {
            Some(AttributeValue::Ss(members)) => members.len() == 1 && members.contains(&id.to_string()),
            _ => false,
        })
    }
}
